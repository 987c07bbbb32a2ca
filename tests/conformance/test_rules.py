"""One test per sentence of docs/rules.md that the recorded games leave open, or show too seldom; named by the rule."""

import pytest

from ringrift_core.errors import RulesError
from ringrift_core.game import Board, Game
from tests.positions import play, position

CELLS = [f"{x},{y}" for y in range(8) for x in range(8)]  # square8, row by row


def collapsed(**cells_of_seat: list[str]) -> dict[str, int]:
    return {cell: int(seat[1:]) for seat, cells in cells_of_seat.items() for cell in cells}


# ---- section 1: boards ----


@pytest.mark.parametrize(
    ("board_type", "cells", "rings", "lines", "to_win", "territory", "actions"),
    [
        ("square8", 64, 18, [4, 3, 3], [18, 24, 30], [33, 22, 17], 2552),
        ("square19", 361, 72, [4, 4, 4], [72, 96, 120], [181, 121, 91], 27577),
        ("hex8", 61, 18, [4, 3, 3], [18, 24, 30], [31, 21, 16], 2027),
        ("hexagonal", 469, 96, [4, 4, 4], [96, 128, 160], [235, 157, 118], 33011),
    ],
)
def test_r001_sizes_and_thresholds(board_type, cells, rings, lines, to_win, territory, actions):
    board = Board.of(board_type)
    assert board.cell_count == cells
    assert board.shape.rings_per_player == rings
    assert [board.line_length(n) for n in (2, 3, 4)] == lines
    assert [board.rings_to_win(n) for n in (2, 3, 4)] == to_win
    assert [board.territory_to_win(n) for n in (2, 3, 4)] == territory
    assert board.actions.size == actions


def test_r020_the_start_is_an_empty_board_with_all_rings_in_hand():
    for players in (2, 3, 4):
        game = Game.start(f"hex8_{players}p")
        assert game.state() == {"s": {}, "m": {}, "c": {}, "h": [18] * players, "e": [0] * players, "t": [0] * players}
        assert (game.player, game.phase, game.turn) == (1, "ring_placement", 1)
        assert len(game.legal_plies()) == 61 * 3


# ---- section 2: turn ----


def test_r070_every_turn_starts_in_ring_placement_with_an_empty_hand_too():
    game = position("square8_2p", {"0,0": "1", "7,7": "2"})
    assert game.legal_plies() == ["NP"]


def test_r072_rotation_skips_a_seat_without_rings_but_not_one_with_buried_rings_only():
    game = position("square8_4p", {"0,0": "31", "7,7": "4"})
    play(game, "NP", "M 0,0>0,2", "NL", "NT")
    assert game.player == 3  # seat 2 owns nothing, seat 3 one buried ring


def test_r123_the_payment_for_a_line_is_waived_when_no_stack_is_left():
    """The only stack vanishes on the marker that completes the line; territory follows directly."""
    markers = {"1,0": 1, "2,0": 1, "3,0": 1, "0,2": 2}
    game = position("square8_2p", {"0,0": "1", "7,7": "2", "6,6": "12"}, markers)
    play(game, "NP", "M 0,0>0,2")
    assert game.legal_plies() == ["L 0,0 1,0 2,0 3,0"]
    game.play("L 0,0 1,0 2,0 3,0")
    assert game.phase == "territory_processing"


def test_r122_a_free_window_leads_straight_to_territory():
    markers = {"1,0": 1, "2,0": 1, "3,0": 1, "4,0": 1}
    game = position("square8_2p", {"0,0": "1", "7,7": "2"}, markers)
    play(game, "NP", "M 0,0>0,5", "O2 1,0 2,0 3,0 4,0")
    assert game.phase == "territory_processing"


def test_r122_a_paid_line_leaves_an_explicit_no_line_action():
    markers = {"1,0": 1, "2,0": 1, "3,0": 1}
    game = position("square8_2p", {"0,0": "1", "0,7": "11", "7,7": "2"}, markers)
    play(game, "NP", "M 0,0>0,5", "L 0,0 1,0 2,0 3,0")
    assert game.legal_plies() == ["EL 0,5", "EL 0,7"]
    game.play("EL 0,7")
    assert game.legal_plies() == ["NL"]
    assert game.state()["s"]["0,7"] == "1"  # one ring, not the cap


