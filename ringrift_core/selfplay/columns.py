"""The arrays of a shard and their `.npz` form (docs/formats/shard.md).

Equal columns give equal bytes. Everything read here is hostile: each array is unpacked only as far as the manifest's
counts allow, and what does not fit together is refused with a StorageError.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ringrift_core.errors import InvariantError, StorageError
from ringrift_core.game.state import REASONS
from ringrift_core.selfplay.manifest import Counts, Manifest
from ringrift_core.selfplay.played_game import (
    CHOICES_MAX,
    FLAGS,
    FULL,
    Float32Array,
    PlayedGame,
    Uint8Array,
    Uint16Array,
)

IntArray = npt.NDArray[np.int64]
Float16Array = npt.NDArray[np.float16]

UNPACKED_BYTES_MAX = 1 << 30  # all arrays together; two thousand games on the largest board are a quarter of it
DEFLATE_LEVEL = 6
FIRST_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can hold
SCALE = 255  # the largest entry of a policy row, quantised
SQUARES = np.arange(SCALE + 1, dtype=np.int64) ** 2
DAMAGE = (  # what the standard library raises on damaged zip files
    *(zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError),
    *(ValueError, KeyError, IndexError, OverflowError, struct.error),
)


@dataclass(frozen=True, slots=True)
class Columns:
    """A shard's games as arrays, ragged ones end to end; G games, C choices, F full rows, P policy entries."""

    counts: npt.NDArray[np.uint32]  # [G] choices of each game
    choices: Uint16Array  # [C]
    flags: Uint8Array  # [C]
    policy_counts: Uint16Array  # [F] length of the legal list
    policy: Uint8Array  # [P] square root of the target, the largest entry of a row 255
    root_values: Float16Array  # [F, players]
    surprise: Float16Array  # [F]
    players: Uint16Array  # [G, players] numbers in the shard's table, by agent
    seeds: npt.NDArray[np.uint64]  # [G]
    numbers: IntArray  # [G]
    hashes: IntArray  # [G] of the final states
    winners: Uint8Array  # [G] agents
    ranks: Uint8Array  # [G, players] by agent
    reasons: Uint8Array  # [G] numbers into REASONS
    plies: Uint16Array  # [G]

    @staticmethod
    def of(games: Sequence[PlayedGame]) -> "Columns":
        """The columns of some games that have passed `check_game`."""
        rows = [target for game in games for target in game.targets]
        endings = [game.ending for game in games]
        return Columns(
            counts=np.array([len(game.choices) for game in games], np.uint32),
            choices=np.concatenate([game.choices for game in games]),
            flags=np.concatenate([game.flags for game in games]),
            policy_counts=np.array([len(row) for row in rows], np.uint16),
            policy=np.concatenate([np.zeros(0, np.uint8), *map(quantised, rows)]),
            root_values=np.concatenate([game.root_values for game in games]).clip(0, 1).astype(np.float16),
            surprise=np.concatenate([game.surprise for game in games]).clip(0).astype(np.float16),
            players=np.array([game.players for game in games], np.uint16),
            seeds=np.array([game.seed for game in games], np.uint64),
            numbers=np.array([game.number for game in games], np.int64),
            hashes=np.array([ending.hash for ending in endings], np.int64),
            winners=np.array([ending.winner for ending in endings], np.uint8),
            ranks=np.array([ending.ranks for ending in endings], np.uint8),
            reasons=np.array([REASONS.index(ending.reason) for ending in endings], np.uint8),
            plies=np.array([ending.plies for ending in endings], np.uint16),
        )

    def count(self) -> Counts:
        """How much is in these columns."""
        return Counts(
            games=len(self.counts),
            plies=int(self.plies.sum(dtype=np.int64)),
            decisions=len(self.choices),
            samples=len(self.policy_counts),
        )

    def pack(self) -> bytes:
        """The `.npz` form, the same for the same content; InvariantError when it is too much for one shard."""
        if sum(getattr(self, column.name).nbytes for column in fields(self)) > UNPACKED_BYTES_MAX // 2:
            raise InvariantError("too many games for one shard; write several")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for column in fields(self):
                member = io.BytesIO()
                np.lib.format.write_array(member, getattr(self, column.name), (1, 0), allow_pickle=False)
                info = zipfile.ZipInfo(f"{column.name}.npy", FIRST_DATE)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.create_system = 3
                archive.writestr(info, member.getvalue(), compresslevel=DEFLATE_LEVEL)
        return buffer.getvalue()

    @staticmethod
    def unpack(content: bytes, manifest: Manifest) -> "Columns":
        """Read the `.npz` form of a shard with this manifest; StorageError says what does not fit."""
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                columns = _Unpacking(archive, manifest).columns()
        except DAMAGE as error:
            raise StorageError(f"damaged: {type(error).__name__}: {str(error)[:200]}") from error
        _check(columns, manifest)
        return columns


def quantised(target: Float32Array) -> Uint8Array:
    """A policy target as square roots in 0..255, the largest entry 255."""
    roots: Uint8Array = np.rint(np.sqrt(target / target.max()) * SCALE).astype(np.uint8)
    return roots


