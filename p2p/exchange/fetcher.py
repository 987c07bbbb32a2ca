"""Fetcher: brings one file here from whoever holds it, verified, to where a file of its kind belongs.

    path = await fetcher.fetch(sha256, "net", "hex8_2p", ["node-2", "node-3"])

Only the SHA-256 is believed. Holders say of which chunks a file is made; those who say the same bring it together, the
largest such group first, and a group whose file has another digest in the end has lied. A net goes through the intake,
as one that a person brings; a shard counts when its manifest names it; a match or gauntlet when it can be read. One
fetch per digest at a time, FETCHES_MAX in all; what was begun goes on after a restart.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from managers.node_folder import NodeFolder
from p2p.exchange.arrivals import Arrivals, check_manifest, here
from p2p.exchange.download import Download, FetchError, Pace, Patience, unpaced
from p2p.exchange.partial_file import PartialFile
from p2p.exchange.refs import CHUNKS_MAX, SIZE_MAX, ChunkList, Kind, Ref
from p2p.http.node_calls import CallError, NodeCalls
from ringrift_core.blob import CHUNK_BYTES
from ringrift_core.selfplay.manifest import MANIFEST_BYTES_MAX

FETCHES_MAX = 4
HOLDERS_MAX = 8  # that are asked of what a file is made
LIST_BYTES_MAX = 70 * CHUNKS_MAX + 1000
LIST_S = 30.0  # for a list of chunks: the holder may have to read the file first
OTHERS_S = 2.0  # for other holders, once one has said what a file is made of, and before the next one is asked too
SMALL_S = 20.0  # for a file of one chunk
PATIENCE = Patience()

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file that is to be brought here."""

    sha256: str
    kind: Kind
    game: str
    ref: Ref | None  # what somebody has said of it

    def __str__(self) -> str:
        return f"{self.kind} {self.sha256[:16]} of {self.game}"