def test_the_must_move_cell_is_kept_after_skip_capture_until_lines_are_left():
    game = position("square8_2p", {"4,0": "2", "7,7": "2"}, hands=[2, 0])
    play(game, "P 0,0 1", "M 0,0>2,0", "SC")
    assert game.state()["mm"] == "2,0"
    game.play("NL")
    assert "mm" not in game.state()


# ---- section 3: placement ----


def test_r080_at_most_three_rings_on_an_empty_cell_and_one_on_a_stack_of_anybody():
    game = position("square8_2p", {"3,3": "2", "5,5": "1"}, hands=[9, 9])
    plies = game.legal_plies()
    assert [ply for ply in plies if ply.startswith("P 0,0 ")] == ["P 0,0 1", "P 0,0 2", "P 0,0 3"]
    assert [ply for ply in plies if ply.startswith("P 3,3 ")] == ["P 3,3 1"]
    game.play("P 3,3 1")
    assert game.state()["s"]["3,3"] == "21"


def test_r080_the_hand_limits_the_count():
    game = position("square8_2p", {"7,7": "2"}, hands=[2, 9])
    assert "P 0,0 2" in game.legal_plies()
    assert "P 0,0 3" not in game.legal_plies()


def test_r081_each_count_is_tested_by_itself():
    """A corner shut in by a stack with a cap of 2: one ring is dead, two may capture, three cannot land far enough."""
    walls = collapsed(s2=["0,1", "1,1", "3,0"])
    game = position("square8_2p", {"1,0": "22", "7,7": "1"}, None, walls, hands=[9, 9])
    assert [ply for ply in game.legal_plies() if ply.startswith("P 0,0 ")] == ["P 0,0 2"]


def test_r082_skip_placement_needs_a_ring_in_hand_and_something_to_do():
    assert "SP" not in Game.start("square8_2p").legal_plies()
    assert "SP" in position("square8_2p", {"0,0": "1", "7,7": "2"}, hands=[3, 3]).legal_plies()
    assert position("square8_2p", {"0,0": "1", "7,7": "2"}, hands=[0, 3]).legal_plies() == ["NP"]


# ---- section 4 and 5: movement and capture ----


def test_r091_a_stack_may_fly_as_far_as_the_ray_is_free():
    game = position("square19_2p", {"0,0": "1", "18,18": "2"})
    game.play("NP")
    assert "M 0,0>0,18" in game.legal_plies()
    assert "M 0,0>17,17" in game.legal_plies()


def test_r092_passed_markers_flip_or_collapse_and_a_landing_on_a_marker_costs_the_top_ring():
    game = position("square8_2p", {"0,0": "12", "7,7": "1"}, {"1,0": 1, "2,0": 2, "4,0": 1}, player=2)
    play(game, "NP", "M 0,0>4,0")
    state = game.state()
    assert state["m"] == {"0,0": 2, "1,0": 2}
    assert state["c"] == {"2,0": 2}
    assert state["s"]["4,0"] == "1"  # the cap of one was the price, control changes
    assert state["e"][1] == position("square8_2p", {"0,0": "12", "7,7": "1"}, player=2).state()["e"][1] + 1


def test_r101_own_stacks_may_be_captured_and_the_ring_goes_to_the_bottom():
    game = position("square8_2p", {"0,0": "1", "2,0": "21", "7,7": "2"})
    play(game, "NP", "C 0,0*2,0>3,0")
    assert game.state()["s"]["3,0"] == "11"
    assert game.state()["s"]["2,0"] == "2"


def test_r103_a_chain_must_go_on_and_may_turn_back_over_the_same_target():
    game = position("square8_2p", {"3,0": "1", "4,0": "2121", "7,7": "2"})
    play(game, "NP", "C 3,0*4,0>5,0")
    assert game.legal_plies() == ["K 5,0*4,0>0,0", "K 5,0*4,0>1,0", "K 5,0*4,0>2,0", "K 5,0*4,0>3,0"]


