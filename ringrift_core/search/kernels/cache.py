"""A cache of judgements: state hash and judge -> logits over the legal order, values by seat.

Direct-mapped; the logits lie in a ring buffer, so an entry whose logits were overwritten is found out by its place. The
state hash leaves the clocks out, so transpositions, other games' openings and the last search's subtree are found.
"""

from ringrift_core.game.rules.jit import kernel
from ringrift_core.search.kernels.tree import AGENTS_MAX, JUDGE, Floats, Tree

JUDGE_FACTOR = 1181783497276652981  # odd, spreads judges over all bits
KEY_MAX = (1 << 62) - 1


@kernel
def cache_key(t: Tree, slot: int, node: int) -> int:
    """State hash and judge in one number, 0 <= key < 2^62."""
    return t.keys[node] ^ (t.slot[slot][JUDGE] * JUDGE_FACTOR & KEY_MAX)


@kernel
def find_judgement(t: Tree, key: int, count: int) -> int:
    """Entry of a key with `count` legal decisions, -1 when it is not there."""
    entry = key % len(t.cache_keys)
    if t.cache_keys[entry] != key + 1 or t.cache_places[entry][1] != count:
        return -1
    if t.cache_head[0] - t.cache_places[entry][0] > len(t.cache_logits):
        return -1
    return entry


@kernel
def cached_logits(t: Tree, entry: int) -> int:
    """Place of the entry's first logit in the ring buffer."""
    return t.cache_places[entry][0] % len(t.cache_logits)


@kernel
def keep_judgement(t: Tree, key: int, logits: Floats, first: int, count: int, values: Floats) -> None:
    """Store a judgement, in place of whatever had its entry."""
    room = len(t.cache_logits)
    if count > room:
        return
    place = t.cache_head[0]
    if place % room + count > room:  # logits of one entry stay together
        place += room - place % room
    t.cache_head[0] = place + count
    entry = key % len(t.cache_keys)
    t.cache_keys[entry] = key + 1
    t.cache_places[entry][0] = place
    t.cache_places[entry][1] = count
    for i in range(count):
        t.cache_logits[place % room + i] = logits[first + i]
    for seat in range(AGENTS_MAX):
        t.cache_values[entry][seat] = values[seat]
