"""Probes find what is there: folders, files, ports, processes, peers."""

import asyncio
import fcntl
import json
import os
import socket
import stat
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import aiohttp
import pytest

from config.schema import Settings
from config.sections import NodeSettings
from managers.node_folder import NodeFolder
from managers.state.log_files import LOCK
from p2p.doctor.__main__ import folder, learner
from p2p.doctor.examination import judged
from p2p.doctor.facts import (
    ClockFacts,
    Facts,
    FileLimitFacts,
    FolderFacts,
    GpuFacts,
    LearnerFacts,
    ListeningFacts,
    MemoryFacts,
    PeerFacts,
    PortFacts,
    SettingsFacts,
)
from p2p.doctor.finding import Level
from p2p.doctor.machine_probe import (
    _child,
    disk_found,
    files_found,
    folder_found,
    gpus_found,
    memory_found,
    synchronised,
)
from p2p.doctor.node_probe import as_it_runs, is_held, listening_found, ports_found, running_found, tokens_found
from p2p.doctor.peer_probe import peer_found, peers_found
from p2p.orchestrator import opened_state
from tests.certificates import write_certificate
from tests.recorded_node import RecordedNode

NOW = 1_700_000_000.25


def settings(folder: Path, **node: object) -> Settings:
    return Settings(node=NodeSettings.model_validate({"data_dir": folder, "node_id": "here", **node}))


def script(folder: Path, text: str) -> str:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_small_file_is_timed_and_leaves_nothing(tmp_path: Path):
    times = iter((1.0, 1.25))
    found = disk_found(tmp_path, 2.0, lambda: next(times))
    assert (found.exists, found.sync_ms, found.write_trouble, found.floor_bytes) == (True, 250.0, "", 2 * 10**9)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path):
    found = disk_found(tmp_path / "a" / "b", 0.0)
    assert (found.exists, found.sync_ms, found.write_trouble) == (False, None, "")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_words: object) -> int:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(os, "fsync", refuse)
    assert "Read-only file system" in disk_found(tmp_path, 0.0).write_trouble
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_said(tmp_path: Path):
    (tmp_path / "file").touch()
    assert "is no folder" in disk_found(tmp_path / "file" / "node", 0.0).write_trouble


def test_a_container_with_less_memory_counts(tmp_path: Path):
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("400000\n")
    found = memory_found(None, tmp_path)
    assert (found.total_bytes, found.free_bytes, found.limited) == (1_000_000, 600_000, True)
    (tmp_path / "memory.max").write_text("max\n")
    assert not memory_found("too little", tmp_path).limited
    assert memory_found("too little", tmp_path).refusal == "too little"


def test_limits_and_clock_can_be_asked():
    assert 0 < files_found().soft <= files_found().hard
    assert synchronised() in {True, False, None}


