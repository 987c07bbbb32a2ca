"""Illegal plies: the message names the broken rule and what is legal nearby."""

import pytest

from ringrift_core.errors import RulesError
from ringrift_core.game import Game
from ringrift_core.game.explain import FORMS, MEANINGS
from tests.positions import play, position


def middle() -> Game:
    """Seat 1 to move, nothing in hand: a stack of two, a foreign one with a higher cap, a marker, territory."""
    stacks = {"0,0": "11", "3,0": "222", "5,5": "2", "0,5": "1", "0,6": "2"}
    return play(position("square8_2p", stacks, {"2,2": 2}, {"7,7": 2, "0,3": 1}), "NP")


@pytest.mark.parametrize(
    ("ply", "reason"),
    [
        ("M 1,1>2,2", r"1,1 holds nothing, not a stack that seat 1 controls \(R090\)"),
        ("M 2,2>2,3", "2,2 holds a marker of seat 2"),
        ("M 5,5>5,6", "5,5 holds the stack 2 of seat 2"),
        ("M 7,7>7,6", "7,7 holds territory of seat 2"),
        ("M 0,0>1,0", r"a stack of height 2 moves at least 2, this is 1 \(R091\)"),
        ("M 0,0>1,2", r"the two cells are not on one ray \(R091\)"),
        ("M 0,0>4,0", r"3,0 on the way holds the stack 222 of seat 2 \(R091\)"),
        ("M 0,0>0,4", "0,3 on the way holds territory of seat 1"),
        ("M 0,0>9,9", r"9,9 is not on square8 \(R001\)"),
        ("C 0,0*3,0>4,0", r"a cap of 2 cannot capture a cap of 3 \(R101\)"),
        ("C 0,0*1,1>3,3", "1,1 holds nothing, there is nothing to capture"),
        ("C 0,0*5,5>2,2", r"must lie on one ray in this order \(R101\)"),
        ("P 0,0 1", r"P \(place rings: P cell count\) is not possible in movement \(R070\); now possible: M, C"),
        ("NL", r"NL \(no line to process\) is not possible in movement"),
        ("X 0,0", "no ply that begins with 'X'; now possible: M, C"),
        ("M 0,0-2,0", "not written like this: move a stack: M from>to"),
    ],
)
def test_the_broken_rule_is_named(ply, reason):
    with pytest.raises(RulesError, match=reason):
        middle().play(ply)


@pytest.mark.parametrize(
    ("ply", "reason"),
    [
        ("P 2,2 1", r"the cell holds a marker of seat 2; rings go on empty cells or stacks \(R080\)"),
        ("P 7,7 1", "the cell holds territory of seat 2"),
        ("P 1,1 4", r"1 to 3 rings, not 4 \(R080\)"),
        ("P 5,5 2", r"on a stack goes exactly one ring \(R080\)"),
        ("P 1,1 3", r"there are 2 rings in hand \(R080\)"),
        ("P 0,0 1", r"no legal move or capture afterwards \(R081\)"),
    ],
)
def test_the_broken_placement_rule_is_named(ply, reason):
    walls = {"7,7": 2, "0,1": 2, "1,1": 2, "1,0": 2} if ply == "P 0,0 1" else {"7,7": 2}
    game = position("square8_2p", {"5,5": "2", "6,0": "1"}, {"2,2": 2}, walls, hands=[2, 9])
    with pytest.raises(RulesError, match=reason):
        game.play(ply)


def test_a_due_payment_is_named():
    markers = {"1,0": 1, "2,0": 1, "3,0": 1}
    game = position("square8_2p", {"0,0": "1", "7,7": "2"}, markers)
    play(game, "NP", "M 0,0>0,5", "L 0,0 1,0 2,0 3,0")
    with pytest.raises(RulesError, match=r"a line payment is due \(R123\); now possible: EL"):
        game.play("NL")
    with pytest.raises(RulesError, match="7,7 holds the stack 2 of seat 2, it cannot pay"):
        game.play("EL 7,7")


def test_legal_plies_nearby_share_the_beginning():
    with pytest.raises(RulesError, match=r"Legal nearby \(of \d+\): M 0,0>0,2; M 0,0>2,0"):
        middle().play("M 0,0>1,0")


def test_only_the_must_move_stack_may_act():
    game = play(position("square8_2p", {"0,0": "1", "7,7": "2"}, hands=[3, 3]), "P 4,4 1")
    with pytest.raises(RulesError, match=r"only the stack on 4,4 may act after its placement \(R080"):
        game.play("M 0,0>0,1")


def test_every_kind_of_ply_has_a_form_and_a_meaning():
    assert set(FORMS) == set(MEANINGS)
