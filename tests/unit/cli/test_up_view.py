"""What people see of a local cluster: outcomes, every node with what it says of itself, what is missing and why."""

import io
import json
from pathlib import Path

from rich.console import Console

from config.schema import Settings
from config.sections import NodeSettings
from managers.outcomes import Outcome
from managers.status import Sight, status_of
from managers.status_records import Distribution, JobStatusRow, Status
from p2p.cli.loop_screen import Writer
from p2p.cli.up_screen import JsonScreen, PlainScreen
from p2p.cli.up_view import view_of
from p2p.local_cluster.plan import plan_of
from p2p.local_cluster.sight import ClusterSight, NodeSight, games_of, not_yet
from tests.loop_states import GAME, Loop, digest

PLANS = plan_of(NodeSettings(data_dir=Path("/data/c")), 3, 4, many_hosts=True)
CHAMPION = digest(1)


def said(name: str, *, has: bool = True, **more: object) -> Status:
    """What a node says of a cluster with a champion."""
    loop = Loop()
    loop.count(1000, 12_800)
    loop.crown(1, elo=1410.0)
    settings = Settings(node=NodeSettings(node_id=name))
    status = status_of(Sight(loop.state, settings, loop.now + 60, (GAME,), running=True, pid=7))
    where = Distribution(nodes=(name,) if has else (), missing=() if has else (name,))
    update = {"role": "follower", "leader_id": "node-2", "cluster_id": "ab" * 16, "epoch": 5}
    return status.model_copy(update={**update, "model_distribution": {CHAMPION: where}, **more})


def training(node: str, progress: str) -> JobStatusRow:
    return JobStatusRow(
        id="training-1", kind="training", game=GAME, status="running", node=node, queued_at=1.0, started_at=2.0,
        attempts=1, progress=progress, reason="", cpu_s=None, rss_bytes=None,
    )  # fmt: skip


def sight(*statuses: Status | None, aim: str = "a champion on every node", **more: object) -> ClusterSight:
    nodes = tuple(
        NodeSight(
            plan, "running" if status else "starts again", 7, 0 if status else 2, status, "no answer in 2 s", 360.0
        )
        for plan, status in zip(PLANS, statuses, strict=True)
    )
    return ClusterSight(nodes, (GAME,), 120.0, aim, **more)  # type: ignore[arg-type]


def shown(found: ClusterSight) -> list[str]:
    console = Console(file=io.StringIO(), width=140, color_system=None)
    console.print(view_of(found))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_outcomes_stand_before_the_nodes_and_what_is_missing_is_named():
    leading = said("node-2", role="leader", jobs=(training("node-2", "step 3 of 9, loss 1.250"),))
    follower = said("node-1", has=False, jobs=(training("node-2", ""),))
    lines = shown(sight(follower, leading, None))
    text = "\n".join(lines)
    assert lines[0].startswith("RingRift local cluster of 3  up 2 min, 0.30 games/s")
    assert text.index("1410 ± 30") < text.index("node-2: training of hex8_2p: step 3 of 9, loss 1.250")
    assert "node-1: training" not in text
    assert text.index("loss 1.250") < text.index("127.0.0.1:8770")
    rows = {line.split()[0]: line.split() for line in lines if "127.0.0." in line}
    assert rows["node-1"][1:] == ["follower", "127.0.0.1:8770", "yes", "2", "0", "360", "-", "0"]
    assert rows["node-2"][1:] == ["leader", "127.0.0.2:8770", "yes", "1", "1", "360", CHAMPION[:10], "0"]
    assert rows["node-3"][1:] == ["-", "127.0.0.3:8770", "starts", "again", "1", "0", "360", "-", "2"]
    assert "leader    node-2, epoch 5" in lines
    assert f"waits     the champion {CHAMPION[:10]} of {GAME} is not installed on node-1, node-3" in lines