# ---- section 6: lines ----


def test_r121_lines_of_other_players_wait_for_their_own_turn():
    markers = {"1,0": 2, "2,0": 2, "3,0": 2, "4,0": 2}
    game = position("square8_2p", {"0,7": "1", "7,7": "2"}, markers)
    play(game, "NP", "M 0,7>0,6")
    assert game.legal_plies() == ["NL"]


def test_r121_runs_on_several_axes_through_one_marker_are_several_lines():
    markers = {"1,0": 1, "2,0": 1, "3,0": 1, "0,1": 1, "0,2": 1, "0,3": 1}
    game = position("square8_2p", {"0,0": "1", "7,7": "2", "7,0": "1"}, markers)
    play(game, "NP", "M 0,0>1,1")
    assert game.legal_plies() == ["L 0,0 0,1 0,2 0,3", "L 0,0 1,0 2,0 3,0"]


@pytest.mark.parametrize(("players", "needed"), [(2, 4), (3, 3), (4, 3)])
def test_r120_line_length_by_players(players, needed):
    markers = {f"{x},0": 1 for x in range(1, 3)}
    stacks = {"0,0": "1", "7,7": "2", "7,0": "3", "0,7": "4"}
    game = position(f"square8_{players}p", dict(list(stacks.items())[:players]), markers)
    play(game, "NP", "M 0,0>1,1")
    assert game.legal_plies() == (["NL"] if needed == 4 else ["L 0,0 1,0 2,0"])


# ---- section 7: territory ----


def corner(board: str) -> Game:
    """A corner of seat 2 behind two markers of seat 1, to which a chain of markers of seat 2 is attached."""
    markers = {"1,0": 1, "0,1": 1, "1,2": 2, "2,3": 2, "3,3": 1}
    return position(f"{board}_2p", {"0,0": "2", "7,7": "2", "7,1": "1"}, markers)


@pytest.mark.parametrize("board", ["square8", "square19"])
def test_r145_border_markers_of_any_colour_that_hang_together_by_king_steps_collapse(board):
    game = corner(board)
    play(game, "NP", "M 7,1>6,1", "NL", "T 0,0")
    assert set(game.state()["c"]) == {"0,0", "1,0", "0,1", "1,2", "2,3", "3,3"}
    assert game.legal_plies() == ["ET 6,1"]


def hex_corner(board: str, radius: int) -> Game:
    """The leftmost corner of a hex board behind three markers, with a marker that only king steps reach."""
    left = (-radius, 0)
    markers = {f"{left[0]},{left[1] + 1}": 1, f"{left[0] + 1},{left[1]}": 1, f"{left[0] + 1},{left[1] - 1}": 1}
    markers[f"{left[0] + 2},{left[1] + 1}"] = 2  # (1,1) away from the middle one: no hex neighbour
    return position(f"{board}_2p", {f"{left[0]},{left[1]}": "2", f"{radius},0": "2", "2,2": "1"}, markers)


def test_r145_border_growth_on_hex8_uses_king_steps_of_the_axial_plane():
    game = hex_corner("hex8", 4)
    play(game, "NP", "M 2,2>1,2", "NL", "T -4,0")
    assert set(game.state()["c"]) == {"-4,0", "-4,1", "-3,0", "-3,-1", "-2,1"}


def test_r145_there_is_no_border_growth_on_hexagonal():
    game = hex_corner("hexagonal", 12)
    play(game, "NP", "M 2,2>1,2", "NL", "T -12,0")
    assert set(game.state()["c"]) == {"-12,0", "-12,1", "-11,0", "-11,-1"}


def test_r142_a_region_bordered_by_an_opponents_markers_may_be_claimed_too():
    game = position("square8_2p", {"0,0": "2", "7,7": "2", "7,1": "1"}, {"1,0": 2, "0,1": 2})
    play(game, "NP", "M 7,1>6,1", "NL")
    assert game.legal_plies() == ["ST", "T 0,0"]


def test_r142_with_every_colour_inside_a_region_is_not_processable():
    game = position("square8_2p", {"0,0": "2", "0,1": "1", "7,7": "2", "7,1": "1"}, {"1,0": 1, "1,1": 1, "0,2": 1})
    play(game, "NP", "M 7,1>6,1", "NL")
    assert game.legal_plies() == ["NT"]


