"""What a node with all routes of the contract answers, for rows whose real node has them not yet."""

from tests.unit.p2p.client.recorded_node import Given

SHA = "a" * 64
EVENT = {
    "type": "EVALUATION_COMPLETED", "timestamp": 5.0, "source": "here", "event_id": "9.0", "seq": 9,
    "payload": {"config_key": "hex8_2p"},
}  # fmt: skip
EVALUATION = {"game": "hex8_2p", "promoted": False, "failure_reason": "too weak"}
TICKET = {"number": 1, "request": {"model_path": "models/my_model.pth"}, "progress": "done", "result": EVALUATION}
DAEMON = {"state": "running", "critical": False, "stalled": False, "restarts": 0, "last_error": ""}
SHOULD = {"model_id": "hex8_2p", "should_rollback": False, "reason": "well"}
BACK = {"model_id": "hex8_2p", "success": True, "to_version": 1, "reason": "Manual override"}
STATUS = {
    "node_id": "here",
    "alive_peers": [],
    "promotion_status": {"last_evaluation": EVALUATION, "requests": [], "games": {}},
    "model_distribution": {SHA: {"nodes": ["here"], "missing": []}},
    "recent_events": [EVENT],
    "daemons": {"JOB_REAPER": DAEMON, "MODEL_DISTRIBUTION": DAEMON},
    "champions": {"hex8_2p": {"sha256": SHA, "version": 1, "elo": None, "since": 5.0}},
}
ANSWERS: dict[str, Given] = {
    "GET /health": {"status": "ok", "node_id": "here", "uptime_s": 5.0, "reasons": [], "degraded": []},
    "GET /status": STATUS,
    "GET /events": [{"events": [EVENT], "next": "9.0", "gap": False}, {"events": [], "next": "9.0", "gap": False}],
    "POST /events": (202, {"type": "TRAINING_COMPLETED", "event_id": "here/1/1"}),
    "GET /nodes": {"nodes": [{"node_id": "here", "alive": True}]},
    "POST /admin/promote": (202, TICKET),
    "GET /admin/promote": {"requests": [TICKET], "last_evaluation": EVALUATION},
    "GET /admin/promote/1": TICKET,
    "POST /admin/distribute-model": {"game": "hex8_2p", "sha256": SHA, "nodes": ["here"], "missing": []},
    "GET /admin/rollback": {"rollbacks": []},
    "POST /admin/rollback": BACK,
    "GET /admin/rollback/hex8_2p": SHOULD,
    "POST /admin/rollback/hex8_2p/baseline": {"model_id": "hex8_2p", "metrics": {}},
    "POST /admin/daemons/JOB_REAPER/start": DAEMON,
}
