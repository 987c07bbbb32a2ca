"""ExchangeInputs: before a job starts here, the nets and shards that it names and this node lacks are fetched.

A net that cannot be had hinders the job. A training gets the newest shards of its configuration up to the rows of its
window; one that nobody can give is left out with a line in the log, as the window is chosen from what is there.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress

from managers.node_folder import NodeFolder
from managers.ports import LaunchError
from managers.state.cluster_state import ClusterState
from managers.state.jobs import Job
from managers.state.tasks import RULES_OF_THUMB, CanaryTask, GauntletTask, PartTask, SelfplayTask, Task, TrainingTask
from p2p.exchange.arrivals import here
from p2p.exchange.catalogue import Catalogue
from p2p.exchange.download import FetchError
from p2p.exchange.fetcher import Fetcher
from p2p.exchange.model_keeper import maker_of, net_holders
from p2p.exchange.peer_manifests import PeerManifests
from p2p.exchange.refs import Ref
from ringrift_core.errors import StorageError
from ringrift_core.training.window_size import window_rows

READY_S = 1800.0  # for all of a job
LOOK_S = 5.0  # for what the others hold now
AT_ONCE = 4
SPARE = 1.1  # rows more than the window has: shards may be unfit, or hold games twice

logger = logging.getLogger(__name__)


class ExchangeInputs:
    """A JobInputs over the exchange."""

    def __init__(
        self,
        folder: NodeFolder,
        catalogue: Catalogue,
        peers: PeerManifests,
        fetcher: Fetcher,
        state: Callable[[], ClusterState],
        others: Callable[[], frozenset[str]],
    ) -> None:
        """`others` gives the nodes that are alive, without this one."""
        self._folder = folder
        self._catalogue = catalogue
        self._peers = peers
        self._fetcher = fetcher
        self._state = state
        self._others = others

    async def ready(self, job: Job) -> None:
        """Fetch what is not here; LaunchError says what cannot be had, and from whom."""
        if not self._others():
            return
        try:
            async with asyncio.timeout(READY_S):
                for sha256 in nets_of(job.task):
                    await self._net(job.game, sha256)
                if isinstance(job.task, TrainingTask):
                    await self._shards(job.task)
        except TimeoutError:
            raise LaunchError(f"{job.id}: what it needs did not come in {READY_S:g} s") from None
        except (FetchError, StorageError) as error:
            raise LaunchError(f"{job.id} cannot start here: {error}") from error

    async def _net(self, game: str, sha256: str) -> None:
        if await asyncio.to_thread(here, self._folder, sha256, "net", game) is not None:
            return
        holders = net_holders(sha256, maker_of(self._state(), game, sha256), self._peers, self._others())
        await self._fetcher.fetch(sha256, "net", game, holders)

    async def _shards(self, task: TrainingTask) -> None:
        """The newest shards until the window is covered, those that are here included."""
        with suppress(TimeoutError):  # whoever is slow holds up no training: what is known of it will do
            async with asyncio.timeout(LOOK_S):
                await self._peers.look()
        contents = await asyncio.to_thread(self._catalogue.look)
        places = self._peers.places("shard", task.game)
        mine = {ref.sha256: ref for ref in contents.of("shard", task.game)}
        others = {sha256: found[0][1] for sha256, found in places.items()}
        gate = asyncio.Semaphore(AT_ONCE)

        async def bring(ref: Ref) -> None:
            holders = [node for node, _ in places[ref.sha256]]
            async with gate:
                try:
                    await self._fetcher.fetch(ref.sha256, "shard", ref.game, holders, ref)
                except FetchError as error:
                    logger.warning("a training does without a shard: %s", error)

        try:
            async with asyncio.TaskGroup() as group:
                for ref in of_window([*{**others, **mine}.values()], task.rows_made):
                    if ref.sha256 not in mine:
                        group.create_task(bring(ref))
        except* StorageError as errors:
            raise errors.exceptions[0] from None


def nets_of(task: Task) -> Iterator[str]:
    """The digests of the nets that a job names, each once."""
    named: list[str | None]
    match task:
        case SelfplayTask():
            named = [task.model, *(it.model for it in task.opponents)]
        case TrainingTask():
            named = [task.parent]
        case GauntletTask():
            named = [task.candidate, task.champion, *task.anchors]
        case PartTask():
            named = [task.of.candidate, task.of.champion, *task.of.anchors]
        case CanaryTask():
            named = [task.model, *task.opponents]
    yield from dict.fromkeys(name for name in named if name is not None and name not in RULES_OF_THUMB)


def of_window(refs: list[Ref], rows_made: int) -> list[Ref]:
    """The newest shards with as many rows as the window of a training may have; `rows_made` in the whole cluster."""
    wanted = SPARE * window_rows(max(rows_made, sum(ref.rows for ref in refs)))
    chosen, rows = [], 0
    for ref in sorted(refs, key=lambda ref: ref.order):
        if rows >= wanted:
            break
        chosen.append(ref)
        rows += ref.rows
    return chosen
