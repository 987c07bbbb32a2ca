"""The loop in the foreground: one node that works until it is told to end, shown on a screen, asked through its socket.

    code = await run_loop(settings, LoopWish(minutes=30), screen)

A first signal lets the jobs stop in good order and gives them back; a second one ends them at once.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from config.schema import Settings
from managers.health import Health
from managers.outcomes import Outcome
from managers.pipeline import Pipeline
from managers.ports import Child
from managers.runtime import Service, ServiceStatus, Supervisor, every
from managers.runtime.service import Beat
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import HaltAll, ResumeAll
from managers.state.tally import champions_of
from managers.status_board import StatusBoard
from managers.status_records import Status
from managers.steady_clock import SteadyClock
from p2p.http import promotion_api
from p2p.http.loop_api import ADMIN
from p2p.http.loop_server import listening
from p2p.keeping import keeping
from p2p.orchestrator import running_node
from ringrift_core.game.config_key import ConfigKey

REFRESH_S = 1.0  # between two statuses
REFRESH_TIMEOUT_S = 30.0
ORDER_S = 10.0  # for a halt to be written
INSTALL_LOOKS = 60  # a second apart, for the last champion to be installed
CALLS = {"gauntlet": "run_gauntlet", "training": "run_training", "selfplay": "run_gpu_selfplay_job"}  # people grep them
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoopWish:
    """When the loop ends by itself; None: never."""

    minutes: float | None = None
    champions: int | None = None  # that every configuration has had


class Screen(Protocol):
    """Where a loop is shown. Nothing here may wait for whoever reads."""

    def tell(self, outcome: Outcome) -> None:
        """Something happened."""

    def show(self, status: Status) -> None:
        """How it stands now."""

    def say(self, text: str) -> None:
        """Something that a person should know."""


class Stop:
    """Signals that ask for the end."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.code = 0
        self.hurry: Callable[[], None] = lambda: None

    def signalled(self, number: signal.Signals, screen: Screen) -> None:
        """A signal came."""
        if self.asked.is_set():
            screen.say("ends at once")
            self.hurry()
            return
        self.code = 130 if number is signal.SIGINT else 0
        self.asked.set()
        screen.say("ends: jobs are stopped and given back; once more to hurry")


class LoopDoor:
    """What the HTTP side may ask and order."""

    def __init__(self, pipeline: Pipeline, board: StatusBoard) -> None:
        self._pipeline = pipeline
        self._board = board

    @property
    def status(self) -> Status:
        """The latest status."""
        return self._board.status

    @property
    def content(self) -> bytes:
        """The same as JSON."""
        return self._board.content

    @property
    def state(self) -> ClusterState:
        """The replicated state now."""
        return self._board.state

    def health(self) -> Health:
        """How the loop is now."""
        return self._board.health()

    async def halt(self, reason: str) -> Result:
        """Stop all jobs and start no others; TimeoutError when that cannot be written."""
        async with asyncio.timeout(ORDER_S):
            return await self._pipeline.proposer("ADMIN").propose(HaltAll(by=ADMIN, reason=reason))

    async def resume(self) -> Result:
        """Go on; TimeoutError when that cannot be written."""
        async with asyncio.timeout(ORDER_S):
            return await self._pipeline.proposer("ADMIN").propose(ResumeAll(by=ADMIN))


async def run_loop(settings: Settings, wish: LoopWish, screen: Screen) -> int:
    """Run until the wish is fulfilled or a signal comes; the exit code. RingriftError says why it could not go on."""
    stop = Stop()
    with signals(stop, screen):
        async with running_node(settings) as pipeline:
            stop.hurry = killing(pipeline)
            await _run(pipeline, wish, screen, stop)
    return stop.code