def test_r142_a_region_without_markers_around_it_counts_only_with_exactly_one_controller():
    """No marker on the board: of three walled pockets (one seat, two seats, empty) only the first is a region."""
    pocket_of_one = ["6,7", "6,6", "7,6"]
    pocket_of_two = ["6,0", "6,1", "6,2", "7,2"]
    empty_pocket = ["0,6", "1,6", "1,7"]
    stacks = {"0,0": "1" * 9, "7,7": "2", "7,0": "3", "7,1": "4"}
    game = position("square8_4p", stacks, None, collapsed(s2=pocket_of_one + pocket_of_two + empty_pocket))
    play(game, "NP", "NM", "NL")
    assert game.legal_plies() == ["ST", "T 7,7"]


def test_r144_a_stack_outside_must_be_left_to_pay():
    """Seat 1's only stack stands in the corner that its markers cut off: the rest may be claimed, the corner not."""
    game = position("square8_2p", {"0,0": "1", "7,7": "2"}, {"2,0": 1, "2,1": 1, "0,2": 1, "1,2": 1})
    play(game, "NP", "M 0,0>1,1", "NL")
    claims = [ply for ply in game.legal_plies() if ply.startswith("T ")]
    assert len(claims) == 1
    assert "7,7" in claims[0]
    assert "1,1" not in claims[0]


def test_r145_every_ring_inside_is_credited_to_the_mover():
    game = position("square8_2p", {"0,0": "2122", "7,7": "2", "7,1": "1"}, {"1,0": 1, "0,1": 1})
    before = game.state()["e"]
    play(game, "NP", "M 7,1>6,1", "NL", "T 0,0")
    assert game.state()["e"] == [before[0] + 4, before[1]]


# ---- section 8: recovery ----


def test_r110_rings_in_hand_do_not_matter_for_recovery():
    game = position("square8_2p", {"7,7": "12"}, {"0,0": 1}, hands=[3, 3])
    assert "SP" in game.legal_plies()
    game.play("SP")
    assert game.legal_plies()[0].startswith("RF 0,0>")
    assert "SR" in game.legal_plies()


def test_r112_fallback_and_strike_only_where_no_slide_forms_a_line():
    markers = {"0,0": 1, "1,0": 1, "2,0": 1, "3,1": 1}
    game = position("square8_2p", {"7,7": "12", "4,2": "2"}, markers)
    game.play("NP")
    assert game.legal_plies() == ["RL1 3,1>3,0 @7,7", "SR"]


def test_r112_option_one_collapses_the_first_axis_that_is_long_enough():
    """A slide to 3,3 completes a run of four along (1,0) and one of five along (0,1); the options follow the longer."""
    markers = {"0,3": 1, "1,3": 1, "2,3": 1, "4,4": 1}
    markers |= {"3,2": 1, "3,1": 1, "3,0": 1, "3,4": 1}
    game = position("square8_2p", {"7,7": "12"}, markers)
    game.play("NP")
    slides = [ply for ply in game.legal_plies() if ">3,3" in ply and "4,4>" in ply]
    assert slides == [
        "RL1 4,4>3,3 @7,7",
        "RL2 4,4>3,3 3,0 3,1 3,2 3,3",
        "RL2 4,4>3,3 3,1 3,2 3,3 3,4",
    ]
    game.play("RL1 4,4>3,3 @7,7")
    assert set(game.state()["c"]) == {"0,3", "1,3", "2,3", "3,3"}


def test_r113_the_lowest_ring_of_the_player_is_extracted():
    game = position("square8_2p", {"7,7": "21212"}, {"0,0": 1})
    play(game, "NP", "RF 0,0>1,0 @7,7")
    assert game.state()["s"]["7,7"] == "2212"


def test_r113_a_ring_that_a_strike_brought_to_the_top_is_still_extracted():
    game = position("square8_2p", {"1,0": "12", "7,7": "2"}, {"0,0": 1})
    play(game, "NP", "RS 0,0>1,0 @1,0")
    assert "1,0" not in game.state()["s"]
    assert game.state()["rt"] == 1


