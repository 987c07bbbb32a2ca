"""Jobs that hang, nodes that vanish or are slow, disks that are full: every node says so, and the others go on.

Minutes: with RINGRIFT_TEST_SCALE of 10 or more only (`make soak`).
"""

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil
import pytest

from managers.node_folder import NodeFolder
from managers.state.log_files import DiskFiles
from p2p.consensus.store import RaftStore
from tests.e2e.full_raft import FULL_DISK
from tests.exchange_files import GAME, content_of, put_shard
from tests.mesh_cluster import SETTINGS, Answer, Cluster, agreed
from tests.property import SCALE

pytestmark = pytest.mark.skipif(SCALE < 10, reason="clusters of real nodes, one after the other")

COMPUTES = "node.disable_local_tasks=false"
ODD = ("-m", "tests.e2e.odd_node")
FULL = "No space left on device; the disk is full: free some space"
WELL: dict[str, object] = {"reasons": [], "degraded": []}
MARGIN_S = 15.0  # on a busy machine
QUICK = ("jobs.lease_seconds=3", "jobs.backoff_seconds=0", "jobs.hang_seconds=5", "jobs.stop_seconds=0.5")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, "abcd", (*SETTINGS, *QUICK), ODD)
    try:
        yield made
    finally:
        made.end()


def three(cluster: Cluster, worker: str = "", **odd: str) -> None:
    """a leads b and c; one of them computes."""
    cluster.start("a", environment=odd)
    cluster.until(lambda found: found[0]["role"] == "leader")
    for name in "bc":
        cluster.start(name, "a", *([COMPUTES] if name == worker else []), environment=odd)
    cluster.until(lambda found: agreed(found) and found[0]["voters"] == ["a", "b", "c"])


def peer(status: Answer, name: str) -> dict[str, Any]:
    return next(it for it in rows(status, "peers") if it["node_id"] == name)


def rows(status: Answer, name: str) -> list[dict[str, Any]]:
    found = status[name]
    assert isinstance(found, list)
    return found


def job_of(status: Answer, node: str) -> dict[str, Any]:
    return next((it for it in rows(status, "jobs") if it["node"] == node), {})


def processes_of(folder: Path) -> list[psutil.Process]:
    """The jobs of a node."""
    return [
        it for it in psutil.process_iter(["cmdline"]) if f"{folder}/data/jobs/" in " ".join(it.info["cmdline"] or ())
    ]


def test_a_job_that_hangs_is_told_by_every_node_then_ended_and_done_again(cluster: Cluster):
    three(cluster, "b", ODD_JOB="tests.e2e.beating_job")
    cluster.until(lambda found: all(job_of(it, "b").get("status") == "running" for it in found))
    (hung,) = processes_of(cluster.folder / "b")
    os.kill(hung.pid, signal.SIGSTOP)
    told = cluster.until(lambda found: all("no sign of work for" in job_of(it, "b")["progress"] for it in found))
    name = job_of(told[0], "b")["id"]
    assert {job_of(it, "b")["id"] for it in told} == {name}
    assert min(job_of(it, "b")["silent_s"] for it in told) > 1.0

    reason = "showed no sign of work for 5 seconds (jobs.hang_seconds); it is queued again"
    again = cluster.until(
        lambda found: all(
            job_of(it, "b").get("status") == "running" and any(reason in str(row) for row in rows(it, "recent"))
            for it in found
        )
    )
    for status in again:
        (ended,) = (row for row in rows(status, "recent") if reason in row["text"])
        assert (ended["job"], ended["node"], ended["weight"]) == (name, "b", "trouble")
        assert (job_of(status, "b")["id"], job_of(status, "b")["attempts"]) == (name, 1)
    assert [it.pid for it in processes_of(cluster.folder / "b")] != [hung.pid]


