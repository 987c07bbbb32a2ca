"""Game: records, undo, illegal input, hash, JSON."""

import json

import pytest

from ringrift_core.errors import RulesError
from ringrift_core.game import Game
from tests.positions import play, position


def slide_position() -> Game:
    """Seat 1 may slide a marker into a run of five; two stacks hold a ring of it."""
    markers = {"0,0": 1, "1,0": 1, "2,0": 1, "3,0": 1, "4,1": 1}
    return play(position("square8_2p", {"7,7": "12", "7,0": "122"}, markers), "NP")


def test_advance_plays_forced_plies_and_keeps_them_in_the_record():
    game = Game.start("hex8_2p")
    play(game, "P 0,0 1", "M 0,0>1,0")
    forced = game.advance()
    assert game.plies[-2:] == ["NL", "NT"]
    assert len(forced) == 2
    assert game.player == 2
    assert game.advance() == []


def test_a_slide_is_up_to_three_decisions_and_one_ply():
    game = slide_position()
    slide = game.legal()["RL1 4,1>4,0 @7,0"]
    assert len(slide) == 3
    before, plies = game.state(), len(game.plies)
    for action_id in slide[:2]:
        game.decide(action_id)
        assert game.state() == before  # the board stands still until the ply is complete
        assert len(game.plies) == plies
    assert game.legal_plies() == ["RL1 4,1>4,0 @7,0", "RL1 4,1>4,0 @7,7"]
    game.decide(slide[2])
    assert game.plies[-1] == "RL1 4,1>4,0 @7,0"
    assert game.decisions[-3:] == list(slide)


def test_a_begun_slide_can_be_completed_by_text_or_taken_back():
    game = slide_position()
    slide = game.legal()["RL2 4,1>4,0 1,0 2,0 3,0 4,0"]
    legal = game.legal_plies()
    game.decide(slide[0])
    assert "RL1 4,1>4,0 @7,7" in game.legal_plies()
    assert "SR" not in game.legal_plies()
    with pytest.raises(RulesError, match="not legal"):
        game.play("SR")
    game.undo()
    assert game.legal_plies() == legal
    game.decide(slide[0])
    game.play("RL2 4,1>4,0 1,0 2,0 3,0 4,0")
    assert game.phase == "line_processing"


def test_undo_at_the_start_is_refused():
    with pytest.raises(RulesError, match="nothing to undo"):
        Game.start("hex8_2p").undo()


def test_illegal_input_changes_nothing():
    game = play(Game.start("hex8_2p"), "P 0,0 2")
    before = (game.hash(), game.plies, game.decisions)
    for text in ("P 0,0 1", "M 0,0>1,0", "nonsense", "", "M 0,0", "M 0,0>99,0", "P 0,0 " + "9" * 5000, "\x00", "♟"):
        with pytest.raises(RulesError):
            game.play(text)
    for action_id in (-1, 0, 2026, 2027, 2**70, 0.0, "3", None):
        with pytest.raises(RulesError):
            game.decide(action_id)  # type: ignore[arg-type]
    assert (game.hash(), game.plies, game.decisions) == before


def test_a_finished_game_takes_no_more_plies():
    game = position("square8_2p", {"0,0": "11"}, eliminated=[17, 17])
    play(game, "NP", "M 0,0>0,2", "NL", "NT")
    assert game.legal_plies() == []
    assert game.advance() == []
    with pytest.raises(RulesError, match="the game is over"):
        game.play("NP")
    with pytest.raises(RulesError, match="the game is over"):
        game.decide(0)


def test_the_hash_is_the_same_in_every_version():
    """A change of these numbers makes every stored hash worthless; docs/formats/state-hash.md says what is hashed."""
    game = Game.start("square8_2p")
    assert game.hash() == 1266892695493898811
    play(game, "P 3,3 2", "M 3,3>3,6", "NL", "NT", "SW", "P 0,0 1")
    assert game.hash() == 4288450331129740072
    assert Game.start("hexagonal_4p").hash() == 1557510264982265319


