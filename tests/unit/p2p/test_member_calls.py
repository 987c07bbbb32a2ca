"""Whose signed calls a node takes: those of other members, by the keys in the replicated state."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from config.schema import Settings
from config.sections import NodeSettings
from managers.launcher.local_launcher import LocalLauncher
from managers.node_folder import NodeFolder
from managers.own_record import OwnRecord
from managers.pipeline import REQUESTS, Pipeline
from managers.runtime.event_router import EventRouter
from managers.state import LocalConsensus
from managers.state.commands import Body, Found, Join, Leave, SetVoters, TakeRole
from managers.state.machine import StateMachine
from managers.state.members import LEADER
from p2p.http.access import access_of
from p2p.http.node_api import node_app
from p2p.http.request_metrics import RequestMetrics
from p2p.identity.envelope import HEADER, NONCE_BYTES, Address, Call, seal
from p2p.identity.member_keys import MemberKeys
from p2p.identity.node_key import NodeKey
from p2p.identity.principals import Principal
from p2p.mesh import wall
from p2p.node import NodeShell
from tests.commanded import Commanded
from tests.http_door import Client
from tests.node_parts import parts_of
from tests.unit.p2p.test_node import FakeScreen

CLUSTER = "c" * 32
FAR = {"X-Forwarded-For": "203.0.113.9"}  # as one from outside, who has to show something
OWN_KEY, OTHER_KEY = NodeKey(b"o" * 32), NodeKey(b"n" * 32)
BEGINNING = (
    Found(cluster_id=CLUSTER),
    Join(node="here", session=1, cores=1, public_key=OWN_KEY.text),
    Join(node="other", session=1, cores=1, public_key=OTHER_KEY.text),
    Join(node="old", session=1, cores=1),  # of a version without keys
)


@asynccontextmanager
async def node(folder: Path, *bodies: Body) -> AsyncIterator[Client]:
    """A node called here, over a state made by commands, answering on loopback."""
    settings = Settings(node=NodeSettings(data_dir=folder, node_id="here"))
    kept = NodeFolder(folder)
    async with LocalConsensus(StateMachine(), None) as consensus:
        pipeline = Pipeline(
            settings,
            consensus,
            LocalLauncher(kept.jobs, kept.logs),
            kept,
            wall,
            own=OwnRecord(session=1),
            router=EventRouter("here", "1", time.monotonic),
            duty=REQUESTS,
        )
        for body in (*BEGINNING, *bodies):
            assert (await pipeline.proposer("test").propose(body)).accepted
        shell = NodeShell(parts_of(pipeline, consensus), access_of(settings.node, {}), FakeScreen(), {})
        try:
            gate = shell.gate()
            app = node_app(shell.handlers(gate, RequestMetrics({})), gate, RequestMetrics({}))
            async with TestClient(TestServer(app)) as client:
                yield client
        finally:
            shell.board.close()


def signed(
    method: str,
    target: str,
    *,
    sender: str = "other",
    key: NodeKey = OTHER_KEY,
    cluster: str = CLUSTER,
    epoch: int = 0,
) -> dict[str, str]:
    """The headers of a call without a body, from outside."""
    call, address = Call.of(method, target, b""), Address("here", cluster, epoch)
    envelope = seal(call, sender, address, key, now=wall(), nonce=secrets.token_bytes(NONCE_BYTES))
    return FAR | {HEADER: envelope}


def test_a_member_asks_with_its_key_and_may_order_nothing(tmp_path: Path):
    async def run() -> None:
        async with node(tmp_path) as client:
            assert (await client.get("/status", headers=FAR)).status == 401
            answer = await client.get("/status", headers=signed("GET", "/status"))
            assert (answer.status, (await answer.json())["cluster_id"]) == (200, CLUSTER)
            refused = await client.post("/admin/halt", headers=signed("POST", "/admin/halt"))
            assert (refused.status, (await refused.json())["error"]) == (
                403,
                {"code": "not_allowed", "message": "worker may not POST /admin/halt", "details": {}},
            )

    asyncio.run(run())


@pytest.mark.parametrize(
    ("wrong", "bodies", "status", "code"),
    [
        ({"sender": "here", "key": OWN_KEY}, (), 401, "unknown_sender"),  # a node never calls itself
        ({"sender": "old"}, (), 401, "unknown_sender"),
        ({"sender": "stranger"}, (), 401, "unknown_sender"),
        ({}, (Leave(node="other"),), 401, "unknown_sender"),
        ({"key": OWN_KEY}, (), 401, "bad_signature"),
        ({"cluster": "d" * 32}, (), 401, "other_cluster"),
    ],
)
def test_everybody_else_is_refused(
    tmp_path: Path, wrong: dict[str, Any], bodies: tuple[Body, ...], status: int, code: str
):
    async def run() -> None:
        async with node(tmp_path, *bodies) as client:
            answer = await client.get("/status", headers=signed("GET", "/status", **wrong))
            assert (answer.status, (await answer.json())["error"]["code"]) == (status, code)

    asyncio.run(run())


def test_who_is_behind_may_ask_but_give_no_orders(tmp_path: Path):
    async def run() -> None:
        async with node(tmp_path, TakeRole(role=LEADER, node="here", session=1, lease_s=9.0)) as client:
            assert (await client.get("/status", headers=signed("GET", "/status", epoch=4))).status == 200
            refused = await client.post("/admin/halt", headers=signed("POST", "/admin/halt", epoch=4))
            assert (refused.status, (await refused.json())["error"]["code"]) == (409, "old_epoch")

    asyncio.run(run())


def test_a_key_counts_as_soon_as_it_stands_in_the_state():
    cluster = Commanded()
    keys = MemberKeys(lambda: cluster.state, "here")
    assert keys.known("other") is None
    cluster.do(Join(node="other", session=1, cores=1, public_key=OTHER_KEY.text))
    assert keys.known("other") == (OTHER_KEY.public, Principal.WORKER)


def test_a_voter_is_who_stands_among_the_voters_or_leads_where_there_are_none():
    cluster = Commanded()
    keys = MemberKeys(lambda: cluster.state, "here")

    def principals() -> list[Principal]:
        return [known.principal for name in ("a", "b") if (known := keys.known(name)) is not None]

    for name, key in (("a", OWN_KEY), ("b", OTHER_KEY)):
        cluster.do(Join(node=name, session=1, cores=1, public_key=key.text, raft_address=f"{name}:8771"))
    assert principals() == [Principal.WORKER, Principal.WORKER]
    cluster.do(TakeRole(role=LEADER, node="a", session=1, lease_s=60.0))
    assert principals() == [Principal.VOTER, Principal.WORKER]
    cluster.do(SetVoters(voters=("b",)))
    assert principals() == [Principal.WORKER, Principal.VOTER]
