"""Opening books: where the games of a match begin (docs/design/evaluation.md).

A book is a text file of this package, one opening a line, checked by its SHA-256 when read; book_maker.py made it.
An opening is the choices that are played before the players take over; forced decisions are played in between.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.evaluation import stored_match
from ringrift_core.game import GameBatch
from ringrift_core.game.batch import IntArray
from ringrift_core.game.config_key import ConfigKey

VERSION = 1
FOLDER = "books"
# of the files; a new book gets a new version, because stored matches name openings by their number in it
DIGESTS = {
    "square8_2p": "a94a1fdb2dfc71bd393710619410f78803ff3707ed6790bf27ab3afd68b3b16c",
    "square8_3p": "fa5756df5bf673abdf3cbde71fde7b526cddbe4030502e9a0c674bb2fd59c183",
    "square8_4p": "9eb934b44d7785e5cf3af7b64b510fa99fac2365523c32272d5bd3f1c9ca162a",
    "square19_2p": "c8c15414c4d49816c4a57d5864f905d8dab46eccbdbce36849c0ab606019834a",
    "square19_3p": "540633436e55d26129a7a2fdab5f56b6533ddd3fab0d19d80364fc35a2a46c59",
    "square19_4p": "0810a23e3687e6462cac8a00997a8cbf3b9720dc255cbe1b852a5f5c55797786",
    "hex8_2p": "5a00523ce31f2d8ceaab5b1da49a1201e64fa85ab5536177bc96542b223fa3fd",
    "hex8_3p": "9197300513a8751ca9efba8065599584819620286b2247ac928e4f2d7bcb2111",
    "hex8_4p": "1faf8a7891be105f245291475cfcdf9ec4c29f1d4a4e4089e0c2eff6f6e4f22e",
    "hexagonal_2p": "8e24ac73321ea72ee0358c5089fe40b351140307cf51126a11de43628c266909",
    "hexagonal_3p": "462ecec6109608de03d2e6e3c2942b2c8bc4d6bcd92f97a10e1a8c074456b55e",
    "hexagonal_4p": "7b8a6f1c604ea9f86adccacfbe938bedd7e93e32f1824ae696ae0ec3a7d7ecc5",
}
RANDOM_CHOICES = 4  # of a random opening: two turns, as a placement and a move make one
GAMES_AT_ONCE = 1024  # bounds the memory of random openings


@dataclass(frozen=True, slots=True)
class Opening:
    """Choices from the start of a game on, and the number by which a stored match names them."""

    number: int  # in the book; of the block where there is no book
    choices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Book:
    """The openings of one configuration."""

    key: ConfigKey
    record: stored_match.Book  # name and digest, as stored matches have them
    openings: tuple[Opening, ...]

    @staticmethod
    def of(key: str | ConfigKey) -> "Book":
        """The book of a configuration; StorageError when the file is not the one that was released."""
        return _read(str(ConfigKey.parse(str(key))))

    def draw(self, count: int, seed: int | Sequence[int]) -> tuple[Opening, ...]:
        """`count` different openings; RulesError when the book has fewer."""
        if not 0 < count <= len(self.openings):
            raise RulesError(
                f"the book of {self.key} has {len(self.openings)} openings and none is used twice in a match, so a "
                f"match has 1 to {len(self.openings) * self.key.players} games, not {count * self.key.players}"
            )
        numbers = np.random.default_rng(seed).permutation(len(self.openings))[:count]
        return tuple(self.openings[number] for number in numbers)


def openings_for(key: str | ConfigKey, games: int, seed: int) -> tuple[tuple[Opening, ...], Book | None]:
    """Openings for so many games, rounded up to whole blocks: of the book while it suffices, else random ones."""
    book = Book.of(key)
    blocks = -(-games // book.key.players)
    if blocks <= len(book.openings):
        return book.draw(blocks, seed), book
    return random_openings(key, blocks, seed), None


def random_openings(key: str | ConfigKey, count: int, seed: int, choices: int = RANDOM_CHOICES) -> tuple[Opening, ...]:
    """So many openings of random choices, each from a seed of its own; they may repeat and favour a seat."""
    if count < 1:
        raise RulesError("a match has at least one game")
    made: list[Opening] = []
    seeds = np.random.default_rng(seed).integers(1, 1 << 31, count)
    for first in range(0, count, GAMES_AT_ONCE):
        part = seeds[first : first + GAMES_AT_ONCE]
        lots = np.array([np.random.default_rng(own).random(choices) for own in part])
        batch = GameBatch.start(str(key), len(part))
        picked: list[list[int]] = [[] for _ in part]
        for i in range(choices):
            batch.advance()
            rows = np.flatnonzero(~batch.over)
            for row, choice in zip(rows, pick(batch, rows, lots[rows, i]), strict=True):
                picked[row].append(int(choice))
        made += [Opening(first + row, tuple(ids)) for row, ids in enumerate(picked)]
    return tuple(made)


def pick(batch: GameBatch, rows: IntArray, lots: npt.NDArray[np.float64]) -> IntArray:
    """Play the choice that a lot [k] in [0, 1) falls on in each game of `rows`; returns the choices [k]."""
    legal = batch.legal(rows)
    chosen: IntArray = legal.ids[legal.offsets[:-1] + (lots * np.diff(legal.offsets)).astype(np.int64)].astype(np.int64)
    batch.apply(chosen, rows)
    return chosen


def play_openings(batch: GameBatch, openings: Sequence[Opening]) -> list[list[int]]:
    """Play opening i in game i of a fresh batch; returns every decision played, forced ones included.

    RulesError when an opening has a choice that is not legal.
    """
    decisions: list[list[int]] = [[] for _ in openings]
    for i in range(max(len(opening.choices) for opening in openings)):
        rows = np.array([row for row, opening in enumerate(openings) if len(opening.choices) > i], np.int64)
        forced = batch.advance(rows)
        chosen = [openings[row].choices[i] for row in rows]
        batch.apply(chosen, rows)
        for j, row in enumerate(rows):
            decisions[row] += [*forced[j].tolist(), chosen[j]]
    return decisions


@cache
def _read(key: str) -> Book:
    name = f"{FOLDER}/{key}.txt"
    try:
        content = resources.files(__package__).joinpath(name).read_bytes()
    except OSError as error:
        raise StorageError(f"the opening book {name} is missing ({error.strerror}): install RingRift anew") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != DIGESTS[key]:
        raise StorageError(f"the opening book {name} is damaged or of another version: install RingRift anew")
    lines = content.decode("ascii").splitlines()[1:]
    openings = tuple(Opening(number, tuple(map(int, line.split()))) for number, line in enumerate(lines))
    return Book(ConfigKey.parse(key), stored_match.Book(name=f"{key} v{VERSION}", sha256=digest), openings)
