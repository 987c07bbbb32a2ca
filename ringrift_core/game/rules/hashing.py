"""The state hash: 62 bits over the logical state, the same on every machine and in every version.

Two lanes of a polynomial modulo 2^31 - 1 over a fixed sequence of words (docs/formats/state-hash.md lists it); a
change of the memory layout must not change the sequence. The clocks TURN and PLY are left out, so that two ways to
one position have one hash.
"""

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Table, Words, kernel
from ringrift_core.game.rules.stacks import below, colour, top

MODULUS = 2147483647
FACTOR_A = 48271 * 36643
FACTOR_B = 39373 * 53197
LANE_BITS = 31
COLOUR_BASE = 5
COLOURS_PER_WORD = 5**12  # a word of ring colours is closed when it reaches this


@kernel
def mix(value: int, word: int) -> int:
    """Append one word (0 <= word < 2^31 - 1) to both lanes."""
    a = ((value >> LANE_BITS) * FACTOR_A + word + 1) % MODULUS
    b = ((value & MODULUS) * FACTOR_B + word + 1) % MODULUS
    return a << LANE_BITS | b


@kernel
def mix_fields(s: Words, value: int) -> int:
    """Append the header: phase machine, open decisions, last-player tracking, seats."""
    for field in range(at.PLAYER, at.PHASE + 1):
        value = mix(value, s[field])
    for field in range(at.REASON, at.RING_COUNT):
        value = mix(value, s[field] + 1)
    for seat in range(1, s[at.SEATS] + 1):
        value = mix(value, s[at.HAND + seat])
        value = mix(value, s[at.ELIMINATED + seat])
        value = mix(value, s[at.LPS_ACTION + seat])
        value = mix(value, s[at.OUT_TURN + seat] + 1)
        value = mix(value, s[at.AGENT + seat])
    return value


@kernel
def mix_rings(g: Table, s: Words, cell: int, value: int) -> int:
    """Append the rings of a stack, top to bottom, as base-5 numbers with a leading 1."""
    word = 1
    ring = top(g, s, cell)
    while ring != at.NONE:
        word = word * COLOUR_BASE + colour(g, s, ring)
        ring = below(g, s, ring)
        if word >= COLOURS_PER_WORD:
            value = mix(value, word)
            word = 1
    return mix(value, word)


@kernel
def state_hash(g: Table, s: Words) -> int:
    """Hash of one state, 0 <= hash < 2^62."""
    value = mix(0, g[at.CELLS])
    value = mix(value, s[at.SEATS] * 8 + s[at.LINE_LENGTH])
    value = mix_fields(s, value)
    for cell in range(g[at.CELLS]):
        code = s[at.CODE + cell]
        if code != at.EMPTY:
            value = mix(value, cell * 16 + code)
            if at.STACK < code <= at.STACK_LAST:
                value = mix_rings(g, s, cell, value)
    return value
