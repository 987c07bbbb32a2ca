"""Arrivals: what becomes of a file that has come whole: it is checked as its kind is, and put where it belongs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from managers.node_folder import NodeFolder
from p2p.exchange.download import FetchError
from p2p.exchange.partial_file import PartialFile
from p2p.exchange.refs import Kind
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.evaluation.gauntlet_result import read_gauntlet
from ringrift_core.evaluation.stored_match import read_match
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.rules_digest import RULES_DIGEST
from ringrift_core.registry.admission import AdmittedNet
from ringrift_core.selfplay.manifest import ARRAYS, MANIFEST, STEM_DIGITS, Manifest
from ringrift_core.storage import make_folder, move_whole, sync_folder, write_whole

Admit = Callable[[str, ConfigKey], Awaitable[AdmittedNet]]  # NetIntake.admit


class Arrivals:
    """Puts files where they belong; one that is not sound is removed."""

    def __init__(self, folder: NodeFolder, admit: Admit) -> None:
        self._folder = folder
        self._admit = admit

    async def arrived(self, file: PartialFile, sha256: str, kind: Kind, game: str, beside: bytes | None) -> Path:
        """The file where it belongs; `beside` is the manifest of a shard.

        FetchError when it is not what its kind should be, StorageError when the disk refuses.
        """
        if kind == "net":
            return await self._net(file, sha256, game)
        return await asyncio.to_thread(self._put, file, sha256, kind, game, beside)

    async def _net(self, file: PartialFile, sha256: str, game: str) -> Path:
        """Through the intake, which reads it in a process of its own."""
        aside = self._folder.incoming_nets / f"{sha256}.pth"
        await asyncio.to_thread(file.move, aside)
        try:
            with _judged(sha256, "net"):
                await self._admit(str(aside), ConfigKey.parse(game))
        finally:
            await asyncio.to_thread(aside.unlink, missing_ok=True)
        return self._folder.net(sha256)

    def _put(self, file: PartialFile, sha256: str, kind: Kind, game: str, beside: bytes | None) -> Path:
        target = target_of(self._folder, sha256, kind, game)
        if beside is not None:
            file.move(target)
            write_whole(target.with_suffix(MANIFEST), beside)  # last: what has one is complete
            sync_folder(target.parent)
            return target
        aside = self._folder.incoming / target.name  # it is read under the name that it will have
        file.move(aside)
        try:
            with _judged(sha256, kind):
                record = read_gauntlet(aside) if kind == "gauntlet" else read_match(aside)
                if record.config_key != game:
                    raise StorageError(f"it is of {record.config_key}")
            make_folder(target.parent)
            move_whole(aside, target)
        finally:
            aside.unlink(missing_ok=True)
        return target


def target_of(folder: NodeFolder, sha256: str, kind: Kind, game: str) -> Path:
    """Where a file is, or will be; a shard that was made here is not fetched again."""
    stem = sha256[:STEM_DIGITS]
    match kind:
        case "net":
            return folder.net(sha256)
        case "shard":
            own = folder.shards(game) / f"{stem}{ARRAYS}"
            return own if own.with_suffix(MANIFEST).exists() else folder.fetched_shards(game) / f"{stem}{ARRAYS}"
        case "match":
            return folder.results(game) / f"{stem}.json"
        case "part":
            return folder.parts(game) / f"{stem}.json"
        case "gauntlet":
            return folder.gauntlet(game, stem)


def here(folder: NodeFolder, sha256: str, kind: Kind, game: str) -> Path | None:
    """Where a file is; None where it is not, or not complete."""
    path = target_of(folder, sha256, kind, game)
    complete = path.exists() and (kind != "shard" or path.with_suffix(MANIFEST).exists())
    return path if complete else None


def check_manifest(content: bytes, sha256: str, game: str) -> None:
    """FetchError for a manifest of another shard, or of one that nobody here would train on."""
    with _judged(sha256, "shard"):
        manifest = Manifest.parse(content)
        if manifest.blob.sha256 != sha256:
            raise StorageError("its manifest names another shard")
        if str(manifest.head.config_key) != game:
            raise StorageError(f"it is of {manifest.head.config_key}")
        if manifest.rules_digest != RULES_DIGEST:
            raise StorageError(f"played by rules {manifest.rules_digest[:16]}, ours are {RULES_DIGEST[:16]}")


@contextmanager
def _judged(sha256: str, kind: Kind) -> Iterator[None]:
    """What is said here speaks against the file, not against the disk."""
    try:
        yield
    except (StorageError, RulesError) as error:
        raise FetchError(f"{kind} {sha256[:16]} is not kept: {error}") from error
