"""The turn: which phase comes next, the end of a turn, last player standing by rounds (R070-R076, R172, R200-R209)."""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Table, Words, kernel
from ringrift_core.game.rules.lines import has_line
from ringrift_core.game.rules.movement import has_capture
from ringrift_core.game.rules.outcome import finish, owns_ring, test_victory
from ringrift_core.game.rules.placement import has_real_action
from ringrift_core.game.rules.territory import list_regions


@kernel
def enter_lines(s: Words) -> None:
    """Movement is over."""
    s[at.PHASE] = at.LINES
    s[at.MUST_MOVE] = at.NONE
    s[at.ACTIVE] = at.NONE


@kernel
def after_travel(g: Table, s: Words, landing: int, captured: bool) -> None:
    """A move opens `capture`, a capture `chain_capture`, if the stack can capture on (R073, R103)."""
    mine = s[at.CODE + landing] == at.STACK + s[at.PLAYER]
    if not mine or not has_capture(g, s, landing):
        enter_lines(s)
        return
    s[at.PHASE] = at.CHAIN if captured else at.CAPTURE
    s[at.ACTIVE] = landing
    if s[at.MUST_MOVE] != at.NONE:
        s[at.MUST_MOVE] = landing


@kernel
def after_line(g: Table, s: Words, costs_ring: bool) -> None:
    """A line was collapsed: payment, the next line, or territory (R122, R123)."""
    if costs_ring and s[at.STACKS + s[at.PLAYER]] > 0:
        s[at.LINE_DUE] = 1
    elif not has_line(g, s):
        enter_territory(s)


@kernel
def enter_territory(s: Words) -> None:
    """Line processing is over."""
    s[at.PHASE] = at.TERRITORY_PHASE
    s[at.MUST_MOVE] = at.NONE


@kernel
def owes_elimination(s: Words) -> bool:
    """R205: the mover did nothing this turn and controls a stack."""
    return s[at.ACTED] == 0 and s[at.STACKS + s[at.PLAYER]] > 0


@kernel
def after_no_line(g: Table, s: Words, w: Words, out: Words) -> None:
    """no_line_action: territory, or straight to forced elimination when no region is processable either."""
    enter_territory(s)
    if owes_elimination(s) and list_regions(g, s, w, out) == 0:
        s[at.PHASE] = at.FORCED


@kernel
def after_territory(g: Table, s: Words) -> None:
    """Territory was skipped or empty."""
    if owes_elimination(s):
        s[at.PHASE] = at.FORCED
    else:
        end_turn(g, s)


@kernel
def after_region_payment(g: Table, s: Words, w: Words, out: Words) -> None:
    """Another region, or the turn ends."""
    if list_regions(g, s, w, out) == 0:
        end_turn(g, s)


@kernel
def end_turn(g: Table, s: Words) -> None:
    """Note who lost the last ring, test for victory, pass the turn to the next seat that owns a ring."""
    for seat in range(1, s[at.SEATS] + 1):
        if s[at.OUT_TURN + seat] == at.NONE and not owns_ring(s, seat):
            s[at.OUT_TURN + seat] = s[at.TURN]
    test_victory(g, s)
    if s[at.REASON] != 0:
        return
    seat = s[at.PLAYER] % s[at.SEATS] + 1
    while not owns_ring(s, seat):
        seat = seat % s[at.SEATS] + 1
    s[at.PLAYER] = seat
    s[at.TURN] += 1
    begin_turn(g, s)


@kernel
def begin_turn(g: Table, s: Words) -> None:
    """Start the mover's turn: last player standing by rounds is tracked here (R172)."""
    seat = s[at.PLAYER]
    s[at.PHASE] = at.PLACEMENT
    s[at.ACTED] = 0
    s[at.RECOVERY_TURN] = 0
    count_round(s, seat)
    acts = has_real_action(g, s, seat)
    s[at.LPS_ACTION + seat] = 2 if acts else 1
    if s[at.LPS_COUNT] < at.LPS_ROUNDS or s[at.LPS_EXCLUSIVE] != seat or not acts:
        return
    for other in range(1, s[at.SEATS] + 1):
        if other != seat and owns_ring(s, other) and has_real_action(g, s, other):
            return
    finish(s, at.BY_LPS_ROUNDS, seat)


@kernel
def count_round(s: Words, seat: int) -> None:
    """Start a round, or close it when it has come back to its first player."""
    first = s[at.LPS_FIRST]
    if first == 0 or not owns_ring(s, first):
        exclusive = s[at.LPS_EXCLUSIVE]
        if exclusive == 0 or not owns_ring(s, exclusive):
            s[at.LPS_EXCLUSIVE] = 0
            s[at.LPS_COUNT] = 0
        start_round(s, seat)
    elif first == seat and round_has_entries(s):
        exclusive = only_actor(s)
        if exclusive == 0:
            s[at.LPS_COUNT] = 0
        elif exclusive == s[at.LPS_EXCLUSIVE]:
            s[at.LPS_COUNT] += 1
        else:
            s[at.LPS_COUNT] = 1
        s[at.LPS_EXCLUSIVE] = exclusive
        start_round(s, seat)


@kernel
def start_round(s: Words, seat: int) -> None:
    """A new round with `seat` as its first player."""
    s[at.LPS_FIRST] = seat
    for other in range(1, s[at.SEATS] + 1):
        s[at.LPS_ACTION + other] = 0


@kernel
def round_has_entries(s: Words) -> bool:
    """True when some seat has begun a turn in this round."""
    for seat in range(1, s[at.SEATS] + 1):
        if s[at.LPS_ACTION + seat] != 0:
            return True
    return False


@kernel
def only_actor(s: Words) -> int:
    """The only seat with rings that had a real action in this round, 0 when none or several."""
    found = 0
    for seat in range(1, s[at.SEATS] + 1):
        if owns_ring(s, seat) and s[at.LPS_ACTION + seat] == 2:
            if found != 0:
                return 0
            found = seat
    return found
