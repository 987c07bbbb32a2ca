"""Events: names, ids, what cannot be changed, their JSON form."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from managers.runtime.event import DataEventType
from managers.runtime.events import CurriculumRebalanced, LoopHalted, TrainingCompleted, make_event
from ringrift_core.errors import RulesError


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("GAME_BATCH_READY", "SELFPLAY_COMPLETE"),
        ("EVALUATION_RESULT", "EVALUATION_COMPLETED"),
        ("PROMOTION_REJECTED", "MODEL_PROMOTION_FAILED"),
        ("PROMOTION_FAILED", "MODEL_PROMOTION_FAILED"),
        ("training.completed", "TRAINING_COMPLETED"),
        ("model.promotion_failed", "MODEL_PROMOTION_FAILED"),
        ("promotion.failed", "MODEL_PROMOTION_FAILED"),
    ],
)
def test_aliases_and_topics_are_the_event_they_stand_for(alias: str, name: str):
    assert DataEventType.of(alias) is DataEventType(name)


def test_an_alias_is_a_member_too():
    assert DataEventType["GAME_BATCH_READY"] is DataEventType.SELFPLAY_COMPLETE


@settings(max_examples=30)
@given(st.text(max_size=300))
def test_any_other_name_is_refused(name: str):
    known = name[:50].replace(".", "_").upper() in DataEventType.__members__
    if known:
        assert DataEventType.of(name) in DataEventType
        return
    with pytest.raises(RulesError) as refused:
        DataEventType.of(name)
    assert len(str(refused.value)) < 1000


@given(st.sampled_from(sorted(DataEventType)), st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_any_payload_is_an_event_or_refused_by_name(name: str, payload: dict[str, object]):
    message = name
    try:
        json.dumps(make_event(name, payload, "test", 1.0).as_json(), allow_nan=False)
    except RulesError as error:
        message = str(error)
    assert message.startswith(name)


def test_an_event_of_a_transition_is_named_after_it():
    event = LoopHalted(at=1.0, source="state", seq=17, index=2, reason="by hand")
    assert event.event_id == "17.2"
    assert LoopHalted(at=9.0, source="other", seq=17, index=2, event_id="mine", reason="by hand").event_id == "17.2"


def test_an_event_cannot_be_changed_by_who_gets_it():
    event = make_event("CURRICULUM_REBALANCED", {"weights": {"hex8_2p": 1.0}}, "test", 1.0)
    assert isinstance(event, CurriculumRebalanced)
    with pytest.raises(ValidationError):
        event.at = 2.0
    with pytest.raises(TypeError):
        event.weights["hex8_2p"] = 0.0  # type: ignore[index]
    event.payload["weights"]["hex8_2p"] = 0.0
    assert event.payload == {"weights": {"hex8_2p": 1.0}}


def test_the_json_form_has_what_is_known():
    event = TrainingCompleted(at=1.0, source="t", seq=3, config_key="hex8_2p", final_loss=2.5)
    assert event.as_json() == {
        "type": "TRAINING_COMPLETED",
        "timestamp": 1.0,
        "source": "t",
        "event_id": "3.0",
        "seq": 3,
        "payload": {"config_key": "hex8_2p", "board_type": "hex8", "num_players": 2, "final_loss": 2.5},
    }
