"""Faults around a running loop: each is told in words that name what to do, and the rest goes on."""

import asyncio
import errno
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from config.environment import process_environment
from config.schema import Settings
from managers.launcher import LauncherSettings, LocalLauncher
from managers.node_folder import NodeFolder
from managers.own_record import OwnRecord
from managers.pipeline import Pipeline
from managers.ports import Report
from managers.runtime.event_router import EventRouter
from managers.state import DiskFiles, DurableLog, LocalConsensus
from managers.state.commands import AddNet, HaltAll, Promote, ResumeAll
from managers.state.jobs import Job, JobStatus
from managers.state.log_files import DiskFile
from managers.state.machine import StateMachine
from managers.steady_clock import SteadyClock
from ringrift_core.registry import ModelRegistry
from ringrift_core.registry.model_files import digest_of
from ringrift_core.selfplay.shard import write_shard
from ringrift_core.storage import TEMPORARY
from tests.e2e.loop_process import GAME, tiny
from tests.played_games import played_games, shard_head
from tests.unit.registry.nets import saved_net

DEADLINE_S = 120.0
POLL_S = 0.05
OTHER = "square8_2p"
NO_TORCH = "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n"


@dataclass
class World:
    """What a test may change under a running node."""

    environment: Mapping[str, str] = field(default_factory=process_environment)
    speed: float = 1.0  # of the clock by which jobs are watched
    wall: Callable[[], float] = time.time
    disk_full: bool = False  # for the log
    reports: list[tuple[str, Report]] = field(default_factory=list)
    _then: float = field(default_factory=time.monotonic)
    _watched: float = 0.0

    def watch(self) -> float:
        """Monotonic seconds that pass as fast as somebody wants."""
        now = time.monotonic()
        self._watched += self.speed * (now - self._then)
        self._then = now
        return self._watched

    def heard(self, job: str, event: str = "progress") -> int:
        """How often a job has reported something."""
        return sum(it == job and report["event"] == event for it, report in self.reports)


