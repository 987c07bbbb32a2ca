"""Sightings: what the leader last heard of each node. Pure: times are arguments.

A node tells with every heartbeat how it is; only the latest word of its latest session counts. The leader's own word is
not here: it knows itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from managers.gauntlet_parts import Ahead
from managers.job_progress import JobWord
from managers.line import one_line
from managers.resource_watch import Resources
from managers.state.cluster_state import ClusterState
from managers.state.jobs import Job
from managers.state.members import MEMBERS_MAX, Member
from managers.state.record import Count, Digest, Game, Name, Record
from managers.status_records import NodeResources, Versions
from managers.versions import PRESENT, PROTOCOL_OLDEST

WORDS_MAX = 200  # characters of what a node says
JOBS_MAX = 256  # that a node tells of
CHAMPIONS_MAX = 64
SECONDS_MAX = 1e6
Seconds = Annotated[float, Field(ge=-SECONDS_MAX, le=SECONDS_MAX)]


class RunningJob(Record):
    """A job that a node runs."""

    job: Name
    fence: Count
    ahead: Ahead = ()  # of a gauntlet: chunks that it does not play now and will need
    word: JobWord = JobWord()


class NodeReport(Record):
    """What a node tells the leader of itself."""

    session: Count
    versions: Versions
    resources: NodeResources | None = None  # None: not looked yet
    jobs: Annotated[tuple[RunningJob, ...], Field(max_length=JOBS_MAX)] = ()
    manifest: Annotated[str, Field(max_length=128)] = ""  # root of what it holds
    champions: Annotated[dict[Game, Digest], Field(max_length=CHAMPIONS_MAX)] = Field(default_factory=dict)  # installed
    round_trip_s: Seconds | None = None  # of its heartbeat before
    clock_ahead_s: Seconds | None = None  # of its clock before the leader's, by that one


@dataclass(frozen=True, slots=True)
class Sighting:
    """A report and when it came, in monotonic seconds."""

    report: NodeReport
    at: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of nodes at a moment, for rows of a status."""

    sightings: Mapping[str, Sighting] = field(default_factory=dict)
    unfit: Mapping[str, str] = field(default_factory=dict)
    at: float = 0.0  # monotonic seconds
    silent_s: Mapping[str, float] = field(default_factory=dict)  # nodes that are not heard, and for how long
    games_per_h: Mapping[str, float | None] = field(default_factory=dict)  # by node, as counted here

    def heard_ago_s(self, node: str) -> float | None:
        """Seconds since a node was last heard; None where that is not known."""
        if node in self.silent_s or node not in self.sightings:
            return self.silent_s.get(node)
        return max(0.0, self.at - self.sightings[node].at)


NOTHING = Seen()


class Sightings:
    """The latest reports by node; as many as there may be members."""

    def __init__(self) -> None:
        self._latest: dict[str, Sighting] = {}

    @property
    def latest(self) -> Mapping[str, Sighting]:
        """By node."""
        return MappingProxyType(self._latest)

    def heard(self, node: str, report: NodeReport, at: float) -> bool:
        """Take a report; False for one of a session that is over, or where there are too many nodes."""
        known = self._latest.get(node)
        if known is not None and known.report.session > report.session:
            return False
        if known is None and len(self._latest) >= MEMBERS_MAX:
            return False
        self._latest[node] = Sighting(report, at)
        return True

    def ahead(self, state: ClusterState) -> Mapping[str, Ahead]:
        """What nodes tell of the gauntlets that they have now, by job."""
        return {job.id: told.ahead for job, told in self._running(state) if job.kind == "gauntlet"}

    def words(self, state: ClusterState) -> Mapping[str, JobWord]:
        """What nodes tell of the jobs that they have now, by job."""
        return {job.id: told.word for job, told in self._running(state)}

    def _running(self, state: ClusterState) -> Iterator[tuple[Job, RunningJob]]:
        for node, sighting in self._latest.items():
            for told in sighting.report.jobs:
                job = state.jobs.active.get(told.job)
                if job is not None and (job.node, job.fence) == (node, told.fence):
                    yield job, told

    def keep(self, members: Iterable[str]) -> None:
        """Forget all but these."""
        kept = set(members)
        self._latest = {node: it for node, it in self._latest.items() if node in kept}

    def seen(self, state: ClusterState, at: float) -> Seen:
        """All of it, at a moment."""
        return Seen(dict(self._latest), self.unfit(state), at)

    def unfit(self, state: ClusterState) -> Mapping[str, str]:
        """Members that should get no jobs for what they are or say, and why."""
        found = {member.node: self._why(member) for member in state.members.values()}
        return {node: why for node, why in found.items() if why}

    def _why(self, member: Member) -> str:
        sighting = self._latest.get(member.node)
        if sighting is not None and sighting.report.session == member.session:
            versions, resources = sighting.report.versions, sighting.report.resources
            protocol, rules = versions.protocol, versions.rules
            hindered = "" if resources is None else resources.unfit
        else:
            protocol, rules, hindered = member.protocol or PROTOCOL_OLDEST, member.rules, ""
        if protocol < PROTOCOL_OLDEST:
            return f"speaks protocol {protocol}, {PROTOCOL_OLDEST} is the oldest that is understood: update it"
        if rules and rules != PRESENT.rules:
            return f"plays by other rules ({rules[:12]}, here {PRESENT.rules[:12]}): update it"
        return hindered


def short(found: Resources | None) -> NodeResources | None:
    """What a node tells of its machine."""
    if found is None:
        return None
    return NodeResources(
        cpu_percent=found.cpu_percent,
        memory_free_bytes=found.memory_free_bytes,
        memory_bytes=found.memory_bytes,
        disk_free_bytes=found.disk_free_bytes,
        disk_bytes=found.disk_bytes,
        gpus=found.gpus.usable,
        unfit=one_line(found.unfit)[:WORDS_MAX],
    )
