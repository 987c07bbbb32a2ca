"""The documents' objects over HTTP: what they ask, and what they make of the answers."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

import p2p.client
from managers.ports import BusyError
from managers.promotion_result import PromotionResult
from p2p.client import NodeRefusal, NotYetAvailable, PromotionController, RollbackManager, RollbackThresholds, promotion
from p2p.client.daemons import UP, DaemonType, get_daemon_manager, get_loop_manager
from p2p.client.health import get_health_check_orchestrator
from ringrift_core.errors import RingriftError, RulesError, StorageError
from ringrift_core.registry import RollbackEvent, Trigger
from tests.recorded_node import RecordedNode

A, B = "a" * 64, "b" * 64
PASSED = PromotionResult(
    game="hex8_2p", promoted=True, passed=True, sha256=A, canonical_path="/m/canonical_hex8_2p.pth"
)
TICKET = {"number": 3, "request": {"model_path": "x.pth"}, "progress": "waiting", "result": None, "error": ""}
DONE = {**TICKET, "progress": "done", "result": json.loads(PASSED.model_dump_json())}
WISH = ("models/my_model.pth", "hex8", 2, 50)
MISSING = {"error": {"code": "not_found", "message": "there is no such file", "details": []}}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promotion, "ASK_S", 0.0)
    monkeypatch.delenv("RINGRIFT_ADMIN_TOKEN", raising=False)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch):
    with RecordedNode({}) as node:
        monkeypatch.setenv("RINGRIFT_P2P_URL", node.url)
        yield node


# ---- promotion ----


def test_a_net_is_judged_by_a_request_whose_result_is_waited_for(node: RecordedNode):
    node.answers = {
        "POST /admin/promote": (202, TICKET), "GET /admin/promote/3": [{**TICKET, "progress": "working"}, DONE]
    }  # fmt: skip
    result = asyncio.run(PromotionController().evaluate_and_promote(*WISH))
    assert result == PASSED
    assert node.asked[0].body == {
        "model_path": "models/my_model.pth", "board_type": "hex8", "num_players": 2, "gauntlet_games": 50
    }  # fmt: skip
    assert [it.path for it in node.asked[1:]] == ["/admin/promote/3"] * 2


def test_a_forced_promotion_says_why(node: RecordedNode):
    node.answers = {"POST /admin/promote": (202, DONE)}
    assert asyncio.run(PromotionController.get_instance().force("x.pth", "hex8", 2, "a smoke test")) == PASSED
    assert {"force": True, "reason": "a smoke test"}.items() <= node.asked[0].body.items()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, MISSING), StorageError), ((409, MISSING), BusyError), ((400, MISSING), RulesError),
        ((401, MISSING), NodeRefusal),
    ],
)  # fmt: skip
def test_a_wish_that_is_refused_raises_what_it_raises_inside_a_node(node: RecordedNode, answer, error):
    node.answers = {"POST /admin/promote": answer}
    with pytest.raises(error, match="there is no such file"):
        asyncio.run(PromotionController().evaluate_and_promote(*WISH))


def test_a_request_without_a_result_is_an_error_in_the_words_of_the_node(node: RecordedNode):
    node.answers = {"POST /admin/promote": (202, {**TICKET, "progress": "done", "error": "no net at all"})}
    with pytest.raises(RingriftError, match="no net at all"):
        asyncio.run(PromotionController().evaluate_and_promote(*WISH))


def test_the_last_evaluation_is_that_of_the_node(node: RecordedNode):
    node.answers = {"GET /admin/promote": [{"requests": [], "last_evaluation": DONE["result"]}, {"requests": []}]}
    assert PromotionController.get_instance().last_evaluation == PASSED
    assert PromotionController.get_instance().last_evaluation is None


def test_a_promotion_as_a_step_says_how_long_it_took(node: RecordedNode):
    node.answers = {"POST /admin/promote": (202, DONE)}
    times = iter([10.0, 12.5])
    action = asyncio.run(p2p.client.trigger_promotion("x.pth", "hex8", 2, monotonic=lambda: next(times)))
    assert (action.success, action.duration_seconds, action.error) == (True, 2.5, None)


# ---- rollback ----


def test_a_champion_is_taken_back(node: RecordedNode):
    back = {"model_id": "square8_2p", "success": True, "from_version": 4, "to_version": 3, "reason": "Manual override"}
    node.answers = {"POST /admin/rollback": [back, (409, MISSING)]}
    result = RollbackManager().rollback_model("square8_2p", to_version=3, reason="Manual override")
    assert (result.success, result.to_version) == (True, 3)
    assert node.asked[0].body == {"model_id": "square8_2p", "to_version": 3, "reason": "Manual override"}
    refused = RollbackManager().rollback_model("square8_2p", reason="again")
    assert (refused.success, refused.failure_reason) == (False, "there is no such file")


def test_the_history_of_rollbacks_is_that_of_one_model_or_of_all(node: RecordedNode):
    events = [
        RollbackEvent(
            model_id=game, from_version=2, from_sha256=A, to_version=1, to_sha256=B, reason="weak",
            trigger=Trigger.MANUAL, timestamp=datetime(2026, 1, day, tzinfo=UTC), success=True,
        )
        for day, game in ((3, "square8_2p"), (2, "hex8_2p"), (1, "square8_2p"))
    ]  # fmt: skip
    node.answers = {"GET /admin/rollback": {"rollbacks": [json.loads(event.model_dump_json()) for event in events]}}
    manager = RollbackManager()
    assert manager.get_rollback_history() == tuple(events)
    assert manager.get_rollback_history(model_id="square8_2p", limit=10) == (events[0], events[2])
    assert manager.get_rollback_history("square8_2p", 1) == (events[0],)


def test_whether_to_roll_back_and_baselines_are_asked_of_nodes_that_have_the_routes(node: RecordedNode):
    manager = RollbackManager()
    with pytest.raises(NotYetAvailable, match=r"GET|/admin/rollback/\{model_id\}"):
        manager.should_rollback("square8_2p")
    with pytest.raises(NotYetAvailable, match=r"/admin/rollback/\{model_id\}/baseline"):
        manager.set_baseline("square8_2p", {"elo": 1850, "win_rate": 0.62})
    node.answers = {
        "GET /admin/rollback/square8_2p": {"model_id": "square8_2p", "should_rollback": True, "reason": "weak"},
        "POST /admin/rollback/square8_2p/baseline": {},
    }
    assert manager.should_rollback("square8_2p") == (True, "weak")
    manager.set_baseline("square8_2p", {"elo": 1850})
    assert node.asked[-1].body == {"metrics": {"elo": 1850}}


def test_thresholds_that_the_node_does_not_decide_by_are_refused_with_the_setting(node: RecordedNode):
    theirs = {
        "enabled": True, "settling_seconds": 120, "elo_drop_threshold": 50, "elo_drop_window_hours": 24,
        "win_rate_drop_threshold": 0.1, "error_rate_threshold": 0.05, "min_games_for_evaluation": 50,
    }  # fmt: skip
    node.answers = {
        "GET /config": {"settings": {"rollback": theirs}, "provenance": {}},
        "GET /admin/rollback/square8_2p": {"should_rollback": False, "reason": "well"},
    }
    assert RollbackManager(thresholds=RollbackThresholds()).should_rollback("square8_2p") == (False, "well")
    other = RollbackManager(thresholds=RollbackThresholds(elo_drop_threshold=80.0))
    with pytest.raises(RulesError, match=r"the node decides with 50; set rollback\.elo_drop_threshold"):
        other.should_rollback("square8_2p")


def test_a_model_id_is_a_configuration(node: RecordedNode):
    for call in (RollbackManager().should_rollback, RollbackManager().rollback_model):
        with pytest.raises(RulesError):
            call("../admin/halt")
    assert node.asked == []


# ---- daemons, loops, health, distribution ----


def daemon(state: str) -> dict[str, object]:
    return {"state": state, "restarts": 1, "last_error": None, "critical": False, "stalled": False}


def test_daemons_are_started_stopped_and_asked_for(node: RecordedNode):
    states = {"JOB_REAPER": daemon("running"), "ROLLBACK": daemon("stopped"), "CURRICULUM": daemon("failed")}
    node.answers = {"GET /status": {"daemons": states}} | {
        f"POST /admin/daemons/{name}/{order}": {} for name in states for order in ("start", "stop", "restart")
    }
    manager = get_daemon_manager()
    assert asyncio.run(manager.start_all()) == ("ROLLBACK", "CURRICULUM")
    assert [it.path for it in node.asked[1:]] == ["/admin/daemons/ROLLBACK/start", "/admin/daemons/CURRICULUM/start"]
    asyncio.run(manager.stop(DaemonType.JOB_REAPER))
    asyncio.run(manager.restart("JOB_REAPER"))
    assert node.asked[-2].path == "/admin/daemons/JOB_REAPER/stop"
    assert manager.get_daemon_status(DaemonType.ROLLBACK).state == "stopped"
    assert set(manager.get_all_daemon_status()) == set(states)
    with pytest.raises(RulesError, match="there are CURRICULUM"):
        manager.get_daemon_status("NO_SUCH")
    with pytest.raises(RulesError):
        asyncio.run(manager.start("../halt"))


def test_daemons_that_arrive_later_say_so(node: RecordedNode):
    manager = get_daemon_manager()
    with pytest.raises(NotYetAvailable, match="AUTO_SYNC"):
        asyncio.run(manager.start(DaemonType.AUTO_SYNC))
    with pytest.raises(NotYetAvailable, match="DISTILLATION"):
        manager.get_daemon_status(DaemonType.DISTILLATION)
    assert node.asked == []
    assert {"running", "backoff"} <= UP
    assert not {"stopped", "failed", "done", "abandoned"} & UP


def test_loops_are_asked_for_by_the_documents_names(node: RecordedNode):
    node.answers = {"GET /status": {"loops": {"JobReaperLoop": {"interval_s": 60, "state": "running"}}}}
    assert get_loop_manager().get_loop_status("JobReaperLoop").interval_s == 60
    with pytest.raises(RulesError, match="there are JobReaperLoop"):
        get_loop_manager().get_loop_status("EloSyncLoop")


@pytest.mark.parametrize(
    ("answer", "status", "reasons"),
    [
        ((200, {"status": "ok"}), "healthy", ()),
        ((200, {"status": "ok", "degraded": ["CURRICULUM is failed"]}), "degraded", ("CURRICULUM is failed",)),
        ((200, {"status": "halted"}), "degraded", ("halted: no job is started",)),
        ((503, {"status": "failing", "reasons": ["disk"], "degraded": ["x"]}), "unhealthy", ("disk", "x")),
    ],
)
def test_the_health_of_the_node_that_is_asked(node: RecordedNode, answer, status, reasons):
    node.answers = {"GET /health": (answer[0], {"node_id": "n1", "uptime_s": 5, **answer[1]})}
    health = asyncio.run(get_health_check_orchestrator().check_node_health("n1"))
    assert (health.node, health.status, health.reasons) == ("n1", status, reasons)


def test_of_other_nodes_it_is_known_whether_they_live(node: RecordedNode):
    nodes = [{"node_id": "n2", "alive": True}, {"node_id": "n3", "alive": False}]
    node.answers = {"GET /health": {"node_id": "n1", "status": "ok"}, "GET /nodes": {"nodes": nodes}}
    checks = get_health_check_orchestrator()
    assert asyncio.run(checks.check_node_health("n2")).status == "unknown"
    assert asyncio.run(checks.check_node_health("n3")).status == "unhealthy"
    with pytest.raises(RulesError, match="no node of this cluster"):
        asyncio.run(checks.check_node_health("n4"))


def test_where_the_champion_is_and_waiting_for_it(node: RecordedNode, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("p2p.client.cluster_status.LOOK_S", 0.0)
    half = {"champions": {"hex8_2p": {"sha256": A}}, "model_distribution": {A: {"nodes": ["n1"], "missing": ["n2"]}}}
    whole = {**half, "model_distribution": {A: {"nodes": ["n1", "n2"], "missing": []}}}
    node.answers = {"GET /status": [half, half, whole]}
    assert p2p.client.check_model_availability("canonical_hex8_2p.pth") == {"n1": True, "n2": False}
    asyncio.run(p2p.client.wait_for_model_distribution("canonical_hex8_2p.pth", timeout=300))
    assert len(node.asked) == 3
    node.answers = {"GET /status": half}
    times = iter([0.0, 301.0])
    with pytest.raises(TimeoutError, match="missing on n2"):
        asyncio.run(
            p2p.client.wait_for_model_distribution("models/canonical_hex8_2p.pth", monotonic=lambda: next(times))
        )


def test_without_a_champion_nothing_is_anywhere(node: RecordedNode):
    node.answers = {"GET /status": {"champions": {}, "model_distribution": {}}}
    for model, words in (("canonical_hex8_2p.pth", "no champion"), ("my_model.pth", "no production net")):
        with pytest.raises(RulesError, match=words):
            p2p.client.check_model_availability(model)


def test_the_status_comes_as_it_is(node: RecordedNode):
    node.answers = {"GET /status": {"node_id": "n1", "jobs": []}}
    assert p2p.client.status() == {"node_id": "n1", "jobs": []}
