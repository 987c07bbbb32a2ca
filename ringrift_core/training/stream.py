"""The order in which rows are seen: a pure function of window, seed and batch size.

A pass goes through the window's segments (a few games of one shard) in a drawn order, a block of them at a time: the
rows of a block are replayed into memory, drawn as often as they weigh, shuffled and cut into batches. So a batch mixes
games of the whole window while memory holds one block, and a cursor of three numbers says where a run stands.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ringrift_core.errors import StorageError
from ringrift_core.game.batch import Int16Array, Ragged
from ringrift_core.game.board import Board
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.selfplay.samples import Int8Array, Samples
from ringrift_core.training.window import Store, Window, WindowShard

IntArray = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]

SEGMENT_ROWS = 2_048  # about so many rows are replayed at a time
BLOCK_CELLS = 1 << 22  # rows of a block times cells of the board: 65,536 rows on the smallest, 9,000 on the largest
BLOCK_BATCHES = 4  # at least so many fit into a block, or it is the whole window
VALIDATION_PARTS = 20  # one game in so many, by its id, is kept for validation
VALIDATION_ROWS = 4_096
WEIGHT_EVEN = 0.5  # share of the weight that every row has; the rest goes by surprise (KataGo)
WEIGHT_MAX = 4.0
REPEATS_MAX = 8  # one position counts no more often than this in a block: openings


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a run stands: the next batch is this one of this block of this pass."""

    epoch: int = 0
    block: int = 0
    batch: int = 0


@dataclass(frozen=True, slots=True)
class Segment:
    """Games first .. last - 1 of a shard."""

    shard: WindowShard
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Rows:
    """R rows in memory."""

    states: Int16Array  # [R, words]
    legal: Ragged
    policy: Float32Array  # [legal ids]
    value: Float32Array  # [R, players] target, relative to the mover
    ownership: Int8Array  # [R, cells]
    score: Float32Array  # [R, players, 2]
    surprise: Float32Array  # [R]
    position: IntArray  # [R] a number that equal positions share

    def __len__(self) -> int:
        return len(self.states)

    def take(self, which: IntArray) -> "Rows":
        """Some of the rows, which may repeat."""
        sizes = np.diff(self.legal.offsets)[which]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        entries = np.repeat(self.legal.offsets[which] - offsets[:-1], sizes) + np.arange(offsets[-1])
        return Rows(
            self.states[which],
            Ragged(self.legal.ids[entries], offsets),
            self.policy[entries],
            self.value[which],
            self.ownership[which],
            self.score[which],
            self.surprise[which],
            self.position[which],
        )


