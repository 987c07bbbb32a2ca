"""Jobs that hang, nodes that vanish, disks that are full: every node says so, and the others go on."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.mesh_cluster import SETTINGS, Answer, Cluster, agreed

COMPUTES = "node.disable_local_tasks=false"
ODD = ("-m", "tests.e2e.odd_node")
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
