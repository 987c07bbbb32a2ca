"""Heartbeats: who tells whom, what the leader keeps, and that silence has a reason."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from managers.leader_word import LeaderWord
from managers.sightings import NodeReport, Sightings
from managers.state import LocalConsensus
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import Body, Command, Found, Join, TakeRole, encode
from managers.state.machine import StateMachine
from managers.state.members import LEADER
from managers.versions import PRESENT
from p2p.http.heartbeat_api import LeaderSide, heartbeat_handlers
from p2p.http.node_calls import CallRefused, Unreachable
from p2p.membership.heartbeat import Clocks, Heartbeat, HeartbeatAnswer, Measured
from tests.mesh_nodes import WALL, Mesh
from tests.virtual_time import run_virtual

SOON_S = 10.0


class Cluster:
    """A state in memory, and a leader that answers what it is told to."""

    def __init__(self, consensus: LocalConsensus[ClusterState, Result]) -> None:
        self.consensus = consensus
        self.asked: list[tuple[str, NodeReport]] = []
        self.heard: list[tuple[str, LeaderWord | None]] = []
        self.down = self.refuses = False
        self.sequence = 0

    def hear(self, leader: str, word: LeaderWord | None, _at: float) -> None:
        self.heard.append((leader, word))

    async def do(self, *bodies: Body) -> None:
        for body in bodies:
            self.sequence += 1
            command = Command(client="a", sequence=self.sequence, at=1000.0, body=body)
            assert (await self.consensus.propose(encode(command), SOON_S)).accepted

    async def ask(
        self, node: str, method: str, path: str, body: bytes = b"", *, timeout_s: float, bytes_max: int
    ) -> bytes:
        assert (method, path) == ("POST", "/cluster/heartbeat")
        if self.down:
            raise Unreachable(node, "it is down")
        if self.refuses:
            raise CallRefused(node, 409, "not_leader", "it does not lead", {})
        self.asked.append((node, NodeReport.model_validate_json(body)))
        await asyncio.sleep(0.5)
        return HeartbeatAnswer(epoch=1, wall=WALL + 3.25, known=True).model_dump_json().encode()


def leads(node: str, term: int) -> TakeRole:
    return TakeRole(role=LEADER, node=node, session=1, lease_s=60.0, term=term)


def run(test: Callable[[Cluster, Heartbeat], Awaitable[None]]) -> None:
    async def body() -> None:
        async with LocalConsensus(StateMachine(), None) as consensus:
            cluster, loop = Cluster(consensus), asyncio.get_running_loop()

            def report(measured: Measured) -> NodeReport:
                return NodeReport(
                    session=1,
                    versions=PRESENT,
                    round_trip_s=measured.round_trip_s,
                    clock_ahead_s=measured.clock_ahead_s,
                )

            clocks = Clocks(lambda: WALL + loop.time(), loop.time)
            heartbeat = Heartbeat("w", cluster, consensus, report, clocks, 40.0, cluster.hear)
            await cluster.do(Found(cluster_id="c" * 32), *(Join(node=it, session=1, cores=1) for it in ("w", "v", "u")))
            await test(cluster, heartbeat)

    run_virtual(body())


def test_a_node_tells_the_leader_four_times_per_lease_and_at_once_when_it_changes():
    async def test(cluster: Cluster, heartbeat: Heartbeat) -> None:
        task = asyncio.ensure_future(heartbeat.run(lambda: None))
        await asyncio.sleep(15.0)
        assert cluster.asked == []
        await cluster.do(leads("v", 1))
        await asyncio.sleep(1.0)
        assert [node for node, _ in cluster.asked] == ["v"]
        await cluster.do(leads("u", 2))
        await asyncio.sleep(1.0)
        assert [node for node, _ in cluster.asked] == ["v", "u"]
        await asyncio.sleep(40.0)
        assert len(cluster.asked) == 6
        await cluster.do(leads("w", 3))
        await asyncio.sleep(40.0)
        assert (len(cluster.asked), heartbeat.answer) == (6, None)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(test)


def test_a_node_that_has_something_to_tell_tells_it_soon():
    async def test(cluster: Cluster, heartbeat: Heartbeat) -> None:
        await cluster.do(leads("v", 1))
        task = asyncio.ensure_future(heartbeat.run(lambda: None))
        await asyncio.sleep(1.0)
        told = len(cluster.asked)
        for _ in range(3):
            heartbeat.wake()
        await asyncio.sleep(1.0)
        assert len(cluster.asked) == told + 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(test)


def test_a_leader_that_says_that_it_does_not_lead_is_there_all_the_same():
    async def test(cluster: Cluster, heartbeat: Heartbeat) -> None:
        await cluster.do(leads("v", 1))
        await heartbeat.tell()
        cluster.refuses = True
        await heartbeat.tell()
        cluster.down = True
        await heartbeat.tell()
        assert cluster.heard == [("v", LeaderWord()), ("v", None)]
        assert heartbeat.trouble

    run(test)


def test_the_way_to_the_leader_is_measured_and_told_with_the_next_one():
    async def test(cluster: Cluster, heartbeat: Heartbeat) -> None:
        await cluster.do(leads("v", 1))
        await heartbeat.tell()
        await heartbeat.tell()
        first, second = (report for _, report in cluster.asked)
        assert (first.round_trip_s, first.clock_ahead_s) == (None, None)
        assert (second.round_trip_s, second.clock_ahead_s) == pytest.approx((0.5, -3.0), abs=1e-5)

    run(test)


def test_a_leader_that_does_not_hear_is_trouble_until_it_does():
    async def test(cluster: Cluster, heartbeat: Heartbeat) -> None:
        await cluster.do(leads("v", 1))
        cluster.down = True
        await heartbeat.tell()
        assert heartbeat.trouble == "v: it is down"
        cluster.down = False
        await heartbeat.tell()
        assert heartbeat.trouble == ""

    run(test)


@pytest.mark.parametrize(("session", "known"), [(1, True), (2, False)])
def test_the_leader_keeps_reports_and_renews_leases_of_members_in_their_session(session: int, known: bool):
    mesh, seen, leading = Mesh(), Sightings(), [True]
    renewed: list[tuple[str, int, float]] = []
    mesh.join("v", "w")

    async def body() -> None:
        side = LeaderSide(
            lambda: mesh.state,
            lambda: leading[0],
            seen,
            lambda *who: renewed.append((*who,)),
            lambda _state, _at: LeaderWord(silent_s={"u": 31.0}),
            lambda: WALL,
            lambda: 7.0,
        )
        content = NodeReport(session=session, versions=PRESENT).model_dump_json().encode()
        async with mesh.serving("v", heartbeat_handlers(side)), mesh.calls("w") as calls:

            async def tell() -> bytes:
                return await calls.ask("v", "POST", "/cluster/heartbeat", content, timeout_s=SOON_S, bytes_max=4096)

            answer = HeartbeatAnswer.model_validate_json(await tell())
            assert (answer.wall, answer.known, answer.word.silent_s) == (WALL, known, {"u": 31.0})
            leading[0] = False
            with pytest.raises(CallRefused, match="does not lead"):
                await tell()

    asyncio.run(body())
    assert renewed == ([("w", 1, 7.0)] if known else [])
    assert list(seen.latest) == (["w"] if known else [])