@dataclass(slots=True)
class SampleStream:
    """Batches of rows in their drawn order."""

    store: Store
    window: Window
    batch: int
    seed: int
    root_share: float
    cursor: Cursor = field(default_factory=Cursor)
    _segments: list[Segment] = field(init=False)
    _blocks: int = field(init=False)  # in a pass

    def __post_init__(self) -> None:
        """Cut the window into segments."""
        key = ConfigKey.parse(self.window.config_key)
        self._segments = [segment for shard in self.window.shards for segment in segments_of(shard)]
        rows = max(BLOCK_CELLS // Board.of(key.board_type).cell_count, BLOCK_BATCHES * self.batch)
        self._blocks = max(1, min(len(self._segments), self.window.rows // rows))

    def batches(self) -> Iterator[Rows]:
        """The batches from the cursor on, without end; the cursor moves when the next one is asked for.

        StorageError when a shard is not what the window names, or the window has fewer rows than a batch.
        """
        barren = 0  # blocks one after the other that gave no batch
        while barren < self._blocks:
            epoch, block, done = self.cursor.epoch, self.cursor.block, self.cursor.batch
            rows = self._rows(self._block(epoch, block))
            draws = drawn(rows, self._generator(epoch, block + 1))
            count = len(draws) // self.batch
            barren = 0 if count else barren + 1
            for number in range(done, count):
                self.cursor = Cursor(epoch, block, number + 1)
                yield rows.take(draws[number * self.batch : (number + 1) * self.batch])
            self.cursor = Cursor(epoch, block + 1, 0) if block + 1 < self._blocks else Cursor(epoch + 1, 0, 0)
        raise StorageError(
            f"the window's {self.window.rows} rows, without the games that are there twice or kept for validation, "
            f"do not fill a batch of {self.batch}: make more games, or choose a smaller batch"
        )

    def _block(self, epoch: int, block: int) -> list[Segment]:
        """The segments of one block of a pass: an equal share of them."""
        order = self._generator(epoch, 0).permutation(len(self._segments))
        return [self._segments[number] for number in np.array_split(order, self._blocks)[block]]

    def validation(self) -> Rows:
        """Rows of games that are never trained on, the newest segments first."""
        found: list[Rows] = []
        for segment in self._segments:
            found.append(self._segment_rows(segment, validation=True))
            if sum(map(len, found)) >= VALIDATION_ROWS:
                break
        return joined(found)

    def _rows(self, segments: list[Segment]) -> Rows:
        return joined([self._segment_rows(segment, validation=False) for segment in segments])

    def _segment_rows(self, segment: Segment, *, validation: bool) -> Rows:
        shard = self.store.read(segment.shard)
        samples = shard.samples(segment.first, segment.last)
        ids = shard.game_ids()
        held = np.array([int(game, 16) % VALIDATION_PARTS == 0 for game in ids])
        held[list(segment.shard.duplicates)] = not validation
        wanted = np.flatnonzero(held[samples.row_of[:, 0]] == validation)
        return rows_of(samples, self.root_share if segment.shard.searched_by_net else 0.0).take(wanted)

    def _generator(self, epoch: int, block: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=philox_key(self.seed, epoch << 32 | block)))


def philox_key(seed: int, counter: int) -> npt.NDArray[np.uint64]:
    """The key of a generator that belongs to a seed and a counter, both below 2^64."""
    return np.array([seed, counter], np.uint64)


def segments_of(shard: WindowShard) -> list[Segment]:
    """The shard's games, so many at a time that about SEGMENT_ROWS rows come of them."""
    games = max(1, shard.games * SEGMENT_ROWS // max(1, shard.samples))
    return [Segment(shard, first, min(first + games, shard.games)) for first in range(0, shard.games, games)]


def rows_of(samples: Samples, root_share: float) -> Rows:
    """What training takes of samples."""
    value = (1 - root_share) * samples.win + root_share * samples.root_value
    return Rows(
        samples.states,
        samples.legal,
        samples.policy,
        value.astype(np.float32),
        samples.ownership,
        samples.score,
        samples.surprise,
        samples.states.astype(np.int64) @ multipliers(samples.states.shape[1]),
    )


def multipliers(words: int) -> IntArray:
    """Odd numbers whose products with the words of a state add up to a hash of it, [words]."""
    return np.random.Generator(np.random.Philox(key=words)).integers(0, 1 << 62, words) * 2 + 1


def joined(parts: list[Rows]) -> Rows:
    """Rows one after the other."""
    starts = np.cumsum([0, *(len(part.legal.ids) for part in parts)])
    offsets = [part.legal.offsets[:-1] + start for part, start in zip(parts, starts, strict=False)]
    return Rows(
        np.concatenate([part.states for part in parts]),
        Ragged(np.concatenate([part.legal.ids for part in parts]), np.concatenate([*offsets, starts[-1:]])),
        np.concatenate([part.policy for part in parts]),
        np.concatenate([part.value for part in parts]),
        np.concatenate([part.ownership for part in parts]),
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.surprise for part in parts]),
        np.concatenate([part.position for part in parts]),
    )


def weights_of(rows: Rows) -> Float32Array:
    """How often each row is drawn in the mean: by surprise, with repeated positions held down, [R]."""
    if not len(rows):
        return np.zeros(0, np.float32)
    mean = float(rows.surprise.mean())
    surprise = rows.surprise / mean if mean > 0 else np.ones(len(rows), np.float32)
    weights = np.minimum(WEIGHT_EVEN + (1 - WEIGHT_EVEN) * surprise, WEIGHT_MAX)
    _, position, counts = np.unique(rows.position, return_inverse=True, return_counts=True)
    held: Float32Array = (weights * np.minimum(1.0, REPEATS_MAX / counts[position])).astype(np.float32)
    return held


def drawn(rows: Rows, rng: np.random.Generator) -> IntArray:
    """Row numbers in a drawn order, each as often as it weighs: its whole part, and one more by the fraction."""
    weights = weights_of(rows)
    times = np.floor(weights).astype(np.int64)
    times += rng.random(len(weights)) < weights - times
    numbers: IntArray = rng.permutation(np.repeat(np.arange(len(weights)), times))
    return numbers
