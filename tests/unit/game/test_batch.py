"""GameBatch: arguments, copies, ragged lists."""

import numpy as np
import pytest

from ringrift_core.errors import RulesError
from ringrift_core.game import Game, GameBatch, batch
from tests.positions import position


@pytest.fixture
def games() -> GameBatch:
    return GameBatch.start("hex8_2p", 4)


def test_lists_are_ragged(games):
    games.apply([0, 1, 2, 3])
    legal = games.legal()
    assert len(legal) == 4
    assert legal.ids.dtype == np.uint16
    assert [len(legal[i]) for i in range(4)] == np.diff(legal.offsets).tolist()
    some = games.legal([2, 0])
    np.testing.assert_array_equal(some[0], legal[2])
    np.testing.assert_array_equal(some[1], legal[0])


def test_an_illegal_decision_plays_nothing_anywhere(games):
    before = games.states.copy()
    for bad in ([0, 0, 0, 2026], [0, 0, 0, -1], [0, 0, 0, 10**6], [0, 0, 0], [[0], [0], [0], [0]]):
        with pytest.raises(RulesError):
            games.apply(bad)
        np.testing.assert_array_equal(games.states, before)
    with pytest.raises(RulesError, match="game 3: decision 2026 is not legal; there are 183"):
        games.apply([0, 0, 0, 2026])


@pytest.mark.parametrize("rows", [[4], [-1], [0, 0], [[0]]])
def test_rows_must_be_different_games(games, rows):
    with pytest.raises(RulesError):
        games.legal(rows)


def test_a_finished_game_has_no_decision_and_takes_none():
    game = position("square8_2p", {"0,0": "11"}, eliminated=[17, 17])
    for ply in ("NP", "M 0,0>0,2", "NL", "NT"):
        game.play(ply)
    over = GameBatch.of(game, 2)
    assert len(over.legal().ids) == 0
    assert over.over.all()
    assert over.winner.tolist() == [1, 1]
    assert over.reasons() == ["lps_early", "lps_early"]
    assert over.ranks().tolist() == [[1, 2], [1, 2]]
    with pytest.raises(RulesError, match="the game is over"):
        over.apply([0, 0])


def test_copies_are_independent(games):
    games.apply([0, 1, 2, 3])
    copy = games.copy([3, 3, 0])
    assert copy.hashes().tolist() == games.hashes()[[3, 3, 0]].tolist()
    copy.apply([int(copy.legal()[0][0])], [0])
    assert copy.hashes()[1] == games.hashes()[3]
    games.assign([0], copy, [1])
    assert games.hashes()[0] == games.hashes()[3]
    np.testing.assert_array_equal(games.legal([0]).ids, games.legal([3]).ids)
    with pytest.raises(RulesError, match="another configuration"):
        games.assign([0], GameBatch.start("hex8_3p", 1))
    with pytest.raises(RulesError, match="cannot overwrite"):
        games.assign([0, 1], copy, [0])


def test_advance_goes_on_past_its_buffer(monkeypatch):
    game = position("square8_2p", {"0,0": "21", "7,7": "1"})
    whole = GameBatch.of(game).advance()
    monkeypatch.setattr(batch, "FORCED_ROOM", 1)
    piecewise = GameBatch.of(game)
    moves = GameBatch.of(game)
    np.testing.assert_array_equal(piecewise.advance().ids, whole.ids)
    for games in (piecewise, moves):
        games.advance()
        games.apply(games.legal()[0][-1:])
    monkeypatch.setattr(batch, "FORCED_ROOM", 64)
    expected = moves.advance()
    monkeypatch.setattr(batch, "FORCED_ROOM", 1)
    got = piecewise.advance()
    assert len(expected[0]) > 4
    np.testing.assert_array_equal(got[0], expected[0])
    np.testing.assert_array_equal(piecewise.states, moves.states)


