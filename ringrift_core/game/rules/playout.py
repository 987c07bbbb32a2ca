"""Random play: whole games by uniformly random legal decisions, for benchmarks, digests and tests."""

import numba

from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.jit import Rows, Table, Words, entry, kernel
from ringrift_core.game.rules.phases import apply, list_legal

LEHMER_MODULUS = 2147483647  # the minimal standard generator: exact in 64-bit integers everywhere
LEHMER_FACTOR = 48271


@kernel
def next_random(value: int) -> int:
    """Next value of the generator, 1 .. modulus - 1."""
    return value * LEHMER_FACTOR % LEHMER_MODULUS


@kernel
def play_on(g: Table, s: Words, w: Words, out: Words, value: int, plies: int) -> int:
    """Play random decisions until the game ends or `plies` plies are complete; return the generator's value."""
    while s[at.PLY] < plies:
        count = list_legal(g, s, w, out)
        if count == 0:
            break
        value = next_random(value)
        apply(g, s, w, out, out[value * count // LEHMER_MODULUS])
    return value


@entry("g states states lists longs int", parallel=True)
def play_random(g: Table, states: Rows, w: Rows, out: Rows, values: Words, plies: int) -> None:
    """Play every game on at random; states [batch, words], w and out one scratch row per chunk, values [batch].

    A chunk of consecutive games is one parallel task.
    """
    chunks = len(w)
    batch = len(states)
    for chunk in numba.prange(chunks):
        for i in range(chunk * batch // chunks, (chunk + 1) * batch // chunks):
            values[i] = play_on(g, states[i], w[chunk], out[chunk], values[i], plies)