def test_a_node_that_is_gone_with_its_folder_is_silent_everywhere_replaced_and_its_games_are_missing(cluster: Cluster):
    for number in range(2):
        put_shard(NodeFolder(cluster.folder / "b").shards(GAME), content_of(0.1, number))
    cluster.settings = (
        *cluster.settings,
        f"games=[{GAME}]",
        "exchange.shards_gb=0.000001",
        "exchange.interval_seconds=1",
    )
    odd = {"ODD_JOB": "tests.e2e.beating_job", "ODD_PATIENCE_S": "4"}
    three(cluster, "b", **odd)
    cluster.start("d", "a", COMPUTES, environment=odd)
    cluster.until(
        lambda found: all(len(rows(it, "peers")) == 3 and job_of(it, "b") and job_of(it, "d") for it in found)
    )
    sleep(3)  # the others have asked what it holds
    name = job_of(cluster.ask("a"), "b")["id"]

    cluster.kill("b")
    gone_at = monotonic()
    shutil.rmtree(cluster.folder / "b")
    told = cluster.until(
        lambda found: all(
            not peer(it, "b")["alive"] and any("lost on b" in row["text"] for row in rows(it, "recent")) for it in found
        )
    )
    assert monotonic() - gone_at < 3 + MARGIN_S
    for status in told:
        assert peer(status, "b")["unfit"].startswith("silent for")
        assert peer(status, "b")["heard_ago_s"] > 3
        assert job_of(status, "b") == {}
        assert any(row["job"] == name and row["node"] == "b" for row in rows(status, "recent"))
    left = cluster.until(
        lambda found: (
            agreed(found) and found[0]["voters"] == ["a", "c", "d"] and all(rows(it, "missing") for it in found)
        )
    )
    for status in left:
        (missing,) = rows(status, "missing")
        assert (missing["nodes"], missing["shards"], missing["games"]) == (["b"], 2, 4)
        assert any(
            "4 games of hex8_2p (2 shards) are on no living node" in row["text"] for row in rows(status, "recent")
        )
    assert job_of(left[0], "d")["status"] == "running"


class Slow:
    """A node all of whose processes stand still for nine tenths of the time, until the block ends."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._process = psutil.Process(cluster.processes[name].pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._slow)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _slow(self) -> None:
        while not self._over.is_set():
            for number, time_s in ((signal.SIGSTOP, 0.9), (signal.SIGCONT, 0.1)):
                for process in (self._process, *self._process.children(recursive=True)):
                    with suppress(psutil.NoSuchProcess):
                        process.send_signal(number)
                sleep(time_s)


def test_a_slow_node_holds_up_no_writes_and_gives_way_where_it_leads(cluster: Cluster):
    three(cluster)

    def written(name: str) -> float:
        began, order = monotonic(), "resume" if cluster.ask(name)["halt"] else "halt"
        assert "seq" in cluster.ask(name, "POST", f"/admin/{order}", {})
        return monotonic() - began

    (before, *_) = cluster.until(agreed)
    with Slow(cluster, "b"):
        assert max(written("c") for _ in range(10)) < MARGIN_S
        assert cluster.ask("c")["epoch"] == before["epoch"], "a slow voter deposes nobody"
    cluster.until(agreed)
    with Slow(cluster, "a"):
        until = monotonic() + cluster.wait_s
        while cluster.ask("c").get("leader_id") == "a":
            assert monotonic() < until
            sleep(0.1)
        epoch = cluster.ask("c")["epoch"]
        assert max(written("c") for _ in range(10)) < MARGIN_S
        assert cluster.ask("c")["epoch"] == epoch, "it does not come back to office and lose it again"
    cluster.until(agreed)


def test_a_leader_whose_disk_is_full_says_so_gives_way_and_comes_back_by_itself(cluster: Cluster):
    full = {name: cluster.folder / f"{name}.full" for name in "abc"}
    for name in "abc":
        odd = {"ODD_RAFT": "tests.e2e.full_raft", FULL_DISK: str(full[name])}
        cluster.start(name, "" if name == "a" else "a", environment=odd)
        cluster.until(lambda found: found[0]["role"] == "leader")
    before = cluster.until(lambda found: agreed(found) and found[0]["voters"] == ["a", "b", "c"])
    victim = str(before[0]["leader_id"])
    other = next(name for name in "abc" if name != victim)

    full[victim].touch()
    assert "error" in cluster.ask(victim, "POST", "/admin/halt", {}), "it finds out when it writes"
    cluster.until(
        lambda found: (
            all(it["leader_id"] not in {victim, None} for it in found if it["node_id"] != victim)
            and all(FULL in str(it["health"]) for it in found if it["node_id"] == victim)
        )
    )
    written = [cluster.ask(other, "POST", f"/admin/{order}", {})["seq"] for order in ("halt", "resume") * 5]
    for _ in range(20):  # its raft process is started again and again
        health = cluster.ask(victim, "GET", "/health")
        assert (health["status"], FULL in str(health["reasons"])) == ("failing", True)
        sleep(0.1)
    assert cluster.ask(other, "GET", "/health")["status"] == "ok"

    full[victim].unlink()
    back = cluster.until(lambda found: agreed(found) and all(it["health"] == {**WELL, "status": "ok"} for it in found))
    assert int(str(back[0]["seq"])) >= max(int(str(it)) for it in written)
    cluster.stop(victim)
    store = RaftStore(DiskFiles(NodeFolder(cluster.folder / victim).group))
    store.read()
    assert store.voters == ("a", "b", "c")
