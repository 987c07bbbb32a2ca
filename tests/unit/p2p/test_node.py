"""When a loop ends, with which code, and what it says of its end."""

import asyncio
import signal

import pytest

from managers.outcomes import Outcome
from managers.state.commands import Promote
from managers.state.tally import champions_of
from managers.status_records import Status
from p2p.node import log
from p2p.stop import Stop
from tests.loop_states import GAME, Loop, digest


class FakeScreen:
    def __init__(self) -> None:
        self.said: list[str] = []

    def tell(self, outcome: Outcome) -> None: ...

    def show(self, status: Status) -> None: ...

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)])
def test_the_first_signal_asks_for_the_end_and_the_second_one_hurries(number: signal.Signals, code: int):
    async def run() -> None:
        stop, screen, hurried = Stop(), FakeScreen(), []
        stop.hurry = lambda: hurried.append(True)
        stop.signalled(number, screen)
        assert (stop.asked.is_set(), stop.code, hurried) == (True, code, [])
        stop.signalled(signal.SIGTERM, screen)
        assert (stop.code, hurried) == (code, [True])
        assert screen.said == ["ends: jobs are stopped and given back; once more to hurry", "ends at once"]

    asyncio.run(run())


def test_champions_are_counted_however_they_became_it_and_also_when_they_were_taken_back():
    loop = Loop()
    assert champions_of(loop.state.learner(GAME)) == 0
    loop.crown(1)
    loop.crown(2)
    loop.roll_back(2, to=1)
    loop.judge(loop.train(3), 3, "failed")
    loop.do(Promote(game=GAME, candidate=digest(3), expected=digest(1), how="manual", reason="a person"))
    assert champions_of(loop.state.learner(GAME)) == 3


def test_the_log_names_the_event_its_subject_and_troubles_as_errors(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    log(Outcome(at=1, event="job_failed", game=GAME, job="gauntlet-1", weight="trouble", text="boom"))
    log(Outcome(at=1, event="halted", weight="outcome", text="by admin"))
    assert [(it.levelname, it.getMessage()) for it in caplog.records] == [
        ("ERROR", f"job_failed game={GAME} job=gauntlet-1: boom"),
        ("INFO", "halted: by admin"),
    ]
