"""The table of events is total, and the page about them is generated from it."""

from managers.runtime.event import DataEventType, Event, GameEvent
from managers.runtime.events import EVENTS
from tests.tidy import ROOT
from tests.tidy.event_reference import FIELDS, event_reference, fields_of


def kinds(base: type[Event]) -> set[type[Event]]:
    return {kind for sub in base.__subclasses__() for kind in {sub} | kinds(sub)}


def test_every_public_name_has_one_class_and_every_class_a_name():
    assert set(EVENTS) == set(DataEventType)
    named = {kind for kind in kinds(Event) if "type" in vars(kind)}
    assert named == set(EVENTS.values())
    assert len(set(EVENTS.values())) == len(EVENTS)


def test_nothing_that_must_happen_hangs_on_an_event():
    """The managers tell events and listen to none."""
    listening = [
        path.relative_to(ROOT)
        for path in (ROOT / "managers").rglob("*.py")
        if path.parent.name != "runtime" and "subscribe(" in path.read_text()
    ]
    assert listening == []


def test_events_about_a_game_say_which():
    assert all("config_key" in fields_of(kind) for kind in kinds(GameEvent))


def test_the_event_reference_is_generated_from_the_events():
    page = ROOT / "docs" / "reference" / "events.md"
    assert page.read_text() == event_reference(), "run: python -m tests.tidy.event_reference"


def test_every_event_has_a_row_and_every_field_a_meaning():
    text = (ROOT / "docs" / "reference" / "events.md").read_text()
    assert [name for name in DataEventType.__members__ if f"\n| `{name}` |" not in text] == []
    assert {field for kind in EVENTS.values() for field in fields_of(kind)} == set(FIELDS)
