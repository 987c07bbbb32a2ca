"""How a game ends, and the ranking (R060, R170-R178)."""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Table, Words, kernel
from ringrift_core.game.rules.movement import can_act


@kernel
def rings_to_win(g: Table, s: Words) -> int:
    """Elimination threshold round(R * (2/3 + (n-1)/3)) (R061); R is a multiple of three on every board."""
    return g[at.RINGS_PER_PLAYER] * (s[at.SEATS] + 1) // 3


@kernel
def territory_to_win(g: Table, s: Words) -> int:
    """Territory minimum floor(cells / n) + 1 (R062)."""
    return g[at.CELLS] // s[at.SEATS] + 1


@kernel
def owns_ring(s: Words, seat: int) -> bool:
    """True when the seat has a ring anywhere: hand, top or buried."""
    return s[at.HAND + seat] > 0 or s[at.RINGS + seat] > 0


@kernel
def finish(s: Words, reason: int, winner: int) -> None:
    """End the game."""
    s[at.REASON] = reason
    s[at.WINNER] = winner


@kernel
def leader(s: Words, block: int, with_hand: bool) -> int:
    """The only seat with the largest value of a per-seat block (plus hands if asked), 0 when several share it."""
    best = -1
    seat_of_best = 0
    for seat in range(1, s[at.SEATS] + 1):
        value = s[block + seat]
        if with_hand:
            value += s[at.HAND + seat]
        if value > best:
            best = value
            seat_of_best = seat
        elif value == best:
            seat_of_best = 0
    if best <= 0:
        return 0
    return seat_of_best


@kernel
def settle_stalemate(s: Words) -> None:
    """The first rung with a unique leader among all players decides (R173)."""
    by_territory = leader(s, at.TERRITORY, False)
    by_rings = leader(s, at.ELIMINATED, True)
    by_markers = leader(s, at.MARKERS, False)
    if by_territory > 0:
        finish(s, at.STALEMATE_TERRITORY, by_territory)
    elif by_rings > 0:
        finish(s, at.STALEMATE_RINGS, by_rings)
    elif by_markers > 0:
        finish(s, at.STALEMATE_MARKERS, by_markers)
    else:
        finish(s, at.STALEMATE_LAST_ACTOR, s[at.PLAYER])


@kernel
def someone_can_place(g: Table, s: Words) -> bool:
    """With no stack on the board: True when somebody holds a ring and it has a live cell."""
    held = 0
    for seat in range(1, s[at.SEATS] + 1):
        held += s[at.HAND + seat]
    if held == 0:
        return False
    for cell in range(g[at.CELLS]):
        if s[at.CODE + cell] == at.EMPTY and can_act(g, s, cell, 1, 1):
            return True
    return False


@kernel
def test_victory(g: Table, s: Words) -> None:
    """The tests made when a turn ends, in their order (R170-R173); ends the game if one succeeds."""
    total = 0
    in_control = 0
    owners = 0
    controller = 0
    for seat in range(1, s[at.SEATS] + 1):
        total += s[at.TERRITORY + seat]
        if s[at.STACKS + seat] > 0:
            in_control += 1
            controller = seat
        if owns_ring(s, seat):
            owners += 1
    for seat in range(1, s[at.SEATS] + 1):
        if s[at.ELIMINATED + seat] >= rings_to_win(g, s):
            finish(s, at.BY_RINGS, seat)
            return
    for seat in range(1, s[at.SEATS] + 1):
        mine = s[at.TERRITORY + seat]
        if mine >= territory_to_win(g, s) and mine > total - mine:
            finish(s, at.BY_TERRITORY, seat)
            return
    if in_control == 1 and owners == 1:
        finish(s, at.BY_LPS_EARLY, controller)
    elif in_control == 0 and not someone_can_place(g, s):
        settle_stalemate(s)


@kernel
def eliminated_for_ranking(s: Words, seat: int) -> int:
    """Rings credited to a seat, its hand added after a stalemate (R176)."""
    value = s[at.ELIMINATED + seat]
    if s[at.REASON] >= at.STALEMATE_TERRITORY:
        value += s[at.HAND + seat]
    return value


@kernel
def ranks_above(s: Words, a: int, b: int) -> bool:
    """True when seat `a` ranks strictly above seat `b` (R175-R178)."""
    if s[at.WINNER] == a or s[at.WINNER] == b:
        return s[at.WINNER] == a
    if s[at.TERRITORY + a] != s[at.TERRITORY + b]:
        return s[at.TERRITORY + a] > s[at.TERRITORY + b]
    if eliminated_for_ranking(s, a) != eliminated_for_ranking(s, b):
        return eliminated_for_ranking(s, a) > eliminated_for_ranking(s, b)
    if s[at.MARKERS + a] != s[at.MARKERS + b]:
        return s[at.MARKERS + a] > s[at.MARKERS + b]
    if s[at.OUT_TURN + a] == s[at.OUT_TURN + b]:
        return False
    return s[at.OUT_TURN + a] == at.NONE or (s[at.OUT_TURN + b] != at.NONE and s[at.OUT_TURN + a] > s[at.OUT_TURN + b])


@kernel
def rank_of(s: Words, seat: int) -> int:
    """Competition rank 1..n of a seat: one more than the seats above it."""
    rank = 1
    for other in range(1, s[at.SEATS] + 1):
        if other != seat and ranks_above(s, other, seat):
            rank += 1
    return rank
