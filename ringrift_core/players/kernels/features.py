"""What a position is worth to each seat, in whole numbers: counters, markers in rows, stacks and what they can reach.

The judgement of a seat is the sum of features times `weights`, so every machine computes the same one. It is cheap: one
scan of the cells, and for each stack its rays up to the first obstacle.
"""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Table, Words, kernel
from ringrift_core.game.rules.lines import step
from ringrift_core.game.rules.movement import free_until
from ringrift_core.game.rules.outcome import rings_to_win, territory_to_win
from ringrift_core.game.rules.stacks import cap, height
from ringrift_core.players.kernels.regions import cut_by_leaving, openness
from ringrift_core.players.kernels.snares import nears_snare, sets_snare, walls

# ---- places in `weights` ----
ELIMINATED = 0  # rings credited to the seat
ELIMINATED_NEAR = 1  # their square over the number that wins
TERRITORY = 2
TERRITORY_NEAR = 3  # the same for territory
MARKER = 4
PAIR = 5  # two own markers side by side on a line axis
TRIPLE = 6  # three in a row
STACK = 7  # stacks controlled
CAP = 8  # own rings in the caps of own stacks
HEIGHT = 9  # rings in own stacks
HAND = 10
BURIED = 11  # own rings on the board outside the caps of own stacks
OPEN_RAY = 12  # directions in which an own stack can move
HIT_NEXT = 13  # captures of foreign stacks open to the stacks that may act next; the victim loses as much
HIT_LATER = 14  # captures open to other stacks
STUCK = 15  # own stacks that can neither move nor capture
LAST_ROUND = 16  # rounds in which nobody else could act (R172)
BARE = 17  # no stack controlled
FROZEN = 18  # nothing in hand and no own stack that can act
CLAIM_NEXT = 19  # cells and rings of the best region that the seat to act could claim
CLAIM_LATER = 20  # the same for the other seats
WALLS = 21  # square of the sides that are closed around each own stack
SNARE_NEXT = 22  # stacks of the seat to act that can shut themselves in and claim the rest (snares.py)
SNARE_LATER = 23  # the same for other stacks
NEAR_NEXT = 24  # stacks of the seat to act that are one move away from that
NEAR_LATER = 25  # the same for other stacks
CUT_NEXT = 26  # cells and rings of the best region that the stack just placed cuts off by leaving its cell
WEIGHTS = 27

WON = 1_000_000  # judgement of the winner; no sum of features comes near it


@kernel
def judge(g: Table, s: Words, w: Words, weights: Words, claims: Words, seats: Words) -> None:
    """Write the judgement of every seat into `seats` [4]; `claims` [4] is what each could claim, `w` scratch."""
    n = s[at.SEATS]
    for seat in range(1, 5):
        seats[seat - 1] = 0
    if s[at.REASON] != 0:
        seats[s[at.WINNER] - 1] = WON
        return
    acting = next_to_act(s)
    for seat in range(1, n + 1):
        claim = weights[CLAIM_NEXT] if seat == acting else weights[CLAIM_LATER]
        seats[seat - 1] = judge_counters(g, s, weights, seat) + claim * claims[seat - 1]
    only = s[at.ACTIVE] if s[at.ACTIVE] != at.NONE else s[at.MUST_MOVE]
    short = False  # somebody has rings but no stack: every region passes the colour test (R142)
    for seat in range(1, n + 1):
        if s[at.STACKS + seat] == 0 and s[at.RINGS + seat] > 0:
            short = True
    able = 0  # bit of each seat with a stack that can act
    for cell in range(g[at.CELLS]):
        code = s[at.CODE + cell]
        if code == at.EMPTY or code > at.STACK_LAST:
            continue
        if code <= at.MARKER_LAST:
            seats[code - 1] += judge_marker(g, s, weights, cell)
            continue
        seat = code - at.STACK
        soon = seat == acting and (only == at.NONE or only == cell)
        value, acts = judge_stack(g, s, weights, seats, cell, weights[HIT_NEXT if soon else HIT_LATER])
        value += judge_place(
            g, s, w, weights, cell, soon, s[at.STACKS + seat] == 1 or (short and height(g, s, cell) == 1)
        )
        seats[seat - 1] += value
        if acts > 0:
            able |= 1 << seat
        else:
            seats[seat - 1] += weights[STUCK]
    if weights[CUT_NEXT] != 0 and s[at.PHASE] == at.MOVEMENT and s[at.MUST_MOVE] != at.NONE:
        seats[acting - 1] += weights[CUT_NEXT] * cut_by_leaving(g, s, w, s[at.MUST_MOVE])
    for seat in range(1, n + 1):
        if s[at.HAND + seat] == 0 and (able >> seat) & 1 == 0:
            seats[seat - 1] += weights[FROZEN]


