"""The gauntlet: order, stopping, what is kept, what is refused. Nets are replaced by players that need none."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.evaluation import gauntlet as gauntlets
from ringrift_core.evaluation.check import check_gauntlet
from ringrift_core.evaluation.gauntlet import (
    GameGauntlet,
    GauntletSettings,
    Opponent,
    Standing,
    opponents_of,
)
from ringrift_core.evaluation.gauntlet_result import GauntletResult, read_gauntlet
from ringrift_core.evaluation.openings import Book
from ringrift_core.evaluation.sprt import Outcome
from ringrift_core.evaluation.stored_match import matches_in, read_match
from ringrift_core.evaluation.thresholds import Role, Thresholds
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.roster import Agent, agent_of
from tests.unit.evaluation.results import NOW, Cheat, agent, strong, weak

HEX = ConfigKey.parse("hex8_2p")

EASY = Thresholds(random=0.3, heuristic=0.05, champion=0.2)


def run(
    folder: Path, candidate: Agent, opponents: list[Opponent], key: ConfigKey = HEX, **settings: Any
) -> GauntletResult:
    """One gauntlet."""
    return GameGauntlet(key, GauntletSettings(**settings), folder).run(candidate, opponents, NOW)


def test_opponents_are_met_cheap_ones_first(tmp_path: Path):
    shuffled = opponents_of(HEX, weak("1"), [weak("2"), weak("3")])[::-1]
    result = run(tmp_path, strong(), shuffled, games=2, games_max=40, thresholds=EASY)
    assert [row.opponent for row in result.rows] == ["random", "heuristic", "champion", "anchor", "anchor"]
    assert result.verdict is Outcome.PASSED
    assert result.reason == "passed against random, heuristic, champion, anchor, anchor"


def test_nobody_is_met_twice():
    champion, anchor = weak("1"), weak("2")
    found = opponents_of(HEX, champion, [anchor, champion, anchor, agent_of("heuristic", HEX)])
    assert [(one.role, one.agent.identity.sha256[0]) for one in found[2:]] == [("champion", "1"), ("anchor", "2")]


@pytest.mark.parametrize("key", [HEX, ConfigKey.parse("square8_3p")], ids=str)
def test_the_first_row_that_is_not_passed_ends_the_gauntlet(tmp_path: Path, key):
    result = run(tmp_path, weak(), opponents_of(key, strong("d")), key)
    assert [row.opponent for row in result.rows] == ["random"]
    assert result.verdict is Outcome.FAILED
    row = result.rows[0]
    assert row.games == sum(row.blocks) * key.players >= 50
    assert row.low < row.share < row.high < row.h1
    assert result.reason.startswith(f"won {row.wins} of {row.games} games against random (")


def test_undecided_at_the_cap_is_not_passed(tmp_path: Path):
    result = run(tmp_path, strong(), [Opponent(Role.CHAMPION, strong("d"))], games=4, games_max=8)
    assert (result.verdict, result.rows[0].games, result.rows[0].passes) == (Outcome.UNDECIDED, 8, False)
    assert "a share above 50.0% is not proven at the cap" in result.reason


def test_an_anchor_stops_only_who_is_proven_weaker(tmp_path: Path):
    result = run(tmp_path, strong(), [Opponent(Role.ANCHOR, strong("d"))], games=4, games_max=8)
    assert (result.rows[0].outcome, result.verdict) == (Outcome.UNDECIDED, Outcome.PASSED)
    result = run(tmp_path, weak(), [Opponent(Role.ANCHOR, strong("d"))])
    assert (result.rows[0].outcome, result.verdict) == (Outcome.FAILED, Outcome.FAILED)


@pytest.mark.parametrize(("settings", "blocks"), [
    ({}, (25, 150)),
    ({"games": 400}, (200, 200)),
    ({"games_max": 20}, (10, 10)),
    ({"games": 7, "games_max": 20}, (4, 10)),
    ({"games": 7, "games_max": 8}, (4, 4)),
    ({"games_max": 51}, (25, 25)),
])  # fmt: skip
def test_the_least_and_the_most_games_are_whole_blocks(settings, blocks, tmp_path: Path):
    asked = GauntletSettings(**settings)
    rule = GameGauntlet(HEX, asked, tmp_path)._rules[Role.RANDOM]
    assert asked.blocks(rule, 2) == blocks


def test_no_test_is_looked_at_before_the_least_number_of_games(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gauntlets, "CHUNK_GAMES", 10)
    seen: list[Standing] = []
    runner = GameGauntlet(HEX, GauntletSettings(games=45), tmp_path)
    result = runner.run(weak(), [Opponent(Role.HEURISTIC, agent_of("heuristic", HEX))], NOW, seen.append)
    assert [standing.games for standing in seen] == [10, 20, 30, 40, 46]
    assert result.rows[0].games == 46
    assert seen[-1].llr < seen[-1].bounds[0]
    assert (seen[0].opponent, seen[0].name, seen[0].cap) == ("heuristic", "heuristic-v1", 400)


def test_every_match_is_kept_and_no_opening_is_used_twice(tmp_path: Path):
    result = run(tmp_path, strong(), opponents_of(HEX), games_max=80, thresholds=Thresholds(heuristic=0.9))
    assert len(result.rows) == 2
    for row in result.rows:
        match = read_match(tmp_path / f"{row.match}.json")
        openings = [game.opening for game in match.games]
        assert len(set(openings)) * 2 == len(openings) == row.games
        assert tuple(match.blocks()) == row.blocks
        assert match.agents == (result.candidate, row.agent)
        assert (match.purpose, match.book) == ("gauntlet", Book.of(HEX).record)
    assert len(list(matches_in(tmp_path))) == 2
    check_gauntlet(result, tmp_path)


def test_the_same_seed_plays_the_same_gauntlet(tmp_path: Path):
    opponents = [Opponent(Role.HEURISTIC, agent_of("heuristic", HEX))]
    results = [run(tmp_path, strong(), opponents, games=4, games_max=8, seed=seed) for seed in (1, 1, 2)]
    assert results[0] == results[1]
    first, other = (read_match(tmp_path / f"{result.rows[0].match}.json") for result in results[1:])
    assert {game.opening for game in first.games} != {game.opening for game in other.games}


def test_later_candidates_of_a_reign_need_more_proof(tmp_path: Path):
    opponents = [Opponent(Role.RANDOM, agent_of("random", HEX))]
    first, third = (
        run(tmp_path, strong(), opponents, games=4, games_max=8, candidate_number=number) for number in (1, 3)
    )
    assert third.rows[0].alpha == pytest.approx(first.rows[0].alpha / 9)
    assert third.candidate_number == 3


def test_what_makes_no_gauntlet_is_refused(tmp_path: Path):
    with pytest.raises(RulesError, match="at least one opponent"):
        run(tmp_path, strong(), [])
    with pytest.raises(RulesError, match="the candidate is its own champion: strong"):
        run(tmp_path, strong(), opponents_of(HEX, strong()))
    with pytest.raises(RulesError, match="the book of hex8_2p has 1024 openings"):
        run(tmp_path, strong(), opponents_of(HEX), games_max=2050)
    with pytest.raises(RulesError, match="at most 10 games and at least 20 do not fit"):
        run(tmp_path, strong(), opponents_of(HEX), games=20, games_max=10)
    with pytest.raises(RulesError, match=r"blocks of 2, .*: no number of blocks has 1 to 1 games"):
        run(tmp_path, strong(), opponents_of(HEX), games_max=1)
    with pytest.raises(RulesError, match="no number of blocks has 7 to 7 games"):
        run(tmp_path, strong(), opponents_of(HEX), games=7, games_max=7)
    with pytest.raises(RulesError, match="at least one game"):
        run(tmp_path, strong(), opponents_of(HEX), games=0)
    with pytest.raises(RulesError, match="counted from 1"):
        run(tmp_path, strong(), opponents_of(HEX), candidate_number=0)
    with pytest.raises(RulesError, match=r"a seed lies in"):
        run(tmp_path, strong(), opponents_of(HEX), seed=-1)


def test_an_illegal_choice_ends_the_gauntlet_without_a_verdict(tmp_path: Path):
    for candidate, opponent in ((agent(Cheat), weak()), (weak(), agent(Cheat))):
        with pytest.raises(RulesError, match="cheat chose what cannot be played"):
            run(tmp_path, candidate, [Opponent(Role.ANCHOR, opponent)])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_or_written_is_said_before_the_first_game(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "touch", refused)
        with pytest.raises(StorageError, match="make the folder writable"):
            run(tmp_path / "new", agent(Cheat), [Opponent(Role.ANCHOR, weak())])
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="a file stands where the folder should be"):
        run(tmp_path / "file", agent(Cheat), [Opponent(Role.ANCHOR, weak())])


def test_a_result_is_read_as_it_was_written(tmp_path: Path):
    runner = GameGauntlet(HEX, GauntletSettings(games=4, games_max=8), tmp_path)
    result = runner.run(strong(), opponents_of(HEX), NOW)
    path = runner.keep(result)
    assert path.parent == tmp_path / "gauntlets"
    assert read_gauntlet(path) == result
    content = path.read_text()
    path.write_text(content.replace("undecided", "failed   "))
    with pytest.raises(StorageError, match="no gauntlet"):
        read_gauntlet(path)
    path.write_text(content.replace('"seed": 1', '"seed": 2'))
    with pytest.raises(StorageError, match="its name is not that of its content"):
        read_gauntlet(path)
    path.write_text(content.replace('"config_key": "hex8_2p"', '"config_key": "go"'))
    with pytest.raises(StorageError, match=r"config_key: .*there is no game 'go'"):
        read_gauntlet(path)
    path.write_text(content.replace('"seed": 1', '"seed": 1, "\\u001b[31m": 1'))
    with pytest.raises(StorageError, match=r"no gauntlet: \?\[31m: Extra inputs"):
        read_gauntlet(path)
    with pytest.raises(StorageError, match="there is no such file"):
        read_gauntlet(tmp_path / "gauntlets" / "0.json")


def test_results_that_cannot_be_are_refused(tmp_path: Path):
    result = run(tmp_path, strong(), opponents_of(HEX), games=2, games_max=40, thresholds=EASY)
    form = result.model_dump(mode="json")
    first, second = form["rows"]
    lost = {**first, "outcome": "failed"}
    lies: list[tuple[dict[str, Any], str]] = [
        ({"rows": []}, "at least 1 item"),
        ({"verdict": "failed"}, "the verdict is not that of the rows"),
        ({"rows": [lost, second], "verdict": "passed"}, "ends at the first row that does not pass"),
        ({"rows": [{**first, "games": 0}]}, "greater than or equal to 1"),
        ({"rows": [{**first, "wins": first["wins"] - 1}]}, "do not add up"),
        ({"rows": [{**first, "share": first["share"] / 2}]}, "the share is not that of the games"),
        ({"rows": [first, {**second, "match": first["match"]}]}, "a match counts for one row only"),
        ({"rows": [{**first, "llr": float("nan")}]}, "finite number"),
        ({"config_key": "hex8_3p"}, "not those of hex8_3p"),
        ({"config_key": "go"}, "there is no game 'go'"),
        ({"extra": 1}, "Extra inputs"),
    ]
    for changes, says in lies:
        with pytest.raises((ValidationError, RulesError), match=says):
            GauntletResult.model_validate({**form, **changes})
