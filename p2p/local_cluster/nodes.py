"""A running local cluster: its processes under a Supervisor, started again when they die, asked every second.

    code = await run_cluster(order, screen)

A first signal ends all nodes in good order, a second one kills them. Nobody is left behind in either case, nor when
this process is killed (tether.py).
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import aiohttp
import numpy as np

from managers.runtime import Service, ServiceStatus, Supervisor, every
from managers.runtime.service import Beat, Restart, RestartBudget, State
from p2p.local_cluster.child import Child, EndedError, exit_text
from p2p.local_cluster.look import LOOK_S, TIMEOUT_S, NodeLook
from p2p.local_cluster.plan import NodePlan
from p2p.local_cluster.sight import ClusterSight, NodeSight, not_yet
from p2p.stop import Stop, signals

BUDGET = RestartBudget(restarts_max=10, window_s=600.0, first_s=1.0, delay_max_s=30.0, jitter=0.0)
KERNELS_BUDGET = RestartBudget(restarts_max=0)
KERNELS = "KERNELS"
KERNELS_MODULE = "ringrift_core.kernel_cache"
KERNELS_GRACE_S = 1.0  # nothing is lost with it
KILL_S = 10.0  # for what was killed to be gone
LOOK_TIMEOUT_S = 2 * TIMEOUT_S
NOT_REACHED = 1  # exit code
WORDS = {
    State.WAITING: "starting",
    State.STARTING: "starting",
    State.BACKOFF: "starts again",
    State.FAILED: "given up",
    State.STOPPING: "ends",
    State.STOPPED: "ended",
    State.DONE: "ended",
    State.ABANDONED: "does not end",
}


class Screen(Protocol):
    """Where a cluster is shown. Nothing here may wait for whoever reads."""

    def show(self, sight: ClusterSight) -> None:
        """How it stands now."""

    def say(self, text: str) -> None:
        """Something that a person should know."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run, and until when."""

    plans: tuple[NodePlan, ...]
    arguments: Mapping[str, list[str]]  # by node
    environment: Mapping[str, str]
    games: tuple[str, ...]
    drain_s: float  # that a node may take for its end
    minutes: float | None = None
    until_champion: bool = False
    kernels_log: Path | None = None  # where the compiler writes; None: nothing is left to compile


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended."""

    code: int
    reached: bool  # what it was to run until
    seconds: float
    sight: ClusterSight


async def run_cluster(order: Order, screen: Screen) -> Ending:
    """Run until a signal, the end of the time, the last champion, or the last node that is given up."""
    stop = Stop()
    limit = aiohttp.ClientTimeout(total=TIMEOUT_S)
    with signals(stop, screen):
        async with aiohttp.ClientSession(timeout=limit, trust_env=False) as session:
            return await LocalCluster(order, screen, session).run(stop)


class LocalCluster:
    """The nodes of one order."""

    def __init__(self, order: Order, screen: Screen, session: aiohttp.ClientSession) -> None:
        self._order = order
        self._screen = screen
        self._began = time.monotonic()
        self._hurry = asyncio.Event()
        self._reached = asyncio.Event()
        self._hopeless = asyncio.Event()
        self._lost: set[str] = set()
        self._supervisor: Supervisor | None = None
        self._looks = {plan.name: NodeLook(plan, session, time.monotonic) for plan in order.plans}
        self._children = {plan.name: self._child(plan) for plan in order.plans}
        self._kernels = None if order.kernels_log is None else self._compiler(order.kernels_log)

    async def run(self, stop: Stop) -> Ending:
        """Start everything, watch it, end it."""
        stop.hurry = self._hurry.set
        async with Supervisor(
            list(self._services()), np.random.default_rng(), on_change=self._told
        ) as self._supervisor:
            await self._until(stop)
            sight, reached = self.sight(), self._reached.is_set()
            if not stop.asked.is_set():
                self._screen.say(self._why_it_ends(sight))
        code = stop.code if stop.asked.is_set() else 0
        if self._order.until_champion and not reached and not stop.asked.is_set():
            code = NOT_REACHED
        if self._hopeless.is_set():
            code = NOT_REACHED
        return Ending(code, reached, time.monotonic() - self._began, sight)

    def sight(self) -> ClusterSight:
        """How it stands now."""
        states = {} if self._supervisor is None else self._supervisor.status()
        compiling = KERNELS in states and states[KERNELS].state is State.RUNNING
        return ClusterSight(
            nodes=tuple(self._node(plan, states.get(plan.name)) for plan in self._order.plans),
            games=self._order.games,
            uptime_s=time.monotonic() - self._began,
            aim="a champion on every node" if self._order.until_champion else "",
            kernels=self._kernels.last_line if compiling and self._kernels is not None else "",
        )

    # ---- services ----

    def _services(self) -> Iterable[Service]:
        for plan in self._order.plans:
            run = partial(self._live, plan)
            stop_s = self._order.drain_s + KILL_S
            yield Service(name=plan.name, run=run, budget=BUDGET, stop_timeout_s=stop_s)
            yield Service(name=f"{plan.name} IS ASKED", run=partial(self._ask, plan))
        yield Service(name="PICTURE", run=self._draw)
        if self._kernels is not None:
            run_kernels = partial(self._compile, self._kernels)
            yield Service(name=KERNELS, run=run_kernels, restart=Restart.NEVER, budget=KERNELS_BUDGET)

    async def _live(self, plan: NodePlan, _beat: Beat) -> None:
        """A life of a node; whatever it ends with, nobody has asked for it."""
        child, look = self._children[plan.name], self._looks[plan.name]
        look.forget("starting")
        try:
            code = await child.run(lambda: None)
        finally:
            look.forget("does not run")
        last = f": {child.last_line}" if child.last_line else ""
        raise EndedError(f"ended with {exit_text(code)}{last} ({plan.log})")

    async def _ask(self, plan: NodePlan, beat: Beat) -> None:
        look, child = self._looks[plan.name], self._children[plan.name]

        async def ask() -> None:
            if child.pid is not None:
                await look.look()

        await every(LOOK_S, ask, timeout_s=LOOK_TIMEOUT_S, beat=beat)

    async def _draw(self, beat: Beat) -> None:
        async def draw() -> None:
            sight = self.sight()
            self._screen.show(sight)
            if self._order.until_champion and next(not_yet(sight), None) is None:
                self._reached.set()

        await every(LOOK_S, draw, timeout_s=LOOK_S, beat=beat)

    async def _compile(self, child: Child, _beat: Beat) -> None:
        """Compile while the nodes find each other; their first jobs wait for it."""
        if code := await child.run(lambda: None):
            raise EndedError(f"compiling ended with {exit_text(code)}: {child.last_line}")

    # ---- ends ----

    async def _until(self, stop: Stop) -> None:
        events = (stop.asked, self._reached, self._hopeless)
        tasks = [asyncio.create_task(event.wait()) for event in events]
        try:
            minutes = self._order.minutes
            timeout_s = None if minutes is None else 60 * minutes
            await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def _why_it_ends(self, sight: ClusterSight) -> str:
        if self._reached.is_set():
            return "every node has installed the champions; ends"
        if self._hopeless.is_set():
            return "every node was given up; ends"
        missing = "; ".join(not_yet(sight)) if self._order.until_champion else ""
        return f"{self._order.minutes:g} minutes are over{f', but {missing}' if missing else ''}; ends"

    # ---- what is seen ----

    def _node(self, plan: NodePlan, service: ServiceStatus | None) -> NodeSight:
        look, child = self._looks[plan.name], self._children[plan.name]
        running = service is not None and service.state is State.RUNNING and child.pid is not None
        return NodeSight(
            plan=plan,
            process="running" if running else "starting" if service is None else WORDS.get(service.state, "starting"),
            pid=child.pid,
            restarts=0 if service is None else service.restarts,
            status=look.status,
            silence=look.silence,
            games_per_h=look.games_per_h,
        )

    def _told(self, status: ServiceStatus) -> None:
        """Tell of nodes that died, came back or were given up."""
        if status.name not in self._children:
            if status.state in {State.FAILED, State.BACKOFF}:
                self._screen.say(f"{status.name}: {status.last_error}")
            return
        error = (status.last_error or "").removeprefix(f"{EndedError.__name__}: ")
        if status.state is State.BACKOFF:
            self._screen.say(f"{status.name} {error}; it is started again")
        elif status.state is State.FAILED:
            self._screen.say(f"{status.name} {error}; it is given up for {BUDGET.cooldown_s / 60:.0f} minutes")
        elif status.state is State.ABANDONED:
            self._screen.say(f"{status.name} does not end")
        (self._lost.add if status.state is State.FAILED else self._lost.discard)(status.name)
        if len(self._lost) == len(self._children):
            self._hopeless.set()

    def _child(self, plan: NodePlan) -> Child:
        return Child(
            "p2p",
            self._order.arguments[plan.name],
            log=plan.log,
            environment=self._order.environment,
            grace_s=self._order.drain_s,
            hurry=self._hurry,
        )

    def _compiler(self, log: Path) -> Child:
        environment, hurry = self._order.environment, self._hurry
        return Child(KERNELS_MODULE, [], log=log, environment=environment, grace_s=KERNELS_GRACE_S, hurry=hurry)
