"""One ply: the judgement of a position, and of what each legal decision leads to.

A decision leads to the state after it and after what follows in the same turn as if by itself: forced decisions, lines
and regions (the largest, paid with the smallest cap), up to a choice of placement, movement or capture. Regions are
the dear part of that: while nothing on the board is cut off, they are looked for only after a move that leaves a
barrier between two open sides.
Scores are those of the agent that decides, which after a swap sits elsewhere.
"""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Rows, Table, Words, entry, kernel
from ringrift_core.game.rules.phases import apply, list_legal
from ringrift_core.game.rules.stacks import cap
from ringrift_core.players.kernels.features import judge
from ringrift_core.players.kernels.regions import claimable, is_whole, largest_region, may_cut

FORCED_MAX = 32  # forced decisions played after one that is judged


@entry("g states longs longs s s ids ids longs longs longs_rows longs_rows")
def judge_decisions(
    g: Table,
    states: Rows,
    rows: Words,
    weights: Words,
    w: Words,
    trial: Words,
    out: Words,
    ids: Words,
    offsets: Words,
    scores: Words,
    values: Rows,
    sums: Rows,
) -> None:
    """Judge the positions states[rows[i]] and their decisions ids[offsets[i] : offsets[i + 1]].

    Writes values[i] [4], the judgement of each seat, and one score for each id. `w`, `trial` [words], `out` [actions]
    and `sums` [3, 4] are scratch.
    """
    seats = sums[0]
    before = sums[1]
    after = sums[2]
    for i in range(len(rows)):
        s = states[rows[i]]
        whole = is_whole(g, s, w)
        clear(before)
        if not whole:
            claimable(g, s, w, before)
        judge(g, s, w, weights, before, values[i])
        agent = s[at.AGENT + s[at.PLAYER]]
        for j in range(offsets[i], offsets[i + 1]):
            for word in range(len(trial)):
                trial[word] = s[word]
            apply(g, trial, w, out, ids[j])
            cut = not whole or trial[at.RECOVERY_TURN] == 1 or may_cut(g, trial, ids[j])
            finish_turn(g, trial, w, out, cut)
            if ids[j] < g[at.RAY_ID] or not cut:  # a placement cuts nothing off
                judge(g, trial, w, weights, before, seats)
            else:
                claimable(g, trial, w, after)
                judge(g, trial, w, weights, after, seats)
            scores[j] = standing(trial, seats, agent)


@kernel
def clear(claims: Words) -> None:
    """No claims."""
    for seat in range(4):
        claims[seat] = 0


@kernel
def standing(s: Words, seats: Words, agent: int) -> int:
    """Twice the judgement of the agent, less the best and less the mean of its opponents."""
    own = 0
    best = -(1 << 40)
    total = 0
    for seat in range(1, s[at.SEATS] + 1):
        if s[at.AGENT + seat] == agent:
            own = seats[seat - 1]
        else:
            best = max(best, seats[seat - 1])
            total += seats[seat - 1]
    return 2 * own - best - total // (s[at.SEATS] - 1)


@kernel
def finish_turn(g: Table, s: Words, w: Words, out: Words, cut: bool) -> None:
    """Play on to a choice of placement, movement or capture or to the end of the turn; `cut`: perhaps a region."""
    turn = s[at.TURN]
    for _ in range(FORCED_MAX):
        phase = s[at.PHASE]
        if s[at.REASON] != 0 or s[at.TURN] != turn or phase == at.PLACEMENT or phase == at.CAPTURE:
            return
        if phase == at.MOVEMENT and s[at.PENDING] == 0:
            return
        choice = g[at.SPECIAL_ID] + at.NO_ACTION
        if phase != at.TERRITORY_PHASE or s[at.REGION_DUE] == 1 or cut:
            count = list_legal(g, s, w, out)
            if count > 1 and phase < at.LINES:
                return
            choice = least_cap(g, s, out, count)
            if count > 1 and phase == at.TERRITORY_PHASE and s[at.REGION_DUE] == 0:
                choice = largest_region(g, s, w, out, count)
        if phase != at.TERRITORY_PHASE and choice < g[at.SPECIAL_ID]:
            cut = True
        apply(g, s, w, out, choice)


@kernel
def least_cap(g: Table, s: Words, out: Words, count: int) -> int:
    """Of payments the one that gives up the smallest cap, otherwise the first decision, which is no skip."""
    chosen = out[0]
    if chosen < g[at.ELIM_ID] or chosen >= g[at.REGION_ID]:
        return chosen
    for i in range(1, count):
        if cap(g, s, out[i] - g[at.ELIM_ID]) < cap(g, s, chosen - g[at.ELIM_ID]):
            chosen = out[i]
    return chosen
