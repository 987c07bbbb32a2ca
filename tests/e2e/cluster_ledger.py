"""What the nodes of a cluster have told of their common history, kept outside them, and what must hold of it.

Every replicated event has a name, `seq.index`, that is the same on every node and in every life. So one name has one
content for ever, and what was told once is told again by whoever still remembers that seq.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

Fact = Mapping[str, Any]
Place = tuple[int, int]  # seq, index
ENDS = {"WORK_COMPLETED": "succeeded", "WORK_CANCELLED": "cancelled", "WORK_FAILED": "failed", "WORK_LOST": "lost"}
STATUSES = {"WORK_QUEUED": "queued", "WORK_CLAIMED": "leased", "WORK_STARTED": "running", **ENDS}
TRIED_AGAIN = frozenset({"WORK_FAILED", "WORK_LOST"})  # with attempts left the job waits again
ENDED = frozenset(ENDS.values())
CROWNS = {"MODEL_PROMOTED": "model_sha256", "MODEL_ROLLED_BACK": "to_sha256"}
TYPES = (*STATUSES, *CROWNS, "TRAINING_COMPLETED", "EVALUATION_COMPLETED", "LOOP_HALTED", "LOOP_RESUMED")
MISSED = "EVENTS_MISSED"  # a node has taken a whole state over
SOURCE = "cluster"  # of what is replicated
HELP = frozenset({"part"})  # kinds of which a job that went with its node is over: who judges plays what is missing


@dataclass(frozen=True, slots=True)
class Standing:
    """A job as its latest event says."""

    place: Place
    kind: str
    status: str
    fence: int
    node: str


@dataclass(slots=True)
class Ledger:
    """Everything that was ever told or acknowledged, and the contradictions that were found on the way."""

    events: dict[Place, Fact] = field(default_factory=dict)
    jobs: dict[str, Standing] = field(default_factory=dict)
    offices: dict[int, str] = field(default_factory=dict)  # who led, by epoch
    acknowledged: int = 0  # the highest seq that was answered to a write
    faults: list[str] = field(default_factory=list)

    def note(self, node: str, row: Fact) -> str:
        """Enter an event as a node tells it; its type where it is news, else ""."""
        if row["source"] != SOURCE:
            return ""
        seq, _, index = row["event_id"].partition(".")
        place = int(seq), int(index)
        told = {name: row[name] for name in ("seq", "type", "timestamp", "payload")}
        known = self.events.setdefault(place, told)
        if known is not told:
            if known != told:
                self.faults.append(f"{node} tells event {row['event_id']} as {told}, it was told as {known}")
            return ""
        name = told["payload"].get("work_id")
        if name is not None and (name not in self.jobs or self.jobs[name].place < place):
            self.jobs[name] = standing_of(place, told, self.jobs.get(name))
        return str(told["type"])

    def in_office(self, node: str, epoch: int) -> None:
        """A node says that somebody leads in an epoch."""
        if self.offices.setdefault(epoch, node) != node:
            self.faults.append(f"epoch {epoch} has two leaders: {self.offices[epoch]} and {node}")

    def history(self) -> list[tuple[Place, Fact]]:
        """All events in their order."""
        return sorted(self.events.items(), key=lambda it: it[0])

    def active(self, kind: str = "") -> tuple[Standing, ...]:
        """The jobs that run, as far as was told."""
        return tuple(it for it in self.jobs.values() if it.status == "running" and kind in {"", it.kind})

    @property
    def reigns(self) -> dict[int, str]:
        """Champions by the seq of their reign."""
        return {place[0]: it["payload"][CROWNS[it["type"]]] for place, it in self.history() if it["type"] in CROWNS}

    def waiting(self) -> tuple[int, str] | None:
        """The seq of the latest verdict "passed" that no champion has come after, and the net."""
        found = None
        for (seq, _), told in self.history():
            if told["type"] in CROWNS:
                found = None
            elif told["type"] == "EVALUATION_COMPLETED" and told["payload"]["passed"]:
                found = seq, str(told["payload"]["model_sha256"])
        return found

    def inherited(self, net: str, epoch: int) -> bool:
        """Whether a net was promoted in a later office than that of an epoch."""
        crowned = [
            seq for (seq, _), told in self.events.items()
            if told["type"] == "MODEL_PROMOTED" and told["payload"]["model_sha256"] == net
        ]  # fmt: skip
        return any(epoch < later < seq for seq in crowned for later in self.offices)

    def ends(self) -> dict[str, dict[str, int]]:
        """How many jobs of each kind ended how, or have not ended."""
        found: dict[str, dict[str, int]] = {}
        for it in self.jobs.values():
            counts = found.setdefault(it.kind, {})
            end = it.status if it.status in ENDED else "open"
            counts[end] = counts.get(end, 0) + 1
        return found

    def count(self, name: str) -> int:
        """How many events of a type there were."""
        return sum(it["type"] == name for it in self.events.values())

    # ---- what must hold ----

    def unsound(self) -> list[str]:
        """What is wrong with the history itself; all of it must have been told."""
        history = self.history()
        return [
            *self.faults,
            *chain.from_iterable(life_faults(name, lived) for name, lived in lives(history).items()),
            *twice(history, "TRAINING_COMPLETED", "model_sha256"),
            *twice(history, "EVALUATION_COMPLETED", "job_id"),
            *twice(history, "MODEL_PROMOTED", "model_sha256"),
            *succession_faults(history),
        ]

    def differs(self, node: str, jobs: Mapping[str, Fact]) -> Iterator[str]:
        """What a node at rest says otherwise of the jobs that were told of, or says no more."""
        for name, told in sorted(self.jobs.items()):
            there = jobs.get(name)
            if there is None:
                yield f"{node} does not know job {name}, which was {told.status}"
            elif (there["status"], there["fence"]) != (told.status, told.fence):
                yield f"{node} says that {name} is {there['status']} (fence {there['fence']}); it was told to be {told}"

    def forgotten(self, node: str, rows: Iterable[Fact], since: int) -> Iterator[str]:
        """What was told and is not among all the events that a node remembers behind a seq, or says to have missed."""
        rows = list(rows)
        there = {row["event_id"] for row in rows}
        missed = [it["payload"] for it in rows if it["type"] == MISSED]
        for (seq, index), told in self.history():
            excused = seq <= since or any(it["first_seq"] <= seq <= it["last_seq"] for it in missed)
            if not excused and f"{seq}.{index}" not in there:
                yield f"{node} does not remember event {seq}.{index}: {told['type']} {told['payload']}"


def standing_of(place: Place, told: Fact, before: Standing | None) -> Standing:
    """What an event of a job makes of it."""
    payload, status = told["payload"], STATUSES[told["type"]]
    if told["type"] in TRIED_AGAIN and payload["attempts_left"]:
        status = "queued"
    fence = payload.get("fence") or (0 if before is None else before.fence)
    node = payload.get("node_id") or ("" if before is None else before.node)
    return Standing(place, payload["work_type"], status, fence, node)


def lives(history: Iterable[tuple[Place, Fact]]) -> dict[str, list[tuple[Place, Fact]]]:
    """The events of each job."""
    found: dict[str, list[tuple[Place, Fact]]] = {}
    for place, told in history:
        if (name := told["payload"].get("work_id")) is not None:
            found.setdefault(name, []).append((place, told))
    return found


def life_faults(name: str, lived: Iterable[tuple[Place, Fact]]) -> Iterator[str]:
    """A job ends once, at last, by whoever has its latest fence, and fences rise; only help may be lost for good."""
    standing: Standing | None = None
    for place, told in lived:
        what, payload = told["type"], told["payload"]
        if standing is None and what != "WORK_QUEUED":
            yield f"{name} begins with {what} at {place}"
        if standing is not None and standing.status in ENDED:
            yield f"{name} was {standing.status} at {standing.place}, then {what} at {place}"
        if standing is not None and what == "WORK_CLAIMED" and not standing.fence < payload["fence"] == place[0]:
            yield f"{name} got fence {payload['fence']} at {place} after {standing.fence}"
        if standing is not None and what == "WORK_STARTED" and payload["fence"] != standing.fence:
            yield f"{name} started under fence {payload['fence']} at {place}, assigned under {standing.fence}"
        if standing is not None and what == "WORK_COMPLETED" and payload["node_id"] != standing.node:
            yield f"{name} was completed by {payload['node_id']} at {place}, {standing.node} had it"
        standing = standing_of(place, told, standing)
        if what == "WORK_LOST" and (payload["work_type"] in HELP) != (standing.status == "lost"):
            yield f"{name} is {standing.status} after its node was lost at {place}"


def twice(history: Iterable[tuple[Place, Fact]], name: str, key: str) -> Iterator[str]:
    """What is there once at most, and was told twice."""
    seen: dict[str, Place] = {}
    for place, told in history:
        if told["type"] == name and seen.setdefault(told["payload"][key], place) != place:
            yield f"{name} of {told['payload'][key]} at {seen[told['payload'][key]]} and at {place}"


def succession_faults(history: Iterable[tuple[Place, Fact]]) -> Iterator[str]:
    """Each champion takes the place of the one before, and was judged to be better than that one."""
    champion: str | None = None
    passed: set[str] = set()
    for place, told in history:
        what, payload = told["type"], told["payload"]
        if what == "EVALUATION_COMPLETED" and payload["passed"]:
            passed.add(payload["model_sha256"])
        elif what == "MODEL_PROMOTED":
            if payload.get("supersedes") != champion:
                yield f"at {place} the champion {payload.get('supersedes')} was replaced, {champion} reigned"
            if payload["model_sha256"] not in passed:
                yield f"at {place} {payload['model_sha256']} became champion without having passed"
            champion, passed = payload["model_sha256"], set()
        elif what == "MODEL_ROLLED_BACK":
            if payload["from_sha256"] != champion:
                yield f"at {place} {payload['from_sha256']} was rolled back, {champion} reigned"
            champion, passed = payload["to_sha256"], set()
