"""PART_SYNC: the chunks that other nodes have played of a gauntlet that is judged here.

Beside each gauntlet of this node lies an offer (evaluation/part_offer.py): which of its chunks others play, and where
those are that were played and have come. A chunk that cannot be had is not offered, so it is played here.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from managers.gauntlet_parts import parts_of
from managers.node_folder import NodeFolder
from managers.runtime.every import every
from managers.runtime.service import Beat, Service
from managers.state.cluster_state import ClusterState
from managers.state.jobs import ASSIGNED, Job
from managers.state.tasks import PartOutcome, PartTask
from p2p.exchange.arrivals import target_of
from p2p.exchange.download import FetchError
from p2p.exchange.fetcher import Fetcher
from ringrift_core.errors import StorageError
from ringrift_core.evaluation.part_offer import PARTS_MAX, Offer, OfferedPart, write_offer
from ringrift_core.game.config_key import CONFIG_KEYS

LOOK_S = 1.0
STEP_S = 300.0  # for one look, its fetches included
FETCH_S = 10.0  # for a chunk: whoever hangs holds up no other
TRIES_MAX = 5  # of a chunk that cannot be fetched
CLEAN_LOOKS = 60  # between two looks for files that nobody needs

logger = logging.getLogger(__name__)


class PartKeeper:
    """Brings parts, and keeps the offers of this node's gauntlets."""

    def __init__(
        self,
        node: str,
        folder: NodeFolder,
        fetcher: Fetcher,
        state: Callable[[], ClusterState],
        others: Callable[[], frozenset[str]],
    ) -> None:
        """`others` gives the nodes that are alive, without this one."""
        self._node = node
        self._folder = folder
        self._fetcher = fetcher
        self._state = state
        self._others = others
        self._offers: dict[str, Offer] = {}  # as they were written, by gauntlet
        self._tries: dict[str, int] = {}  # fetches that failed, by digest
        self._looks = 0

    @property
    def service(self) -> Service:
        """Looks for ever."""
        return Service(name="PART_SYNC", run=self._run, progress_s=STEP_S)

    async def look(self) -> int:
        """Bring what was played of this node's gauntlets; how many files came."""
        state, came = self._state(), 0
        mine = [job for job in state.jobs.on(self._node) if job.kind == "gauntlet"]
        self._offers = {job.id: self._offers[job.id] for job in mine if job.id in self._offers}
        needed = {_digest(part) for job in mine for part in parts_of(state, job)}
        self._tries = {digest: tries for digest, tries in self._tries.items() if digest in needed}
        for job in mine:
            parts = parts_of(state, job)
            await self._offer(job, parts)
            missing = [part for part in parts if await asyncio.to_thread(self._is_missing, part)]
            arrived = await asyncio.gather(*map(self._bring, missing))
            if missing:
                await self._offer(job, parts)
            came += sum(arrived)
        self._looks += 1
        if self._looks % CLEAN_LOOKS == 0:
            await asyncio.to_thread(self.clean, self._state())
        return came

    def clean(self, state: ClusterState) -> int:
        """Remove the parts of gauntlets that are over; how many. Works on the disk."""
        if any(job.kind == "part" for job in state.jobs.on(self._node)):
            return 0  # one may just be written that the state does not tell of
        under_way = (job for job in state.jobs.active.values() if job.kind == "gauntlet")
        needed = {self._path(part) for job in under_way for part in parts_of(state, job)}
        there = (path for game in CONFIG_KEYS for path in self._folder.parts(str(game)).glob("*"))
        useless = [path for path in there if path not in needed]
        for path in useless:
            path.unlink(missing_ok=True)
        return len(useless)

    async def _run(self, beat: Beat) -> None:
        async def look() -> None:
            await self.look()

        await every(LOOK_S, look, timeout_s=STEP_S, beat=beat)

    async def _offer(self, job: Job, parts: tuple[Job, ...]) -> None:
        """Write down what others do for a gauntlet, where that has changed."""
        offer = await asyncio.to_thread(lambda: Offer(parts=tuple(self._offered(parts))[-PARTS_MAX:]))
        path = self._folder.offer(job.id)
        if offer == self._offers.get(job.id) or not await asyncio.to_thread(path.parent.exists):
            return
        try:
            await asyncio.to_thread(write_offer, path, offer)
        except StorageError as error:
            logger.warning("PART_SYNC: %s plays all by itself: %s", job.id, error)
            return
        self._offers[job.id] = offer

    def _offered(self, parts: tuple[Job, ...]) -> Iterator[OfferedPart]:
        for part in parts:
            assert isinstance(part.task, PartTask), "they are parts"
            path = self._path(part)
            is_here = path is not None and path.exists()
            if is_here or part.status in ASSIGNED or self._may_come(part):
                task, file = part.task, str(path) if is_here else None
                yield OfferedPart(row=task.row, first=task.first, last=task.last, file=file)

    def _path(self, part: Job) -> Path | None:
        """Where the file of a part that was played is, or will be."""
        digest = _digest(part)
        return None if digest is None else target_of(self._folder, digest, "part", part.game)

    def _is_missing(self, part: Job) -> bool:
        path = self._path(part)
        return path is not None and not path.exists()

    def _may_come(self, part: Job) -> bool:
        """Whether it is worth while to ask for the file of a part."""
        digest = _digest(part)
        return digest is not None and part.node in self._others() and self._tries.get(digest, 0) < TRIES_MAX

    async def _bring(self, part: Job) -> bool:
        digest, holder = _digest(part), part.node
        if digest is None or holder is None or not self._may_come(part):
            return False
        try:
            async with asyncio.timeout(FETCH_S):
                await self._fetcher.fetch(digest, "part", part.game, [holder])
        except (FetchError, StorageError, TimeoutError) as error:
            self._tries[digest] = self._tries.get(digest, 0) + 1
            logger.info("PART_SYNC: %s: %s", part.id, error)
            return False
        return True


def _digest(part: Job) -> str | None:
    """The file of a part that was played."""
    return part.outcome.sha256 if isinstance(part.outcome, PartOutcome) else None
