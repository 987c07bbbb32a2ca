"""A commanded state and the events that its transitions are told as."""

from managers.event_source import events_of
from managers.runtime.event import Event
from managers.state import commands as asked
from managers.state.cluster_state import Result, What
from managers.state.learners import DataCount
from managers.state.tasks import GateForm
from tests.commanded import (
    GAME,
    Commanded,
    canary,
    canary_outcome,
    digest,
    gauntlet_outcome,
    promotion,
    rollback,
    selfplay,
    selfplay_outcome,
    training,
)

A, B, C, D = map(digest, range(10, 14))


class Told(Commanded):
    """Keeps the events of every command, and the kinds of transitions that there were."""

    def __init__(self) -> None:
        super().__init__()
        self.events: tuple[Event, ...] = ()  # of the last command
        self.every: list[Event] = []
        self.whats: set[What] = set()

    def send(self, command: asked.Command) -> Result:
        """One command as it is."""
        before = self.state
        result = super().send(command)
        self.events = events_of(before, self.state, result)
        self.every += self.events
        self.whats |= {it.what for it in result.transitions}
        return result

    def told(self, body: asked.Body) -> list[tuple[str, dict[str, object]]]:
        """The events of a command that is accepted: types and payloads, without what follows from the config key."""
        self.do(body)
        return [(event.type.value, short(event)) for event in self.events]

    def names(self, body: asked.Body) -> list[str]:
        """The types alone."""
        return [name for name, _ in self.told(body)]

    def running(self, job: str) -> int:
        """A job that a node has begun; its fence."""
        fence = self.leased(job)
        self.do(asked.Start(job=job, fence=fence))
        return fence


def short(event: Event) -> dict[str, object]:
    """A payload without what follows from the config key."""
    return {key: value for key, value in event.payload.items() if key not in {"board_type", "num_players"}}


def regression(drop_elo: float | None, trigger: str = "auto_elo") -> asked.RollBack:
    """A rollback from B to A for an estimate."""
    body = rollback(expected=B, to=A)
    return asked.RollBack.model_validate({**body.model_dump(), "trigger": trigger, "metrics": {"drop_elo": drop_elo}})


def everything() -> Told:
    """A cluster to which everything has happened."""
    cluster = Told()
    cluster.join()
    cluster.do(asked.TakeRole(role="LEADER", node="n1", session=1, lease_s=30))
    cluster.do(asked.SetVoters(voters=("n1",)))
    cluster.do(asked.SetVoters(voters=()))
    cluster.do(asked.CountData(game=GAME, node="n1", count=DataCount(games=5, rows=50)))
    job = cluster.queued(selfplay())
    cluster.do(asked.Fail(job=job, fence=cluster.running(job), reason="no", retry_after_s=0))
    cluster.do(asked.Release(job=job, fence=cluster.running(job), reason=""))
    cluster.running(job)
    cluster.do(asked.Expire(node="n1", session=1))
    cluster.do(asked.Complete(job=job, fence=cluster.running(job), outcome=selfplay_outcome()))
    job = cluster.queued(training())
    cluster.do(asked.Fail(job=job, fence=cluster.running(job), reason="no", retry_after_s=None))
    for net in (A, B):
        cluster.crowned(net)
    job = cluster.gauntlet(C)
    fence = cluster.running(job)
    cluster.do(asked.Qualify(job=job, fence=fence, games=64, wins=40))
    cluster.do(asked.Complete(job=job, fence=fence, outcome=gauntlet_outcome("failed", rated=C)))
    job = cluster.queued(canary(B))
    cluster.do(asked.Complete(job=job, fence=cluster.running(job), outcome=canary_outcome(rated=B)))
    cluster.do(regression(60.0))
    cluster.do(asked.HoldRollbacks(game=GAME, reason="a person looks"))
    cluster.do(asked.Cancel(job=cluster.queued(training(gate=GateForm())), reason=""))
    cluster.do(asked.AddNet(game=GAME, sha256=D, size_bytes=1, version=0, parent=None))
    cluster.do(promotion(D, expected=A, how="manual"))
    cluster.do(asked.HaltAll(by="me", reason="smoke"))
    cluster.do(asked.ResumeAll(by="me"))
    cluster.do(asked.Drain(node="n1"))
    cluster.do(asked.Leave(node="n1"))
    return cluster
