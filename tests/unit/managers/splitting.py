"""A cluster whose node a judges a candidate while others could help."""

from managers.gauntlet_parts import AheadChunk
from managers.state.commands import Enqueue, Join
from managers.state.jobs import Job
from managers.state.tasks import GateForm, GauntletTask, PartOutcome, PartTask
from managers.versions import PROTOCOL
from tests.unit.managers.deciding import A, Cluster

PLAYED = PartOutcome(sha256="d" * 64, games=64)


class Splitting(Cluster):
    """Node a judges, the others help."""

    def __init__(self, *others: str, cores: int = 1) -> None:
        super().__init__()
        for name in ("a", *others):
            self.member(name, cores)
        self.candidate(A, gate=GateForm())
        self.fence = self.leased(self.gauntlet().id, "a")

    @property
    def task(self) -> GauntletTask:
        task = self.gauntlet().task
        assert isinstance(task, GauntletTask)
        return task

    def member(self, name: str, cores: int = 1, protocol: int = PROTOCOL) -> None:
        self.do(Join(node=name, session=1, cores=cores, protocol=protocol))

    def part_task(self, first: int = 25, row: int = 0) -> PartTask:
        return PartTask(gauntlet=self.gauntlet().id, of=self.task, row=row, first=first, last=first + 32)

    def part(self, first: int = 25, row: int = 0) -> str:
        """A part that waits."""
        return self.do(Enqueue(task=self.part_task(first, row), priority=80, attempts_max=1)).job or ""

    def job(self, name: str) -> Job:
        job = self.state.jobs.get(name)
        assert job is not None
        return job


def ahead(*firsts: int, row: int = 0) -> tuple[AheadChunk, ...]:
    """What a judge says that it will need."""
    return tuple(AheadChunk(row=row, first=first, last=first + 32) for first in firsts)
