"""SHARD_SYNC: fresh shards lie on two nodes within seconds, so that nothing is lost with one (strategy EPHEMERAL).

Every node asks the others every few seconds what they hold and fetches the shards that it should keep (replicas.py),
the newest first. From the same answers a maker learns which of its own are announced: verified elsewhere too. A shard
that was announced once stays so.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set

from config.schema import Settings
from managers.node_folder import NodeFolder
from managers.runtime.every import every
from managers.runtime.service import Beat, Service
from managers.status_records import MissingShards
from p2p.exchange.announced import Announced
from p2p.exchange.arrivals import target_of
from p2p.exchange.catalogue import Catalogue
from p2p.exchange.download import FetchError
from p2p.exchange.fetcher import Fetcher
from p2p.exchange.looks import Looks
from p2p.exchange.missing import missing_of
from p2p.exchange.pace import Pace
from p2p.exchange.peer_manifests import PeerManifests
from p2p.exchange.refs import Ref
from p2p.exchange.replicas import Alive, affordable, wanted_here
from ringrift_core.errors import StorageError
from ringrift_core.selfplay.manifest import MANIFEST, STEM_DIGITS

MBIT_BYTES = 125_000
GB = 1_000_000_000
FETCHED_AT_ONCE = 2
FETCHED_PER_LOOK = 64  # then it is asked anew what is the newest
LOOK_S = 600.0  # for one look, its fetches included
REFUSED_LOOKS = 12  # that a shard rests which could not be fetched

logger = logging.getLogger(__name__)
Places = Mapping[str, Sequence[tuple[str, Ref]]]  # who else holds a shard, by digest


class ShardKeeper:
    """Keeps shards of other nodes and knows which own ones are announced."""

    what = "games"

    def __init__(
        self,
        settings: Settings,
        folder: NodeFolder,
        catalogue: Catalogue,
        peers: PeerManifests,
        fetcher: Fetcher,
        alive: Callable[[], Alive],
        members: Callable[[], Collection[str]],
        reading: Callable[[], bool],
    ) -> None:
        """`reading`: whether a job reads the fetched shards, so that none may be removed."""
        self._folder = folder
        self._catalogue = catalogue
        self._peers = peers
        self._fetcher = fetcher
        self._alive = alive
        self._members = members
        self.missing: tuple[MissingShards, ...] = ()  # that no living node holds
        self._reading = reading
        self._interval_s = settings.exchange.interval_seconds
        self._quota = int(settings.exchange.shards_gb * GB)
        self._pace = Pace(settings.exchange.bandwidth_mbit * MBIT_BYTES)
        self._announced = Announced(folder.announced)
        self._resting: dict[str, int] = {}  # looks that a shard still rests
        self.looks = Looks()

    @property
    def service(self) -> Service:
        """Looks for ever."""
        return Service(name="SHARD_SYNC", run=self._run, progress_s=LOOK_S)

    def announced(self, game: str) -> Set[str] | None:
        """The names of the own shards that lie on enough nodes; None for a node that is alone in its cluster."""
        alone = len(self._alive().nodes) == 1
        return None if alone and not self._announced.begun else self._announced.of(game)

    async def look(self) -> int:
        """Ask, fetch and tell once; how many shards came."""
        self.looks.begin()
        return self.looks.end(await self._look())

    async def _look(self) -> int:
        alive = self._alive()
        if len(alive.nodes) == 1 and not await asyncio.to_thread(lambda: self._announced.begun):
            return 0
        await self._peers.look()
        contents = await asyncio.to_thread(self._catalogue.look)
        mine = contents.of("shard", None)
        places = self._peers.places("shard")
        await asyncio.to_thread(self._note_announced, mine, places, alive)
        there = {*places, *(ref.sha256 for ref in mine)}
        self.missing = await asyncio.to_thread(missing_of, self._peers.gone(self._members()), there)
        wanted = [
            ref for ref in wanted_here(places, {ref.sha256 for ref in mine}, alive) if not self._rests(ref.sha256)
        ]
        held = [ref for ref in mine if not ref.own]
        fetch, drop = affordable(held, wanted, self._quota)
        if drop and not self._reading():
            await asyncio.to_thread(self._drop, drop)
        elif drop:
            fetch = []  # when nobody reads them there is room again
        return await self._fetch_all(fetch[:FETCHED_PER_LOOK], places)

    async def _run(self, beat: Beat) -> None:
        async def look() -> None:
            await self.look()

        await every(self._interval_s, look, timeout_s=LOOK_S, wake=self.looks.wake, min_interval_s=0.2, beat=beat)

    def _note_announced(self, mine: Iterable[Ref], places: Places, alive: Alive) -> None:
        """Own shards that enough nodes hold, and all of them where nobody else has been before."""
        self._announced.load()
        first, found = not self._announced.begun, dict[str, list[str]]()
        for ref in mine:
            if ref.own and (first or alive.enough([alive.me, *(node for node, _ in places.get(ref.sha256, ()))])):
                found.setdefault(ref.game, []).append(ref.sha256[:STEM_DIGITS])
        self._announced.add(found)

    async def _fetch_all(self, refs: Iterable[Ref], places: Places) -> int:
        gate, came = asyncio.Semaphore(FETCHED_AT_ONCE), list[bool]()

        async def bring(ref: Ref) -> None:
            async with gate:
                came.append(await self._bring(ref, [node for node, _ in places[ref.sha256]]))

        async with asyncio.TaskGroup() as group:
            for ref in refs:
                group.create_task(bring(ref))
        return sum(came)

    async def _bring(self, ref: Ref, holders: list[str]) -> bool:
        try:
            await self._fetcher.fetch(ref.sha256, "shard", ref.game, holders, ref, self._pace)
        except (FetchError, StorageError) as error:
            self._resting[ref.sha256] = REFUSED_LOOKS
            self.looks.note(str(error))
            logger.warning("SHARD_SYNC: %s", error)
            return False
        return True

    def _rests(self, sha256: str) -> bool:
        left = self._resting.pop(sha256, 0)
        if left > 1:
            self._resting[sha256] = left - 1
        return left > 0

    def _drop(self, refs: Iterable[Ref]) -> None:
        """Remove shards of others to make room for newer ones."""
        for ref in refs:
            path = target_of(self._folder, ref.sha256, "shard", ref.game)
            if path.parent != self._folder.fetched_shards(ref.game):
                continue
            for each in (path.with_suffix(MANIFEST), path):
                each.unlink(missing_ok=True)
