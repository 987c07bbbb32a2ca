"""The journal: one order, cursors that outlive a restart, gaps that are told."""

import asyncio
from collections.abc import Iterator

import pytest

from managers.event_journal import BEGINNING, LAST, Cursor, EventJournal, Page, cursor_of, text_of
from managers.runtime.event import DataEventType
from managers.runtime.events import make_event
from managers.state.apply import apply
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import Body, Command, Enqueue, HaltAll, Join, ResumeAll
from managers.state.tasks import SelfplayTask
from ringrift_core.errors import RulesError
from tests.loop_states import GAME, NODE

BODIES: tuple[Body, ...] = (
    Join(node=NODE, session=1, cores=2),
    Enqueue(task=SelfplayTask(game=GAME, model="heuristic", sims=16), priority=50),
    HaltAll(by="admin", reason="a test"),
    ResumeAll(by="admin"),
)


def steps() -> Iterator[tuple[ClusterState, ClusterState, Result]]:
    """Four transitions, of which the first tells nothing."""
    state = ClusterState()
    for number, body in enumerate(BODIES):
        before = state
        state, result = apply(before, Command(client="c", sequence=number + 1, at=float(number + 1), body=body))
        assert result.accepted
        yield before, state, result


def local(name: str = "DAEMON_STARTED", daemon: str = "X"):
    return make_event(name, {"daemon": daemon}, "here", 1.0).model_copy(update={"event_id": f"here/1/{daemon}"})


def read_back(kept_max: int = 100) -> EventJournal:
    journal = EventJournal(kept_max)
    for step in steps():
        journal.read_back(*step)
    journal.begin(4)
    return journal


def told(page: Page) -> list[tuple[str, Cursor]]:
    return [(entry.event.type.value, entry.cursor) for entry in page.entries]


def test_what_is_read_back_is_there_without_being_told():
    assert told(read_back().after(None, 10)) == [
        ("WORK_QUEUED", (2, 0)),
        ("LOOP_HALTED", (3, 0)),
        ("LOOP_RESUMED", (4, 0)),
    ]


def test_a_cursor_goes_on_behind_what_it_names_and_gap_is_told_only_where_one_is():
    journal = read_back()
    page = journal.after((2, 0), 1)
    assert (told(page), page.next, page.gap) == ([("LOOP_HALTED", (3, 0))], (3, 0), False)
    page = journal.after(page.next, 10)
    assert (told(page), page.next, page.gap) == ([("LOOP_RESUMED", (4, 0))], (4, 0), False)
    assert journal.after(page.next, 10) == Page((), (4, 0), gap=False)
    assert not journal.after(BEGINNING, 10).gap


def test_events_of_the_node_stand_behind_the_transition_after_which_they_were_told():
    journal = read_back()
    journal.append(local(daemon="A"), 4)
    journal.append(local(daemon="B"), 4)
    journal.append(local(daemon="C"), 7)
    assert [cursor for _, cursor in told(journal.after((3, 0), 10))] == [(4, 0), (4, 1), (4, 2), (7, 0)]
    assert [cursor for _, cursor in told(journal.after((4, LAST), 10))] == [(7, 0)]
    assert journal.latest(1)[0].row.seq == 7


def test_a_type_is_chosen_and_the_others_are_passed_by():
    journal = read_back()
    page = journal.after(None, 10, {DataEventType.LOOP_HALTED})
    assert (told(page), page.next) == ([("LOOP_HALTED", (3, 0))], (4, 0))
    assert journal.after(None, 1, {DataEventType.LOOP_HALTED}).next == (3, 0)


def test_what_is_forgotten_is_a_gap():
    journal = read_back(kept_max=2)
    assert journal.after(BEGINNING, 10).gap
    assert not journal.after((2, 0), 10).gap
    assert not journal.after(None, 10).gap, "whoever says nothing gets what there is"


def test_before_a_snapshot_everything_is_forgotten():
    journal = EventJournal()
    for before, after, result in list(steps())[2:]:
        journal.read_back(before, after, result)
    journal.begin(4)
    page = journal.after((1, 0), 10)
    assert (page.gap, told(page)) == (True, [("LOOP_HALTED", (3, 0)), ("LOOP_RESUMED", (4, 0))])
    assert not journal.after((2, LAST), 10).gap
    fresh = EventJournal()
    fresh.begin(4)
    assert fresh.after((3, 0), 10).gap
    assert fresh.after((4, LAST), 10) == Page((), (4, LAST), gap=False)


def test_a_cursor_that_is_ahead_is_a_gap_and_leads_to_the_end():
    journal = read_back()
    assert journal.after((5, 0), 10) == Page((), (4, 0), gap=True)
    journal.advance(5)
    assert journal.after((5, LAST), 10) == Page((), (5, LAST), gap=False), "a transition that told nothing"


def test_a_jump_is_told_to_who_was_before_it_and_is_a_gap_to_who_stands_within():
    journal = read_back()
    journal.jump(4, 4)  # nothing came in between
    assert not journal.after((4, LAST), 10).gap
    journal.jump(4, 90)
    missed = make_event("EVENTS_MISSED", {"node_id": NODE, "first_seq": 5, "last_seq": 90}, NODE, 1.0)
    journal.append(missed, 90)
    journal.append(local(), 95)
    before = journal.after((4, LAST), 10)
    assert (told(before), before.gap) == ([("EVENTS_MISSED", (90, 0)), ("DAEMON_STARTED", (95, 0))], False)
    assert told(journal.after((3, 0), 10))[0] == ("LOOP_RESUMED", (4, 0)), "what was known before still is"
    for within in ((5, LAST), (89, 3)):
        page = journal.after(within, 10)
        assert (page.gap, page.next) == (True, (95, 0))
    assert not journal.after((90, 0), 10).gap
    assert told(journal.after((4, 0), 10, {DataEventType.LOOP_HALTED})) == [("EVENTS_MISSED", (90, 0))]


def test_whoever_waits_is_woken_by_an_event_and_by_time():
    async def run() -> None:
        journal = read_back()
        await journal.wait((4, 0), 0.0)
        waiting = asyncio.create_task(journal.wait((4, 0), 20.0))
        await asyncio.sleep(0)
        journal.append(local(), 4)
        await asyncio.wait_for(waiting, 5.0)

    asyncio.run(run())


@pytest.mark.parametrize("cursor", [(0, -1), (1, 0), (120, 7), (120, LAST)])
def test_cursors_are_read_as_they_are_written(cursor: Cursor):
    assert cursor_of(text_of(cursor)) == cursor


@pytest.mark.parametrize("text", ["", "x", "-1", "1.", ".1", "1.2.3", "1e3", "٣", " 1", "9" * 30])
def test_a_text_that_is_no_cursor_is_refused(text: str):
    with pytest.raises(RulesError, match="is no cursor"):
        cursor_of(text)
