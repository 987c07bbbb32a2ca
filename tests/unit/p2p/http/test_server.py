"""Where a loop listens, and how it is found and asked."""

import asyncio
import http.client
import os
import shutil
import socket
import ssl
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from config.sections import NodeSettings
from p2p.http import node_socket
from p2p.http.errors import RequestError
from p2p.http.node_client import NotRunning, request
from p2p.http.node_socket import (
    RECORD,
    candidates,
    living_pid,
    make_private,
    make_socket_path,
    read_record,
    remove_record,
    socket_name,
    write_record,
)
from p2p.http.server import listening
from p2p.http.tls import server_context
from ringrift_core.errors import StorageError
from tests.certificates import write_certificate
from tests.http_door import FakeDoor, answering


def node(folder: Path, **more: int) -> NodeSettings:
    return NodeSettings.model_validate({"data_dir": folder, "port": 0, "metrics_port": 0, "health_port": 0, **more})


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a short name; those of pytest are too long for sockets."""
    with tempfile.TemporaryDirectory(prefix="run-", dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def test_the_folder_of_sockets_is_for_its_user_alone(runtime: Path, tmp_path: Path):
    path = make_socket_path(tmp_path)
    assert path.parent == runtime / "ringrift"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_data_folder_has_one_socket_however_it_is_named(runtime: Path, tmp_path: Path):
    data, other = tmp_path / "data", tmp_path / "other"
    data.mkdir()
    (tmp_path / "link").symlink_to(data)
    assert make_socket_path(data) == make_socket_path(tmp_path / "link")
    assert make_socket_path(data) != make_socket_path(other)


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(StorageError, match="chmod 700"):
        make_private(folder)


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(StorageError, match="remove it"):
        make_private(tmp_path / "link")


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "theirs").mkdir(mode=0o700)
    mine = os.getuid()
    monkeypatch.setattr("p2p.http.node_socket.os.getuid", lambda: mine + 1)
    with pytest.raises(StorageError, match="no folder of this user"):
        make_private(tmp_path / "theirs")


def test_a_name_that_is_too_long_for_a_socket_gives_way_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    short = Path(f"/tmp/ringrift-test-{os.getpid()}")
    monkeypatch.setattr(node_socket, "candidates", lambda: iter([long / "ringrift", short]))
    try:
        assert make_socket_path(tmp_path).parent == short
    finally:
        short.rmdir()
    monkeypatch.setattr(node_socket, "candidates", lambda: iter([long / "ringrift"]))
    with pytest.raises(StorageError, match=r"too long.*set XDG_RUNTIME_DIR"):
        make_socket_path(tmp_path)


def test_without_a_runtime_folder_there_is_one_below_the_temporary_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert [path.name for path in candidates()][-1] == f"ringrift-{os.getuid()}"


def test_a_record_says_who_listens_until_it_is_removed(tmp_path: Path):
    assert read_record(tmp_path) is None
    socket = tmp_path / socket_name(tmp_path)
    write_record(tmp_path, socket)
    assert living_pid(tmp_path) == os.getpid()
    remove_record(tmp_path, socket)
    assert (read_record(tmp_path), living_pid(tmp_path)) == (None, None)


def test_a_copy_of_a_folder_does_not_lead_to_the_loop_of_the_original(runtime: Path, tmp_path: Path):
    door, data, copied = FakeDoor(), tmp_path / "data", tmp_path / "copied"
    data.mkdir()

    async def run() -> None:
        async with listening(answering(door), node(data), lambda _text: None):
            shutil.copytree(data, copied)
            assert living_pid(copied) is None
            with pytest.raises(NotRunning):
                await request(copied, "POST", "/admin/halt", {"reason": "the copy shall be halted"})

    asyncio.run(run())
    assert door.orders == []


@pytest.mark.parametrize("content", [b"", b"{", b'{"pid": "x"}', b"\xff" * 10, b"x" * 100_000])
def test_a_damaged_record_is_none(tmp_path: Path, content: bytes):
    (tmp_path / RECORD).write_bytes(content)
    assert read_record(tmp_path) is None


def test_a_loop_is_found_by_its_folder_and_only_while_it_runs(runtime: Path, tmp_path: Path):
    door = FakeDoor()
    notes: list[str] = []

    async def run() -> None:
        with pytest.raises(NotRunning):
            await request(tmp_path, "GET", "/health")
        async with listening(answering(door), node(tmp_path), notes.append) as found:
            assert found.socket.is_socket()
            assert (found.addresses, found.port) == ((), None)
            assert (await request(tmp_path, "GET", "/health"))["status"] == "ok"
            assert (await request(tmp_path, "POST", "/admin/halt", {"reason": "why"}))["changed"] is True
            with pytest.raises(RequestError, match="not what it should be; reason"):
                await request(tmp_path, "POST", "/admin/halt", {"reason": 5})
        with pytest.raises(NotRunning):
            await request(tmp_path, "GET", "/health")

    asyncio.run(run())
    assert door.orders == ["why"]
    assert notes[1:] == [
        "node.metrics_port is 0: nothing listens there",
        "node.health_port is 0: nothing listens there",
    ]
    assert list((runtime / "ringrift").iterdir()) == []


def test_what_a_killed_loop_has_left_is_no_loop_and_in_nobodys_way(runtime: Path, tmp_path: Path):
    async def run() -> None:
        path = make_socket_path(tmp_path)
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        write_record(tmp_path, path)
        with pytest.raises(NotRunning):
            await request(tmp_path, "GET", "/health")
        async with listening(answering(FakeDoor()), node(tmp_path), lambda _text: None):
            assert (await request(tmp_path, "GET", "/health"))["status"] == "ok"

    asyncio.run(run())


def test_a_port_that_is_taken_is_said_and_nothing_else(runtime: Path, tmp_path: Path):
    notes: list[str] = []

    async def run() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            async with listening(answering(FakeDoor()), node(tmp_path, metrics_port=port), notes.append):
                assert (await request(tmp_path, "GET", "/health"))["status"] == "ok"

    asyncio.run(run())
    assert "set node.metrics_port; the loop works without it" in notes[1]


def get(port: int, path: str) -> int:
    """The status of an answer on a port of this machine."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


