"""A voter at rest goes on alone as a new cluster; a node at rest leaves its cluster. Nothing is removed."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from managers.node_folder import NodeFolder
from managers.state.commands import Body, Command, Found, HaltAll, ResumeAll, SetVoters, TakeRole, encode
from managers.state.log_files import DiskFiles, InUseError
from managers.state.machine import StateMachine
from managers.state.members import LEADER
from managers.state_manager import StateManager
from p2p.adoption import FACT
from p2p.cli.node import app
from p2p.consensus.codec import NO_OP, bodies_command
from p2p.consensus.requests import TAG_BYTES
from p2p.consensus.store import RaftStore
from p2p.membership import recovery
from p2p.membership.kept import ADOPTED, CONTACTS
from p2p.membership.leaving import leavable
from p2p.membership.recovery import LOST, SEQ_LEAP, recover, recoverable, state_of
from p2p.membership.resting import FOLLOWS_FACT, NAME_FACT, facts_of, keep_facts
from p2p.orchestrator import Kind, kind_of
from ringrift_core.errors import RingriftError, StorageError
from tests.commanded import GAME, Commanded, digest

OLD = "0" * 32
AT = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)
NET = digest(7)


def led() -> Commanded:
    """Three voters, one of whom leads, and a champion."""
    cluster = Commanded()
    cluster.do(Found(cluster_id=OLD))
    for node in "abc":
        cluster.join(node)
    cluster.do(SetVoters(voters=("a", "b", "c")))
    cluster.do(TakeRole(role=LEADER, node="a", session=1, lease_s=60.0, term=9))
    cluster.sealed(NET)
    return cluster


def body(cluster: Commanded, number: int, wish: Body) -> bytes:
    return bytes(TAG_BYTES) + encode(cluster.command(wish, "late", number))


def voter(root: Path, *wishes: Body, agreed: int = 0) -> NodeFolder:
    """The folder of voter b, whose log has a base and some commands; so many of them known to be agreed on."""
    folder, cluster = NodeFolder(root), led()
    folder.node_state.parent.mkdir()
    folder.owner.mkdir(exist_ok=True)
    store = RaftStore(DiskFiles(folder.group))
    store.open()
    store.found(40, cluster.machine.dump(cluster.state), "abc")
    store.add(NO_OP, 4, 9)
    for number, wish in enumerate(wishes, 1):
        store.add(bodies_command([body(cluster, number, wish)]), 4 + number, 9)
    store.setCurrentTerm(9, "a")
    store.setRaftCommitIndex(4 + agreed)
    store.sync()
    store.close()
    keep_facts(folder, {NAME_FACT: "b", FACT: OLD, FOLLOWS_FACT: True, ADOPTED: {"x": 1}, CONTACTS: []})
    return folder


def names(folder: NodeFolder) -> Sequence[str]:
    return sorted(path.name for path in folder.log.iterdir())


def check_alone(folder: NodeFolder, cluster_id: str) -> None:
    """The folder is that of a new cluster of b alone, with everything that there was."""
    store = RaftStore(DiskFiles(folder.group))
    store.read()
    assert store.voters == ("b",)
    state, version, uncertain = state_of(store)
    assert (state.cluster_id, state.voters, dict(state.roles)) == (cluster_id, ("b",), {})
    assert (version, uncertain, sorted(state.members)) == (42, 0, ["a", "b", "c"])
    assert state.halt is not None
    assert state.halt.reason == "late"
    assert state.learner(GAME).champion == NET
    assert state.seq == led().state.seq + 1 + SEQ_LEAP
    facts = facts_of(folder)
    assert {name: facts.get(name) for name in (FACT, NAME_FACT, FOLLOWS_FACT, ADOPTED, CONTACTS)} == {
        FACT: cluster_id, NAME_FACT: "b", FOLLOWS_FACT: None, ADOPTED: None, CONTACTS: None,
    }  # fmt: skip


LATE = (HaltAll(by="admin", reason="late"), SetVoters(voters=("a", "b", "c")))  # the second one is refused


def test_everything_in_the_log_counts_and_the_old_one_is_kept(tmp_path: Path):
    folder = voter(tmp_path, *LATE, agreed=1)
    before = {path.name: path.read_bytes() for path in folder.group.iterdir()}
    with recoverable(tmp_path) as found:
        assert (found.node, found.version, found.uncertain, found.voters) == ("b", 42, 1, ("a", "b", "c"))
        text = "\n".join(found.lines())
        assert f"{GAME} {NET[:10]}" in text
        assert "1 commands at the end were not known to be agreed on" in text
        assert {path.name: path.read_bytes() for path in folder.group.iterdir() if path.name != "lock"} == {
            name: content for name, content in before.items() if name != "lock"
        }, "it was only read"
        done = recover(found, AT)
    assert done.cluster_id != OLD
    assert names(folder) == ["group", "group.lost-20260131T120005Z"]
    assert {path.name for path in done.kept.iterdir()} == set(before)
    check_alone(folder, done.cluster_id)


@pytest.mark.parametrize("step", ["set_aside", "keep_facts", "sync_folder"])
def test_a_recovery_that_was_cut_off_is_finished_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
):
    folder = voter(tmp_path, *LATE)

    def cut(*_: object) -> None:
        raise StorageError("cut")

    with monkeypatch.context() as patch, recoverable(tmp_path) as found:
        patch.setattr(recovery, step, cut)
        with pytest.raises(StorageError, match="cut"):
            recover(found, AT)
    if step == "keep_facts":
        with pytest.raises(StorageError, match="finish it: ringrift-p2p voters recover"):
            kind_of(folder, facts_of(folder))
    else:
        assert kind_of(folder, facts_of(folder)) is Kind.VOTER
    with recoverable(tmp_path) as found:
        assert found.interrupted == (step == "keep_facts")
        done = recover(found, AT)
    assert f"group.{LOST}-20260131T120005Z" in names(folder)
    assert done.kept.name.startswith(f"group.{LOST}-")
    check_alone(folder, done.cluster_id)


def test_the_node_and_its_raft_process_must_have_ended(tmp_path: Path):
    folder = voter(tmp_path)
    for place in (folder.owner, folder.group):
        files = DiskFiles(place)
        files.lock()
        with pytest.raises(InUseError), recoverable(tmp_path):
            pass
        files.unlock()
    with recoverable(tmp_path):
        pass


def test_who_has_no_state_of_its_own_recovers_nothing(tmp_path: Path):
    with pytest.raises(RingriftError, match="--data-dir"), recoverable(tmp_path):
        pass
    folder = NodeFolder(tmp_path)
    folder.node_state.parent.mkdir()
    keep_facts(folder, {FOLLOWS_FACT: True})
    with pytest.raises(RingriftError, match="is no voter"), recoverable(tmp_path):
        pass
    store = RaftStore(DiskFiles(folder.group))
    store.open()
    store.close()
    with pytest.raises(RingriftError, match="has never had the state"), recoverable(tmp_path):
        pass


def test_a_person_has_to_type_the_name(tmp_path: Path):
    folder = voter(tmp_path)
    for command in ("recover", "leave"):
        done = CliRunner().invoke(app, ["voters", command, "--data-dir", str(tmp_path)], input="a\n")
        assert isinstance(done.exception, RingriftError)
        assert names(folder) == ["group"]
        assert facts_of(folder)[FACT] == OLD
    done = CliRunner().invoke(app, ["voters", "recover", "--data-dir", str(tmp_path)], input="b\n")
    assert done.exit_code == 0, done.output
    assert facts_of(folder)[FACT] != OLD


def test_who_leaves_keeps_name_and_log_and_is_in_no_cluster(tmp_path: Path):
    folder = voter(tmp_path)
    folder.key.parent.mkdir()
    folder.key.write_text("key")
    done = CliRunner().invoke(app, ["voters", "leave", "--data-dir", str(tmp_path), "--yes"])
    assert done.exit_code == 0, done.output
    (kept,) = tmp_path.glob("raft.left-*")
    assert (kept / "group").exists()
    assert not folder.log.exists()
    facts = facts_of(folder)
    assert [facts.get(name) for name in (NAME_FACT, FACT, FOLLOWS_FACT, ADOPTED, CONTACTS)] == ["b", *[None] * 4]
    assert folder.key.read_text() == "key"
    with pytest.raises(RingriftError, match="is in no cluster"), leavable(tmp_path):
        pass


def test_a_follower_leaves_too(tmp_path: Path):
    folder = NodeFolder(tmp_path)
    folder.node_state.parent.mkdir()
    keep_facts(folder, {NAME_FACT: "w", FACT: OLD, FOLLOWS_FACT: True})
    done = CliRunner().invoke(app, ["voters", "leave", "--data-dir", str(tmp_path)], input="w\n")
    assert done.exit_code == 0, done.output
    assert "its log is kept" not in done.output


def test_the_last_command_decides_of_a_client_as_it_did_before(tmp_path: Path):
    """What was answered is answered again: nothing takes effect twice in the recovered cluster."""
    folder = voter(tmp_path, *LATE)
    with recoverable(tmp_path) as found:
        recover(found, AT)
    store = RaftStore(DiskFiles(folder.group))
    store.read()
    state, _, _ = state_of(store)
    again, result = StateMachine().apply(
        state, encode(Command(client="late", sequence=1, at=2e3, body=ResumeAll(by="admin")))
    )
    assert again.halt is not None
    assert "asked command 2 since" in result.reason


def test_facts_are_kept_by_the_same_file_that_a_node_has(tmp_path: Path):
    folder = NodeFolder(tmp_path)
    folder.node_state.parent.mkdir()
    keep_facts(folder, {"a": 1})

    async def read() -> object:
        async with StateManager(folder.node_state, time.monotonic) as kept:
            return await kept.load_state()

    assert asyncio.run(read()) == facts_of(folder) == {"a": 1}
