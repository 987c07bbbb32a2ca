"""Nodes come in over real HTTP on loopback: founded, joined, refused for want of a token."""

import asyncio
import socket
import time
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from config.sections import NodeSettings
from managers.node_folder import NodeFolder
from managers.state.cluster_state import Result
from managers.state.commands import Body, Found, Join
from managers.state_manager import StateManager
from managers.versions import PRESENT, PROTOCOL
from p2p.doctor.peer_probe import peers_found
from p2p.http.access import Access
from p2p.http.cluster_join_api import cluster_join_handlers
from p2p.http.request_metrics import RequestMetrics
from p2p.http.server import Answering, listening
from p2p.identity.credentials import Credentials, Token
from p2p.membership.admission import Admission, Host
from p2p.membership.bootstrap import Adoption, Entry, EntryKind
from p2p.membership.coming import Arrival, come_in
from p2p.membership.kept import forget_id, keep_adoption, kept_adoption
from p2p.mesh import wall
from ringrift_core.errors import RingriftError
from tests.commanded import Commanded
from tests.mesh_nodes import key_of

TOKEN = "cluster-token-of-a-test"
SOON_S = 30.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def access(token: str | None = TOKEN) -> Access:
    cluster = None if token is None else Token(token, "a test")
    return Access(Credentials(Token("admin-token-of-a-test", "a test"), cluster), None, frozenset({"localhost"}), None)


def settings(folder: Path, name: str, port: int, *peers: int) -> NodeSettings:
    addresses = tuple(f"127.0.0.1:{it}" for it in peers)
    return NodeSettings(node_id=name, data_dir=folder / name, port=port, peers=addresses, metrics_port=0, health_port=0)


async def entering(node: NodeSettings, said: list[str], token: str | None = TOKEN) -> Entry:
    key = key_of(node.node_id)

    async def record(session: int) -> Join:
        text, rules = key.text, PRESENT.rules
        return Join(node=node.node_id, session=session, cores=1, public_key=text, protocol=PROTOCOL, rules=rules)

    node.data_dir.mkdir(exist_ok=True)
    async with StateManager(node.data_dir / "node.sqlite", time.monotonic) as facts, asyncio.timeout(SOON_S):
        return await come_in(Arrival(node, access(token), facts, key, record, wall), said.append)


async def member(stack: AsyncExitStack, node: NodeSettings, cluster_id: str) -> Commanded:
    """A member that lets others in, at its port."""
    cluster, life = Commanded(), "f" * 16
    cluster.do(Found(cluster_id=cluster_id))
    cluster.do(Join(node=node.node_id, session=1, cores=1, public_key=key_of(node.node_id).text))

    async def propose(body: Body) -> Result:
        return cluster.ask(body)

    host = Host(node.node_id, life, lambda: cluster.state, lambda: 3, propose, lambda: True, wall, time.monotonic)
    gate = access().gate(wall, time.monotonic)
    handlers = cluster_join_handlers(Admission(host))
    node.data_dir.mkdir(exist_ok=True)
    answering = Answering(handlers, access(), gate, RequestMetrics(gate.refusals.counts))
    await stack.enter_async_context(listening(answering, node, lambda _text: None, must_listen=True))
    return cluster


def test_three_nodes_found_one_cluster_and_the_others_are_let_in(tmp_path: Path):
    async def run() -> None:
        ports = [free_port() for _ in range(3)]
        nodes = [settings(tmp_path, name, port, *ports) for name, port in zip("abc", ports, strict=True)]
        said: list[str] = []
        others = [asyncio.ensure_future(entering(node, said)) for node in nodes[1:]]
        first = await entering(nodes[0], said)
        assert first.kind is EntryKind.FOUNDER
        async with AsyncExitStack() as stack:
            cluster = await member(stack, nodes[0], first.cluster_id)
            found = await asyncio.gather(*others)
            for entry in found:
                assert (entry.kind, entry.cluster_id) == (EntryKind.FOLLOWER, first.cluster_id)
                assert [it.node for it in entry.contacts] == ["a"]
            assert sorted(cluster.state.members) == ["a", "b", "c"]
            again = await entering(nodes[1], said)
            assert again.cluster_id == first.cluster_id
            assert again.session > found[0].session > 0

    asyncio.run(run())


def test_without_the_cluster_token_a_node_says_what_to_set_and_waits(tmp_path: Path):
    async def run() -> None:
        port = free_port()
        async with AsyncExitStack() as stack:
            await member(stack, settings(tmp_path, "m", port), "c" * 32)
            for token, words in (("another-token-of-a-test", "another cluster token, or none"),):
                said: list[str] = []
                task = asyncio.ensure_future(entering(settings(tmp_path, "n", free_port(), port), said, token))
                while not any(words in text for text in said):
                    await asyncio.sleep(0.02)
                    assert not task.done()
                assert any("RINGRIFT_CLUSTER_AUTH_TOKEN" in text for text in said)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_the_lobby_answers_health_and_status_and_its_id_is_cleared_by_hand_alone(tmp_path: Path):
    async def run() -> None:
        port = free_port()
        node = settings(tmp_path, "n", port, free_port())
        task = asyncio.ensure_future(entering(node, []))
        async with aiohttp.ClientSession() as session:
            answer = None
            while answer is None:
                try:
                    answer = await session.get(f"http://127.0.0.1:{port}/health")
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.02)
            health = await answer.json()
            assert (answer.status, health["status"], health["node_id"]) == (200, "joining", "n")
            adoption = {"cluster_id": "d" * 32, "proposer": "p"}
            answer = await session.post(
                f"http://127.0.0.1:{port}/cluster/adopt", json=adoption, headers={"Authorization": f"Bearer {TOKEN}"}
            )
            assert (await answer.json())["adopted"] == adoption
            status = await (await session.get(f"http://127.0.0.1:{port}/status")).json()
            assert (status["cluster_id"], "for p to found" in status["waits_for"]) == ("d" * 32, True)
        (found,) = await asyncio.to_thread(peers_found, [f"127.0.0.1:{port}"], wall, token=TOKEN)
        assert (found.health, found.cluster, found.trouble) == ("joining", "d" * 32, "")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_forgetting_an_id_is_refused_where_there_is_a_log(tmp_path: Path):
    async def run() -> None:
        folder = NodeFolder(tmp_path)
        (tmp_path / "data").mkdir()
        async with StateManager(folder.node_state, time.monotonic) as facts:
            adoption = Adoption(cluster_id="d" * 32, proposer="p")
            await keep_adoption(facts, adoption)
            with pytest.raises(RingriftError, match="its id stays"):
                await forget_id(facts, folder, has_log=True)
            assert await kept_adoption(facts) == adoption
            assert await forget_id(facts, folder, has_log=False) == adoption
            assert await kept_adoption(facts) is None

    asyncio.run(run())
