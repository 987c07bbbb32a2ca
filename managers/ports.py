"""What managers need of the world, as small Protocols; whoever offers it lives elsewhere."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from ringrift_core.errors import RingriftError, RulesError

if TYPE_CHECKING:
    from managers.state.jobs import Job

S_co = TypeVar("S_co", covariant=True)  # the replicated state, an immutable value
R_co = TypeVar("R_co", covariant=True)  # what applying one body gives to its proposer
JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")  # also the name of files
Report = dict[str, object]  # one JSON line of a job, with at least a text "event" (docs/formats/job.md)


class BusyError(RingriftError):
    """Too many proposals wait already; nothing of this one was kept, so it may be tried again."""


class Consensus(Protocol[S_co, R_co]):
    """One replicated state, changed by bodies of bytes that everybody applies in the same order."""

    @property
    def state(self) -> S_co:
        """The latest state that was applied here."""

    @property
    def version(self) -> int:
        """How many bodies have been applied to make `state`, since the log began."""

    async def propose(self, body: bytes, timeout_s: float) -> R_co:
        """Bring a body into the log; its result, once it is durable and applied here.

        RulesError for a body that is too large, BusyError when too many wait, StorageError when it could not be made
        durable. After a TimeoutError, a cancellation or a StorageError it may still come to be applied, or not.
        """

    async def changed(self, version: int, timeout_s: float) -> int:
        """Wait until the version is past the given one, at most so long; the version then, past it or not."""


class LedConsensus(Consensus[S_co, R_co], Protocol[S_co, R_co]):
    """The consensus of a node: also who leads it and what is wrong with it."""

    @property
    def term_led(self) -> int | None:
        """The term in which this node leads, 0 where there is nobody else; None while another one leads, or nobody."""

    @property
    def trouble(self) -> str:
        """Why the state cannot be written to; "" as far as is known."""

    def on_applied(self, listener: Callable[[S_co, S_co, R_co], None]) -> None:
        """Call it with the states before and after and the result of each body that is applied from now on."""

    def on_jump(self, listener: Callable[[int, S_co, S_co], None]) -> None:
        """Call it with version and state before, and the state after, when a state is installed in its place."""


class ProbeError(RingriftError):
    """Another node cannot be asked how it is, or what it says cannot be understood."""


@dataclass(frozen=True, slots=True)
class ProbedHealth:
    """What another node says of itself."""

    status: str  # ok, halted, failing
    reasons: tuple[str, ...] = ()  # why it fails
    degraded: tuple[str, ...] = ()  # what it can do without for a while


class NodeProbe(Protocol):
    """Asks other nodes how they are."""

    async def health(self, node: str, timeout_s: float) -> ProbedHealth:
        """What a node says; ProbeError when it cannot be asked or says nothing in time."""


class LaunchError(RingriftError):
    """The machine cannot start another process; the job itself may be sound."""


class JobInputs(Protocol):
    """Brings here what a job needs and other nodes have."""

    async def ready(self, job: "Job") -> None:
        """Return when everything is here. LaunchError when something cannot be brought: which, and from whom."""


class NothingToBring:
    """The inputs of a node that has everything."""

    async def ready(self, job: "Job") -> None:
        """At once."""


class Cause(StrEnum):
    """Why a job's process ended. When we end it, the first reason counts."""

    DONE = "done"  # by itself with exit code 0; what it did stands in its reports
    FAILED = "failed"  # another exit code, or it crashed
    STOPPED = "stopped"  # `stop` was called
    MEMORY = "memory"  # over its memory
    HANG = "hang"  # no sign of work for too long
    KILLED = "killed"  # a signal that we did not send: a person, or the system short of memory


@dataclass(frozen=True, slots=True)
class Order:
    """A job to be run here. RulesError when the name cannot be one or a number is none."""

    name: str
    fence: int  # the fencing token of this attempt
    kind: str  # selfplay, training, ...
    spec: bytes  # JSON
    folder: Path  # of this job alone; what it holds outlives the process
    cores: int = 1
    gpu: int | None = None  # number of the device among those that this node sees
    memory_bytes_max: int | None = None  # of all its processes together

    def __post_init__(self) -> None:
        if not JOB_NAME.fullmatch(self.name):
            raise RulesError(f"{self.name[:120]!r} is no name of a job: write letters, digits, '-', '_' and '.'")
        if self.cores < 1 or self.fence < 0 or (self.gpu or 0) < 0 or (self.memory_bytes_max or 1) < 1:
            raise RulesError(f"job {self.name}: cores, fence, gpu or memory are out of range")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job's process ended."""

    cause: Cause
    code: int | None  # exit code, None when a signal ended it
    signal: int | None
    error: str  # one or a few lines for a person; empty for DONE and STOPPED
    cpu_s: float  # of all its processes that were waited for


@dataclass(frozen=True, slots=True)
class Usage:
    """What a job takes now, as last sampled."""

    rss_bytes: int  # of all its processes; shared pages count more than once
    cpu_s: float  # of all its processes, of those that have ended where known; never falls
    silent_s: float  # since the last sign of work


@dataclass(frozen=True, slots=True)
class Leftover:
    """A job of an earlier life of this node whose processes were still there."""

    name: str
    fence: int
    pids: tuple[int, ...]
    ended: bool  # False: they could not be ended


class Child(Protocol):
    """A job's process."""

    @property
    def name(self) -> str:
        """Of the job."""

    @property
    def pid(self) -> int:
        """Of its first process; meaningful until it has ended."""

    def reports(self) -> AsyncIterator[Report]:
        """What it reports, in order, to one reader; ends after the process.

        Of `progress` and `alive` only the newest unread one is kept. When too many others are unread, the job waits
        for its reader.
        """

    async def wait(self) -> Ending:
        """How it ended. No process of the job is left by then, and every report is there to be read."""

    async def stop(self, grace_s: float) -> None:
        """Ask it to end, end it after `grace_s`; returns when it has ended, or cannot be ended."""

    def usage(self) -> Usage:
        """What it takes now."""


class Launcher(Protocol):
    """Starts jobs."""

    async def start(self, order: Order) -> Child:
        """Start a job. StorageError when its files cannot be written, LaunchError when no process can be started.

        RulesError when the order asks for what is not here. A start that is cancelled leaves no process.
        """

    async def sweep(self) -> list[Leftover]:
        """End what jobs of earlier lives of this node have left; to be called before the first start."""
