"""MODEL_SYNC: what everybody needs of nets is here: the champions, and the gauntlets that a leader decides by.

The strategy is HYBRID by pull: whoever lacks a champion asks its maker, then any node that says that it holds it, so it
works without a leader. The files are installed by the daemon MODEL_DISTRIBUTION (managers/model_installer.py), the
gauntlets read by AUTO_PROMOTION; both wait for what is not here.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from managers.node_folder import NodeFolder
from managers.promotion_controller import promotable
from managers.runtime.every import every
from managers.runtime.service import Beat, Service
from managers.state.cluster_state import ClusterState
from managers.state.jobs import Job
from managers.state.tasks import GauntletOutcome
from p2p.exchange.arrivals import here
from p2p.exchange.download import FetchError
from p2p.exchange.fetcher import Fetcher
from p2p.exchange.looks import Looks
from p2p.exchange.peer_manifests import PeerManifests
from ringrift_core.errors import StorageError

LOOK_S = 1.0
STEP_S = 900.0  # for one look, its fetches included
PAUSE_LOOKS = 10  # after a fetch that failed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lack:
    """A champion, by its digest, or a gauntlet, by its stem, that is not here; `maker` should have it."""

    kind: str
    game: str
    name: str
    maker: str | None


class ModelKeeper:
    """Brings champions and gauntlets."""

    what = "models"

    def __init__(
        self,
        folder: NodeFolder,
        peers: PeerManifests,
        fetcher: Fetcher,
        state: Callable[[], ClusterState],
        others: Callable[[], frozenset[str]],
    ) -> None:
        """`others` gives the nodes that are alive, without this one."""
        self._folder = folder
        self._peers = peers
        self._fetcher = fetcher
        self._state = state
        self._others = others
        self._paused: dict[Lack, int] = {}
        self.looks = Looks()

    @property
    def service(self) -> Service:
        """Looks for ever."""
        return Service(name="MODEL_SYNC", run=self._run, progress_s=STEP_S)

    async def look(self) -> int:
        """Bring what is missing; how many files came."""
        self.looks.begin()
        return self.looks.end(await self._look())

    async def _look(self) -> int:
        state, others = self._state(), self._others()
        if not others:
            return 0
        missing = await asyncio.to_thread(self._missing, state)
        self._paused = {lack: looks - 1 for lack, looks in self._paused.items() if lack in missing and looks > 1}
        came = 0
        for lack in missing:
            if lack not in self._paused:
                came += await self._bring(lack, others)
        return came

    async def _run(self, beat: Beat) -> None:
        async def look() -> None:
            await self.look()

        await every(LOOK_S, look, timeout_s=STEP_S, wake=self.looks.wake, min_interval_s=0.2, beat=beat)

    def _missing(self, state: ClusterState) -> list[Lack]:
        return [lack for lack in lacks(state) if not self._is_here(lack)]

    def _is_here(self, lack: Lack) -> bool:
        if lack.kind == "net":
            return here(self._folder, lack.name, "net", lack.game) is not None
        return self._folder.gauntlet(lack.game, lack.name).exists()

    async def _bring(self, lack: Lack, others: frozenset[str]) -> bool:
        try:
            if lack.kind == "net":
                holders = net_holders(lack.name, lack.maker, self._peers, others)
                await self._fetcher.fetch(lack.name, "net", lack.game, holders)
            else:
                await self._gauntlet(lack, others)
        except (FetchError, StorageError) as error:
            self._paused[lack] = PAUSE_LOOKS
            self.looks.note(str(error))
            logger.warning("MODEL_SYNC: %s", error)
            return False
        logger.info("MODEL_SYNC: %s %s of %s came from another node", lack.kind, lack.name[:16], lack.game)
        return True

    async def _gauntlet(self, lack: Lack, others: frozenset[str]) -> None:
        found = self._peers.named("gauntlet", lack.game, lack.name)
        if found is None:
            await self._peers.look()
            found = self._peers.named("gauntlet", lack.game, lack.name)
        if found is None:
            raise FetchError(f"gauntlet {lack.name} of {lack.game} is on none of {', '.join(sorted(others))}")
        ref, holders = found
        ordered = sorted(holders, key=lambda node: node != lack.maker)
        await self._fetcher.fetch(ref.sha256, "gauntlet", lack.game, ordered, ref)


def lacks(state: ClusterState) -> Iterator[Lack]:
    """What every node should have; pure."""
    for learner in state.learners.values():
        if learner.champion is not None:
            yield Lack("net", learner.game, learner.champion, maker_of(state, learner.game, learner.champion))
        net = promotable(learner)
        if net is not None and net.gauntlet is not None:
            yield Lack("gauntlet", learner.game, net.gauntlet, _judge_of(state, net.gauntlet))


def maker_of(state: ClusterState, game: str, sha256: str) -> str | None:
    """The node that has trained a net; None where that is not known."""
    net = state.learner(game).nets.get(sha256)
    job = None if net is None or net.job is None else state.jobs.get(net.job)
    return None if job is None else job.node


def net_holders(sha256: str, maker: str | None, peers: PeerManifests, others: frozenset[str]) -> list[str]:
    """Who is asked for a net: its maker, those who say that they hold it, then everybody else."""
    said = [maker, *peers.holders(sha256)]
    return [node for node in dict.fromkeys([*said, *sorted(others)]) if node is not None and node in others]


def _judge_of(state: ClusterState, stem: str) -> str | None:
    def holds(job: Job) -> bool:
        return isinstance(job.outcome, GauntletOutcome) and job.outcome.result == stem

    return next((job.node for job in reversed(state.jobs.finished.values()) if holds(job)), None)
