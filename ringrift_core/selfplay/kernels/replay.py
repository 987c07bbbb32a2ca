"""Replaying recorded choices: the states at those with a policy target, the endings, and what a net sees.

Nothing recorded is trusted: a choice is carried out only when it is legal, and what does not fit is reported by game
as one of the problems below. Array bounds are the caller's business (selfplay/replay.py).
"""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.hashing import state_hash
from ringrift_core.game.rules.jit import Rows, Table, Words, entry, kernel
from ringrift_core.game.rules.observation import observe_cells, observe_globals
from ringrift_core.game.rules.outcome import rank_of
from ringrift_core.game.rules.phases import advance, apply

FULL_FLAG = 1

# problems
SOUND = 0
ENDED_EARLY = 1  # the game is over before this choice
ILLEGAL = 2  # the choice is not legal
OTHER_LENGTH = 3  # the policy target has not as many entries as the legal list
UNFINISHED = 4  # the game goes on after its last choice

# columns of an ending; ranks by agent follow
HASH = 0
WINNER = 1
REASON = 2
PLIES = 3
RANKS = 4


@kernel
def holds(ids: Words, count: int, action: int) -> bool:
    """True when an ascending list holds the id."""
    low = 0
    high = count
    while low < high:
        middle = (low + high) // 2
        if ids[middle] < action:
            low = middle + 1
        else:
            high = middle
    return low < count and ids[low] == action


@kernel
def write_ending(g: Table, s: Words, ending: Words) -> None:
    """Write hash, winning agent, reason, plies and the ranks by agent."""
    ending[HASH] = state_hash(g, s)
    ending[WINNER] = s[at.AGENT + s[at.WINNER]]
    ending[REASON] = s[at.REASON]
    ending[PLIES] = s[at.PLY]
    for seat in range(1, s[at.SEATS] + 1):
        ending[RANKS + s[at.AGENT + seat] - 1] = rank_of(s, seat)


@entry("g s s ids ids flags longs ids longs longs states states ids longs_rows longs_rows")
def replay_games(
    g: Table,
    start: Words,
    w: Words,
    out: Words,
    choices: Words,
    flags: Words,
    offsets: Words,
    policy_counts: Words,
    row_offsets: Words,
    id_offsets: Words,
    finals: Rows,
    rows: Rows,
    legal: Words,
    endings: Rows,
    problems: Rows,
) -> None:
    """Replay games; choices[offsets[i] : offsets[i + 1]] are those of game i.

    Writes the final state finals[i] and endings[i], and for each full row the state rows[row] and its legal list
    legal[id_offsets[row] : id_offsets[row + 1]]; problems[i] is the problem and the number of its choice.
    """
    for i in range(len(offsets) - 1):
        s = finals[i]
        for k in range(len(start)):
            s[k] = start[k]
        row = row_offsets[i]
        problem = SOUND
        where = offsets[i]
        while problem == SOUND and where < offsets[i + 1]:
            count = advance(g, s, w, out)
            action = choices[where]
            if count == 0:
                problem = ENDED_EARLY
            elif not holds(out, count, action):
                problem = ILLEGAL
            elif flags[where] & FULL_FLAG:
                if policy_counts[row] == count:
                    for k in range(len(s)):
                        rows[row][k] = s[k]
                    for k in range(count):
                        legal[id_offsets[row] + k] = out[k]
                    row += 1
                else:
                    problem = OTHER_LENGTH
            if problem == SOUND:
                apply(g, s, w, out, action)
                where += 1
        if problem == SOUND and advance(g, s, w, out) != 0:
            problem = UNFINISHED
        if problem == SOUND:
            write_ending(g, s, endings[i])
        problems[i][0] = problem
        problems[i][1] = where - offsets[i]


@entry("g states bytes states")
def observe_rows(g: Table, rows: Rows, cells: Rows, values: Rows) -> None:
    """Write the cell fields and the global fields of each state, as GameBatch.observe does."""
    for i in range(len(rows)):
        observe_cells(g, rows[i], cells[i])
        observe_globals(rows[i], values[i])
