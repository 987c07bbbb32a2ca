"""StatusBoard: the latest status of a running pipeline, made anew every second, and what happened lately.

Whoever asks gets the latest one; nobody who asks makes the loop work.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from managers.game_rate import GameRate
from managers.health import Health, health_of
from managers.outcomes import Outcome, outcomes_of
from managers.pipeline import Pipeline
from managers.runtime.service import ServiceStatus
from managers.sightings import NOTHING, Seen
from managers.state.cluster_state import ClusterState, Result
from managers.status import Sight, status_of, work_of
from managers.status_records import EVENTS_MAX, OUTCOMES_MAX, Status, encode_status

Monotonic = Callable[[], float]
Services = Callable[[], Iterable[ServiceStatus]]


class StatusBoard:
    """What is known of a loop; everything but `refresh` is quick."""

    def __init__(
        self,
        pipeline: Pipeline,
        services: Services,
        tell: Callable[[Outcome], None],
        *,
        monotonic: Monotonic,
        apart_s: Callable[[], float],
        pid: int,
    ) -> None:
        """`services` are all of the process, `tell` hears of every outcome; `apart_s`: the machine's clock ahead."""
        self._pipeline = pipeline
        self._services = services
        self._tell = tell
        self._monotonic = monotonic
        self._apart_s = apart_s
        self._pid = pid
        self._began = monotonic()
        self._rates = {game: GameRate() for game in pipeline.settings.games}
        self._node_rates: dict[str, GameRate] = {}
        self._recent: deque[Outcome] = deque(maxlen=OUTCOMES_MAX)
        self._concerns: Mapping[str, str] = {}
        self._notes: tuple[str, ...] = ()
        self.addresses: tuple[str, ...] = ()  # where the node listens
        self.hears: Callable[[], Seen] = lambda: NOTHING  # put here by who hears other nodes
        self.voters: Callable[[], tuple[str, ...]] = tuple  # the same by who knows who votes
        self.remarks: Callable[[], tuple[str, ...]] = tuple  # the same by who knows what a person should mend
        self._maker = ThreadPoolExecutor(1, "status")
        self.status, self.content = _made(self._sight())
        pipeline.consensus.on_applied(self._applied)

    @property
    def state(self) -> ClusterState:
        """What everybody knows, now."""
        return self._pipeline.consensus.state

    def seen(self) -> Seen:
        """All that is known of other nodes, now."""
        now = self._pipeline.clock()
        return replace(self.hears(), games_per_h={node: rate.per_h(now) for node, rate in self._node_rates.items()})

    def health(self) -> Health:
        """How the loop is, now."""
        trouble = self._pipeline.consensus.trouble
        return health_of(self._services(), trouble, halted=self.state.halt is not None)

    def note(self, text: str) -> None:
        """Something about this life that stays in the status."""
        self._notes = (*self._notes, text)

    async def refresh(self) -> None:
        """Make the status anew."""
        sight = self._sight()
        loop = asyncio.get_running_loop()
        self.status, self.content = await loop.run_in_executor(self._maker, _made, sight)
        self._compare(self.status)

    @property
    def uptime_s(self) -> float:
        """Since this life began."""
        return self._monotonic() - self._began

    def close(self) -> None:
        """No status is made any more."""
        self._maker.shutdown(wait=False, cancel_futures=True)

    def _sight(self) -> Sight:
        pipeline, now = self._pipeline, self._pipeline.clock()
        for game, rate in self._rates.items():
            rate.look(now, self.state.learner(game).total.games)
        self._count(now)
        return Sight(
            state=self.state,
            settings=pipeline.settings,
            now=now,
            games=pipeline.settings.games,
            session=pipeline.identity.session,
            running=True,
            pid=self._pid,
            uptime_s=self.uptime_s,
            health=self.health(),
            clock_apart_s=self._apart_s(),
            services=tuple(self._services()),
            waits=pipeline.waits,
            findings=pipeline.standing.findings,
            resources=pipeline.standing.resources,
            work=work_of(pipeline),
            games_per_h={game: rate.per_h(now) for game, rate in self._rates.items()},
            recent=tuple(self._recent),
            events=pipeline.journal.latest(EVENTS_MAX),
            requests=tuple(pipeline.desk.tickets.values()),
            installed=pipeline.installer.verified,
            elsewhere=pipeline.installer.elsewhere(),
            silent=pipeline.silent,
            seen=self.seen(),
            voters=self.voters(),
            addresses=self.addresses,
            notes=(*self.remarks(), *self._notes),
            missing=pipeline.data.missing(),
        )

    def _count(self, now: float) -> None:
        """How fast games come of each node."""
        state = self.state
        self._node_rates = {node: self._node_rates.get(node) or GameRate() for node in state.members}
        for node, rate in self._node_rates.items():
            found = (it.data.get(node) for it in state.learners.values())
            rate.look(now, sum(it.games for it in found if it is not None))

    def _applied(self, _before: ClusterState, after: ClusterState, result: Result) -> None:
        for outcome in outcomes_of(after, result):
            self._happened(outcome)

    def _happened(self, outcome: Outcome) -> None:
        if outcome.weight != "step":
            self._recent.append(outcome)
        self._tell(outcome)

    def _compare(self, status: Status) -> None:
        """Tell of troubles that came and went; their words may change while they last."""
        now = concerns_of(status)
        for name in now.keys() - self._concerns.keys():
            self._happened(Outcome(at=status.at, event="trouble", weight="trouble", text=now[name]))
        for name in self._concerns.keys() - now.keys():
            over = f"over: {self._concerns[name]}"
            self._happened(Outcome(at=status.at, event="recovered", weight="outcome", text=over))
        self._concerns = now


def concerns_of(status: Status) -> dict[str, str]:
    """What a person should look at, by its subject."""
    found = {f"canonical {it.game}": f"canonical net of {it.game}: {it.what}: {it.text}" for it in status.findings}
    for it in status.missing:
        where = f"{', '.join(it.nodes)}, not heard, had them last"
        found[f"missing {it.game} {where}"] = (
            f"{it.games} games of {it.game} ({it.shards} shards) are on no living node: {where}"
        )
    if status.health.reasons:
        found["health"] = "; ".join(status.health.reasons)
    if status.health.degraded:
        found["services"] = "; ".join(status.health.degraded)
    if status.self.unfit:
        found["resources"] = f"no jobs are started: {status.self.unfit}"
    return found


def _made(sight: Sight) -> tuple[Status, bytes]:
    status = status_of(sight)
    return status, encode_status(status)
