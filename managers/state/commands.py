"""Commands: what can be asked of the state, as records and as bytes.

A command carries who asks and that one's running number, so that a repetition is recognised; the time is that of the
proposer's clock.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from managers.state.learners import DataCount
from managers.state.record import Address, ClusterId, Count, Digest, Game, Name, PublicKey, Record, Stem, Text, Time
from managers.state.tasks import GateForm, Outcome, Task

VERSION = 1  # of the commands; others change nothing
AT_MAX = 1e11  # unix seconds; the longest wait of a command after it is still a `Time` (1e12)


class Enqueue(Record):
    """A new job."""

    kind: Literal["enqueue"] = "enqueue"
    task: Task
    priority: Annotated[int, Field(ge=0, le=1000)]
    cores: Annotated[int, Field(ge=1, le=1024)] = 1
    attempts_max: Annotated[int, Field(ge=1, le=100)] = 3


class Assign(Record):
    """Lease a job to a node."""

    kind: Literal["assign"] = "assign"
    job: Name
    node: Name
    session: Count


class Start(Record):
    """The node has begun the job."""

    kind: Literal["start"] = "start"
    job: Name
    fence: Count


class Complete(Record):
    """The job is done; everything it made is stored."""

    kind: Literal["complete"] = "complete"
    job: Name
    fence: Count
    outcome: Outcome


class Fail(Record):
    """The job went wrong; None: another try would not help."""

    kind: Literal["fail"] = "fail"
    job: Name
    fence: Count
    reason: Text
    retry_after_s: Annotated[float, Field(ge=0, le=1e6)] | None = 5.0


class Release(Record):
    """The node gives the job back, nobody is to blame."""

    kind: Literal["release"] = "release"
    job: Name
    fence: Count
    reason: Text


class Cancel(Record):
    """Nobody wants the job any more."""

    kind: Literal["cancel"] = "cancel"
    job: Name
    reason: Text


class Found(Record):
    """Give the cluster its id, once and for all."""

    kind: Literal["found"] = "found"
    cluster_id: ClusterId


class Join(Record):
    """A node begins a life; what an earlier one had leased is lost."""

    kind: Literal["join"] = "join"
    node: Name
    session: Annotated[int, Field(ge=1, lt=1 << 62)]
    cores: Count
    gpus: Count = 0
    memory_bytes: Count = 0
    public_key: PublicKey = ""
    addresses: Annotated[tuple[Address, ...], Field(max_length=8)] = ()
    raft_address: Address | Literal[""] = ""
    spot: bool = False
    protocol: Count = 0
    rules: Name | Literal[""] = ""


class Expire(Record):
    """A node has not renewed its lease: what it had is lost."""

    kind: Literal["expire"] = "expire"
    node: Name
    session: Count


class Drain(Record):
    """Give a node no new jobs, or again."""

    kind: Literal["drain"] = "drain"
    node: Name
    draining: bool = True


class Leave(Record):
    """A node is no member any more."""

    kind: Literal["leave"] = "leave"
    node: Name


class TakeRole(Record):
    """Take a role or hold it for longer."""

    kind: Literal["take_role"] = "take_role"
    role: Name
    node: Name
    session: Count
    lease_s: Annotated[float, Field(gt=0, le=86_400)]
    term: Count = 0  # of the election that gives it; a later one ends the leases of earlier ones


class YieldRole(Record):
    """Give a role back."""

    kind: Literal["yield_role"] = "yield_role"
    role: Name
    node: Name
    session: Count


class SetVoters(Record):
    """Which members agree on the state; nobody: a cluster of one."""

    kind: Literal["set_voters"] = "set_voters"
    voters: Annotated[tuple[Name, ...], Field(max_length=7)]


class CountData(Record):
    """What a node has ever had of a configuration."""

    kind: Literal["count_data"] = "count_data"
    game: Game
    node: Name
    count: DataCount


class Qualify(Record):
    """The first games of a gauntlet against the champion."""

    kind: Literal["qualify"] = "qualify"
    job: Name
    fence: Count
    games: Annotated[int, Field(ge=1)]
    wins: Count


class Judge(Record):
    """Queue the gauntlet of a candidate (again): its first one was given up, or the champion has changed."""

    kind: Literal["judge"] = "judge"
    game: Game
    candidate: Digest
    seed: Annotated[int, Field(ge=0, lt=1 << 62)]
    form: GateForm


class AddNet(Record):
    """A net that a person brings."""

    kind: Literal["add_net"] = "add_net"
    game: Game
    sha256: Digest
    size_bytes: Annotated[int, Field(ge=1)]
    version: Count
    parent: Digest | None
    evaluations: Count = 0
    samples_total: Count = 0


class Promote(Record):
    """Make a candidate champion in the place of `expected`."""

    kind: Literal["promote"] = "promote"
    game: Game
    candidate: Digest
    expected: Digest | None
    how: Literal["gate", "manual"]
    evidence: Stem | None = None
    reason: Text


class RollBack(Record):
    """Make a former champion champion again in the place of `expected`."""

    kind: Literal["roll_back"] = "roll_back"
    game: Game
    expected: Digest
    to: Digest
    trigger: Literal["manual", "auto_elo", "auto_error"]
    reason: Text
    metrics: dict[Name, float | None] = Field(default_factory=dict)


class HoldRollbacks(Record):
    """Automatic rollbacks stand still until a person has looked; "" ends that."""

    kind: Literal["hold_rollbacks"] = "hold_rollbacks"
    game: Game
    reason: Text


class HaltAll(Record):
    """Stop everything."""

    kind: Literal["halt"] = "halt"
    by: Name
    reason: Text


class ResumeAll(Record):
    """Go on."""

    kind: Literal["resume"] = "resume"
    by: Name


Body = Annotated[
    Enqueue | Assign | Start | Complete | Fail | Release | Cancel | Found | Join | Expire | Drain | Leave
    | TakeRole | YieldRole | SetVoters | CountData | Qualify | Judge | AddNet | Promote | RollBack | HoldRollbacks
    | HaltAll | ResumeAll,
    Field(discriminator="kind"),
]  # fmt: skip


class Command(Record):
    """One command of one client."""

    version: int = VERSION
    client: Name
    sequence: Annotated[int, Field(ge=1, lt=1 << 62)]
    at: Annotated[Time, Field(lt=AT_MAX)]
    epoch: Count | None = None  # of the leader that decided this; refused once there is another one
    body: Body


_COMMAND = TypeAdapter(Command)


def encode(command: Command) -> bytes:
    """The bytes of a command, JSON."""
    return command.model_dump_json().encode()


def decode(content: bytes) -> Command:
    """The command in some bytes; pydantic's ValidationError, a ValueError, when they hold none."""
    return _COMMAND.validate_json(content)
