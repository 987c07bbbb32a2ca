"""Catalogue: what lies in the folders of this node and may be fetched by others, by SHA-256.

Nets of the registry, shards (own and fetched), matches, gauntlets and, unlisted, parts of gauntlets; never a
`canonical_` file, which is a copy of its own. A view on the files that there are: nothing is copied or written. What
was read of a file is remembered while its size and times stay; a folder whose time stays is not listed again. A shard
is offered under the digest that its manifest gives, any other file under the digest that was computed, if its name
agrees.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from managers.node_folder import NodeFolder
from p2p.exchange.refs import SIZE_MAX, Kind, Ref, root_of
from ringrift_core.blob import chunk_digests
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game.config_key import CONFIG_KEYS
from ringrift_core.game.rules_digest import RULES_DIGEST
from ringrift_core.registry import ModelRegistry
from ringrift_core.selfplay.manifest import ARRAYS, MANIFEST, MANIFEST_BYTES_MAX, STEM, Manifest
from ringrift_core.storage import read_bounded

LOOK_S = 1.0  # between two looks at the folders
LISTS_MAX = 32  # lists of chunks that are remembered
Stamp = tuple[int, int, int]  # size, mtime_ns, inode
Found = tuple[Ref, Path]


@dataclass(frozen=True, slots=True)
class Contents:
    """What was there at the last look."""

    refs: tuple[Ref, ...]  # the newest first
    paths: Mapping[str, Path]  # by digest; manifests of shards too
    root: str

    def of(self, kind: Kind | None, game: str | None) -> tuple[Ref, ...]:
        """Those of a kind and a configuration."""
        return tuple(ref for ref in self.refs if kind in {None, ref.kind} and game in {None, ref.game})


@dataclass(slots=True)
class _Room:
    """A folder and what was read of it."""

    folder: Path
    read: Callable[[Path], Found | None]
    is_index: bool = False  # what it holds is told elsewhere too, so a file may begin to count without being touched
    changed_ns: int = -1
    settled: bool = False  # it had not changed at two looks: whatever comes now gives it a new time
    found: dict[str, tuple[Stamp, Found | None]] = field(default_factory=dict)  # by file name


class Catalogue:
    """What this node holds. Reads the disk: for threads other than the event loop's, any number of them."""

    def __init__(self, folder: NodeFolder, monotonic: Callable[[], float]) -> None:
        self._folder = folder
        self._monotonic = monotonic
        self._registry = ModelRegistry(folder.models)
        self._rooms = tuple(self._all_rooms())
        self._lock = threading.Lock()
        self._looked_at = -LOOK_S
        self._contents = Contents((), {}, root_of(()))
        self._lists: dict[Path, tuple[Stamp, tuple[str, ...]]] = {}

    @property
    def latest(self) -> Contents:
        """As of the last look; does not read the disk."""
        return self._contents

    def look(self) -> Contents:
        """What there is now, at most LOOK_S old. Files that cannot be read are left out."""
        with self._lock:
            if self._monotonic() - self._looked_at >= LOOK_S:
                if self._look():
                    self._contents = _contents(self._rooms)
                self._looked_at = self._monotonic()
            return self._contents

    def chunks(self, sha256: str) -> tuple[int, tuple[str, ...]] | None:
        """The size of a file that is held and the digests of its chunks; None where it is not, or is damaged."""
        path = self.look().paths.get(sha256)
        stamp = None if path is None else _stamp(path)
        if path is None or stamp is None:
            return None
        with self._lock:
            known = self._lists.get(path)
        if known is None or known[0] != stamp:
            try:
                ref, chunks = chunk_digests(path)
            except StorageError:
                return None
            if ref.sha256 != sha256:
                return None
            known = (stamp, chunks)
            with self._lock:
                self._lists[path] = known
                while len(self._lists) > LISTS_MAX:
                    del self._lists[next(iter(self._lists))]
        return stamp[0], known[1]

    def _look(self) -> bool:
        """Read what is new; whether anything has changed."""
        changed = [self._read(room) for room in self._rooms]
        return any(changed)

    def _read(self, room: _Room) -> bool:
        """Bring a room up to date; whether it has changed."""
        try:
            changed_ns = room.folder.stat().st_mtime_ns
            if changed_ns == room.changed_ns and room.settled:
                return False
            names = os.listdir(room.folder)
        except OSError:  # it is not there, or not for us
            gone, room.found, room.changed_ns = bool(room.found), {}, -1
            return gone
        room.settled, room.changed_ns = changed_ns == room.changed_ns and not room.is_index, changed_ns
        found: dict[str, tuple[Stamp, Found | None]] = {}
        for name in names:
            path = room.folder / name
            stamp = _stamp(path)
            if stamp is None:
                continue
            known = room.found.get(name)
            if known is None or known[0] != stamp or (known[1] is None and room.is_index):
                known = (stamp, room.read(path))
            found[name] = known
        changed, room.found = found != room.found, found
        return changed

    def _all_rooms(self) -> Iterator[_Room]:
        folder = self._folder
        for game in map(str, CONFIG_KEYS):
            yield _Room(folder.shards(game), partial(_shard, game=game, own=True))
            yield _Room(folder.fetched_shards(game), partial(_shard, game=game, own=False))
            yield _Room(folder.results(game), partial(_record, game=game, kind="match"))
            yield _Room(folder.gauntlets(game), partial(_record, game=game, kind="gauntlet"))
            yield _Room(folder.parts(game), partial(_record, game=game, kind="part"))
        yield _Room(self._registry.files.versions, self._net, is_index=True)

    def _net(self, path: Path) -> Found | None:
        try:
            game = str(self._registry.find(path.stem).key) if len(path.stem) == 64 else None
        except (RulesError, StorageError):
            return None
        return None if game is None else _measured(path, "net", game)