def test_with_port_0_a_free_port_is_taken_where_there_must_be_one(runtime: Path, tmp_path: Path):
    notes: list[str] = []

    async def run() -> None:
        async with listening(answering(FakeDoor()), node(tmp_path), notes.append, must_listen=True) as found:
            assert found.port is not None
            assert found.addresses == (f"127.0.0.1:{found.port}",)
            assert await asyncio.to_thread(get, found.port, "/jobs") == 200
            assert notes[0] == f"http://127.0.0.1:{found.port} answers everything"

    asyncio.run(run())


def test_a_port_that_is_taken_is_an_error_only_where_it_must_be_there(runtime: Path, tmp_path: Path):
    notes: list[str] = []

    async def run() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(StorageError, match=rf"127.0.0.1:{port} cannot be used .*already in use.*--port"):
                async with listening(answering(FakeDoor()), node(tmp_path, port=port), notes.append, must_listen=True):
                    pass
            async with listening(answering(FakeDoor()), node(tmp_path, port=port), notes.append) as found:
                assert found.addresses == ()

    asyncio.run(run())
    assert notes[0].endswith("set node.port; the loop works without it")
    assert list((runtime / "ringrift").iterdir()) == []


def test_a_further_port_answers_what_it_is_for(runtime: Path, tmp_path: Path):
    async def run() -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        async with listening(answering(FakeDoor()), node(tmp_path, health_port=port), lambda _text: None) as found:
            assert found.addresses == (f"127.0.0.1:{port}",)
            assert [await asyncio.to_thread(get, port, path) for path in ("/health", "/jobs")] == [200, 404]

    asyncio.run(run())


def test_with_a_certificate_every_port_speaks_tls_and_nothing_else(runtime: Path, tmp_path: Path):
    cert, key = write_certificate(tmp_path)
    client = ssl.create_default_context(cafile=str(cert))

    def status(port: int) -> int:
        with closing(http.client.HTTPSConnection("localhost", port, timeout=20, context=client)) as connection:
            connection.request("GET", "/health")
            return connection.getresponse().status

    async def run() -> None:
        made = answering(FakeDoor())
        secure = replace(made, access=replace(made.access, tls=server_context(cert, key)))
        notes: list[str] = []
        async with listening(secure, node(tmp_path), notes.append, must_listen=True) as found:
            assert found.port is not None
            assert notes[0].startswith("https://127.0.0.1:")
            assert await asyncio.to_thread(status, found.port) == 200
            with pytest.raises((OSError, http.client.HTTPException)):
                await asyncio.to_thread(get, found.port, "/health")

    asyncio.run(run())
