"""A node that nobody can give a job to plays on by itself, where it has played, for six hours and no longer."""

import asyncio
from pathlib import Path

import pytest

from managers.node_folder import NodeFolder
from managers.own_selfplay import LONGEST_S, NAME, PATIENCE_S, OwnSelfplay
from managers.ports import Cause
from managers.state.commands import Cancel, Drain, HaltAll
from tests.unit.managers.deciding import Cluster, selfplay
from tests.unit.managers.test_job_manager import FakeChild, Node, assigned, run, until

TROUBLE = "the raft process has not answered for 11 s"


class Alone(Node):
    """A node with a core, whose consensus has trouble at times."""

    def __init__(self, root: Path, cluster: Cluster) -> None:
        super().__init__(root, cluster)
        self.now = 0.0
        self.fit = True
        self.own = OwnSelfplay(self.launcher, self.manager, lambda: self.fit, lambda: self.now)

    async def look(self, group: asyncio.TaskGroup, trouble: str = TROUBLE, after_s: float = 0.0) -> None:
        self.now += after_s
        await self.own.look(self.consensus.state, trouble, group)

    @property
    def played(self) -> list[FakeChild]:
        """Its own processes, ended ones too."""
        return [it for it in self.launcher.children if it.name.startswith(NAME)]


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.node(cores=1)
    return made


async def begun(node: Alone, group: asyncio.TaskGroup) -> FakeChild:
    """Its job has ended, and it plays on."""
    child = await node.started(group)
    node.consensus.refuses = lambda _: True
    child.end(Cause.FAILED, "killed")
    await until(lambda: all(it.ended for it in node.manager.running.values()))
    await node.look(group)
    await node.look(group, after_s=PATIENCE_S)
    (own,) = node.played
    return own


async def over(node: Alone) -> None:
    """What is told to the state can be written again."""
    node.consensus.refuses = lambda _: False
    await asyncio.wait([it.task for it in node.manager.running.values()])
    await node.own.end()


def test_a_core_whose_job_has_ended_goes_on_with_the_same_net_and_ends_when_there_is_a_majority(
    tmp_path: Path, cluster: Cluster
):
    node, name = Alone(tmp_path, cluster), assigned(cluster, cluster.queued(selfplay()))

    async def main(group: asyncio.TaskGroup) -> None:
        own = await begun(node, group)
        assert own.order.kind == "selfplay"
        assert own.order.folder == NodeFolder(tmp_path).job(own.name)
        own.say({"event": "progress", "games": 7})
        await asyncio.sleep(0)
        await node.look(group, after_s=1.0)
        (wait,) = node.own.waits
        assert wait.why == f"plays on by itself (7 games): {TROUBLE}"
        assert len(node.played) == 1, "a node with one core has one"
        await node.look(group, trouble="")
        assert own.stops == 1
        await until(lambda: not node.own.playing and not own.order.folder.exists())
        await over(node)
        assert node.job(name).attempts == 1

    run(main)


def test_what_runs_is_left_alone_and_short_troubles_begin_nothing(tmp_path: Path, cluster: Cluster):
    node = Alone(tmp_path, cluster)
    assigned(cluster, cluster.queued(selfplay()))

    async def main(group: asyncio.TaskGroup) -> None:
        child = await node.started(group)
        await node.look(group)
        await node.look(group, after_s=LONGEST_S / 2)
        assert not node.played
        child.end(Cause.FAILED, "killed")
        await until(lambda: not node.manager.running)
        await node.look(group, trouble="")
        await node.look(group)
        await node.look(group, after_s=PATIENCE_S / 2)
        assert not node.played

    run(main)


def test_after_six_hours_nothing_is_played_and_given_selfplay_rests_until_there_is_a_majority(
    tmp_path: Path, cluster: Cluster
):
    node = Alone(tmp_path, cluster)
    cluster.leased(cluster.queued(selfplay()))

    async def main(group: asyncio.TaskGroup) -> None:
        child = await node.started(group)
        node.consensus.refuses = lambda _: True
        await node.look(group)
        await node.look(group, after_s=LONGEST_S)
        node.manager.reconcile(cluster.state, group)
        await until(lambda: child.stops == 1 and not node.manager.running)
        node.manager.reconcile(cluster.state, group)
        assert not node.manager.running
        assert not node.played
        node.consensus.refuses = lambda _: False
        await node.look(group, trouble="")
        await node.started(group, 2)
        node.child.end()
        await until(lambda: not node.manager.running)

    run(main)


def test_own_games_end_after_six_hours(tmp_path: Path, cluster: Cluster):
    node = Alone(tmp_path, cluster)
    cluster.leased(cluster.queued(selfplay()))

    async def main(group: asyncio.TaskGroup) -> None:
        own = await begun(node, group)
        await node.look(group, after_s=LONGEST_S)
        assert own.stops == 1
        await until(lambda: not node.own.playing)
        await over(node)

    run(main)


@pytest.mark.parametrize("why", ["halted", "draining", "unfit"])
def test_where_nothing_should_be_played_nothing_is(tmp_path: Path, cluster: Cluster, why: str):
    node, name = Alone(tmp_path, cluster), cluster.queued(selfplay())
    cluster.leased(name)
    cluster.do(Cancel(job=name, reason="its time is over"))
    if why == "halted":
        cluster.do(HaltAll(by="people", reason="a look"))
    if why == "draining":
        cluster.do(Drain(node="a"))
    node.fit = why != "unfit"

    async def main(group: asyncio.TaskGroup) -> None:
        await node.look(group)
        await node.look(group, after_s=PATIENCE_S)
        assert not node.played

    run(main)


def test_one_that_fails_is_begun_again_after_a_while(tmp_path: Path, cluster: Cluster):
    node = Alone(tmp_path, cluster)
    cluster.leased(cluster.queued(selfplay()))

    async def main(group: asyncio.TaskGroup) -> None:
        own = await begun(node, group)
        own.end(Cause.FAILED, "no memory")
        await until(lambda: not node.own.playing)
        await node.look(group, after_s=1.0)
        assert len(node.played) == 1
        await node.look(group, after_s=60.0)
        assert len({it.name for it in node.played}) == 2, "a name, and so a seed, comes once"
        await over(node)

    run(main)


def test_folders_of_an_earlier_life_are_removed(tmp_path: Path, cluster: Cluster):
    node, left = Alone(tmp_path, cluster), NodeFolder(tmp_path).job(f"{NAME}-a-0-1")
    left.mkdir(parents=True)

    async def main(group: asyncio.TaskGroup) -> None:
        await node.look(group, trouble="")
        assert not left.exists()

    run(main)
