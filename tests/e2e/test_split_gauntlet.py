"""Nodes on loopback: a chunk that one has played comes to the one that judges, and stands in its offer."""

import asyncio
import hashlib
from pathlib import Path

from managers.state.commands import Assign, Cancel, Complete, Enqueue
from managers.state.tasks import GauntletTask, PartOutcome, PartTask
from ringrift_core.evaluation.part_offer import OfferedPart, read_offer
from ringrift_core.evaluation.stored_match import write_match
from ringrift_core.storage import make_folder
from tests.commanded import digest
from tests.e2e.test_exchange import World, run
from tests.exchange_files import GAME
from tests.unit.evaluation.results import stored_match


class Judged:
    """A gauntlet that n1 judges, parts of which go to n2."""

    def __init__(self, world: World) -> None:
        self.world, self.cluster = world, world.mesh.cluster
        job = self.cluster.gauntlet(digest(2))
        self.fence = self.leased(job, "n1")
        self.job = self.cluster.job(job)
        self.offer = world["n1"].folder.offer(job)
        make_folder(self.offer.parent)

    def leased(self, job: str, node: str) -> int:
        session = self.cluster.state.members[node].session
        return self.cluster.do(Assign(job=job, node=node, session=session)).seq

    def part(self, first: int) -> tuple[str, int]:
        """A part that n2 plays, and its fence."""
        assert isinstance(self.job.task, GauntletTask)
        task = PartTask(gauntlet=self.job.id, of=self.job.task, row=0, first=first, last=first + 3)
        name = self.cluster.do(Enqueue(task=task, priority=80, attempts_max=1)).job
        assert name is not None
        return name, self.leased(name, "n2")

    def played(self, part: tuple[str, int], sha256: str) -> None:
        self.cluster.do(Complete(job=part[0], fence=part[1], outcome=PartOutcome(sha256=sha256, games=6)))

    def write(self, node: str) -> tuple[str, Path]:
        """A chunk in a node's folder: its digest and where it is."""
        path = write_match(self.world[node].folder.parts(GAME), stored_match())
        return hashlib.sha256(path.read_bytes()).hexdigest(), path

    async def look(self) -> tuple[OfferedPart, ...]:
        await self.world["n1"].exchange.parts.look()
        return read_offer(self.offer).parts


def claimed(first: int, file: Path | None = None) -> OfferedPart:
    return OfferedPart(row=0, first=first, last=first + 3, file=None if file is None else str(file))


def test_a_part_is_claimed_while_it_is_played_and_here_once_it_was(tmp_path: Path):
    async def test(world: World) -> None:
        judged = Judged(world)
        part = judged.part(25)
        assert await judged.look() == (claimed(25),)
        sha256, made = judged.write("n2")
        judged.played(part, sha256)
        here = world["n1"].folder.parts(GAME) / made.name
        assert await judged.look() == (claimed(25, here),)
        assert here.read_bytes() == made.read_bytes()
        assert (await asyncio.to_thread(world["n2"].exchange.catalogue.look)).refs == ()

    run(tmp_path, test, ("n1", "n2"))


def test_a_part_that_nobody_can_give_is_played_by_the_judge(tmp_path: Path):
    async def test(world: World) -> None:
        judged = Judged(world)
        judged.played(judged.part(25), digest(9))
        offers = [await judged.look() for _ in range(6)]
        assert offers[0] == (claimed(25),)
        assert offers[-1] == ()

    run(tmp_path, test, ("n1", "n2"))


def test_a_part_whose_node_is_silent_or_that_ended_otherwise_is_not_offered(tmp_path: Path):
    async def test(world: World) -> None:
        judged = Judged(world)
        gone, ended = judged.part(25), judged.part(28)
        sha256, _ = judged.write("n2")
        judged.played(gone, sha256)
        judged.cluster.do(Cancel(job=ended[0], reason="not needed"))
        world.silent = {"n2"}
        assert await judged.look() == ()

    run(tmp_path, test, ("n1", "n2"))


def test_parts_are_removed_everywhere_once_their_gauntlet_is_over(tmp_path: Path):
    async def test(world: World) -> None:
        judged = Judged(world)
        sha256, made = judged.write("n2")
        part = judged.part(25)
        (made.parent / "0123456789abcdef.json").write_bytes(b"of an earlier one")
        assert world["n2"].exchange.parts.clean(world.mesh.state) == 0, "one is just being played"
        judged.played(part, sha256)
        assert await judged.look() == (claimed(25, world["n1"].folder.parts(GAME) / made.name),)
        assert world["n2"].exchange.parts.clean(world.mesh.state) == 1
        judged.cluster.do(Cancel(job=judged.job.id, reason="a test"))
        assert [world[name].exchange.parts.clean(world.mesh.state) for name in ("n1", "n2")] == [1, 1]

    run(tmp_path, test, ("n1", "n2"))
