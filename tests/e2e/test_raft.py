"""Three voters with real raft processes on loopback: what was acknowledged stays, whichever of them is killed."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from p2p.consensus import raft_child, raft_consensus
from p2p.consensus.effects import Role, Standing
from ringrift_core.errors import RulesError, StorageError
from tests.e2e.blocked_loop import watched_calls
from tests.raft_group import WAIT_S, Consensus, Group, free_ports, running, same, until

SECRET = b"promote the champion 0123456789"
PICKLES = (b"\x80\x04\x95", b"\x80\x05\x95", b"cbuiltins", b"csyncobj", b"cpysyncobj")  # what they hold
PLAIN = (SECRET, b"promote", b"append_entries", b"next_node_idx", b"request_vote", b"pysyncobj")


async def write(served: Consensus, body: bytes) -> int:
    """Write it, however often that takes: a proposal under way when a leader dies may come to be written or not."""
    async with asyncio.timeout(WAIT_S):
        while True:
            with suppress(StorageError):
                return await served.propose(body, WAIT_S)


def once(state: tuple[bytes, ...]) -> list[bytes]:
    """What was written, repetitions left out."""
    return list(dict.fromkeys(state))


async def changed(wish: Callable[[], Awaitable[None]]) -> None:
    """Ask for a change until it is taken up: a new leader must have agreed on an entry of its own first."""
    async with asyncio.timeout(WAIT_S):
        while True:
            with suppress(RulesError):
                await wish()
                return
            await asyncio.sleep(0.02)


def standing_of(served: Consensus) -> Standing:
    found = served.standing
    assert found is not None
    return found


def shown_of(pid: int) -> bytes:
    """What its user, and of the first of them everybody on the machine, can see of a process."""
    folder = Path(f"/proc/{pid}")
    return b"".join((folder / name).read_bytes() for name in ("cmdline", "environ")) if folder.exists() else b""


@asynccontextmanager
async def relay(port: int, seen: bytearray) -> AsyncIterator[int]:
    """A relay to a port that keeps what passes; its own port."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while content := await reader.read(1 << 16):
                seen.extend(content)
                writer.write(content)
                await writer.drain()
        writer.close()

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(pump(reader, back), pump(there, writer))
        writer.close()

    server = await asyncio.start_server(passed, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def agree(group: Group) -> None:
    """Everybody writes, everybody gets the results of its own, all have the same."""
    await group.leader()
    written = [b"%s %d %s" % (SECRET, i, node.encode()) for i in range(5) for node in group.nodes]
    results = await asyncio.gather(*(write(group.served[chr(it[-1])], it) for it in written))
    state = await same(group)
    assert state[:2] == (b"from", b"before")
    assert [state[result] for result in results] == written
    assert set(state[2:]) == set(written)


async def kill_the_leader(group: Group) -> None:
    """Another one leads, the one that was killed comes back, nothing is lost."""
    state, leader = await same(group), await group.leader()
    follower = next(node for node in group.nodes if node != leader)
    group.kill(leader)
    await write(group.served[follower], b"led by another")
    await write(group.served[leader], b"back again")
    assert once(await same(group)) == [*once(state), b"led by another", b"back again"]


async def kill_them_all(group: Group) -> None:
    """They find each other again with all that was acknowledged."""
    state = await same(group)
    for node in group.nodes:
        group.kill(node)
    await write(group.served["b"], b"all were killed")
    assert once(await same(group)) == [*once(state), b"all were killed"]


async def stop_the_leader(group: Group) -> None:
    """The others go on; at the one that stands still reads go on, and writes say why they do not."""
    state, leader = await same(group), await group.leader()
    served = group.served[leader]
    others = [group.served[node] for node in group.nodes if node != leader]
    os.kill(group.pid(leader), signal.SIGSTOP)
    await write(others[0], b"without it")
    await until(lambda: "has not answered" in served.trouble)
    with pytest.raises(TimeoutError, match="the raft process has not answered for"):
        await served.propose(b"late", 0.1)
    assert served.state == state
    os.kill(group.pid(leader), signal.SIGCONT)
    await write(served, b"after")
    assert [it for it in once(await same(group)) if it != b"late"] == [*once(state), b"without it", b"after"]
    await until(lambda: served.trouble == "")


def test_voters_agree_and_forget_nothing_whichever_of_them_is_killed_or_stopped(tmp_path: Path):
    seen = bytearray()

    async def live(group: Group) -> None:
        async with AsyncExitStack() as stack:
            for node, port in group.ports.items():
                group.dialled[node] = await stack.enter_async_context(relay(port, seen))
            async with running(group, base=(2, b"from\nbefore")):
                watch.begin()
                await agree(group)
                await kill_the_leader(group)
                await kill_them_all(group)
                await stop_the_leader(group)
                watch.end()

    with watched_calls() as watch:
        asyncio.run(live(Group(tmp_path, "abc")))
    assert watch.calls == []  # the control processes' loop waits for no disk and no process
    assert len(seen) > 10_000
    for trace in PLAIN:
        assert trace not in seen
    stored = b"".join(path.read_bytes() for path in (tmp_path / "a" / "raft").iterdir())
    assert SECRET in stored
    assert [trace for trace in PICKLES if trace in stored] == []


async def alone(group: Group) -> None:
    """A cluster of one: signals, a lost pipe, one process for each folder, nothing secret to be seen."""
    async with group.consensus("a", "a", base=(2, b"from\nbefore")) as served:
        await write(served, b"x")
        pid = group.pid("a")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(pid, number)
        shown = shown_of(pid)
        assert (b"p2p.consensus" in shown) == (shown != b"")
        for secret in (b"a-token", str(group.key_path("a")).encode()):
            assert secret not in shown
        await write(served, b"y")
        assert group.pid("a") == pid
        child = served._child
        assert child is not None
        child._writer.transport.abort()  # as if the control process had been killed
        await until(lambda: served.pid not in {None, pid})
        assert child._popen.poll() == 0
        await write(served, b"z")
        assert served.state == (b"from", b"before", b"x", b"y", b"z")
        group.ports["a"] = free_ports(1)[0]
        with pytest.raises(StorageError, match="keeps its log there"):
            await group.consensus("a", "a").__aenter__()


async def grown(group: Group, caplog: pytest.LogCaptureFixture) -> None:
    """A second node comes: refused under another key, let in under its own, given all that there is."""
    read_back: list[bytes] = []
    first = group.consensus("a", "a", read_back=lambda _before, after, _result: read_back.append(after[-1]))
    async with first:
        assert read_back[:1] == [b"x"]
        with group.other_key("b"):
            async with group.consensus("b", "ab") as impostor:
                await until(lambda: "b: does not have the key" in caplog.text)
                assert (first.connected, impostor.version) == ((), 0)
                with pytest.raises(RulesError, match="is not connected"):
                    await first.add_voter("b")
        async with group.consensus("b", "ab") as joiner:
            await until(lambda: "b" in first.connected)
            await changed(lambda: first.add_voter("b"))
            await until(lambda: joiner.version == 5)
            await write(joiner, b"by the new one")
            assert await same(group) == (b"from", b"before", b"x", b"y", b"z", b"by the new one")
            await until(lambda: standing_of(joiner).voters == ("a", "b"))
            await first.transfer("b")
            await until(lambda: standing_of(joiner).role is Role.LEADER)
            await changed(lambda: joiner.remove_voter("a"))
            await until(lambda: standing_of(joiner).voters == ("b",))
            await write(joiner, b"alone again")
            os.kill(group.pid("b"), signal.SIGSTOP)  # closing does not wait for it for ever


def test_a_cluster_of_one_grows_and_changes(tmp_path: Path, monkeypatch, caplog):
    monkeypatch.setenv("RINGRIFT_CLUSTER_AUTH_TOKEN", "a-token-of-a-cluster")
    monkeypatch.setattr(raft_consensus, "BEGIN_S", 0.0)
    monkeypatch.setattr(raft_child, "END_S", 0.5)

    async def live(group: Group) -> None:
        await alone(group)
        await grown(group, caplog)

    asyncio.run(live(Group(tmp_path, "ab")))