async def _run(pipeline: Pipeline, wish: LoopWish, screen: Screen, stop: Stop) -> None:
    """Between the start of the pipeline and its end."""
    shell: Supervisor | None = None

    def services() -> list[ServiceStatus]:
        mine = [] if shell is None else shell.status().values()
        return [*pipeline.supervisor.status().values(), *mine]

    def tell(outcome: Outcome) -> None:
        log(outcome)
        screen.tell(outcome)

    clock = pipeline.clock
    board = StatusBoard(
        pipeline,
        services,
        tell,
        monotonic=time.monotonic,
        apart_s=lambda: clock.apart_s if isinstance(clock, SteadyClock) else 0.0,
        pid=os.getpid(),
    )

    async def keep_status(beat: Beat) -> None:
        async def look() -> None:
            await board.refresh()
            screen.show(board.status)

        await every(REFRESH_S, look, timeout_s=REFRESH_TIMEOUT_S, beat=beat)

    def note(text: str) -> None:
        board.note(text)
        screen.say(text)

    status_board = Service(name="STATUS_BOARD", run=keep_status, progress_s=10 * REFRESH_S)
    try:
        async with (
            keeping(pipeline, board.health) as kept,
            listening(LoopDoor(pipeline, board), pipeline.settings.node, note, promotion_api.routes(pipeline)),
        ):
            if kept.state.note:
                note(kept.state.note)
            if (halt := board.state.halt) is not None:
                screen.say(f"halted by {halt.by}: {halt.reason}; `ringrift loop --resume` goes on")
            async with Supervisor(
                [status_board, kept.service], np.random.default_rng(pipeline.identity.session)
            ) as shell:
                await _until(pipeline, wish, stop)
    finally:
        board.close()


async def _until(pipeline: Pipeline, wish: LoopWish, stop: Stop) -> None:
    """Wait for a signal, the end of the time, the last champion, or the end of a service that must not end."""
    ends = [stop.asked.wait(), pipeline.supervisor.ended()]
    if wish.champions is not None:
        ends.append(_crowned(pipeline, wish.champions))
    tasks = [asyncio.ensure_future(end) for end in ends]
    try:
        timeout_s = None if wish.minutes is None else 60 * wish.minutes
        done, _ = await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _crowned(pipeline: Pipeline, champions: int) -> None:
    """Wait until every configuration has had so many champions and the last ones are installed here."""
    consensus, games = pipeline.consensus, pipeline.settings.games
    while not all(champions_of(consensus.state.learner(game)) >= champions for game in games):
        await consensus.changed(consensus.version, REFRESH_TIMEOUT_S)
    for _ in range(INSTALL_LOOKS):
        if await asyncio.to_thread(_installed, pipeline):
            return
        await asyncio.sleep(REFRESH_S)


def _installed(pipeline: Pipeline) -> bool:
    for game in pipeline.settings.games:
        present = pipeline.installer.registry.production(ConfigKey.parse(game))
        if present is None or present.sha256 != pipeline.consensus.state.learner(game).champion:
            return False
    return True


@contextmanager
def signals(stop: Stop, screen: Screen) -> Iterator[None]:
    """Let signals ask for the end instead of ending the process."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop.signalled, number, screen)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


def killing(pipeline: Pipeline) -> Callable[[], None]:
    """What a second signal does: whatever runs is killed, which the pipeline's end waits for already."""
    tasks: set[asyncio.Task[None]] = set()

    async def kill(child: Child) -> None:
        await child.stop(0.0)

    def hurry() -> None:
        children = (running.child for running in pipeline.jobs.running.values())
        tasks.update(asyncio.ensure_future(kill(child)) for child in children if child is not None)

    return hurry


def log(outcome: Outcome) -> None:
    """An outcome into the log of the node."""
    level = logging.ERROR if outcome.weight == "trouble" else logging.INFO
    names = (("game", outcome.game), ("job", outcome.job), ("node", outcome.node))
    where = "".join(f" {name}={value}" for name, value in names if value)
    call = next((call for kind, call in CALLS.items() if (outcome.job or "").startswith(f"{kind}-")), None)
    fields = {} if call is None else {"call": call}
    logger.log(level, "%s%s: %s", outcome.event, where, outcome.text, extra={"fields": fields})