# ---- section 9: forced elimination ----


def test_r100_forced_elimination_takes_a_whole_cap_of_the_players_choice():
    """Two towers of seat 1 that are too high to move."""
    stacks = {"0,0": "2" + "1" * 8, "7,7": "1" * 9, "3,3": "2"}
    game = position("square8_2p", stacks)
    play(game, "NP", "NM", "NL")
    assert game.phase == "forced_elimination"
    assert game.legal_plies() == ["F 0,0", "F 7,7"]
    game.play("F 0,0")
    assert game.state()["s"]["0,0"] == "2"
    assert game.player == 2


# ---- section 10: last player standing ----


def test_r172_three_exclusive_rounds_win_at_the_start_of_the_next_own_turn():
    """Seat 2 has one buried ring and nothing else, so seat 1 acts alone from its first turn on."""
    game = position("square8_2p", {"0,0": "21"})
    rounds = []
    while not game.over:
        game.advance()
        if not game.over:
            rounds.append(game.state().get("lp"))
            game.play(next(m for m in ("M 0,0>2,0", "M 2,0>2,2", "M 2,2>4,2") if m in game.legal_plies()))
    assert rounds == [None, [1, 1], [2, 1]]
    assert game.outcome is not None
    assert (game.outcome.reason, game.outcome.winner, game.turn) == ("lps_rounds", 1, 7)


@pytest.mark.parametrize(("stack", "over"), [("11", True), ("21", False)])
def test_r172_the_immediate_form_needs_the_others_without_any_ring(stack, over):
    game = position("square8_2p", {"0,0": stack}, eliminated=[17, 17])
    play(game, "NP", "M 0,0>0,2", "NL", "NT")
    assert game.over == over
    if game.outcome:
        assert (game.outcome.reason, game.outcome.winner) == ("lps_early", 1)


# ---- section 11: victory, stalemate, ranking ----


def test_r170_rings_go_before_territory_and_the_lowest_seat_first():
    """At once: seats 1 and 2 have the rings to win with three players, seat 3 the territory."""
    stacks = {"7,7": "1", "7,6": "2", "6,7": "3"}
    for eliminated, hands, winner in (([24, 24, 3], [0, 0, 0], 1), ([3, 24, 24], [0, 0, 0], 2)):
        game = position("square8_3p", stacks, None, collapsed(s3=CELLS[:24]), hands=hands, eliminated=eliminated)
        play(game, "NP", "M 7,7>5,5", "NL")
        game.play("ST" if "ST" in game.legal_plies() else "NT")
        assert game.outcome is not None
        assert (game.outcome.reason, game.outcome.winner) == ("ring", winner)


def test_r171_the_territory_minimum_is_not_enough_without_more_than_all_opponents_together():
    mine, others = CELLS[:17], CELLS[17:34]
    stacks = {"7,7": "1", "6,7": "2", "5,7": "3", "4,7": "4"}
    game = position("square8_4p", stacks, None, collapsed(s1=mine, s2=others[:6], s3=others[6:12], s4=others[12:]))
    play(game, "NP", "M 7,7>7,6")
    game.advance()
    assert game.outcome is None
    game = position("square8_4p", stacks, None, collapsed(s1=mine, s2=others[:6], s3=others[6:12], s4=others[12:16]))
    play(game, "NP", "M 7,7>7,6")
    game.advance()
    assert game.outcome is not None
    assert (game.outcome.reason, game.outcome.winner) == ("territory", 1)


def stalemate(markers: dict[str, int], walls: dict[str, int], eliminated: list[int], players: int = 3) -> Game:
    """Seat 1's last ring lands on a marker and vanishes; nobody holds a ring."""
    game = position(f"square8_{players}p", {"7,7": "1"}, {"7,0": 1} | markers, walls, eliminated=eliminated)
    return play(game, "NP", "M 7,7>7,0", "NL", "NT")


