"""The jobs of a node run, and no others; what they report becomes known, whatever it is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from managers.job_manager import END_S, JobManager, NodeIdentity
from managers.node_folder import NodeFolder
from managers.ports import Cause, Ending, LaunchError, Leftover, Order, Report, Usage
from managers.proposer import Proposer
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import Assign, Body, Command, Enqueue, Fail, HaltAll, Release, ResumeAll, decode
from managers.state.jobs import Job
from managers.state.machine import StateMachine
from managers.state.tasks import CanaryTask, GateForm
from ringrift_core.errors import StorageError
from tests.unit.managers.deciding import GAME, A, B, Cluster, selfplay, settings_of, training
from tests.unit.managers.splitting import PLAYED as PART
from tests.unit.managers.splitting import Splitting
from tests.virtual_time import run_virtual

TURNS_MAX = 200_000  # of the loop, until something has come true
PLAYED = {"event": "done", "written_games": 8, "written_samples": 240}
STUCK_S = 1e6


@dataclass(slots=True)
class State:
    """A consensus over a cluster that was made elsewhere; it refuses to write what it is told to refuse."""

    cluster: Cluster
    refuses: Callable[[Body], bool] = lambda _: False
    bodies: list[Body] = field(default_factory=list)  # that were asked for
    slow_s: float = 0.0  # that a write takes

    @property
    def state(self) -> ClusterState:
        return self.cluster.state

    @property
    def version(self) -> int:
        return self.state.seq

    async def propose(self, body: bytes, timeout_s: float) -> Result:
        command: Command = decode(body)
        self.bodies.append(command.body)
        await asyncio.sleep(self.slow_s)
        if self.refuses(command.body):
            raise StorageError("the disk is full")
        self.cluster.state, result = StateMachine().apply(self.state, body)
        return result

    async def changed(self, version: int, timeout_s: float) -> int:
        raise NotImplementedError


class FakeChild:
    """A process that reports and ends as it is told."""

    def __init__(self, order: Order, *, stuck: bool) -> None:
        self.name, self.pid, self.order, self._stuck = order.name, 2, order, stuck
        self.stops = 0
        self._reports: asyncio.Queue[Report | None] = asyncio.Queue()
        self._ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    def say(self, report: Report) -> None:
        self._reports.put_nowait(report)

    def end(self, cause: Cause = Cause.DONE, error: str = "") -> None:
        self._reports.put_nowait(None)
        self._ended.set_result(Ending(cause, 0, None, error, 0.0))

    async def reports(self) -> AsyncIterator[Report]:
        while (report := await self._reports.get()) is not None:
            yield report

    async def wait(self) -> Ending:
        return await asyncio.shield(self._ended)

    async def stop(self, grace_s: float) -> None:
        self.stops += 1
        if not self._ended.done() and not self._stuck:
            self.end(Cause.STOPPED)

    def usage(self) -> Usage:
        return Usage(0, 0.0, 0.0)


@dataclass(slots=True)
class FakeLauncher:
    """Starts such processes."""

    children: list[FakeChild] = field(default_factory=list)
    stuck: bool = False  # they do not end when they are told to
    full: bool = False  # no process can be started

    async def start(self, order: Order) -> FakeChild:
        if self.full:
            raise LaunchError("no memory")
        self.children.append(FakeChild(order, stuck=self.stuck))
        return self.children[-1]

    async def sweep(self) -> list[Leftover]:
        return []


class Node:
    """A job manager with all that is around it."""

    def __init__(self, root: Path, cluster: Cluster, **sections: Any) -> None:
        self.consensus = State(cluster)
        self.launcher = FakeLauncher()
        self.reports: list[Report] = []
        self.manager = JobManager(
            NodeIdentity("a", 1),
            settings_of(**sections),
            NodeFolder(root),
            self.launcher,
            lambda name: Proposer(self.consensus, f"a/1/{name}", lambda: cluster.now),
            lambda _, report: self.reports.append(report),
        )

    @property
    def child(self) -> FakeChild:
        return self.launcher.children[-1]

    def job(self, name: str) -> Job:
        job = self.consensus.state.jobs.get(name)
        assert job is not None
        return job

    async def started(self, group: asyncio.TaskGroup, children: int = 1) -> FakeChild:
        """What it should have is running."""
        self.manager.reconcile(self.consensus.state, group)
        await until(lambda: len(self.launcher.children) == children)
        return self.child


async def until(true: Callable[[], bool]) -> None:
    for _ in range(TURNS_MAX):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it does not come true")


def run(main: Callable[[asyncio.TaskGroup], Coroutine[Any, Any, None]]) -> None:
    async def grouped() -> None:
        async with asyncio.TaskGroup() as group:
            await main(group)

    run_virtual(grouped())


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.node()
    return made


def assigned(cluster: Cluster, name: str) -> str:
    cluster.leased(name)
    return name


def test_a_job_that_is_done_is_completed(tmp_path: Path, cluster: Cluster):
    node, name = Node(tmp_path, cluster), assigned(cluster, cluster.queued(selfplay()))

    async def main(group: asyncio.TaskGroup) -> None:
        child = await node.started(group)
        child.say(dict(PLAYED))
        child.end()
        await until(lambda: not node.manager.running)
        assert node.job(name).status == "succeeded"
        assert node.reports == [PLAYED]

    run(main)


def test_a_job_that_could_not_be_given_back_goes_on_after_the_halt_and_is_completed(tmp_path: Path, cluster: Cluster):
    """It is run again under its fence; commands of the second run are no repetitions of those of the first."""
    node, name = Node(tmp_path, cluster), cluster.queued(selfplay())
    cluster.do(Assign(job=name, node="a", session=1))

    async def main(group: asyncio.TaskGroup) -> None:
        await node.started(group)
        await until(lambda: node.job(name).status == "running")
        node.consensus.refuses = lambda body: body.kind == "release"
        cluster.do(HaltAll(by="people", reason="a look"))
        node.manager.reconcile(cluster.state, group)
        await until(lambda: not node.manager.running)
        node.consensus.refuses = lambda _: False
        cluster.do(ResumeAll(by="people"))
        child = await node.started(group, 2)
        child.say(dict(PLAYED))
        child.end()
        await until(lambda: not node.manager.running)
        assert node.job(name).status == "succeeded"

    run(main)


@pytest.mark.parametrize(("games", "wins"), [(0, 0), (64, -1), (10**30, 1), (True, True)])
def test_a_report_that_qualifies_nobody_hurts_nobody(tmp_path: Path, cluster: Cluster, games: int, wins: int):
    cluster.crowned(A)
    cluster.candidate(B, gate=GateForm())
    node, name = Node(tmp_path, cluster), assigned(cluster, cluster.gauntlet().id)

    async def main(group: asyncio.TaskGroup) -> None:
        child = await node.started(group)
        child.say({"event": "qualified", "games": games, "wins": wins})
        child.end(Cause.FAILED, "it broke")
        await until(lambda: not node.manager.running)
        assert (node.job(name).status, node.job(name).reason) == ("queued", "it broke")
        assert cluster.learner().current == A

    run(main)


def test_a_part_is_run_within_its_limits_and_completed(tmp_path: Path):
    cluster = Splitting()
    cluster.member("b")
    whole = cluster.gauntlet()
    cluster.do(Release(job=whole.id, fence=cluster.fence, reason="to another node"))
    cluster.leased(whole.id, "b")
    part = cluster.part()
    node, name = Node(tmp_path, cluster), assigned(cluster, part)

    async def main(group: asyncio.TaskGroup) -> None:
        child = await node.started(group)
        assert (child.order.kind, child.order.memory_bytes_max) == ("part", 4 << 30)
        child.say({"event": "done", "sha256": "d" * 64, "games": 64})
        child.end()
        await until(lambda: not node.manager.running)
        assert node.job(name).outcome == PART

    run(main)


def test_a_part_that_a_gauntlet_refuses_is_named_in_the_log_in_one_line(tmp_path: Path, cluster: Cluster, caplog):
    cluster.candidate(B, gate=GateForm())
    node, name = Node(tmp_path, cluster), assigned(cluster, cluster.gauntlet().id)

    async def main(group: asyncio.TaskGroup) -> None:
        child = await node.started(group)
        child.say({"event": "refused", "part": "ab.json", "reason": "it is\nno part" + "!" * 1000})
        child.end(Cause.FAILED, "it broke")
        await until(lambda: not node.manager.running)

    run(main)
    (line,) = (it.getMessage() for it in caplog.records if "ab.json" in it.getMessage())
    assert line.startswith(f"gauntlet {name}: part ab.json is not taken: it is")
    assert "\n" not in line
    assert len(line) < 600


@pytest.mark.parametrize("cause", [None, Cause.KILLED, Cause.FAILED])
def test_a_canary_that_the_machine_hindered_says_nothing_of_the_champion(
    tmp_path: Path, cluster: Cluster, cause: Cause | None
):
    cluster.crowned(A)
    task = CanaryTask(game=GAME, model=A, opponents=("heuristic",), number=0, games=16, seed=1)
    name = assigned(cluster, cluster.do(Enqueue(task=task, priority=90)).job or "")
    node = Node(tmp_path, cluster)
    node.launcher.full = cause is None

    async def main(group: asyncio.TaskGroup) -> None:
        if cause is None:
            node.manager.reconcile(cluster.state, group)
        else:
            (await node.started(group)).end(cause, "it broke")
        await asyncio.wait({node.manager.running[name].task})  # a pause takes no time
        failed = cause is Cause.FAILED
        assert (node.job(name).status, node.job(name).attempts) == ("queued", int(failed))
        assert [it.failed for it in cluster.learner().job_games] == [16] * failed

    run(main)


def test_the_pause_before_another_attempt_ends(tmp_path: Path, cluster: Cluster):
    """However patient the settings are: a pause that no command can say would end the node."""
    node = Node(tmp_path, cluster, jobs={"backoff_seconds": 3600, "attempts_max": 100})
    name = cluster.do(Enqueue(task=selfplay(), priority=50, attempts_max=100)).job or ""
    for _ in range(12):
        cluster.later(1e6)
        cluster.do(Fail(job=name, fence=cluster.leased(name), reason="it broke"))
    cluster.later(1e6)
    cluster.leased(name)

    async def main(group: asyncio.TaskGroup) -> None:
        (await node.started(group)).end(Cause.FAILED, "it broke")
        await until(lambda: not node.manager.running)
        assert node.job(name).not_before == cluster.now + 86_400

    run(main)


def test_a_node_ends_while_its_log_cannot_be_written(tmp_path: Path, cluster: Cluster):
    node = Node(tmp_path, cluster)
    assigned(cluster, cluster.queued(selfplay()))

    async def main(group: asyncio.TaskGroup) -> None:
        child = await node.started(group)
        node.consensus.refuses = lambda _: True
        child.end(Cause.FAILED, "it broke")
        await until(lambda: len(node.consensus.bodies) > 0)
        async with asyncio.timeout(STUCK_S):
            await node.manager.close(cluster.state)
        assert not node.manager.running

    run(main)


def test_a_node_that_ends_waits_for_a_write_that_can_come_and_not_for_one_that_cannot(tmp_path: Path, cluster: Cluster):
    ends: dict[str, float] = {}

    async def end(node: Node, trouble: str) -> None:
        async with asyncio.TaskGroup() as group:
            await node.started(group)
            began_s = asyncio.get_running_loop().time()
            await node.manager.close(cluster.state, lambda: trouble)
            ends[trouble] = asyncio.get_running_loop().time() - began_s

    for trouble in ("", "no majority"):
        assigned(cluster, cluster.queued(selfplay()))
        node = Node(tmp_path, cluster)
        node.consensus.slow_s = 20.0
        run_virtual(end(node, trouble))
    assert 20.0 <= ends[""] <= 20.0 + 2 * END_S
    assert ends["no majority"] <= 2 * END_S


def test_a_node_ends_although_a_process_does_not(tmp_path: Path, cluster: Cluster):
    node = Node(tmp_path, cluster)
    node.launcher.stuck = True
    name = assigned(cluster, cluster.queued(selfplay()))

    async def main(group: asyncio.TaskGroup) -> None:
        await node.started(group)
        await until(lambda: node.manager.running[name].child is not None)
        async with asyncio.timeout(STUCK_S):
            await node.manager.close(cluster.state)
        assert not node.manager.running

    run(main)


def test_a_job_is_granted_no_more_cores_than_the_node_has(tmp_path: Path, cluster: Cluster, caplog):
    node, name = Node(tmp_path, cluster), assigned(cluster, cluster.queued(training(parent=A), cores=64))

    async def main(group: asyncio.TaskGroup) -> None:
        child = await node.started(group)
        assert child.order.cores == 4
        assert b'"threads":4' in child.order.spec
        child.end(Cause.FAILED, "it broke")
        await until(lambda: not node.manager.running)

    run(main)
    assert f"{name} asks for 64 cores; it gets the 4 of this node" in caplog.text


class Inputs:
    """What a job needs, when it comes."""

    def __init__(self, error: str = "") -> None:
        self.error = error
        self.come = asyncio.Event()
        self.ended = ""

    async def ready(self, job: Job) -> None:
        try:
            await self.come.wait()
        finally:
            self.ended = job.id
        if self.error:
            raise LaunchError(self.error)


def test_a_job_starts_when_what_it_needs_is_here(tmp_path: Path, cluster: Cluster):
    node = Node(tmp_path, cluster)
    node.manager.inputs = inputs = Inputs()
    assigned(cluster, cluster.do(Enqueue(task=selfplay(), priority=50)).job or "")

    async def main(group: asyncio.TaskGroup) -> None:
        node.manager.reconcile(cluster.state, group)
        for _ in range(20):
            await asyncio.sleep(0)
        assert node.launcher.children == []
        inputs.come.set()
        (await node.started(group)).end(Cause.FAILED, "enough")
        await until(lambda: not node.manager.running)

    run(main)


def test_a_net_that_nobody_has_hinders_the_job_and_says_nothing_of_a_champion(tmp_path: Path, cluster: Cluster):
    cluster.crowned(A)
    task = CanaryTask(game=GAME, model=A, opponents=("heuristic",), number=0, games=16, seed=1)
    name = assigned(cluster, cluster.do(Enqueue(task=task, priority=90)).job or "")
    node = Node(tmp_path, cluster)
    node.manager.inputs = inputs = Inputs("net aaaa is on none of n2")
    inputs.come.set()

    async def main(group: asyncio.TaskGroup) -> None:
        node.manager.reconcile(cluster.state, group)
        await asyncio.wait({node.manager.running[name].task})
        job = node.job(name)
        assert (job.status, job.attempts, job.reason) == ("queued", 0, "net aaaa is on none of n2")
        assert node.launcher.children == []

    run(main)


def test_a_job_that_is_taken_away_while_its_inputs_come_stops_at_once(tmp_path: Path, cluster: Cluster):
    node = Node(tmp_path, cluster)
    node.manager.inputs = inputs = Inputs()
    name = assigned(cluster, cluster.do(Enqueue(task=selfplay(), priority=50)).job or "")

    async def main(group: asyncio.TaskGroup) -> None:
        node.manager.reconcile(cluster.state, group)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        cluster.do(HaltAll(by="a person", reason="enough"))
        node.manager.reconcile(cluster.state, group)
        await until(lambda: not node.manager.running)
        assert inputs.ended == name
        assert node.launcher.children == []
        assert node.job(name).status == "queued"

    run(main)
