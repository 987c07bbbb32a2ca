"""The whole replicated state, what changed in it, and the answer to a command."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from managers.state.jobs import Jobs
from managers.state.learners import Learner
from managers.state.members import LEADER, Halt, Member, Role
from managers.state.record import ClusterId, Count, Name, Record, Text, Time


class What(StrEnum):
    """The kinds of transitions."""

    JOB_QUEUED = "job_queued"
    JOB_LEASED = "job_leased"
    JOB_STARTED = "job_started"
    JOB_SUCCEEDED = "job_succeeded"
    JOB_FAILED = "job_failed"  # for good
    JOB_RETRIED = "job_retried"  # an attempt failed, the job is queued again
    JOB_RELEASED = "job_released"
    JOB_CANCELLED = "job_cancelled"
    JOB_LOST = "job_lost"  # with its node; queued again, or given up
    DATA_COUNTED = "data_counted"
    CANDIDATE_ADDED = "candidate_added"
    CURRENT_CHANGED = "current_changed"
    CHAMPION_PROMOTED = "champion_promoted"
    CHAMPION_ROLLED_BACK = "champion_rolled_back"
    ROLLBACKS_HELD = "rollbacks_held"
    HALTED = "halted"
    RESUMED = "resumed"
    MEMBER_JOINED = "member_joined"
    MEMBER_CHANGED = "member_changed"
    MEMBER_LEFT = "member_left"
    ROLE_CHANGED = "role_changed"
    VOTERS_CHANGED = "voters_changed"


class Transition(Record):
    """One thing that changed; the details stand in the state that the command left."""

    what: What
    job: Name | None = None
    game: Name | None = None
    node: Name | None = None


class Result(Record):
    """The answer to a command."""

    accepted: bool
    seq: Count  # of the state after the command
    reason: Text = ""  # why it was refused
    job: Name | None = None  # the job that it queued
    transitions: tuple[Transition, ...] = ()


class Answered(Record):
    """The latest command of a client and the answer to it."""

    sequence: Count
    result: Result  # without its transitions: they happened once


class ClusterState(Record):
    """What everybody knows."""

    form: str = "ringrift.state/1"
    seq: Count = 0  # accepted commands: fences, epochs and reigns are seqs
    cluster_id: ClusterId | Literal[""] = ""  # "": not founded yet
    now: Time = 0.0  # the latest time that a command bore
    jobs: Jobs = Jobs()
    learners: dict[str, Learner] = Field(default_factory=dict)  # by config key
    members: dict[str, Member] = Field(default_factory=dict)
    roles: dict[str, Role] = Field(default_factory=dict)
    voters: tuple[Name, ...] = ()  # who should agree on the state; none in a cluster of one
    halt: Halt | None = None
    answered: dict[str, Answered] = Field(default_factory=dict)  # by client

    def learner(self, game: str) -> Learner:
        """What is learned of a configuration; empty where nothing is yet."""
        return self.learners.get(game) or Learner(game=game)

    @property
    def epoch(self) -> int:
        """The seq at which the leader took office; 0 before the first one."""
        office = self.roles.get(LEADER)
        return 0 if office is None else office.seq