def test_r173_each_rung_compares_all_players_not_only_those_tied_before():
    """Seats 1 and 2 tie on territory; seat 3, who has less of it, has the most eliminated rings."""
    game = stalemate({}, collapsed(s1=["0,0", "0,2"], s2=["0,4", "0,6"]), [16, 18, 19])
    assert game.outcome is not None
    assert (game.outcome.reason, game.outcome.winner) == ("stalemate_rings", 3)


def test_r173_the_markers_decide_after_rings_and_the_last_actor_at_the_end():
    game = stalemate({"0,0": 3, "0,2": 3}, {}, [17, 18, 18])
    assert game.outcome is not None
    assert (game.outcome.reason, game.outcome.winner) == ("stalemate_markers", 3)
    game = stalemate({"0,0": 3}, {}, [17, 18, 18])
    assert game.outcome is not None
    assert (game.outcome.reason, game.outcome.winner) == ("stalemate_last_actor", 1)


def test_r178_equal_seats_share_a_rank():
    """1-2-2-4: seats 2 and 3 are equal in everything, seat 4 lost its last ring in an earlier turn than they."""
    game = stalemate({"0,0": 1, "2,0": 1}, collapsed(s1=["4,0"]), [17, 18, 18, 18], players=4)
    assert game.outcome is not None
    assert game.outcome.ranks == [1, 2, 2, 2]
    game = stalemate({"0,0": 1, "2,0": 4}, collapsed(s1=["4,0"]), [17, 18, 18, 18], players=4)
    assert game.outcome is not None
    assert game.outcome.ranks == [1, 3, 3, 2]


def test_r176_hands_count_as_eliminated_after_a_stalemate():
    """The last ring vanishes in a corner that is walled in: seat 2 holds eight rings and cannot place one."""
    edge = ["7,1", "7,2", "7,3", "7,4", "7,5", "7,6"]
    rest = [cell for cell in CELLS if cell not in [*edge, "7,0", "7,7"]]
    walls = collapsed(s1=rest[:25], s2=rest[25:])  # with the six cells of the edge both have 31
    markers = dict.fromkeys(edge, 1) | {"7,0": 2}
    game = position("square8_2p", {"7,7": "1"}, markers, walls, hands=[0, 8], eliminated=[10, 17])
    play(game, "NP", "M 7,7>7,0", "NL", "NT")
    assert game.outcome is not None
    assert (game.outcome.reason, game.outcome.winner) == ("stalemate_rings", 2)
    assert game.outcome.eliminated == [11, 25]
    assert game.state()["h"] == [0, 8]


# ---- section 12: swap ----


def test_r180_the_swap_is_offered_to_seat_two_once_in_its_first_placement():
    game = Game.start("square8_2p")
    assert "SW" not in game.legal_plies()
    play(game, "P 0,0 1", "M 0,0>0,1", "NL", "NT")
    assert "SW" in game.legal_plies()
    play(game, "P 7,7 1", "M 7,7>7,6", "NL", "NT", "P 4,4 1", "M 4,4>4,5", "NL", "NT")
    assert game.player == 2
    assert "SW" not in game.legal_plies()


def test_r180_after_a_swap_seat_two_goes_on_with_a_normal_turn():
    game = Game.start("square8_2p")
    play(game, "P 0,0 1", "M 0,0>0,1", "NL", "NT", "SW")
    assert (game.player, game.phase, game.agent_of_seat) == (2, "ring_placement", [2, 1])
    assert "SW" not in game.legal_plies()
    game.play("P 7,7 3")


def test_r180_no_swap_without_the_option_or_with_more_players():
    game = Game.start("square8_2p", swap=False)
    play(game, "P 0,0 1", "M 0,0>0,1", "NL", "NT")
    assert "SW" not in game.legal_plies()
    game = Game.start("square8_3p")
    play(game, "P 0,0 1", "M 0,0>0,1", "NL", "NT")
    assert "SW" not in game.legal_plies()
    with pytest.raises(RulesError, match="two players"):
        Game.start("square8_3p", swap=True)


# ---- section 13: invariants ----


def test_r052_a_position_whose_rings_do_not_add_up_is_refused():
    with pytest.raises(RulesError, match="R052"):
        position("square8_2p", {"0,0": "1"}, eliminated=[3, 3])
