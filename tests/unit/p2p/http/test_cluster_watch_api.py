"""Watching and proposing over HTTP, through the real guard, with signed calls."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from managers.state import LocalConsensus
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import Body, Command, HaltAll, Join, encode
from managers.state.machine import StateMachine
from p2p.consensus.following import FollowingConsensus, FollowTiming
from p2p.consensus.watch import WatchFeed
from p2p.http.cluster_watch_api import VoterSide, cluster_watch_handlers
from p2p.http.node_calls import CallRefused, NodeCalls
from tests.mesh_nodes import WALL, Mesh

SOON_S = 10.0
TIMING = FollowTiming(wait_s=2.0, least_s=0.0, begin_s=SOON_S)


@asynccontextmanager
async def voter(*, serves: bool = True) -> AsyncIterator[tuple[LocalConsensus[ClusterState, Result], NodeCalls]]:
    """A voter v of two members, and the calls of the other one, w."""
    mesh, machine = Mesh(), StateMachine()
    mesh.join("v", "w")
    async with LocalConsensus(machine, None) as consensus:
        consensus._install(mesh.state, 3)
        feed = WatchFeed(consensus, machine.dump)
        side = VoterSide(consensus, feed, lambda: serves, lambda: WALL, lambda: WALL)
        async with mesh.serving("v", cluster_watch_handlers(side)), mesh.calls("w") as calls:
            yield consensus, calls


def command(body: Body, sequence: int, at: float = WALL) -> bytes:
    return encode(Command(client="w/1/X", sequence=sequence, at=at, body=body))


def test_a_worker_follows_and_writes_about_itself_over_http():
    async def run() -> None:
        async with (
            voter() as (consensus, calls),
            FollowingConsensus(StateMachine(), calls, ("v",), "w", lambda: 0.0, TIMING) as follower,
        ):
            key = consensus.state.members["w"].public_key
            join = Join(node="w", session=2, cores=3, public_key=key)
            assert (await follower.propose(command(join, 1), SOON_S)).accepted
            assert follower.state.members["w"].session == 2
            assert StateMachine().dump(follower.state) == StateMachine().dump(consensus.state)
            halt = await follower.propose(command(HaltAll(by="w", reason="r"), 2), SOON_S)
            assert (halt.accepted, "w may not halt" in halt.reason) == (False, True)
            assert consensus.state.halt is None

    asyncio.run(run())


def test_a_command_may_be_larger_than_other_bodies():
    async def run() -> None:
        async with voter() as (_, calls):
            body = b'{"x":"' + b"a" * 100_000 + b'"}'
            with pytest.raises(CallRefused) as refused:
                await calls.ask("v", "POST", "/cluster/propose", body, timeout_s=SOON_S, bytes_max=1 << 20)
            assert refused.value.code == "bad_request"  # read, and no command

    asyncio.run(run())


def test_who_does_not_vote_serves_nobody():
    async def run() -> None:
        async with voter(serves=False) as (_, calls):
            for method, path, body in (("GET", "/cluster/watch", b""), ("POST", "/cluster/propose", b"{}")):
                with pytest.raises(CallRefused) as refused:
                    await calls.ask("v", method, path, body, timeout_s=SOON_S, bytes_max=1 << 20)
                assert (refused.value.status, refused.value.code) == (409, "not_voter")

    asyncio.run(run())


@pytest.mark.parametrize("query", ["since=x", "since=-1", "wait=1.5", "dump=99999999999999999999"])
def test_numbers_that_are_none_are_refused(query: str):
    async def run() -> None:
        async with voter() as (_, calls):
            with pytest.raises(CallRefused, match="write a number"):
                await calls.ask("v", "GET", f"/cluster/watch?{query}", timeout_s=SOON_S, bytes_max=1 << 20)

    asyncio.run(run())


def test_a_voter_that_does_not_know_what_the_node_knew_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("p2p.http.cluster_watch_api.BEHIND_S", 0.01)

    async def run() -> None:
        async with voter() as (consensus, calls):
            body = command(HaltAll(by="w", reason="r"), 1)
            path = f"/cluster/propose?version={consensus.version + 1}"
            with pytest.raises(CallRefused) as refused:
                await calls.ask("v", "POST", path, body, timeout_s=SOON_S, bytes_max=1 << 20)
            assert (refused.value.status, refused.value.code) == (503, "behind")

    asyncio.run(run())