class Fetcher:
    """Fetches; any number of callers at once."""

    def __init__(self, calls: NodeCalls, folder: NodeFolder, arrivals: Arrivals, patience: Patience = PATIENCE) -> None:
        self._calls = calls
        self._folder = folder
        self._arrivals = arrivals
        self._patience = patience
        self._places = asyncio.Semaphore(FETCHES_MAX)
        self._turns: dict[str, tuple[asyncio.Lock, list[None]]] = {}  # by digest: its lock, and who wants it

    async def fetch(
        self,
        sha256: str,
        kind: Kind,
        game: str,
        holders: Sequence[str],
        ref: Ref | None = None,
        pace: Pace = unpaced,
    ) -> Path:
        """The file here, fetched where it is not; `ref` is what is believed to be known of it.

        FetchError when no holder has it, or what they have is not sound; StorageError when the disk refuses.
        """
        async with self._turn(sha256):
            known = await asyncio.to_thread(here, self._folder, sha256, kind, game)
            if known is not None:
                return known
            async with self._places:
                return await self._fetch(_Wanted(sha256, kind, game, ref), holders, pace)

    async def _fetch(self, wanted: _Wanted, holders: Sequence[str], pace: Pace) -> Path:
        sha256, kind, game = wanted.sha256, wanted.kind, wanted.game
        if not holders:
            raise FetchError(f"{wanted}: no node that can be reached has it")
        beside = await self._manifest(wanted, holders) if kind == "shard" else None
        told: dict[str, str] = {}  # what was wrong, by holder
        async for content, group in self._groups(wanted, holders, told):
            room = self._folder.incoming_nets if kind == "net" else self._folder.incoming
            file = PartialFile(room, sha256, content.size_bytes, content.chunks)
            download = Download(self._calls, sha256, content, file, self._patience, pace)
            complete = await download.run(group)
            told |= download.left
            if not complete:
                continue
            if await asyncio.to_thread(file.whole):
                return await self._arrivals.arrived(file, sha256, kind, game, beside)
            for holder in group:
                told[holder] = "it gives digests of chunks that are not those of the file"
                logger.warning("blob %s: %s is left: %s", sha256[:16], holder, told[holder])
        said = "; ".join(dict.fromkeys(told.values()))
        raise FetchError(f"{wanted} cannot be fetched: {said}")

    async def _groups(
        self, wanted: _Wanted, holders: Sequence[str], told: dict[str, str]
    ) -> AsyncIterator[tuple[ChunkList, Sequence[str]]]:
        """Of what the file is made, and who says so; what fits the reference first, then the largest group."""
        sha256, ref = wanted.sha256, wanted.ref
        if ref is not None and ref.sha256 == sha256 and ref.size_bytes <= CHUNK_BYTES:
            yield ChunkList(size_bytes=ref.size_bytes, chunks=(sha256,)), holders  # if that is its size
        asked = holders[:HOLDERS_MAX]
        groups: dict[ChunkList, list[str]] = {}
        for holder, content in (await self._lists(sha256, asked, told)).items():
            groups.setdefault(content, []).append(holder)
        fits = None if ref is None else ref.chunks
        for content in sorted(groups, key=lambda it: (it.digest != fits, -len(groups[it]))):
            yield content, groups[content]

    async def _lists(self, sha256: str, asked: Sequence[str], told: dict[str, str]) -> dict[str, ChunkList]:
        """What holders say that the file is made of; one that is slow is not waited for where another has said it."""
        tasks = {asyncio.ensure_future(self._list(sha256, holder, told)): holder for holder in asked}
        late, found = set(tasks), dict[str, ChunkList]()
        try:
            while late:
                done, late = await asyncio.wait(
                    late, timeout=OTHERS_S if found else None, return_when=asyncio.FIRST_COMPLETED
                )
                found |= {tasks[task]: content for task in done if (content := task.result()) is not None}
                if not done:
                    break
        finally:
            for task in late:
                task.cancel()
                told[tasks[task]] = f"{tasks[task]}: it did not say in time what the file is made of"
            await asyncio.gather(*late, return_exceptions=True)
        return {holder: found[holder] for holder in asked if holder in found}

    async def _list(self, sha256: str, holder: str, told: dict[str, str]) -> ChunkList | None:
        """What a holder says that the file is made of; None, and why is told, where it says nothing sound."""
        path = f"/blobs/{sha256}/chunks"
        try:
            said = await self._calls.ask(holder, "GET", path, timeout_s=LIST_S, bytes_max=LIST_BYTES_MAX)
            content = await asyncio.to_thread(ChunkList.model_validate_json, said)
        except CallError as error:
            told[holder] = str(error)
        except ValidationError:
            told[holder] = f"{holder}: it gives no list of chunks"
        else:
            if content.sound and content.size_bytes <= SIZE_MAX:
                return content
            told[holder] = f"{holder}: its list of chunks does not fit the size"
        logger.warning("blob %s: %s is left: %s", sha256[:16], holder, told[holder])
        return None

    async def _manifest(self, wanted: _Wanted, holders: Sequence[str]) -> bytes:
        """The manifest of a shard; FetchError when no holder has it, or it is none of this shard."""
        sha256 = None if wanted.ref is None else wanted.ref.manifest
        if sha256 is None:
            raise FetchError(f"{wanted}: nobody says which manifest it has")
        waiting, asked = list(holders), set[asyncio.Task[bytes]]()
        try:
            while waiting or asked:
                if waiting:
                    asked.add(asyncio.ensure_future(self._small(waiting.pop(0), sha256)))
                timeout_s = OTHERS_S if waiting else None
                done, asked = await asyncio.wait(asked, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
                for content in (task.result() for task in done):
                    if hashlib.sha256(content).hexdigest() == sha256:
                        check_manifest(content, wanted.sha256, wanted.game)
                        return content
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        raise FetchError(f"{wanted}: its manifest is on none of {', '.join(holders)}")

    async def _small(self, holder: str, sha256: str) -> bytes:
        """A small file, nothing where the holder does not give it."""
        try:
            return await self._calls.ask(
                holder, "GET", f"/blobs/{sha256}", timeout_s=SMALL_S, bytes_max=MANIFEST_BYTES_MAX
            )
        except CallError:
            return b""

    @asynccontextmanager
    async def _turn(self, sha256: str) -> AsyncIterator[None]:
        """One after the other, for each digest."""
        lock, wanting = self._turns.setdefault(sha256, (asyncio.Lock(), []))
        wanting.append(None)
        try:
            async with lock:
                yield
        finally:
            wanting.pop()
            if not wanting:
                del self._turns[sha256]
