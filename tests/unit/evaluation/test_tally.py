"""Stored matches, counted."""

from datetime import datetime

import pytest

from ringrift_core.errors import RulesError
from ringrift_core.evaluation.tally import Finish, tallies, tally_of
from ringrift_core.game.config_key import ConfigKey
from tests.unit.evaluation.tournaments import HEURISTIC, net, stored

HEX2, HEX3 = ConfigKey("hex8", 2), ConfigKey("hex8", 3)


def test_agents_are_listed_by_the_seat_they_began_in():
    a, b, c = net(1), net(2), net(3)
    found = tally_of([stored([a, b, c], [0, 1, 2])], HEX3)
    assert found.finishes == {
        Finish((a.id, b.id, c.id), (1, 2, 3)): 1,
        Finish((b.id, c.id, a.id), (1, 3, 2)): 1,
        Finish((c.id, a.id, b.id), (1, 2, 3)): 1,
    }


def test_the_winner_is_alone_and_ties_below_stay_ties():
    assert Finish.of(("a", "b", "c", "d"), (3, 1, 3, 2), 1).places == (3, 1, 3, 2)
    assert Finish.of(("a", "b", "c", "d"), (2, 2, 1, 2), 2).places == (2, 2, 1, 2)
    assert Finish.of(("a", "b", "c"), (1, 1, 3), 0).places == (1, 2, 3)
    assert Finish.of(("a", "b"), (1, 1), 1).winner == "b"


def test_an_agent_under_two_names_is_one_agent_with_its_latest_name():
    old = net(1, version=3, evaluations=500)
    renamed = old.model_copy(update={"name": "champion", "evaluations": None})
    matches = [stored([renamed, HEURISTIC], [0, 0], day=2), stored([old, HEURISTIC], [1, 1], day=1)]
    for order in (matches, matches[::-1]):
        found = tally_of(order, HEX2)
        label = found.agents[old.id]
        assert set(found.agents) == {old.id, HEURISTIC.id}
        assert (label.name, label.version, label.evaluations) == ("champion", 3, 500)
        assert found.played()[old.id] == 4


def test_the_same_net_with_other_simulations_is_another_agent():
    found = tally_of([stored([net(1, sims=64), net(1, sims=16)], [0, 0])], HEX2)
    assert len(found.agents) == 2


def test_a_game_stored_twice_counts_once():
    match = stored([net(1), HEURISTIC], [0, 1, 0, 0])
    again = match.model_copy(update={"created_at": datetime.fromisoformat("2030-01-01"), "purpose": "again"})
    found = tally_of([match, again, match], HEX2)
    assert found.games == 4
    assert found.played()[HEURISTIC.id] == 4
    assert found.won() == {HEURISTIC.id: 1, net(1).id: 3}


def test_blocks_are_counted_and_those_stored_twice_once():
    rotations = stored([net(1), HEURISTIC, HEURISTIC], [0, 0, 2, 1, 2, 1])
    other = stored([HEURISTIC, net(1), HEURISTIC], [1, 1, 1])
    found = tally_of([rotations, other, rotations.model_copy(update={"purpose": "again"})], HEX3)
    assert found.block_counts(net(1).id, HEURISTIC.id) == (1, 0, 1, 1)
    assert found.block_counts(HEURISTIC.id, net(1).id) == (0, 0, 0, 0), "two of the heuristic are another table"
    assert sum(found.blocks.values()) * 3 == found.games == 9


def test_several_copies_in_one_game_are_one_game_and_one_win():
    found = tally_of([stored([net(1), net(2), net(2)], [1, 2, 0])], HEX3)
    assert found.played() == {net(1).id: 3, net(2).id: 3}
    assert found.won() == {net(1).id: 1, net(2).id: 2}


def test_configurations_never_mix():
    matches = [stored([net(1), net(2)], [0, 0], "hex8_2p"), stored([net(1), net(2)], [1, 1], "square8_2p")]
    found = tallies(matches)
    assert list(found) == ["hex8_2p", "square8_2p"]
    assert [tally.won() for tally in found.values()] == [{net(1).id: 2}, {net(2).id: 2}]
    with pytest.raises(RulesError, match="no stored games of hexagonal_2p"):
        tally_of(matches, ConfigKey("hexagonal", 2))
