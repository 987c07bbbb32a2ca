"""`ringrift-p2p` and `ringrift daemons`: what they ask a node, what they print of recorded answers."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.environment import ConfigError
from config.schema import Settings
from config.sections import NodeSettings
from managers.status import Sight, status_of
from managers.status_records import encode_status
from p2p.cli.answers import as_line
from p2p.cli.main import app as ringrift
from p2p.cli.node import app, peers_of
from p2p.cli.node import main as node_main
from p2p.cli.node_questions import setting_lines
from p2p.client.node_errors import NodeUnreachable
from p2p.membership.addresses import own_addresses, strangers
from ringrift_core.errors import RingriftError
from tests.loop_states import GAME, Loop
from tests.recorded_node import RecordedNode

SETTINGS = Settings(node=NodeSettings(node_id="here"))
STATUS = encode_status(status_of(Sight(Loop().state, SETTINGS, 1.0, (GAME,))))
JOBS = {
    "jobs": [
        {"id": "selfplay-1", "kind": "selfplay", "game": GAME, "status": "running", "node": "here", "attempts": 1}
    ],
    "total": 3,
}
JOB = {"spec": {"steps": 5}, "id": "training-2", "why": "waits for 20 games", "status": "queued"}
NODES = {
    "nodes": [
        {
            "node_id": "here",
            "self": True,
            "alive": True,
            "cores": 8,
            "versions": {"ringrift": "0.1.0", "protocol": 0, "rules": "ab" * 32},
        }
    ]
}
VOTERS = {
    "node_id": "a", "cluster_id": "0" * 32, "leader_id": "a", "term": 4, "epoch": 9, "seq": 12, "version": 30,
    "trouble": "", "waits_for": "for b: nobody can take its place",
    "voters": [
        {"node": "a", "place": "leader", "connected": True, "seq": 12},
        {"node": "b", "place": "voter", "connected": False, "missing_s": 41.0, "trouble": "it is down"},
    ],
}  # fmt: skip
MODELS = {"models": [{"sha256": "ab" * 32, "game": GAME, "version": 4, "role": "champion", "elo": 1432.4, "at": 1e9}]}
DAEMONS = {"daemons": {"STATUS_BOARD": {"state": "running", "restarts": 2, "last_error": "", "critical": True}}}
CONFIG = {
    "settings": {"seed": 7, "training": {"steps": 1500, "size": "nano"}, "later": {"new": None}},
    "provenance": {
        "seed": "command line",
        "training.steps": "node.yaml:3",
        "training.size": "default",
        "later.new": "x",
    },
}


def event(number: int, kind: str = "TRAINING_COMPLETED", **payload: object) -> dict[str, object]:
    return {"seq": number, "type": kind, "timestamp": 1e9 + number, "source": "here", "payload": payload}


def run(node: RecordedNode, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--url", node.url])
    assert (done.exception, done.exit_code) == (None, 0), done.exception
    return done.output


def test_options_of_the_list_of_voters_stand_behind_what_they_are_for():
    done = CliRunner().invoke(app, ["voters", "--json", "recover"])
    assert (done.exit_code, "write options after recover" in done.output) == (2, True)


@pytest.mark.parametrize(
    ("command", "path", "answer", "words"),
    [
        (["status"], "/status", STATUS, ["RingRift", "here", GAME]),
        (["jobs"], "/jobs", JOBS, ["selfplay-1", "running", "and 2 more"]),
        (
            ["jobs", "training-2"],
            "/jobs/training-2",
            JOB,
            ["id: training-2", "why: waits for 20 games", '{"steps": 5}'],
        ),
        (["nodes"], "/nodes", NODES, ["here (this one)", "yes", "8", "ringrift 0.1.0, protocol 0, rules ababababab"]),
        (["voters"], "/cluster/voters", VOTERS, ["leader a, term 4, epoch 9", "nobody can take", "it is down", "41 s"]),
        (["voters", "list"], "/cluster/voters", VOTERS, ["as a sees it"]),
        (["models"], "/models", MODELS, ["ababababab", "champion", "1432", "2001-09-09"]),
        (["config"], "/config", CONFIG, ["seed: 7 (command line)", "later.new: null (x): unknown to this version"]),
        (["config", "training"], "/config", CONFIG, ["training.steps: 1500 (node.yaml:3): steps of a later run"]),
        (
            ["events"],
            "/events",
            {"events": [event(1, loss=0.5)], "next": 1},
            ["1 ", 'TRAINING_COMPLETED here {"loss": 0.5}'],
        ),
    ],
)
def test_a_question_is_one_request_and_a_picture(command: list[str], path: str, answer: object, words: list[str]):
    with RecordedNode({f"GET {path}": answer}) as node:
        shown = run(node, *command)
        assert {f"{asked.method} {asked.path}" for asked in node.asked} == {f"GET {path}"}
        assert [word for word in words if word not in shown] == [], shown
        if command not in (["events"], ["config", "training"]):
            given = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            assert run(node, *command, "--json") == given.decode() + "\n"


def test_a_status_says_what_the_node_is_in_its_cluster():
    status = json.loads(STATUS)
    place = {"role": "follower", "leader_id": "gpu-1", "term": 3, "alive_peer_count": 2}
    known = {name: value for name, value in place.items() if name in status}
    with RecordedNode({"GET /status": {**status, **known}}) as node:
        assert "here" in run(node, "status")
    from p2p.cli.answers import Place
    from p2p.cli.node_view import place_line

    assert place_line(Place.model_validate(place)) == "role follower, leader gpu-1, term 3, 2 other nodes alive"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (["status"], {"form": "ringrift.status/9"}),
        (["jobs"], {"jobs": [{"name": "no id"}], "total": 1}),
        (["jobs"], {}),
        (["nodes"], {"nodes": {}}),
        (["config"], {"settings": []}),
        (["events"], {"events": []}),
    ],
)
def test_a_node_of_another_version_is_said_to_be_one(command: list[str], answer: object):
    with RecordedNode({f"GET /{command[0]}": answer}) as node:
        done = CliRunner().invoke(app, [*command, "--url", node.url])
        assert isinstance(done.exception, RingriftError)
        assert "of another version" in str(done.exception)


def test_what_a_node_says_does_not_steer_the_terminal():
    assert as_line("a\x1b[2Jb\nc") == "a?[2Jb c"
    with RecordedNode({"GET /nodes": {"nodes": [{"node_id": "\x1b[31mred"}]}}) as node:
        assert "\x1b" not in run(node, "nodes")


@pytest.mark.parametrize("arguments", [["jobs", ""], ["jobs", ".."], ["jobs", "a/b?c"], ["config", "seed", "--json"]])
def test_what_no_node_can_answer_is_not_asked(arguments: list[str]):
    with RecordedNode() as node:
        assert CliRunner().invoke(app, [*arguments, "--url", node.url]).exit_code == 2
        assert node.asked == []


def test_what_is_no_node_is_not_printed_as_an_answer():
    with RecordedNode({"GET /status": b"<html>"}) as node:
        done = CliRunner().invoke(app, ["status", "--json", "--url", node.url])
        assert isinstance(done.exception, NodeUnreachable)
        assert done.stdout == ""


def test_a_setting_that_there_is_not_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r"did you mean training\.steps"):
        setting_lines(CONFIG, "training.step")


def test_events_are_asked_page_by_page_from_where_the_last_one_ended():
    pages = [
        {"events": [event(3), event(4)], "next": 4, "gap": True},
        {"events": [event(5)], "next": 5},
        {"events": [], "next": 5},
    ]
    with RecordedNode({"GET /events": pages}) as node:
        done = CliRunner().invoke(
            app, ["events", "--since", "2", "--type", "A", "--type", "B", "--json", "--url", node.url]
        )
        assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == [3, 4, 5]
        assert "what came right after 2 is not kept any more" in done.stderr
        assert [asked.query["since"] for asked in node.asked] == ["2", "4", "5"]
        assert {asked.query["types"] for asked in node.asked} == {"A,B"}


def test_daemons_are_shown_and_told():
    with RecordedNode(
        {"GET /admin/daemons": DAEMONS, "POST /admin/daemons/STATUS_BOARD/restart": {"state": "starting"}}
    ) as node:
        shown = CliRunner().invoke(ringrift, ["daemons", "--status", "--url", node.url])
        assert "STATUS_BOARD  running  yes" in shown.output
        told = CliRunner().invoke(ringrift, ["daemons", "STATUS_BOARD", "restart", "--url", node.url])
        assert told.output == "STATUS_BOARD: starting\n"
        assert node.of("POST /admin/daemons/STATUS_BOARD/restart") == node.asked[-1:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["STATUS_BOARD"], "say a daemon and start"),
        (["STATUS_BOARD", "kill"], "say start, stop or restart"),
        (["../halt", "stop"], "is no daemon"),
        (["STATUS_BOARD", "stop", "--status"], "leave out the name"),
    ],
)
def test_what_no_daemon_can_do_is_refused_before_anybody_is_asked(arguments: list[str], message: str):
    done = CliRunner().invoke(ringrift, ["daemons", *arguments, "--url", "http://127.0.0.1:1"])
    assert done.exit_code == 2
    assert message in " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize("command", ["status", "jobs", "nodes", "models", "config", "events"])
def test_where_no_node_answers_the_exit_code_is_3(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["ringrift-p2p", command, "--url", "http://127.0.0.1:1"])
    with pytest.raises(SystemExit) as ended:
        node_main()
    assert ended.value.code == 3
    assert capsys.readouterr().err.startswith("error: no node answers at http://127.0.0.1:1 (Connection refused)")


def test_options_of_the_node_before_a_command_are_refused():
    done = CliRunner().invoke(app, ["--node-id", "here", "status"])
    assert done.exit_code == 2
    assert "--node-id before a command does nothing" in " ".join(done.output.replace("│", " ").split())


def test_peers_are_a_list_and_the_node_itself_is_no_stranger():
    assert peers_of("gpu-1:8770, gpu-2:8770,,gpu-1:8770") == ("gpu-1:8770", "gpu-2:8770")
    own = own_addresses(SETTINGS.node)
    port = SETTINGS.node.port
    assert strangers((f"localhost:{port}", f"here:{port}", "gpu-2:8770"), own) == ["gpu-2:8770"]


def test_doctor_ends_with_1_when_a_check_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from p2p.doctor.facts import FolderFacts, LearnerFacts

    learner = LearnerFacts(python=(3, 12, 0), ringrift="x", torch="2.6.0", numba="0.62", kernels_kept=True)
    monkeypatch.setattr("p2p.doctor.machine_probe.learner_found", lambda: learner)
    monkeypatch.setattr(
        "p2p.doctor.machine_probe.folder_found", lambda _folder, held: FolderFacts(used=False, held=held)
    )
    arguments = ["doctor", "--data-dir", str(tmp_path), "--peers", "127.0.0.1:1", "--json"]
    done = CliRunner().invoke(app, arguments)
    report = json.loads(done.stdout)
    assert (done.exit_code, report["ok"], report["form"]) == (1, False, "ringrift.doctor/1")
    assert "peer 127.0.0.1:1" in [it["check"] for it in report["findings"] if it["level"] == "fail"]
    wrong = CliRunner().invoke(app, [*arguments[:3], "--set", "gamse=1"])
    assert "fail settings" in wrong.stdout
    assert "gamse" in wrong.stdout
