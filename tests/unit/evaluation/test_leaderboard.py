"""Leaderboards of folders of stored matches."""

import json
from pathlib import Path

import pytest

from ringrift_core.errors import StorageError
from ringrift_core.evaluation.leaderboard import json_form, leaderboard, read_tally, text_table
from ringrift_core.evaluation.stored_match import StoredMatch, write_match
from ringrift_core.evaluation.tally import Tally, tally_of
from ringrift_core.game.config_key import ConfigKey
from tests.unit.evaluation.tournaments import HEURISTIC, net, stored


def write(folder: Path, *matches: StoredMatch) -> list[Path]:
    return [write_match(folder, match) for match in matches]


def read_tally_of(*matches: StoredMatch) -> Tally:
    return tally_of(matches, ConfigKey("hex8", 2))


def test_everybody_who_played_stands_in_the_table_best_first(tmp_path: Path):
    write(
        tmp_path,
        stored([net(1, version=1), HEURISTIC], [0] * 6 + [1] * 4),
        stored([net(2, version=2), HEURISTIC], [0] * 3 + [1] * 7),
    )
    form = json_form(leaderboard(read_tally([tmp_path])))
    agents = form["agents"]
    assert isinstance(agents, list)
    assert [(row["rank"], row["name"], row["games"], row["wins"]) for row in agents] == [
        (1, "net v1", 10, 6),
        (2, "heuristic-v1", 20, 11),
        (3, "net v2", 10, 3),
    ]
    assert (agents[1]["elo"], agents[1]["margin"], agents[1]["sims"]) == (1200.0, 0.0, None)
    assert (form["game"], form["games"], form["matches"], form["anchored"]) == ("hex8_2p", 20, 2, True)
    json.loads(json.dumps(form))


def test_a_table_holds_one_configuration(tmp_path: Path):
    write(tmp_path, stored([net(1), HEURISTIC], [0, 0]), stored([net(1), HEURISTIC], [1, 1], "square8_2p"))
    for key, wins in (("hex8_2p", 2), ("square8_2p", 0)):
        assert read_tally([tmp_path], ConfigKey.parse(key)).won()[net(1).id] == wins
    with pytest.raises(StorageError, match="matches of hex8_2p, square8_2p; choose one with --game"):
        read_tally([tmp_path])
    with pytest.raises(StorageError, match="no stored matches of hexagonal_4p, only of hex8_2p, square8_2p"):
        read_tally([tmp_path], ConfigKey("hexagonal", 4))


def test_folders_and_files_are_read_and_a_copy_counts_once(tmp_path: Path):
    (path,) = write(tmp_path / "a", stored([net(1), HEURISTIC], [0, 1]))
    assert read_tally([tmp_path / "a", path]).games == 2


def test_an_empty_or_missing_folder_is_an_error(tmp_path: Path):
    with pytest.raises(StorageError, match="no stored matches; play some"):
        read_tally([tmp_path])
    with pytest.raises(StorageError, match="nowhere: there is no such file"):
        read_tally([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'"plies":1', b'"plies":2', "damaged or renamed"),
        (b'"games"', b'"gamez"', "no match: games"),
    ],
)
def test_a_damaged_match_is_named(tmp_path: Path, old, new, reason):
    good, bad = write(tmp_path, stored([net(1), HEURISTIC], [0, 1]), stored([net(2), HEURISTIC], [0, 1]))
    bad.write_bytes(bad.read_bytes().replace(old, new, 1))
    with pytest.raises(StorageError, match=f"{bad.name}: .*{reason}"):
        read_tally([tmp_path])
    assert read_tally([good]).games == 2


def test_matches_of_other_rules_are_refused(tmp_path: Path):
    (path,) = write(tmp_path, stored([net(1), HEURISTIC], [0, 1]).model_copy(update={"rules_digest": "0" * 64}))
    with pytest.raises(StorageError, match=f"{path.name}: played by rules 0000"):
        read_tally([tmp_path])


def test_the_text_says_what_it_does_not_know():
    tally = read_tally_of(
        stored([net(1), HEURISTIC], [0] * 30),
        stored([net(2), net(3)], [0, 1]),
    )
    text = text_table(leaderboard(tally))
    lines = text.splitlines()
    assert "heuristic-v1 has 1200 Elo" in lines[0]
    assert [line for line in lines if "net v1" in line and line.endswith("one-sided")]
    assert [line for line in lines if "net v3" in line and line.endswith("unconnected")]
    assert "a group that only won or only lost" in text
    assert "too few games to test the fit" in text
    without = text_table(leaderboard(read_tally_of(stored([net(2), net(3)], [0, 1]))))
    assert "the mean of the agents is 1200 Elo" in without


def test_the_text_names_the_agents_whose_games_do_not_fit():
    a, b, c = net(1), net(2), net(3)
    ring = [stored([one, two], [0] * 90 + [1] * 10) for one, two in ((a, b), (b, c), (c, a))]
    text = text_table(leaderboard(read_tally_of(*ring)))
    assert "one number per agent does not explain the games, least those of net v" in text
    assert "1 sure rings of three" in text


def test_names_cannot_command_a_terminal():
    agent = net(1).model_copy(update={"name": "a\x1b[2J\nb"})
    text = text_table(leaderboard(read_tally_of(stored([agent, HEURISTIC], [0, 1]))))
    assert "\x1b" not in text
    assert "a?[2J?b" in text
