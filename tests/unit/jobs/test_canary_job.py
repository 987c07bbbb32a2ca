"""The canary job in this process: its blocks are those of the matches, and what the rollback policy takes."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.evaluation.check import check_match
from ringrift_core.evaluation.openings import Book
from ringrift_core.evaluation.stored_match import matches_in, read_match
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.jobs.canary import openings_of, run_canary
from ringrift_core.jobs.spec import CanarySpec
from ringrift_core.players.names import HEURISTIC_V1_DIGEST, SIMPLE
from ringrift_core.registry.canary import Baseline, CanaryBlock, Observations


def spec(folder: Path, **changes: Any) -> CanarySpec:
    asked: dict[str, Any] = {
        "kind": "canary", "game": "hex8_2p", "model": "heuristic", "opponents": ["random", "heuristic"], "sims": 0,
        "out": folder, "seed": 3, "games": 5,
    }  # fmt: skip
    return CanarySpec(**{**asked, **changes})


def play(asked: CanarySpec, stopped: Callable[[], bool] = lambda: False) -> list[dict[str, Any]]:
    reports: list[dict[str, Any]] = []
    run_canary(asked, reports.append, stopped)
    return reports


def openings_in(folder: Path, opponent: str) -> set[int]:
    return {game.opening for match in matches_in(folder) for game in match.games if match.agents[1].sha256 == opponent}


@pytest.mark.parametrize(("game", "games"), [("hex8_2p", 6), ("square8_3p", 6)])
def test_blocks_are_those_of_the_stored_matches(tmp_path, game, games):
    done = play(spec(tmp_path, game=game))[-1]
    players = ConfigKey.parse(game).players
    assert (done["event"], done["model"]) == ("done", HEURISTIC_V1_DIGEST)
    assert [block["opponent"] for block in done["blocks"]] == [SIMPLE["random"].sha256, HEURISTIC_V1_DIGEST]
    for block in done["blocks"]:
        match = read_match(tmp_path / f"{block['match']}.json")
        check_match(match)
        assert (match.purpose, len(match.games), block["games"]) == ("canary", games, games)
        counts = [block["wins"].count(won) for won in range(players + 1)]
        assert (counts, len(block["wins"])) == (match.blocks(), games // players)
        assert datetime.fromisoformat(block["ended_at"]) == match.created_at
    assert len(done["ratings"]) == 3


def test_the_report_makes_observations(tmp_path):
    done = play(spec(tmp_path))[-1]
    blocks = [
        CanaryBlock(done["model"], datetime.fromisoformat(block["ended_at"]), block["opponent"], won)
        for block in done["blocks"]
        for won in block["wins"]
    ]
    baselines = tuple(Baseline(block["opponent"], (1, 1, 1)) for block in done["blocks"])
    seen = Observations(
        ConfigKey.parse("hex8_2p"), done["model"], None, blocks[0].at, baselines=baselines, blocks=tuple(blocks)
    )
    assert len(seen.blocks) == 6


def test_a_canary_has_other_openings_than_the_one_before(tmp_path):
    for number in range(3):
        play(spec(tmp_path / str(number), number=number))
    play(spec(tmp_path / "seed", seed=4))
    for opponent in (SIMPLE["random"].sha256, HEURISTIC_V1_DIGEST):
        drawn = [openings_in(tmp_path / name, opponent) for name in ("0", "1", "2", "seed")]
        assert len(drawn[0] | drawn[1] | drawn[2]) == 9
        assert drawn[3] != drawn[0]
    assert openings_in(tmp_path / "0", SIMPLE["random"].sha256) != openings_in(tmp_path / "0", HEURISTIC_V1_DIGEST)


def test_the_whole_book_is_used_before_an_opening_comes_again():
    book = Book.of("hex8_2p")
    numbers = [it.number for number in range(128) for it in openings_of(book, 8, number, [1])]
    assert sorted(numbers) == list(range(1024))
    assert len(openings_of(book, 8, 128, [1])) == 8
    assert len(openings_of(book, 1000, 3, [1])) == 1000
    with pytest.raises(RulesError, match="has 1024 openings"):
        openings_of(book, 1025, 0, [1])


def test_the_same_canary_plays_the_same_games(tmp_path):
    for name in ("a", "b"):
        play(spec(tmp_path / name, opponents=["random"]))
    one, other = (list(matches_in(tmp_path / name)) for name in ("a", "b"))
    assert [match.games for match in one] == [match.games for match in other]


def test_a_stopped_canary_keeps_whole_matches_only(tmp_path):
    left = iter(range(30, -1, -1))
    assert play(spec(tmp_path), lambda: next(left) == 0) == [{"event": "stopped"}]
    assert list(tmp_path.iterdir()) == []


def test_nobody_is_met_twice(tmp_path):
    done = play(spec(tmp_path, opponents=["random", "random"], games=2))[-1]
    assert len(done["blocks"]) == 1


def test_what_is_no_canary_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"nowhere\.pth: there is no such file"):
        play(spec(tmp_path, opponents=["nowhere.pth"]))
    with pytest.raises(ValidationError, match="opponents"):
        spec(tmp_path, opponents=[])
    with pytest.raises(ValidationError, match="games"):
        spec(tmp_path, games=0)
