"""Shards: files of replayable games, each a `.npz` beside a JSON manifest (docs/formats/shard.md).

    rows = read_shard("data/0123456789abcdef.npz").samples()

A shard is named by the digest of its content. The `.npz` is written first and the manifest last, so whatever has a
manifest is complete; what a killed writer leaves has none and does not count.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ringrift_core.blob import BlobRef
from ringrift_core.errors import InvariantError, StorageError
from ringrift_core.game.rules_digest import RULES_DIGEST
from ringrift_core.selfplay.columns import Columns
from ringrift_core.selfplay.fault import Fault, ShardError
from ringrift_core.selfplay.manifest import (
    ARRAYS,
    MANIFEST,
    MANIFEST_BYTES_MAX,
    PLAYERS_MAX,
    SHARD_BYTES_MAX,
    STEM_DIGITS,
    Manifest,
    ShardHead,
)
from ringrift_core.selfplay.played_game import PlayedGame, check_game
from ringrift_core.selfplay.replay import Replayer
from ringrift_core.selfplay.samples import Samples, samples_of
from ringrift_core.storage import make_folder, read_bounded, sync_folder, write_whole


@dataclass(frozen=True, slots=True)
class Shard:
    """The games of one file and its manifest, sound as arrays; whether they replay shows when they are replayed."""

    manifest: Manifest
    columns: Columns

    def __len__(self) -> int:
        return self.manifest.counts.games

    def game_ids(self) -> list[str]:
        """The id of each game: the first 16 hex digits of a SHA-256 over config, swap option and choices."""
        head = f"{self.manifest.head.config_key} {int(self.manifest.head.swap)}\n".encode()
        games = np.split(self.columns.choices.astype("<u2"), np.cumsum(self.columns.counts[:-1], dtype=np.int64))
        return [hashlib.sha256(head + game.tobytes()).hexdigest()[:STEM_DIGITS] for game in games]

    def replayer(self) -> Replayer:
        """What replays the games."""
        return Replayer(self.manifest.head.config_key, self.columns, swap=self.manifest.head.swap)

    def samples(self, first: int = 0, last: int | None = None) -> Samples:
        """The training rows of the games first .. last - 1 (None: all); ShardError when one does not replay."""
        return self._samples(self.replayer(), first, len(self) if last is None else last)

    def batches(self, games: int) -> Iterator[Samples]:
        """The training rows of so many games at a time."""
        if games < 1:
            raise InvariantError("a batch of samples needs a game at least")
        replayer = self.replayer()
        for first in range(0, len(self), games):
            yield self._samples(replayer, first, min(first + games, len(self)))

    def _samples(self, replayer: Replayer, first: int, last: int) -> Samples:
        if not 0 <= first <= last <= len(self):
            raise InvariantError(f"games {first} to {last} of a shard of {len(self)}")
        try:
            return samples_of(replayer, first, last)
        except StorageError as error:
            raise ShardError(Fault.REPLAY, f"shard {self.manifest.stem}: {error}") from error


def write_shard(folder: Path, games: Sequence[PlayedGame], head: ShardHead) -> Path:
    """Write games as a shard and return the path of its `.npz`; when it returns, the shard survives a power cut.

    InvariantError when a game is not one that can be written, StorageError when the folder or the disk refuses.
    """
    if not games:
        raise InvariantError("a shard needs a game at least")
    if not 0 < len(head.players) <= PLAYERS_MAX:
        raise InvariantError(f"a shard needs a table of 1 to {PLAYERS_MAX} players")
    for game in games:
        check_game(game, head.config_key, len(head.players))
    columns = Columns.of(games)
    try:
        Replayer(head.config_key, columns, swap=head.swap).check_all()
    except StorageError as error:
        raise InvariantError(f"not written: {error}") from error
    return write_columns(folder, columns, head)


def write_columns(folder: Path, columns: Columns, head: ShardHead) -> Path:
    """Write columns as they are: the arrays, then the manifest, then the names."""
    content = columns.pack()
    manifest = Manifest(BlobRef.of(content), head, RULES_DIGEST, columns.count())
    form = manifest.dump()
    make_folder(folder)
    path = folder / f"{manifest.stem}{ARRAYS}"
    if _stands(path, manifest):
        return path
    write_whole(path, content)
    sync_folder(folder)  # the arrays' name before the manifest's
    write_whole(path.with_suffix(MANIFEST), form)
    sync_folder(folder)
    return path


def _stands(path: Path, manifest: Manifest) -> bool:
    """True when the same shard is in the folder already: played again from the same seed, it keeps its first date."""
    try:
        return read_shard(path).manifest.blob == manifest.blob
    except ShardError:
        return False


def read_manifest(path: Path | str) -> Manifest:
    """The manifest of a shard, named by its `.npz` or by the manifest itself; ShardError when there is none."""
    manifest = Path(path).with_suffix(MANIFEST)
    try:
        return Manifest.parse(read_bounded(manifest, MANIFEST_BYTES_MAX))
    except StorageError as error:
        text = str(error)
        raise ShardError(Fault.MANIFEST, text if str(manifest) in text else f"{manifest}: {text}") from error


def read_shard(path: Path | str) -> Shard:
    """Read a shard, named by either of its files; ShardError, a StorageError, says what is wrong with it."""
    arrays = Path(path).with_suffix(ARRAYS)
    manifest = read_manifest(arrays)
    try:
        content = read_bounded(arrays, SHARD_BYTES_MAX)
    except StorageError as error:
        raise ShardError(Fault.MISSING, str(error)) from error
    found, named = BlobRef.of(content), manifest.blob
    if found.size_bytes < named.size_bytes:
        raise ShardError(Fault.TRUNCATED, f"{arrays}: truncated: {found.size_bytes} of {named.size_bytes} bytes")
    if found != named:
        raise ShardError(Fault.DAMAGED, f"{arrays}: damaged: its digest is not the one in its manifest")
    try:
        return Shard(manifest, Columns.unpack(content, manifest))
    except StorageError as error:
        raise ShardError(Fault.FORMAT, f"{arrays}: {error}") from error