def test_the_driver_is_asked_where_there_is_one(tmp_path: Path):
    assert gpus_found("no-such-command") == GpuFacts()
    command = script(tmp_path, "echo 'NVIDIA H100, 81559 MiB, 550.1'")
    assert gpus_found(command).devices == ("NVIDIA H100, 81559 MiB, 550.1",)
    command = script(tmp_path, "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    assert "version mismatch" in gpus_found(command).trouble


def test_a_process_finds_what_jobs_would_find():
    found = learner()
    assert (found.trouble, found.numba_trouble, found.torch_trouble) == ("", "", "")
    assert found.torch is not None
    assert len(found.rules_digest) == 64


def test_a_process_that_dies_costs_its_facts_only():
    found = _child(LearnerFacts(python=(3, 12, 0), ringrift="x"), ["folder"])
    assert "IndexError" in found.trouble


def test_a_folder_of_a_node_is_read_and_not_changed(tmp_path: Path):
    async def use() -> None:
        async with opened_state(settings(tmp_path)):
            assert is_held(NodeFolder(tmp_path).log)

    assert not is_held(NodeFolder(tmp_path).log)
    asyncio.run(use())
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    found = folder_found(tmp_path, held=False)
    assert (found.used, found.records, found.log_trouble, found.trouble) == (True, 0, "", "")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_damaged_log_and_a_damaged_net_are_found(tmp_path: Path):
    paths = NodeFolder(tmp_path)
    for made in (paths.log, paths.models):
        made.mkdir(parents=True)
    (paths.log / "log-00000000000000000005").write_bytes(b"what is this")
    (paths.models / "canonical_hex8_2p.pth").write_bytes(b"no net")
    found = folder(tmp_path, held=False)
    assert "there is no log with record 1" in found.log_trouble
    assert any(fault.grave and "canonical_hex8_2p" in fault.text for fault in found.faults)


def test_what_passes_while_a_node_works_is_no_fault(tmp_path: Path):
    models = NodeFolder(tmp_path).models
    models.mkdir(parents=True)
    (models / ".tmp-1").touch()
    assert [fault.grave for fault in folder(tmp_path, held=False).faults] == [False]
    assert folder(tmp_path, held=True).faults == ()


def test_a_lock_that_another_has_is_seen(tmp_path: Path):
    lock = tmp_path / LOCK
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    assert not is_held(tmp_path)
    fcntl.flock(handle, fcntl.LOCK_EX)
    assert is_held(tmp_path)
    os.close(handle)
    assert not is_held(tmp_path)


def test_a_node_that_does_not_say_where_it_listens_is_in_trouble(tmp_path: Path):
    found, apart_s = running_found(tmp_path)
    assert "does not say where it listens" in found.trouble
    assert apart_s is None


def test_ports_are_free_taken_or_ours(tmp_path: Path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        port = listener.getsockname()[1]
        wanted = settings(tmp_path, metrics_port=port, health_port=0)

        def state(pid: int | None) -> tuple[str, str]:
            found = {it.setting: it for it in ports_found(wanted, pid)}
            return found["node.metrics_port"].state, found["node.metrics_port"].by

        assert state(None)[0] == "taken"
        assert f"process {os.getpid()}" in state(None)[1]
        assert state(os.getpid()) == ("ours", "")
    assert state(None) == ("free", "")


def test_tokens_come_from_variables_and_never_show(tmp_path: Path):
    found = tokens_found(settings(tmp_path), {"RINGRIFT_ADMIN_TOKEN": "sixteen letters."})
    assert [(it.name, it.source, it.chars) for it in found] == [
        ("admin", "RINGRIFT_ADMIN_TOKEN", 16), ("cluster", "", 0),
    ]  # fmt: skip
    assert "sixteen" not in repr(found)


def test_a_token_file_is_looked_at(tmp_path: Path):
    path = tmp_path / "admin.token"
    wanted = settings(tmp_path, admin_token_file=path)
    assert "no such file" in tokens_found(wanted, {})[0].trouble.lower()
    path.write_text("sixteen letters.\n")
    path.chmod(0o644)
    assert (tokens_found(wanted, {})[0].chars, tokens_found(wanted, {})[0].readable_by_others) == (16, True)
    path.chmod(stat.S_IRUSR)
    assert not tokens_found(wanted, {})[0].readable_by_others


def test_without_a_certificate_it_is_plain_http(tmp_path: Path):
    assert listening_found(settings(tmp_path)) == ListeningFacts(host="127.0.0.1")


def test_a_certificate_that_cannot_be_used_is_said(tmp_path: Path):
    wanted = settings(tmp_path, tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem")
    assert "No such file" in listening_found(wanted).tls_trouble
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("no PEM")
    assert "cannot be used" in listening_found(wanted).tls_trouble


def test_a_peer_that_answers_is_found_with_its_time():
    with RecordedNode({"GET /health": {"status": "halted"}}) as node:
        address = node.url.removeprefix("http://")
        (found,) = peers_found([address, address], lambda: datetime.now(UTC).timestamp())
        assert (found.connects, found.health, found.trouble) == (True, "halted", "")
        assert found.ahead_s is not None
        assert abs(found.ahead_s) < 5
        node.answers = {"GET /health": b"<html>"}
        (found,) = peers_found([address], lambda: NOW)
        assert "says nothing of a node" in found.trouble
    (found,) = peers_found([address], lambda: NOW)
    assert (found.connects, found.trouble) == (False, "Connection refused")
    assert [it.trouble for it in peers_found(["[::1", "x:99999"], lambda: NOW)] == ["it is no HOST:PORT"] * 2


def test_a_peer_behind_tls_that_does_not_fit_is_told_so(tmp_path: Path):
    with RecordedNode({"GET /health": {"status": "ok"}}, tls=write_certificate(tmp_path)) as node:
        address = node.url.removeprefix("https://")
        (found,) = peers_found([address], lambda: NOW, tls=True)
        assert (found.connects, "certificate is not trusted" in found.trouble) == (True, True)
        (found,) = peers_found([address], lambda: NOW)
        assert (found.connects, "perhaps it speaks https" in found.trouble) == (True, True)
    with RecordedNode() as node:
        (found,) = peers_found([node.url.removeprefix("http://")], lambda: NOW, tls=True)
        assert (found.connects, "no TLS there" in found.trouble) == (True, True)


def test_a_node_that_works_is_judged_by_the_settings_that_it_works_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    given = settings(tmp_path, port=4711, host="0.0.0.0", peers=("a:1",), admin_token_file=Path("admin.token"))
    answers: list[object] = [{"settings": given.model_dump(mode="json")}, {"settings": {"node": {"port": "x"}}}, {}]

    async def fetch(*_words: object, **_more: object) -> bytes:
        return json.dumps(answers.pop(0)).encode()

    monkeypatch.setattr("p2p.doctor.node_probe.fetch", fetch)
    said = settings(tmp_path)
    found = as_it_runs(said, tmp_path, os.getpid()).node
    assert (found.port, found.host, found.admin_token_file) == (4711, "0.0.0.0", Path.cwd() / "admin.token")
    assert [as_it_runs(said, tmp_path, os.getpid()) for _ in range(2)] == [said, said]


def test_a_clock_that_is_ahead_is_measured(monkeypatch: pytest.MonkeyPatch):
    ahead = format_datetime(datetime.fromtimestamp(int(NOW) + 90, UTC), usegmt=True)

    async def ask() -> PeerFacts:
        async with aiohttp.ClientSession() as session:
            return await peer_found(session, f"{node.url}/health", "there", lambda: NOW)

    with RecordedNode({"GET /health": {"status": "ok"}}) as node:
        monkeypatch.setattr("http.server.BaseHTTPRequestHandler.date_time_string", lambda *_words: ahead)
        assert asyncio.run(ask()).ahead_s == 90.25


def test_every_check_is_in_the_report(tmp_path: Path):
    facts = Facts(
        settings=SettingsFacts(),
        clock=ClockFacts(),
        disk=disk_found(tmp_path, 0.0),
        memory=MemoryFacts(total_bytes=2, free_bytes=2),
        files=FileLimitFacts(soft=4096, hard=4096),
        learner=LearnerFacts(python=(3, 12, 0), ringrift="0.1.0"),
        gpus=GpuFacts(),
        listening=ListeningFacts(host="127.0.0.1"),
        folder=FolderFacts(used=False),
        ports=(PortFacts(setting="node.port", host="127.0.0.1", port=8770, state="free"),),
        tokens=tokens_found(settings(tmp_path), {}),
        peers=(PeerFacts(address="gpu-2:8770"),),
    )
    found = judged(facts)
    names = [it.check for it in found]
    assert len(names) == len(set(names))
    assert {it.check for it in found if it.level is Level.FAIL} == {"torch", "kernels", "peer gpu-2:8770"}
    assert {
        "settings",
        "python",
        "gpu",
        "clock",
        "memory",
        "open files",
        "disk",
        "log",
        "models",
        "admin token",
    } <= set(names)