def test_seeds_and_sizes_are_checked(games):
    for seeds in (np.array([1, 2, 3]), np.array([0, 1, 2, 3]), np.array([1, 2, 3, 2**31 - 1])):
        with pytest.raises(RulesError, match="seed"):
            games.play_random(seeds)
    with pytest.raises(RulesError, match="at least one"):
        GameBatch.start("hex8_2p", 0)
    with pytest.raises(RulesError, match="one symmetry"):
        games.mapped([0, 1, 2, 12])


def test_observations_are_clipped_int8():
    rings = "1" * 96 + "2" * 60
    tower = position("hexagonal_2p", {"0,0": rings, "1,0": "2"}, hands=[0, 0], eliminated=[17, 18])
    cells, values = GameBatch.of(tower).observe()
    assert cells.dtype == np.int8
    assert values.dtype == np.int16
    assert cells.shape == (1, len(GameBatch.CELL_FIELDS), 469)
    centre = tower.board.parse_cell("0,0")
    fields = dict(zip(GameBatch.CELL_FIELDS, cells[0, :, centre].tolist(), strict=True))
    assert (fields["height"], fields["cap"]) == (127, 60)
    assert (fields["controller"], fields["bottom"]) == (2, 1)  # relative seats + 1: seat 1 is to move
    assert (fields["rings_0"], fields["rings_1"], fields["second"]) == (96, 60, 2)


def test_a_tower_of_more_than_127_rings_keeps_its_height():
    rings = "1" * 96 + "2" * 60
    tower = position("hexagonal_2p", {"0,0": rings, "1,0": "2"}, hands=[0, 0], eliminated=[17, 18])
    assert tower.state()["s"]["0,0"] == rings
    assert isinstance(tower, Game)


@pytest.mark.parametrize("bad", [[0.5, 0, 0, 0], [float("nan")] * 4, ["a"] * 4, None, [2**70, 0, 0, 0], [[0], [1, 2]]])
def test_what_is_no_integer_is_refused_everywhere(games, bad):
    """A float that were cut down to an id would be a wrong board."""
    before = games.states.copy()
    for call in (games.apply, games.play_random, games.mapped):
        with pytest.raises(RulesError):
            call(bad)
    if bad is not None:
        with pytest.raises(RulesError):
            games.legal(bad)
    np.testing.assert_array_equal(games.states, before)


def test_lists_that_do_not_fit_the_games_are_refused(games):
    """A kernel would read past their end."""
    legal = games.legal()
    symmetries = [1, 2, 3, 4]
    assert len(games.map_ids(symmetries, legal)) == len(legal.ids)
    offsets = legal.offsets
    for ids, bad_offsets in (
        (legal.ids, offsets[:2]),
        (legal.ids, offsets + 1),
        (legal.ids, offsets[::-1].copy()),
        (legal.ids[:5], offsets),
        (legal.ids.astype(np.int64), offsets),
    ):
        with pytest.raises(RulesError, match="as many lists"):
            games.map_ids(symmetries, batch.Ragged(ids, bad_offsets))


def test_states_cannot_be_written_from_outside(games):
    with pytest.raises(ValueError, match="read-only"):
        games.states[0, 0] = 9
    with pytest.raises(RulesError, match="int16 rows"):
        GameBatch(games.board, games.variant, np.zeros((2, 3), np.int16))


def test_no_games_are_no_work(games):
    assert len(games.legal([])) == 0
    games.apply([], [])
    assert len(games.advance([])) == 0
    assert games.observe([])[0].shape == (0, len(GameBatch.CELL_FIELDS), 61)


def test_two_python_threads_may_use_batches_at_once():
    from concurrent.futures import ThreadPoolExecutor

    def play(seed: int) -> list[int]:
        own = GameBatch.start("hex8_2p", 200)
        own.play_random(np.arange(200) + seed)
        return list(map(int, own.hashes()))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(play, [1, 1, 1, 1]))
    assert found == [found[0]] * 4
