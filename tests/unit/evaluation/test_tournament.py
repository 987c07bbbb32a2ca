"""Tournaments: who meets, what is stored, what a second run adds."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.stored_match import StoredMatch, matches_in, write_match
from ringrift_core.evaluation.tournament import Tournament, play_tournament
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.players.roster import agent_of

HEX2 = ConfigKey("hex8", 2)


def entrants(key: ConfigKey, *names: str):
    return [agent_of(name, key) for name in names]


def run(folder: Path, games: int, seed: int = 1, names: tuple[str, ...] = ("random", "greedy")) -> int:
    tournament = Tournament(HEX2, entrants(HEX2, *names), games, seed)
    return play_tournament(tournament, folder, lambda: datetime(2026, 1, 1, tzinfo=UTC), lambda _: None)


def openings(match: StoredMatch) -> set[int]:
    return {game.opening for game in match.games}


def test_two_players_meet_in_every_pair():
    found = Tournament(HEX2, entrants(HEX2, "random", "greedy", "heuristic"), 2, 1).pairings
    assert len({frozenset(agent.identity.name for agent in pairing) for pairing in found}) == len(found) == 3


@pytest.mark.parametrize("players", [3, 4])
def test_more_players_meet_as_one_against_copies_both_ways_round(players):
    key = ConfigKey("hex8", players)
    found = Tournament(key, entrants(key, "random", "greedy", "heuristic"), 2, 1).pairings
    assert len(found) == 6
    counts = [Counter(agent.identity.name for agent in pairing) for pairing in found]
    assert all(sorted(count.values()) == [1, players - 1] for count in counts)
    total = sum(counts, Counter[str]())
    assert len(set(total.values())) == 1


def test_every_pairing_is_a_stored_match_of_whole_blocks_from_the_book(tmp_path: Path):
    assert run(tmp_path, 3, names=("random", "greedy", "heuristic")) == 3 * 4
    matches = list(matches_in(tmp_path))
    assert [len(match.games) for match in matches] == [4, 4, 4]
    assert {match.purpose for match in matches} == {"tournament"}
    assert all(match.book and match.book.name.startswith("hex8_2p") for match in matches)
    assert len({frozenset(openings(match)) for match in matches}) == 1


def test_other_json_in_the_folder_is_passed_over(tmp_path: Path):
    (tmp_path / "gate.json").write_text('{"mode": "ci"}')
    assert run(tmp_path, 2) == 2
    assert len(list(matches_in(tmp_path))) == 1


def test_a_second_run_adds_nothing_and_a_larger_one_only_what_is_missing(tmp_path: Path):
    assert run(tmp_path, 4) == 4
    before = sorted(path.name for path in tmp_path.iterdir())
    assert run(tmp_path, 4) == 0
    assert run(tmp_path, 2, names=("greedy", "random")) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert run(tmp_path, 10) == 6
    first, second = (openings(match) for match in matches_in(tmp_path))
    assert first.isdisjoint(second)
    assert len(first | second) == 5
    assert run(tmp_path, 10, names=("random", "greedy", "heuristic")) == 20


def test_the_same_seed_gives_the_same_file_and_another_seed_other_games(tmp_path: Path):
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(tmp_path / folder, 4, seed)
    names = {folder: {path.name for path in (tmp_path / folder).iterdir()} for folder in "abc"}
    assert names["a"] == names["b"] != names["c"]
    assert run(tmp_path / "a", 4, seed=2) == 4


def test_only_openings_of_the_same_seed_purpose_and_book_count_as_played(tmp_path: Path):
    run(tmp_path / "all", 4)
    (match,) = matches_in(tmp_path / "all")
    for field, value in (("seed", 2), ("purpose", "match"), ("book", None)):
        folder = tmp_path / field
        write_match(folder, match.model_copy(update={field: value}))
        assert run(folder, 4) == 4


def test_tournaments_of_nobody_or_of_no_games_are_errors():
    with pytest.raises(RulesError, match="at least one game"):
        Tournament(HEX2, entrants(HEX2, "random", "greedy"), 0, 1)
    with pytest.raises(RulesError, match="two different agents or more, not 1"):
        Tournament(HEX2, entrants(HEX2, "random"), 2, 1)
    with pytest.raises(RulesError, match="takes part twice"):
        Tournament(HEX2, entrants(HEX2, "random", "random"), 2, 1)
