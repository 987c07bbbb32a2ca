"""GameBatch: the door to many games at once; arrays in, arrays out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

import numba
import numpy as np
import numpy.typing as npt

from ringrift_core.errors import RulesError
from ringrift_core.game.board import Board
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.game import Game
from ringrift_core.game.rules import drivers, jit, observation, playout
from ringrift_core.game.rules import layout as at
from ringrift_core.game.state import REASONS, Variant, row_words, scratch_words

IntArray = npt.NDArray[np.int64]
Uint16Array = npt.NDArray[np.uint16]
Int16Array = npt.NDArray[np.int16]
Int8Array = npt.NDArray[np.int8]
Rows = IntArray | Sequence[int] | None

ONE_AT_A_TIME = Lock()
FORCED_ROOM = 64  # forced decisions played per kernel call; longer runs take another call
GAMES_PER_THREAD = 64  # waking a thread for fewer games costs more than it saves, the more so on a busy machine
CHUNKS_PER_THREAD = 4  # parallel tasks per thread, so that an uneven load still fills every core
LEHMER_MODULUS = playout.LEHMER_MODULUS


@dataclass(frozen=True, slots=True)
class Ragged:
    """Lists of ids one after the other: list i is ids[offsets[i] : offsets[i + 1]]."""

    ids: Uint16Array  # [total]
    offsets: IntArray  # [lists + 1]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def is_sound(self) -> bool:
        """True when the offsets rise from 0 to the number of ids and the types are right."""
        return (
            self.ids.dtype == np.uint16
            and self.ids.ndim == 1
            and self.offsets.dtype == np.int64
            and self.offsets.ndim == 1
            and len(self.offsets) > 0
            and self.offsets[0] == 0
            and int(self.offsets[-1]) == len(self.ids)
            and bool((np.diff(self.offsets) >= 0).all())
        )

    def __getitem__(self, i: int) -> Uint16Array:
        return self.ids[self.offsets[i] : self.offsets[i + 1]]


@contextmanager
def parallel(games: int | None = None) -> Iterator[None]:
    """Enter a parallel kernel: one at a time, with no more threads than so many games are worth (None: all allowed).

    One at a time, because numba's `workqueue` layer, the only one on some systems, ends the process otherwise.
    """
    with ONE_AT_A_TIME:
        allowed = numba.get_num_threads()
        wanted = allowed if games is None else games // GAMES_PER_THREAD
        numba.set_num_threads(max(1, min(allowed, wanted)))
        try:
            yield
        finally:
            numba.set_num_threads(allowed)


class GameBatch:
    """`len(batch)` games of one configuration, played by decisions.

    Wherever `rows` [k] is a parameter it names the games meant, without repetition; None means all. Arguments that are
    no integers, name no game or do not fit together raise RulesError and change nothing.
    """

    CELL_FIELDS = observation.CELL_FIELDS
    GLOBAL_FIELDS = observation.GLOBAL_FIELDS

    def __init__(self, board: Board, variant: Variant, states: Int16Array) -> None:
        """For the constructors below; takes over `states` [batch, words]."""
        self.board = board
        self.variant = variant
        if states.dtype != np.int16 or states.ndim != 2 or states.shape[1] != row_words(board, variant.players):
            raise RulesError(f"the states of a batch are int16 rows of {row_words(board, variant.players)} words")
        self._states = np.ascontiguousarray(states)
        self._lists: Uint16Array = np.zeros((len(states), board.actions.size), np.uint16)
        self._counts = np.full(len(states), -1, np.int64)  # -1: no list computed for this state
        chunks = max(1, min(len(states), CHUNKS_PER_THREAD * numba.get_num_threads()))
        self._scratch = np.zeros((chunks, scratch_words(board)), np.int16)
        self._out: Uint16Array = np.zeros((chunks, board.actions.size), np.uint16)

    @classmethod
    def start(cls, game: str | ConfigKey, count: int, *, swap: bool | None = None) -> "GameBatch":
        """`count` new games of a config key such as "hex8_2p"."""
        return cls.of(Game.start(game, swap=swap), count)

    @classmethod
    def of(cls, game: Game, count: int = 1) -> "GameBatch":
        """`count` copies of the state of one game."""
        if type(count) is not int or count < 1:
            raise RulesError(f"a batch needs a number of games, at least one, not {count!r}")
        return cls(game.board, game.variant, np.tile(game.row, (count, 1)))

    def __len__(self) -> int:
        return len(self._states)

    # ---- what stands ----

    @property
    def states(self) -> Int16Array:
        """The state rows, [batch, words], as a view that cannot be written to."""
        view = self._states.view()
        view.flags.writeable = False
        return view

    @property
    def mover(self) -> Int16Array:
        """Seat to move of each game, [batch]."""
        return self._states[:, at.PLAYER].copy()

    @property
    def over(self) -> npt.NDArray[np.bool_]:
        """Which games have ended, [batch]."""
        over: npt.NDArray[np.bool_] = self._states[:, at.REASON] != 0
        return over

    @property
    def plies(self) -> Int16Array:
        """Complete plies of each game, [batch]."""
        return self._states[:, at.PLY].copy()

    @property
    def winner(self) -> Int16Array:
        """Winning seat of each game, 0 while it is active, [batch]."""
        return self._states[:, at.WINNER].copy()

    @property
    def agent_of_seat(self) -> Int16Array:
        """Who plays each seat, [batch, players]."""
        return self._states[:, at.AGENT + 1 : at.AGENT + 1 + self.variant.players].copy()

    def reasons(self) -> list[str]:
        """Why each game ended, "active" while it has not."""
        return [REASONS[reason] for reason in self._states[:, at.REASON]]

    def ranks(self, rows: Rows = None) -> IntArray:
        """Competition ranks 1..n of the seats, [k, players]."""
        which = self._rows(rows)
        ranks = np.zeros((len(which), self.variant.players), np.int64)
        with parallel(len(which)):
            drivers.rank_many(jit.for_kernel(self._states), jit.for_kernel(which), jit.for_kernel(ranks))
        return ranks

    def hashes(self, rows: Rows = None) -> IntArray:
        """State hash of each game, [k]."""
        which = self._rows(rows)
        hashes = np.zeros(len(which), np.int64)
        with parallel(len(which)):
            drivers.hash_many(*self._kernel_games(which), jit.for_kernel(hashes))
        return hashes

    def observe(self, rows: Rows = None) -> tuple[Int8Array, Int16Array]:
        """Raw observations: cell fields int8 [k, len(CELL_FIELDS), cells], global fields int16 [k, len(GLOBAL_FIELDS)].

        Seats are relative to the mover; counts are clipped at 127. The one-hots are the net's business.
        """
        which = self._rows(rows)
        cells = np.zeros((len(which), len(self.CELL_FIELDS) * self.board.cell_count), np.int8)
        values = np.zeros((len(which), len(self.GLOBAL_FIELDS)), np.int16)
        with parallel(len(which)):
            drivers.observe_many(*self._kernel_games(which), jit.for_kernel(cells), jit.for_kernel(values))
        return cells.reshape(len(which), len(self.CELL_FIELDS), self.board.cell_count), values

    # ---- what is legal, and what happens ----

    def legal(self, rows: Rows = None) -> Ragged:
        """Legal decisions of each game, ascending; an empty list when it is over."""
        which = self._rows(rows)
        unknown = which[self._counts[which] < 0]
        if len(unknown):
            with parallel(len(unknown)):
                drivers.legal_many(
                    *self._kernel_games(unknown),
                    jit.for_kernel(self._scratch),
                    jit.for_kernel(self._lists),
                    jit.for_kernel(self._counts),
                )
        return self._gather(self._lists, which, self._counts[which])

    def apply(self, actions: npt.ArrayLike, rows: Rows = None) -> None:
        """Carry out one decision per game, [k]; RulesError, and nothing is played, if any of them is not legal."""
        which = self._rows(rows)
        chosen = _integers("decisions", actions)
        if chosen.shape != which.shape:
            raise RulesError(f"{len(which)} games need as many decisions, not an array of shape {chosen.shape}")
        self._check_legal(which, chosen)
        with parallel(len(which)):
            drivers.apply_many(
                *self._kernel_games(which),
                jit.for_kernel(self._scratch),
                jit.for_kernel(self._out),
                jit.for_kernel(chosen),
            )
        self._counts[which] = -1

    def advance(self, rows: Rows = None) -> Ragged:
        """Play forced decisions in each game up to its next real choice or end; return the ids played."""
        which = self._rows(rows)
        forced: Uint16Array = np.zeros((len(which), FORCED_ROOM), np.uint16)
        played = np.zeros(len(which), np.int64)
        with parallel(len(which)):
            drivers.advance_many(
                *self._kernel_games(which),
                jit.for_kernel(self._scratch),
                jit.for_kernel(self._lists),
                jit.for_kernel(self._counts),
                jit.for_kernel(forced),
                jit.for_kernel(played),
            )
        ragged = self._gather(forced, np.arange(len(which)), played)
        unfinished = np.flatnonzero(played == FORCED_ROOM)
        if not len(unfinished):
            return ragged
        rest = self.advance(which[unfinished])
        parts: list[Uint16Array] = [ragged[i] for i in range(len(which))]
        for i, index in enumerate(unfinished):
            parts[index] = np.concatenate([parts[index], rest[i]])
        lengths = np.array([len(part) for part in parts], np.int64)
        return Ragged(np.concatenate(parts), np.concatenate([[0], np.cumsum(lengths)]))

    def play_random(self, seeds: npt.ArrayLike, plies: int = 30_000) -> IntArray:
        """Play every game on by uniformly random decisions until its end or `plies` complete plies, on all threads.

        `seeds` [batch], 1 .. 2^31 - 2, one generator per game; returns the generators' values afterwards.
        """
        values = _integers("seeds", seeds).copy()
        if values.shape != (len(self),) or values.min() < 1 or values.max() >= LEHMER_MODULUS:
            raise RulesError(f"each of the {len(self)} games needs a seed between 1 and {LEHMER_MODULUS - 1}")
        if type(plies) is not int:
            raise RulesError(f"plies must be an integer, not {plies!r}")
        with parallel():
            playout.play_random(
                jit.for_kernel(self.board.flat),
                jit.for_kernel(self._states),
                jit.for_kernel(self._scratch),
                jit.for_kernel(self._out),
                jit.for_kernel(values),
                plies,
            )
        self._counts[:] = -1
        return values

    # ---- copies ----

    def copy(self, rows: Rows = None) -> "GameBatch":
        """A new batch with copies of the given games (here rows may repeat)."""
        which = _row_numbers(len(self), rows)
        return GameBatch(self.board, self.variant, self._states[which])

    def assign(self, rows: Rows, other: "GameBatch", other_rows: Rows = None) -> None:
        """Overwrite games of this batch with copies of games of another batch of the same configuration."""
        if (other.board, other.variant) != (self.board, self.variant):
            raise RulesError("games of another configuration do not fit into this batch")
        to, source = self._rows(rows), _row_numbers(len(other), other_rows)
        if len(to) != len(source):
            raise RulesError(f"{len(source)} games cannot overwrite {len(to)}")
        self._states[to] = other.states[source]
        self._counts[to] = -1

    def mapped(self, symmetries: npt.ArrayLike, rows: Rows = None) -> "GameBatch":
        """The images of the games under board symmetries, [k] numbers into Board.symmetries."""
        which = self._rows(rows)
        images = np.zeros((len(which), self._states.shape[1]), np.int16)
        with parallel(len(which)):
            drivers.map_states(
                *self._kernel_games(which), jit.for_kernel(self._symmetries(symmetries, which)), jit.for_kernel(images)
            )
        return GameBatch(self.board, self.variant, images)

    def map_ids(self, symmetries: npt.ArrayLike, lists: Ragged, rows: Rows = None) -> Uint16Array:
        """Ids, in the mapped games, of the images of legal decisions: one per id of `lists`, in the same order.

        The image of an ascending list need not ascend.
        """
        which = self._rows(rows)
        if len(lists) != len(which) or not lists.is_sound():
            raise RulesError(f"{len(which)} games need as many lists of ids, such as `legal(rows)` gives")
        ids = lists.ids.copy()
        with parallel(len(which)):
            drivers.map_actions(
                *self._kernel_games(which),
                jit.for_kernel(self._symmetries(symmetries, which)),
                jit.for_kernel(self._scratch),
                jit.for_kernel(lists.offsets),
                jit.for_kernel(ids),
            )
        return ids

    # ---- arguments ----

    def _rows(self, rows: Rows) -> IntArray:
        which = _row_numbers(len(self), rows)
        if rows is not None and len(np.unique(which)) != len(which):
            raise RulesError("a game may be named once per call only")
        return which

    def _symmetries(self, symmetries: npt.ArrayLike, which: IntArray) -> IntArray:
        numbers = _integers("symmetries", symmetries)
        count = len(self.board.symmetries)
        if numbers.shape != which.shape or (len(numbers) and (numbers.min() < 0 or numbers.max() >= count)):
            raise RulesError(f"one symmetry 0..{count - 1} per game")
        return numbers

    def _kernel_games(self, which: IntArray) -> tuple[jit.Table, jit.Rows, jit.Words]:
        return jit.for_kernel(self.board.flat), jit.for_kernel(self._states), jit.for_kernel(which)

    def _check_legal(self, which: IntArray, chosen: IntArray) -> None:
        legal = self.legal(which)
        # position of the choice in its list, by one search over the concatenation (list number first, then id)
        width = self.board.actions.size
        keys = np.repeat(np.arange(len(which)), np.diff(legal.offsets)) * width + legal.ids
        found = np.searchsorted(keys, np.arange(len(which)) * width + chosen)
        inside = (chosen >= 0) & (chosen < width) & (found < len(keys))
        good = inside.copy()
        good[inside] = keys[found[inside]] == (np.arange(len(which)) * width + chosen)[inside]
        if not good.all():
            bad = int(np.flatnonzero(~good)[0])
            listed = legal[bad]
            raise RulesError(
                f"game {which[bad]}: decision {chosen[bad]} is not legal; "
                + (f"there are {len(listed)}, such as {listed[:8].tolist()}" if len(listed) else "the game is over")
            )

    @staticmethod
    def _gather(lists: Uint16Array, which: IntArray, counts: IntArray) -> Ragged:
        offsets = np.zeros(len(which) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        ids: Uint16Array = np.zeros(offsets[-1], np.uint16)
        with parallel(len(which)):
            drivers.gather_many(
                jit.for_kernel(lists), jit.for_kernel(which), jit.for_kernel(offsets), jit.for_kernel(ids)
            )
        return Ragged(ids, offsets)


def _integers(what: str, values: npt.ArrayLike) -> IntArray:
    """An int64 array of what the caller gave; RulesError for anything but integers that fit."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise RulesError(f"{what} must be a list of integers") from None
    if array.size == 0:
        return np.zeros(array.shape, np.int64)
    if array.dtype.kind not in "iu" or (array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max):
        raise RulesError(f"{what} must be integers, not {array.dtype}")
    return np.ascontiguousarray(array, np.int64)


def _row_numbers(games: int, rows: Rows) -> IntArray:
    """The rows as an array; RulesError if one of them is not a game."""
    if rows is None:
        return np.arange(games)
    which = _integers("rows", rows)
    if which.ndim != 1 or (len(which) and (which.min() < 0 or which.max() >= games)):
        raise RulesError(f"rows must be numbers of games, 0..{games - 1}")
    return which