def _contents(rooms: Iterable[_Room]) -> Contents:
    """One reference for each digest: an own file before a fetched copy of it."""
    found: dict[str, Found] = {}
    paths: dict[str, Path] = {}
    for ref, path in _found(rooms):
        if ref.sha256 not in found or ref.own:
            found[ref.sha256] = ref, path
        if ref.manifest is not None:
            paths[ref.manifest] = path.with_suffix(MANIFEST)
    paths |= {sha256: path for sha256, (_, path) in found.items()}
    listed = (ref for ref, _ in found.values() if ref.kind != "part")  # the state says who has those
    refs = tuple(sorted(listed, key=lambda ref: ref.order))
    return Contents(refs, paths, root_of(refs))


def _found(rooms: Iterable[_Room]) -> Iterator[Found]:
    for room in rooms:
        for _, found in room.found.values():
            if found is not None:
                yield found


def _shard(path: Path, game: str, *, own: bool) -> Found | None:
    """A shard by its manifest."""
    if path.suffix != MANIFEST or not STEM.fullmatch(path.stem):
        return None
    try:
        content = read_bounded(path, MANIFEST_BYTES_MAX)
        manifest = Manifest.parse(content)
    except StorageError:
        return None
    arrays, blob = path.with_suffix(ARRAYS), manifest.blob
    stamp = _stamp(arrays)
    right = (manifest.stem, str(manifest.head.config_key), manifest.rules_digest) == (path.stem, game, RULES_DIGEST)
    if not right or stamp is None or stamp[0] != blob.size_bytes:
        return None
    ref = Ref(
        kind="shard",
        game=game,
        sha256=blob.sha256,
        size_bytes=blob.size_bytes,
        chunks=blob.chunks,
        at=max(0, int(manifest.head.created_at.timestamp())),
        own=own,
        rows=manifest.counts.samples,
        games=manifest.counts.games,
        manifest=hashlib.sha256(content).hexdigest(),
    )
    return ref, arrays


def _record(path: Path, game: str, kind: Kind) -> Found | None:
    """A match or a gauntlet."""
    return _measured(path, kind, game) if path.suffix == ".json" and STEM.fullmatch(path.stem) else None


def _measured(path: Path, kind: Kind, game: str) -> Found | None:
    """A file that is named by its digest, or the beginning of it."""
    stamp = _stamp(path)
    if stamp is None or not 0 < stamp[0] <= SIZE_MAX:
        return None
    try:
        blob, _ = chunk_digests(path)
    except StorageError:
        return None
    if not blob.sha256.startswith(path.stem):
        return None
    ref = Ref(
        kind=kind,
        game=game,
        sha256=blob.sha256,
        size_bytes=blob.size_bytes,
        chunks=blob.chunks,
        at=max(0, stamp[1] // 10**9),
        own=True,
    )
    return ref, path


def _stamp(path: Path) -> Stamp | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns, state.st_ino
