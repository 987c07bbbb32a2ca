"""The history of rollbacks: newest first, whole, and nothing else is read as one."""

import json
from datetime import timedelta

import pytest
from pydantic import ValidationError

from ringrift_core.errors import StorageError
from ringrift_core.registry import history
from ringrift_core.registry.history import RollbackEvent, read_history, rollback_history, write_history
from ringrift_core.registry.rollback_policy import Trigger
from tests.unit.registry.nets import NOW


def event(number: int, **changes: object) -> RollbackEvent:
    values: dict[str, object] = {
        "model_id": "square8_2p",
        "from_version": 4,
        "from_sha256": "a" * 64,
        "to_version": 3,
        "to_sha256": "b" * 64,
        "reason": f"number {number}",
        "trigger": Trigger.AUTO_ELO,
        "metrics_before": {"elo": 1850.0, "win_rate": None},
        "metrics_after": {"elo": 1902.5},
        "timestamp": NOW + timedelta(minutes=number),
        "success": True,
    }
    return RollbackEvent.model_validate(values | changes)


def test_the_newest_five_are_the_first_five(tmp_path):
    path = tmp_path / "data" / "rollback_history.json"
    write_history(path, [event(number) for number in (3, 1, 7, 2, 6, 5, 4)])
    assert [entry["reason"] for entry in json.loads(path.read_text())[0:5]] == [f"number {i}" for i in (7, 6, 5, 4, 3)]


def test_an_entry_has_the_documented_fields():
    (entry,) = json.loads(rollback_history([event(1, success=False)]))
    assert entry == {
        "model_id": "square8_2p",
        "from_version": 4,
        "from_sha256": "a" * 64,
        "to_version": 3,
        "to_sha256": "b" * 64,
        "reason": "number 1",
        "trigger": "auto_elo",
        "metrics_before": {"elo": 1850.0, "win_rate": None},
        "metrics_after": {"elo": 1902.5},
        "timestamp": "2026-01-02T03:05:05Z",
        "success": False,
    }


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "history.json"
    assert read_history(path) == ()
    write_history(path, [])
    assert read_history(path) == ()
    events = [event(2), event(1), event(1, reason="the same minute, later")]
    write_history(path, events)
    assert read_history(path) == (events[0], events[2], events[1])


def test_only_the_newest_are_kept(monkeypatch):
    monkeypatch.setattr(history, "ENTRIES_MAX", 2)
    assert [entry["reason"] for entry in json.loads(rollback_history(map(event, range(5))))] == ["number 4", "number 3"]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("", ""),
        ("{}", ""),
        ("[1]", "0"),
        ("[{}]", "model_id"),
        (rollback_history([event(1)])[:-20], ""),
        (rollback_history([event(1)]).replace("auto_elo", "whim"), "trigger"),
        (rollback_history([event(1)]).replace("a" * 64, "a" * 63), "from_sha256"),
        (rollback_history([event(1)]).replace("true", '"yes"'), "success"),
        (rollback_history([event(1)]).replace("1850.0", "NaN"), ""),
        (rollback_history([event(1)]).replace("05Z", "05"), "timestamp"),
        (json.dumps(json.loads(rollback_history([event(1), event(2)]))[::-1]), "newest first"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_by_name(tmp_path, content, place):
    path = tmp_path / "history.json"
    path.write_text(content)
    with pytest.raises(StorageError, match=rf"history\.json.*{place}.*delete it"):
        read_history(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics_before": {"elo": float("inf")}},
        {"timestamp": NOW.replace(tzinfo=None)},
        {"to_version": 0},
        {"reason": ""},
        {"reason": "\ud800"},
    ],
)
def test_an_event_that_could_not_be_read_back_is_not_made(changes):
    with pytest.raises((ValidationError, ValueError)):
        event(1, **changes)