def test_the_hash_sees_the_position_and_not_where_its_rings_lie_in_memory():
    stacks = {"0,5": "12", "0,0": "1", "7,3": "221"}
    first = position("square8_2p", stacks, {"0,4": 1}, hands=[9, 9])
    second = position("square8_2p", dict(reversed(stacks.items())), {"0,4": 1}, hands=[9, 9])
    other = position("square8_2p", stacks | {"0,5": "21"}, {"0,4": 1}, hands=[9, 9])
    assert first.row.tolist() != second.row.tolist()
    assert first.hash() == second.hash() != other.hash()


@pytest.mark.parametrize("key", ["square8_2p", "hex8_3p"])
def test_a_record_survives_json_and_replays(key):
    game = Game.start(key)
    while not game.over:
        game.decide(game.legal_decisions()[len(game.plies) * 7 % len(game.legal_decisions())])
    record = json.loads(json.dumps(game.to_json("one")))
    again = Game.from_json(record)
    assert again.hash() == game.hash()
    assert again.to_json("one") == record
    assert again.outcome == game.outcome


@pytest.mark.parametrize("change", [{"hash": "0" * 16}, {"r": "stalemate_rings"}, {"w": 3}, {"n": 1}])
def test_a_record_whose_end_is_not_where_its_plies_lead_is_refused(change):
    game = play(position("square8_2p", {"0,0": "11"}, eliminated=[17, 17]), "NP", "M 0,0>0,2", "NL", "NT")
    record = game.to_json("short")
    assert Game.from_json(record).over
    record["end"] |= change
    with pytest.raises(RulesError, match=f"end: {next(iter(change))} is"):
        Game.from_json(record)
    record["end"] = 7
    with pytest.raises(RulesError, match="end: must be"):
        Game.from_json(record)


def test_a_constructed_start_is_part_of_the_record():
    game = slide_position()
    record = json.loads(json.dumps(game.to_json("slide")))
    assert Game.from_json(record, plies=0).legal_plies() == ["NP"]
    assert record["end"] is None


GOOD = {"s": {"0,0": "1"}, "m": {}, "c": {}, "h": [17, 18], "e": [0, 0], "t": [0, 0], "p": 1, "f": "rp"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"s": {"0,0": "13"}}, "owner digits 1..2"),
        ({"s": {"0,0": ""}}, "owner digits"),
        ({"s": {"0,0": 1}}, "owner digits"),
        ({"s": {"8,0": "1"}}, "8,0 is not on square8"),
        ({"s": {"0;0": "1"}}, "is not a cell"),
        ({"s": ["0,0"]}, "must map cells"),
        ({"s": {"0,0": "1" * 40}}, "more than 36 rings"),
        ({"s": {"0,0": "1" * 19}, "h": [0, 17]}, "seat 1 has 19 rings"),
        ({"m": {"0,0": 1}}, "one thing only"),
        ({"m": {"1,0": 3}}, "seat 1..2"),
        ({"m": {"1,0": True}}, "seat 1..2"),
        ({"c": {"1,0": 1}}, "'t' gives seat 1 0 collapsed cells, 'c' has 1"),
        ({"h": [17]}, "list of 2 counts"),
        ({"h": [17, -1]}, "list of 2 counts"),
        ({"h": [17, 1.0]}, "list of 2 counts"),
        ({"h": [10**9, 0]}, "list of 2 counts"),
        ({"e": [1, 0]}, "R052"),
        ({"p": 3}, "'p' must be a seat"),
        ({"f": "xx"}, "'f' must be one of"),
        ({"f": "mv"}, "start of a turn"),
        ({"mm": "0,0"}, "start of a turn"),
        ({"le": 1}, "start of a turn"),
        ({"rt": 1}, "start of a turn"),
        ({"zz": 1}, "unknown key 'zz'"),
    ],
)
def test_a_state_that_is_not_a_position_is_refused_with_its_place(change, message):
    Game.from_state("square8_2p", GOOD)
    with pytest.raises(RulesError, match="state: .*" + message.replace("(", r"\(")):
        Game.from_state("square8_2p", GOOD | change)


def test_a_position_that_is_already_stalemate_or_won_is_still_played_from():
    """Victory is tested when a turn ends, so a constructed position always has a first decision."""
    game = position("square8_2p", {}, {"0,0": 1}, eliminated=[18, 18])
    assert game.legal_plies() == ["NP"]
