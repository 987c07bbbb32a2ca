"""`ringrift play`: a session with scripted people."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from ringrift_core.commands import play as play_command
from ringrift_core.commands.play import Table, make_agents
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game import Game
from ringrift_core.game.config_key import ConfigKey


def session(game: Game, names: list[str], lines: list[str]) -> str:
    """What a session prints when people type these lines and then close the input."""
    out = io.StringIO()
    console = Console(file=out, width=150, color_system=None)
    typed: Iterator[str] = iter(lines)

    def read(prompt: str) -> str:
        console.print(prompt, end="")
        line = next(typed, None)
        if line is None:
            raise EOFError
        console.print(line)
        return line

    Table(game, make_agents(names, game.config_key, 1, console, read), console).run()
    return out.getvalue()


def test_a_person_plays_against_random():
    game = Game.start("hex8_2p")
    shown = session(game, ["human"], ["P 0,0 1", "M 0,0>1,0"])
    assert game.plies[:2] == ["P 0,0 1", "M 0,0>1,0"]
    assert "forced: NL; NT" in shown
    assert game.player == 1  # the computer has answered
    assert "stopped after" in shown


def test_a_question_mark_explains_phase_and_legal_plies():
    shown = session(Game.start("hex8_2p"), ["human"], ["?", "? P 0,0", "? Z", "help"])
    assert "Put 1-3 rings on an empty cell" in shown
    assert "place rings: P cell count (183)" in shown
    assert "P 0,0 1\nP 0,0 2\nP 0,0 3" in shown
    assert "no legal ply begins with 'Z'" in shown
    assert shown.count("undo       take back") == 2


def test_an_illegal_line_is_answered_with_the_rule_and_asked_again():
    game = Game.start("hex8_2p")
    shown = session(game, ["human"], ["P 9,9 1", "[bold]x", "P 0,0 1"])
    assert "9,9 is not on hex8 (R001)" in shown
    assert "no ply that begins with '[bold]x'" in shown
    assert game.plies == ["P 0,0 1"]


def test_undo_goes_back_to_the_persons_last_choice():
    game = Game.start("hex8_2p")
    session(game, ["human"], ["P 0,0 1", "M 0,0>1,0", "undo"])
    assert game.plies == ["P 0,0 1"]
    session(game, ["human"], ["undo", "undo"])
    assert game.plies == []


def test_pictures_and_records_are_written_in_the_middle(tmp_path: Path):
    game = Game.start("hex8_2p")
    record, picture = tmp_path / "r.json", tmp_path / "p.svg"
    shown = session(game, ["human"], ["P 0,0 1", f"save {record}", f"svg {picture}", "svg /proc/x/y.svg", "quit"])
    assert Game.from_json(json.loads(record.read_text())).hash() == game.hash()
    assert picture.read_text().startswith("<svg")
    assert "cannot write /proc/x/y.svg" in shown


def test_computers_play_a_whole_game_and_the_record_replays(tmp_path: Path):
    game = Game.start("square8_3p")
    out = io.StringIO()
    play_command.play(game, ["random"] * 3, 5, tmp_path / "game.json", Console(file=out, width=150))
    record = json.loads((tmp_path / "game.json").read_text())
    assert record["end"]["n"] == len(game.plies)
    assert Game.from_json(record).outcome == game.outcome
    assert "wins by" in out.getvalue()
    again = Game.start("square8_3p")
    play_command.play(again, ["random"] * 3, 5, None, Console(file=io.StringIO()))
    assert again.plies == game.plies


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["robot"], "nobody called 'robot'"),
        (["random"] * 3, "too many for 2"),
        (["greedy:16"], "greedy has no search"),
        (["heuristic:9999999"], "at most 100000"),
        (["missing.pth"], "there is no such file"),
    ],
)
def test_agents_are_checked(names, message):
    with pytest.raises((RulesError, StorageError), match=message):
        make_agents(names, ConfigKey("hex8", 2), 0, Console(), input)


def test_after_a_swap_the_agents_sit_elsewhere():
    """Agent 1 is a person; after agent 2's swap the person plays seat 2."""

    class Swapper:
        def choose(self, game: Game) -> str | None:
            return "SW" if "SW" in game.legal_plies() else None

    out = io.StringIO()
    console = Console(file=out, width=150)
    asked = []
    typed = iter(["P 0,0 1", "M 0,0>1,0"])

    def read(prompt: str) -> str:
        asked.append(prompt)
        line = next(typed, None)
        if line is None:
            raise EOFError
        return line

    game = Game.start("hex8_2p")
    people = make_agents(["human"], game.config_key, 1, console, read)
    Table(game, [people[0], Swapper()], console).run()
    assert game.agent_of_seat == [2, 1]
    assert asked[-1].startswith("seat 2, ring placement")