def test_the_cluster_is_told_of_by_the_node_that_leads_whoever_has_the_highest_epoch():
    leading = said("node-2", role="leader", epoch=5)
    late = said("node-1", role="follower", epoch=9)
    assert sight(late, leading, None).leading is leading
    assert sight(late, None, None).leading is late
    assert sight(None, None, None).leading is None


def test_nothing_is_missing_once_every_node_says_that_it_has_the_champion():
    everybody = [said(plan.name) for plan in PLANS]
    assert list(not_yet(sight(*everybody))) == []
    assert list(not_yet(sight(None, None, None))) == ["no node answers yet"]
    other = said("node-3").model_copy(
        update={"champions": {GAME: everybody[0].champions[GAME].model_copy(update={"sha256": digest(2)})}}
    )
    assert list(not_yet(sight(*everybody[:2], other))) != []
    assert list(not_yet(sight(everybody[0], everybody[1], said("node-3", champions={})))) != []


def test_trainings_are_shown_before_games_however_many_there_are():
    games = tuple(training("node-1", "31 games").model_copy(update={"kind": "selfplay"}) for _ in range(20))
    busy = sight(said("node-1", jobs=games), said("node-2", jobs=(training("node-2", "step 3 of 9"),)), None)
    lines = [line for line in shown(busy) if f" of {GAME}: " in line]
    assert lines[0] == f"busy      node-2: training of {GAME}: step 3 of 9"
    assert lines[1].endswith(f"node-1: selfplay of {GAME}: 31 games")
    assert len(lines) == 1 + 7 + sum("not installed" in line for line in lines)


def test_nodes_that_have_not_found_each_other_are_said_to():
    apart = sight(said("node-1", cluster_id="cd" * 16), said("node-2"), None)
    assert any("they are in 2 clusters" in line for line in shown(apart))


def test_a_cluster_of_which_nobody_answers_has_a_picture_too():
    lines = shown(sight(None, None, None))
    assert "leader    none: no node answers yet" in lines


def test_plain_lines_tell_each_outcome_once_whoever_leads():
    def told(text: str) -> Outcome:
        return Outcome(at=3.0, event="e", game=GAME, weight="outcome", text=text)

    first, second = said("node-1", recent=(told("one"),)), said("node-2", recent=(told("one"), told("two")))
    out = io.StringIO()
    with Writer() as writer:
        screen = PlainScreen(writer, out)
        for found in (sight(first, None, None), sight(None, None, None), sight(None, second, None)):
            screen.show(found)
    lines = out.getvalue().splitlines()
    assert [line[9:] for line in lines if line.endswith((": one", ": two"))] == [f"{GAME}: one", f"{GAME}: two"]
    assert sum("1 of 3 nodes answer" in line for line in lines) == 1


def test_json_lines_hold_the_cluster_when_it_has_changed():
    out = io.StringIO()
    everybody = sight(*(said(plan.name) for plan in PLANS))
    with Writer() as writer:
        screen = JsonScreen(writer, out, lambda: 9.0)
        screen.say("begins")
        for found in (everybody, everybody, sight(None, None, None)):
            screen.show(found)
    found_lines = [json.loads(line) for line in out.getvalue().splitlines()]
    clusters = [it for it in found_lines if it["event"] == "cluster"]
    assert [it["missing"] for it in clusters] == [[], ["no node answers yet"]]
    assert [node["installed"] for node in clusters[0]["nodes"]] == [{GAME: CHAMPION}] * 3
    assert clusters[1]["nodes"][0]["alive"] == "starts again"


def test_games_of_a_node_are_read_from_its_metrics():
    text = 'ringrift_games_synced_total{host="node-1"} 1.2e+03\nringrift_games_synced_total{host="node-10"} 7.0\n'
    assert (games_of(text, "node-1"), games_of(text, "node-10"), games_of(text, "node-2")) == (1200, 7, None)


def test_nothing_that_is_shown_steers_the_terminal():
    hostile = said("node-1", leader_id="\x1b[2J", role="\x1b]0;x\x07")
    text = "\n".join(shown(sight(hostile, None, None)))
    assert not {"\x1b", "\x07"} & set(text)
