"""Checking stored results: what lies is found, and named."""

from pathlib import Path
from typing import Any

import pytest

from ringrift_core.errors import StorageError
from ringrift_core.evaluation import check
from ringrift_core.evaluation.check import check_gauntlet, check_match
from ringrift_core.evaluation.gauntlet import GameGauntlet, GauntletSettings, Opponent
from ringrift_core.evaluation.gauntlet_result import GauntletResult
from ringrift_core.evaluation.sprt import Outcome
from ringrift_core.evaluation.stored_match import Book, StoredMatch, read_match, write_match
from ringrift_core.evaluation.thresholds import Role
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.roster import agent_of
from tests.unit.evaluation.results import NOW, stored_match, strong


def lying(match: StoredMatch, number: int, **changes: Any) -> StoredMatch:
    """The match with one game told otherwise, past the checks of reading."""
    games = list(match.games)
    games[number] = games[number].model_copy(update=changes)
    return match.model_copy(update={"games": tuple(games)})


@pytest.mark.parametrize("key", ["hex8_2p", "square8_3p"])
def test_a_match_that_was_played_is_right(key, monkeypatch: pytest.MonkeyPatch):
    check_match(stored_match(key))
    monkeypatch.setattr(check, "GAMES_AT_ONCE", 2)
    check_match(stored_match(key))
    check_match(stored_match(key).model_copy(update={"book": None}))


@pytest.mark.parametrize("number", [0, 3, 5])
def test_a_game_that_lies_is_named(number):
    match = stored_match()
    game = match.games[number]
    last = game.decisions[-1]
    for changes, says in [
        ({"winner": 1 - game.winner}, "winner"),
        ({"ranks": game.ranks[::-1]}, "ranks"),
        ({"reason": "nothing"}, "reason nothing recorded"),
        ({"plies": game.plies + 1}, "plies"),
        ({"decisions": game.decisions[:-1]}, "goes on after the last decision"),
        ({"decisions": (*game.decisions, last)}, f"decision {len(game.decisions)}, {last}, is not legal there"),
        ({"decisions": (*game.decisions[:30], 65_535, *game.decisions[31:])}, "decision 30, 65535, is not legal"),
        ({"decisions": match.games[number - 2].decisions}, "does not begin with opening"),
    ]:
        with pytest.raises(StorageError, match=f"^game {number} is not what it says: .*{says}"):
            check_match(lying(match, number, **changes))


def test_the_first_of_several_lies_is_named(monkeypatch: pytest.MonkeyPatch):
    match = lying(lying(stored_match(), 4, plies=7), 2, decisions=stored_match().games[2].decisions[:-1])
    with pytest.raises(StorageError, match=r"^game 2"):
        check_match(match)
    monkeypatch.setattr(check, "GAMES_AT_ONCE", 3)
    with pytest.raises(StorageError, match=r"^game 2"):
        check_match(match)


def test_the_book_is_ours_and_no_opening_is_used_twice():
    match = stored_match()
    with pytest.raises(StorageError, match=r"the openings are of the book other \(0000"):
        check_match(match.model_copy(update={"book": Book(name="other", sha256="0" * 64)}))
    twice = match.model_copy(update={"games": match.games[:2] * 2})
    with pytest.raises(StorageError, match=r"game 2: opening \d+: .*was used before"):
        check_match(twice)
    none = lying(lying(match, 2, opening=1024), 3, opening=1024)
    with pytest.raises(StorageError, match=r"game 2: opening 1024: .*has no such opening"):
        check_match(none)


def gauntlet(folder: Path) -> GauntletResult:
    """One row, passed."""
    key = ConfigKey.parse("hex8_2p")
    runner = GameGauntlet(key, GauntletSettings(games=4, games_max=8), folder)
    return runner.run(strong(), [Opponent(Role.RANDOM, agent_of("random", key))], NOW)


def test_a_gauntlet_is_what_its_matches_say(tmp_path: Path):
    result = gauntlet(tmp_path)
    check_gauntlet(result, tmp_path)
    row = result.rows[0]
    fewer = (row.blocks[0], row.blocks[1] + 1, row.blocks[2] - 1)
    other = write_match(tmp_path, stored_match())
    lies: list[tuple[dict[str, Any], str]] = [
        ({"blocks": fewer}, "is not what the row random says"),
        ({"h0": 0.1, "h1": 0.2}, "the row random says llr, low and high"),
        ({"llr": row.llr + 0.1}, "the row random says llr"),
        ({"low": row.low / 2}, "the row random says llr"),
        ({"outcome": Outcome.FAILED}, "the row random says failed, its test undecided"),
        ({"h0": 0.5, "h1": 0.2}, "has a test that is none"),
        ({"match": other.stem}, "is not one of strong against random"),
        ({"match": "0" * 16}, "there is no such file"),
        ({"agent": strong("d").identity}, "is not one of strong against strong"),
    ]
    for changes, says in lies:
        lie = result.model_copy(update={"rows": (row.model_copy(update=changes),)})
        with pytest.raises(StorageError, match=says):
            check_gauntlet(lie, tmp_path)
    path = write_match(tmp_path, lying(read_match(tmp_path / f"{row.match}.json"), 3, plies=1))
    lie = result.model_copy(update={"rows": (row.model_copy(update={"match": path.stem}),)})
    with pytest.raises(StorageError, match="game 3 is not what it says: plies 1 recorded"):
        check_gauntlet(lie, tmp_path)