def restored(policy: Uint8Array, offsets: IntArray) -> Float32Array:
    """The policy targets of quantised rows, each summing to one; no row is empty or all zero."""
    if len(offsets) == 1:
        return np.zeros(0, np.float32)
    squares = SQUARES[policy]
    sums = np.add.reduceat(squares, offsets[:-1])
    targets: Float32Array = (squares / np.repeat(sums, np.diff(offsets))).astype(np.float32)
    return targets


def offsets_of(counts: npt.NDArray[np.unsignedinteger]) -> IntArray:
    """Where each list begins and the last one ends, [lists + 1]."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:], dtype=np.int64)
    return offsets


class _Unpacking:
    """Reads one array after the other, none larger than the manifest and the arrays before it say."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self.archive = archive
        self.counts = manifest.counts
        self.seats = manifest.head.config_key.players
        expected = sorted(f"{column.name}.npy" for column in fields(Columns))
        if sorted(info.filename for info in archive.infolist()) != expected:
            raise StorageError("not a shard: the arrays in it are not those of the format")
        if sum(info.file_size for info in archive.infolist()) > UNPACKED_BYTES_MAX:
            raise StorageError(f"unpacked it would be larger than {UNPACKED_BYTES_MAX} bytes")

    def columns(self) -> Columns:
        games, choices, rows, seats = self.counts.games, self.counts.decisions, self.counts.samples, self.seats
        lengths = self.array("policy_counts", np.uint16, rows)
        return Columns(
            counts=self.array("counts", np.uint32, games),
            choices=self.array("choices", np.uint16, choices),
            flags=self.array("flags", np.uint8, choices),
            policy_counts=lengths,
            policy=self.array("policy", np.uint8, int(lengths.sum(dtype=np.int64))),
            root_values=self.array("root_values", np.float16, rows, seats),
            surprise=self.array("surprise", np.float16, rows),
            players=self.array("players", np.uint16, games, seats),
            seeds=self.array("seeds", np.uint64, games),
            numbers=self.array("numbers", np.int64, games),
            hashes=self.array("hashes", np.int64, games),
            winners=self.array("winners", np.uint8, games),
            ranks=self.array("ranks", np.uint8, games, seats),
            reasons=self.array("reasons", np.uint8, games),
            plies=self.array("plies", np.uint16, games),
        )

    def array(self, name: str, dtype: type[np.generic], *shape: int) -> npt.NDArray[Any]:
        """The array of a name; StorageError unless it has exactly this type and shape."""
        header = _header(np.dtype(dtype), shape)
        size = len(header) + int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        info = self.archive.getinfo(f"{name}.npy")
        if info.file_size != size:
            raise StorageError(f"{name}: {info.file_size} bytes; the manifest's counts and the format ask for {size}")
        with self.archive.open(info) as member:
            content = member.read(size + 1)
        if len(content) != size or not content.startswith(header):
            raise StorageError(f"{name}: not an array of {np.dtype(dtype)} {shape}")
        return np.frombuffer(content, dtype, offset=len(header)).reshape(shape).copy()


def _header(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> bytes:
    """How an array file of this type and shape begins; a header is compared with it and never interpreted."""
    stream = io.BytesIO()
    form = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, form)
    return stream.getvalue()


def _check(columns: Columns, manifest: Manifest) -> None:
    """StorageError unless the arrays fit together, so that no kernel can leave them."""
    seats = manifest.head.config_key.players
    full = (columns.flags & FULL) != 0
    for name, sound in (
        ("counts: there is no game, or one without a choice", len(columns.counts) > 0 and columns.counts.min() > 0),
        ("counts: a game has too many choices", not len(columns.counts) or columns.counts.max() <= CHOICES_MAX),
        ("counts: they do not add up to the choices", columns.counts.sum(dtype=np.int64) == len(columns.choices)),
        ("flags: one is unknown", not (columns.flags & ~np.uint8(FLAGS)).any()),
        ("flags: not as many full rows as policy targets", full.sum() == len(columns.policy_counts)),
        ("policy_counts: one is below two", (columns.policy_counts >= 2).all()),
        ("root_values: one is no probability", ((columns.root_values >= 0) & (columns.root_values <= 1)).all()),
        ("surprise: one is negative or not finite", (np.isfinite(columns.surprise) & (columns.surprise >= 0)).all()),
        ("players: one is not in the table", (columns.players < len(manifest.head.players)).all()),
        ("numbers: one is negative", (columns.numbers >= 0).all()),
        ("winners: one is no agent", ((columns.winners >= 1) & (columns.winners <= seats)).all()),
        ("ranks: one is no rank", ((columns.ranks >= 1) & (columns.ranks <= seats)).all()),
        ("reasons: one is unknown", ((columns.reasons >= 1) & (columns.reasons < len(REASONS))).all()),
        ("policy: a row has no entry of 255", _peaks(columns)),
    ):
        if not sound:
            raise StorageError(name)


def _peaks(columns: Columns) -> bool:
    if not len(columns.policy_counts):
        return True
    starts = offsets_of(columns.policy_counts)[:-1]
    return bool((np.maximum.reduceat(columns.policy, starts) == SCALE).all())