@kernel
def next_to_act(s: Words) -> int:
    """The seat whose stacks may move next: the mover's until its movement is over."""
    if s[at.PHASE] <= at.CHAIN:
        return s[at.PLAYER]
    return s[at.PLAYER] % s[at.SEATS] + 1


@kernel
def judge_counters(g: Table, s: Words, weights: Words, seat: int) -> int:
    """What follows from the counters of a seat alone."""
    eliminated = s[at.ELIMINATED + seat]
    territory = s[at.TERRITORY + seat]
    value = weights[ELIMINATED] * eliminated + weights[ELIMINATED_NEAR] * eliminated * eliminated // rings_to_win(g, s)
    value += weights[TERRITORY] * territory
    value += weights[TERRITORY_NEAR] * territory * territory // territory_to_win(g, s)
    value += weights[MARKER] * s[at.MARKERS + seat]
    value += weights[STACK] * s[at.STACKS + seat]
    value += weights[HAND] * s[at.HAND + seat]
    value += weights[BURIED] * s[at.RINGS + seat]
    if s[at.LPS_EXCLUSIVE] == seat:
        value += weights[LAST_ROUND] * s[at.LPS_COUNT]
    if s[at.STACKS + seat] == 0:
        value += weights[BARE]
    return value


@kernel
def judge_marker(g: Table, s: Words, weights: Words, cell: int) -> int:
    """How many rows of two and three the marker on `cell` begins."""
    code = s[at.CODE + cell]
    value = 0
    for axis in range(g[at.AXES]):
        second = step(g, cell, axis)
        if s[at.CODE + second] == code:
            value += weights[PAIR]
            if s[at.CODE + step(g, second, axis)] == code:
                value += weights[TRIPLE]
    return value


@kernel
def judge_stack(g: Table, s: Words, weights: Words, seats: Words, cell: int, hit: int) -> tuple[int, int]:
    """What a stack is worth to its controller, and how many acts it has; its threats are taken off the victims here."""
    tall = height(g, s, cell)
    capped = cap(g, s, cell)
    value = (weights[CAP] - weights[BURIED]) * capped + weights[HEIGHT] * tall
    code = s[at.CODE + cell]
    slot = g[at.RAY_START] + cell * g[at.DIRS]
    acts = 0
    for direction in range(g[at.DIRS]):
        start = g[slot + direction]
        end = g[slot + direction + 1]
        block = free_until(g, s, start, end)
        if block - start >= tall:  # R091
            value += weights[OPEN_RAY]
            acts += 1
        if block + 1 >= end or end - start < tall:
            continue
        target = g[g[at.RAY_TO] + block]
        other = s[at.CODE + target]
        if other > at.STACK_LAST or cap(g, s, target) > capped:
            continue
        reach = max(block + 1, start + tall - 1)  # first landing of a capture (R101)
        if free_until(g, s, block + 1, reach + 1) <= reach:
            continue
        acts += 1
        if other != code:
            value += hit
            seats[other - at.STACK - 1] -= hit
    return value, acts


@kernel
def judge_place(g: Table, s: Words, w: Words, weights: Words, cell: int, soon: bool, near: bool) -> int:
    """What the place of a stack is worth: how closed it is, and snares; `near`: also those two moves away."""
    seat = s[at.CODE + cell] - at.STACK
    tall = height(g, s, cell)
    mask = openness(g, s, cell, seat)
    closed = walls(g, mask)
    value = weights[WALLS] * closed * closed
    if sets_snare(g, s, w, cell, seat, tall, at.NONE, mask):
        value += weights[SNARE_NEXT if soon else SNARE_LATER]
    elif near and nears_snare(g, s, w, cell, seat, tall):
        value += weights[NEAR_NEXT if soon else NEAR_LATER]
    return value
