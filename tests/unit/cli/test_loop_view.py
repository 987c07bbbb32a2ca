"""What people see of a loop: outcomes first, nothing that a terminal would obey, and nobody has to read it."""

import io
import json
import threading

from rich.console import Console

from config.schema import Settings
from config.sections import NodeSettings
from managers.decision import Wait
from managers.job_progress import JobWord
from managers.model_installer import Finding
from managers.outcomes import Outcome
from managers.ports import Usage
from managers.state.commands import HaltAll
from managers.status import Sight, Work, status_of
from managers.status_records import Status
from p2p.cli.loop_screen import WAITING_MAX, JsonScreen, LiveScreen, PlainScreen, Writer
from p2p.cli.loop_view import view_of
from tests.loop_states import GAME, Loop

SETTINGS = Settings(node=NodeSettings(node_id="here"))


def shown(status: Status) -> str:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(view_of(status))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def learning() -> Loop:
    loop = Loop()
    loop.count(1000, 12_800)
    loop.crown(1, elo=1410.0)
    loop.judge(loop.train(2), 2, "failed")
    loop.judge(loop.train(3), 3, "failed", elo=1412.0)
    return loop


def status(loop: Loop, **more: object) -> Status:
    return status_of(Sight(loop.state, SETTINGS, loop.now + 360, (GAME,), running=True, pid=77, **more))  # type: ignore[arg-type]


def test_outcomes_stand_first():
    loop = learning()
    job = loop.selfplay()
    text = shown(
        status(
            loop,
            waits=(Wait(GAME, "training", "12 of 1500 new games"),),
            work={job: Work({"games": 31}, Usage(300 << 20, 12.0, 0.0), JobWord(progress="31 games"))},
            games_per_h={GAME: 900.0},
            uptime_s=200.0,
        )
    )
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines[0].startswith("RingRift loop here  process 77, up 3 min, seq ")
    assert lines[1] == f"{GAME}: 2 candidates in a row did not pass"
    assert lines[2].split() == ["game", "champion", "Elo", "won", "against", "games", "per", "h", "newest", "rows/row"]
    assert lines[3].split()[:4] == [GAME, "0000000000", "(gate)", "unknown"]
    assert "random 96 % (88-99)" in lines[3]
    assert any(line.startswith("expected  hex8_2p: next candidate begins to train:") for line in lines)
    assert any(line == "waits     hex8_2p: training: 12 of 1500 new games" for line in lines)
    assert any("31 games" in line and line.split()[-2:] == ["12", "300"] for line in lines)


def test_the_elo_of_the_champion_has_its_bounds():
    loop = Loop()
    loop.crown(1, elo=1410.0)
    assert "1410 ± 30" in shown(status(loop))


def test_what_a_person_should_look_at_stands_above_the_table():
    loop = learning()
    loop.do(HaltAll(by="admin", reason="a test"))
    text = shown(status(loop, findings=(Finding(GAME, "damaged", "canonical file has another digest"),)))
    assert text.index("halted by admin: a test; `ringrift loop --resume` goes on") < text.index("champion")
    assert text.index("canonical net of hex8_2p: damaged: canonical file") < text.index("won against")


def test_a_state_without_a_loop_says_so():
    found = shown(status(learning()).model_copy(update={"running": False, "data_dir": "/data"}))
    assert "not running; last state of /data" in found


def test_nothing_that_is_shown_steers_the_terminal():
    loop = Loop()
    loop.do(HaltAll(by="admin\x1b[2J", reason="\x1b]0;owned\x07[bold]"))
    text = shown(status(loop, waits=(Wait(GAME, "training", "\x1b[31m[red]x[/nope]"),), notes=("\x9b31m",)))
    assert not {"\x1b", "\x07", "\x9b"} & set(text)
    assert "[red]x[/nope]" in text


def outcome(text: str, weight: str = "outcome") -> Outcome:
    return Outcome.model_validate({"at": 10.0, "event": "e", "game": GAME, "weight": weight, "text": text})


def test_plain_lines_leave_out_steps_and_sum_up_now_and_then():
    out = io.StringIO()
    with Writer() as writer:
        screen = PlainScreen(writer, out)
        screen.tell(outcome("a step", "step"))
        screen.tell(outcome("a new champion"))
        for uptime_s in (0.0, 30.0, 61.0):
            screen.show(status(learning(), uptime_s=uptime_s))
    lines = out.getvalue().splitlines()
    assert lines[0].endswith(f" {GAME}: a new champion")
    assert [line.startswith(f"{GAME}: champion 0000000000 Elo") for line in lines[1:]] == [True, True]


def test_json_lines_hold_everything_that_happened():
    out = io.StringIO()
    with Writer() as writer:
        screen = JsonScreen(writer, out)
        screen.tell(outcome("a step", "step"))
        screen.say("a port is taken")
        screen.show(status(learning()))
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(it["event"], it["text"], it["at"]) for it in found] == [
        ("e", "a step", 10.0),
        ("said", "a port is taken", 10.0),
    ]


def test_the_last_live_picture_stays():
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=True, color_system=None)
    with Writer() as writer, LiveScreen(writer, console) as screen:
        screen.show(status(learning()))
    assert "won against" in out.getvalue()


class Blocked(io.StringIO):
    """A terminal that nobody reads, until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def write(self, text: str) -> int:
        self.go.wait(60)
        return super().write(text)


def test_nobody_waits_for_a_reader_who_does_not_read():
    out = Blocked()
    with Writer() as writer:
        screen = PlainScreen(writer, out)
        for number in range(10 * WAITING_MAX):
            screen.say(str(number))
        out.go.set()
    assert len(out.getvalue().splitlines()) <= WAITING_MAX + 1


class Gone(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError


def test_the_loop_goes_on_when_its_reader_has_gone(monkeypatch):
    monkeypatch.setattr("p2p.cli.loop_screen.silence", lambda _out: None)
    with Writer() as writer:
        screen = PlainScreen(writer, Gone())
        screen.say("one")
        screen.say("two")