class FullFile(DiskFile):
    """A file on a disk that is full at times."""

    world: World

    def write(self, offset: int, content: bytes) -> None:
        """As much as fits."""
        if self.world.disk_full:
            super().write(offset, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(offset, content)


class FullFiles(DiskFiles):
    """A folder on such a disk."""

    def __init__(self, folder: Path, world: World) -> None:
        super().__init__(folder)
        self._file = type("File", (FullFile,), {"world": world})

    def create(self, name: str) -> DiskFile:
        """Make a file."""
        handle = os.open(f"{self.where}/{name}", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        made: DiskFile = self._file(handle)
        return made


@asynccontextmanager
async def node(settings: Settings, world: World, session: int = 1) -> AsyncIterator[Pipeline]:
    """As p2p/orchestrator.py puts a node together, in a world that can be changed."""
    folder = NodeFolder(settings.node.data_dir)
    watch = LauncherSettings(hang_s=settings.jobs.hang_seconds, stop_s=settings.jobs.stop_seconds, sample_s=0.5)

    def on_report(job: Job, report: Report) -> None:
        world.reports.append((job.id, report))

    consensus = LocalConsensus(StateMachine(), DurableLog(FullFiles(folder.log, world)))
    launcher = LocalLauncher(
        folder.jobs, folder.logs / "jobs", watch, environment=world.environment, monotonic=world.watch
    )
    async with consensus:
        clock = SteadyClock(at_least=consensus.state.now, wall=world.wall)
        async with (
            EventRouter(settings.node.node_id, str(session), clock) as router,
            launcher,
            Pipeline(
                settings, consensus, launcher, folder, clock, own=OwnRecord(session=session), router=router
            ) as pipeline,
        ):
            pipeline.report_listeners.append(on_report)
            yield pipeline


async def until(true: Callable[[], Any]) -> Any:
    """Wait for something and return it."""
    async with asyncio.timeout(DEADLINE_S):
        while not (found := true()):  # noqa: ASYNC110 - not everything that is waited for can tell
            await asyncio.sleep(POLL_S)
        return found


def jobs(pipeline: Pipeline, *statuses: JobStatus, kind: str = "selfplay") -> list[Job]:
    """The jobs of a kind."""
    state = pipeline.consensus.state
    every = (*state.jobs.active.values(), *state.jobs.finished.values())
    return [job for job in every if job.kind == kind and (not statuses or job.status in statuses)]


def pid_of(pipeline: Pipeline, job: str) -> int:
    """The process of a job; 0 while there is none."""
    running = pipeline.jobs.running.get(job)
    return 0 if running is None or running.child is None else running.child.pid


def waits(pipeline: Pipeline, what: str) -> str:
    """What is waited for."""
    return "; ".join(wait.why for wait in pipeline.waits if wait.what == what)


def test_a_hanging_child_is_replaced_while_the_others_go_on(tmp_path: Path):
    world = World()

    async def run() -> None:
        endless = {"selfplay.bootstrap_games": 1_000_000}  # nothing else wants a core and ends a selfplay job
        settings = tiny(tmp_path, {"jobs.hang_seconds": 60.0, "jobs.stop_seconds": 1.0, "node.cores": 2, **endless})
        async with node(settings, world) as pipeline:
            await until(lambda: len(jobs(pipeline, JobStatus.RUNNING)) == 2)
            hanging, other = (job.id for job in jobs(pipeline, JobStatus.RUNNING))
            await until(lambda: world.heard(hanging) and world.heard(other))
            pid, others_pid, heard = pid_of(pipeline, hanging), pid_of(pipeline, other), world.heard(other)
            os.kill(pid, signal.SIGSTOP)
            world.speed = 5.0
            (job,) = await until(lambda: [job for job in jobs(pipeline) if job.attempts])
            assert job.id == hanging
            assert "no sign of work for 60 seconds (jobs.hang_seconds)" in job.reason
            world.speed = 1.0
            await until(lambda: pid_of(pipeline, hanging) not in {0, pid})
            await until(lambda: world.heard(other) > heard)
            assert pid_of(pipeline, other) == others_pid
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)

    asyncio.run(run())


def test_a_child_over_its_memory_is_ended_by_name_of_the_setting_and_rests(tmp_path: Path):
    world = World()
    settings = tiny(tmp_path, {"jobs.memory_gb_max.selfplay": 0.001, "jobs.attempts_max": 2})

    async def run() -> None:
        async with node(settings, world) as pipeline:
            (job,) = await until(lambda: jobs(pipeline, JobStatus.FAILED))
            assert "more than the 0.00 GB that jobs.memory_gb_max.selfplay allows: raise it" in job.reason
            assert job.attempts == 2
            why = await until(lambda: waits(pipeline, "selfplay"))
            assert "jobs.memory_gb_max.selfplay" in why
            assert "tried again in" in why
            answer = await pipeline.proposer("person").propose(HaltAll(by="person", reason="looks"))
            assert answer.accepted
            assert jobs(pipeline) == [job]

    asyncio.run(run())


def test_without_torch_training_says_so_and_the_other_selfplay_goes_on(tmp_path: Path):
    stand_in = tmp_path / "stand_in" / "torch"
    stand_in.mkdir(parents=True)
    (stand_in / "__init__.py").write_text(NO_TORCH)
    paths = os.pathsep.join([str(stand_in.parent), *process_environment().get("PYTHONPATH", "").split(os.pathsep)])
    world = World(environment={**process_environment(), "PYTHONPATH": paths})
    settings = tiny(
        tmp_path, {"node.cores": 2, "games": (GAME, OTHER), "selfplay.bootstrap_games": 16, "jobs.attempts_max": 1}
    )
    made_at = datetime(2026, 1, 31, tzinfo=UTC)
    write_shard(NodeFolder(tmp_path).shards(GAME), played_games(GAME, 16, 1), shard_head(GAME, created_at=made_at))

    async def run() -> None:
        async with node(settings, world) as pipeline:
            (job,) = await until(lambda: jobs(pipeline, JobStatus.FAILED, kind="training"))
            assert "torch is not installed; install it" in job.reason
            assert "torch is not installed" in await until(lambda: waits(pipeline, "training"))
            (other,) = await until(lambda: [job.id for job in jobs(pipeline, JobStatus.RUNNING) if job.game == OTHER])
            heard = world.heard(other)
            await until(lambda: world.heard(other) > heard)

    asyncio.run(run())


def test_on_a_full_disk_no_job_begins_and_the_loop_answers_until_there_is_room(tmp_path: Path, monkeypatch):
    disk = SimpleNamespace(free=1, total=10**12)
    monkeypatch.setattr("managers.resource_watch.shutil.disk_usage", lambda _path: disk)
    world = World()

    async def run() -> None:
        async with node(tiny(tmp_path, {"node.disk_floor_gb": 2.0}), world) as pipeline:
            why = await until(lambda: waits(pipeline, "jobs"))
            assert "disk: 0.0 GB are free, node.disk_floor_gb wants 2: free some space" in why
            for body in (HaltAll(by="person", reason="looks"), ResumeAll(by="person")):
                assert (await pipeline.proposer("person").propose(body)).accepted
            disk.free = 10**12
            await until(lambda: jobs(pipeline, JobStatus.RUNNING))
            assert not waits(pipeline, "jobs")

    asyncio.run(run())


def test_shards_that_cannot_be_counted_are_told_and_counted_later(tmp_path: Path):
    """An index that no program can read, in the place of the one of this node."""
    settings = tiny(tmp_path, {"node.disable_local_tasks": True})
    folder = NodeFolder(tmp_path)
    write_shard(
        folder.shards(GAME), played_games(GAME, 16, 1), shard_head(GAME, created_at=datetime(2026, 1, 31, tzinfo=UTC))
    )
    folder.shard_index.mkdir()

    async def run() -> None:
        async with node(settings, World()) as pipeline:
            assert "shards.sqlite" in await until(lambda: waits(pipeline, "data"))
            folder.shard_index.rmdir()
            await until(lambda: pipeline.consensus.state.learner(GAME).total.games == 16)
            assert pipeline.supervisor.status()["DATA_COUNTER"].restarts == 0

    asyncio.run(run())


def test_a_log_that_cannot_be_written_makes_commands_wait(tmp_path: Path, caplog):
    world = World()

    async def run() -> None:
        async with node(tiny(tmp_path, {"node.disable_local_tasks": True}), world) as pipeline:
            world.disk_full = True
            halting = asyncio.create_task(pipeline.proposer("person").propose(HaltAll(by="person", reason="looks")))
            await until(lambda: any("cannot be written" in record.message for record in caplog.records))
            assert not halting.done()
            assert pipeline.consensus.state.halt is None
            world.disk_full = False
            assert (await halting).accepted
            assert pipeline.consensus.state.halt is not None

    asyncio.run(run())
    assert "No space left on device" in caplog.text


def test_a_wall_clock_that_jumps_changes_nothing(tmp_path: Path):
    now = [1.8e9]
    world = World(wall=lambda: now[0])
    settings = tiny(tmp_path, {"node.disable_local_tasks": True})

    async def halt_and_resume(session: int) -> float:
        async with node(settings, world, session) as pipeline:
            for body, jump_s in ((HaltAll(by="person", reason="looks"), 1e8), (ResumeAll(by="person"), -3e8)):
                now[0] += jump_s
                assert (await pipeline.proposer("person").propose(body)).accepted
            return pipeline.consensus.state.now

    first = asyncio.run(halt_and_resume(1))
    assert 1.8e9 <= first < 1.8e9 + DEADLINE_S
    assert first <= asyncio.run(halt_and_resume(2)) < first + DEADLINE_S  # the clock stands years back by then


def test_a_node_that_ends_gives_its_jobs_back_unharmed(tmp_path: Path):
    async def run() -> None:
        async with node(tiny(tmp_path, {"node.cores": 2}), World()) as pipeline:
            await until(lambda: len(jobs(pipeline, JobStatus.RUNNING)) == 2)
        assert [(job.status, job.losses) for job in jobs(pipeline)] == [(JobStatus.QUEUED, 0)] * 2
        async with node(tiny(tmp_path, {"node.cores": 2}), World(), 2) as pipeline:
            assert [job.losses for job in jobs(pipeline)] == [0, 0]

    asyncio.run(run())


def test_what_a_killed_writer_left_in_the_registry_is_taken_away_at_the_start(tmp_path: Path):
    settings = tiny(tmp_path, {"node.disable_local_tasks": True})
    registry = ModelRegistry(NodeFolder(tmp_path).models)
    registry.block("ab" * 32, "so that there is an index", datetime(2026, 1, 31, tzinfo=UTC))
    left = registry.files.blob("cd" * 32).with_name(f"{TEMPORARY}left")
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half a net")
    assert [finding.path for finding in registry.check()] == [left]

    async def run() -> None:
        async with node(settings, World()):
            assert registry.check() == ()

    asyncio.run(run())


def test_a_flipped_byte_in_a_canonical_file_is_reported_and_left_alone(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("managers.pipeline.CHECK_S", 0.1)
    settings, folder = tiny(tmp_path, {"node.disable_local_tasks": True}), NodeFolder(tmp_path)
    (tmp_path / "nets").mkdir()
    net = saved_net(tmp_path / "nets", 1)
    registry = ModelRegistry(folder.models)
    version = registry.register(net.path, datetime(2026, 1, 31, tzinfo=UTC))
    canonical = registry.files.canonical(version.key)

    async def run() -> None:
        async with node(settings, World()) as pipeline:
            added = AddNet(game=GAME, sha256=net.sha256, size_bytes=version.size_bytes, version=1, parent=None)
            crown = Promote(game=GAME, candidate=net.sha256, expected=None, how="manual", reason="first")
            for body in (added, crown):
                assert (await pipeline.proposer("person").propose(body)).accepted
            await until(lambda: digest_of(canonical) == net.sha256)
            damaged = bytearray(canonical.read_bytes())
            damaged[len(damaged) // 2] ^= 1
            canonical.write_bytes(damaged)
            (finding,) = await until(lambda: pipeline.standing.findings)
            assert finding.what == "damaged"
            assert f"the champion is {net.sha256[:16]}; it is installed again in" in finding.text
            assert canonical.read_bytes() == damaged

    asyncio.run(run())
