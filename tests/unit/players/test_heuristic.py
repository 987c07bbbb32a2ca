"""heuristic-v1: frozen, blind to seat names, and right where a single ply decides."""

import hashlib

import numpy as np
import pytest

from ringrift_core.game import Game, GameBatch
from ringrift_core.game.config_key import CONFIG_KEYS
from ringrift_core.game.rules import layout as at
from ringrift_core.players.heuristic import (
    GREEDY,
    HEURISTIC_V1,
    HeuristicEvaluator,
    Judgement,
    Weights,
    judge,
)
from ringrift_core.players.kernels.features import CUT_NEXT, WON
from ringrift_core.players.names import HEURISTIC_V1_DIGEST
from ringrift_core.players.player import positions_of
from ringrift_core.search.evaluator import Positions
from tests.positions import position
from tests.property.random_games import random_batch

KEYS = [str(key) for key in CONFIG_KEYS]


def active(batch: GameBatch) -> Positions:
    batch.advance()
    return positions_of(batch, np.flatnonzero(~batch.over))


def judged(game: Game, weights: Weights = HEURISTIC_V1) -> tuple[list[str], Judgement]:
    """The legal plies of a game that are one decision each, and the judgement of them."""
    positions = positions_of(GameBatch.of(game), np.zeros(1, np.int64))
    names = {ids[0]: text for text, ids in game.legal().items()}
    return [names[int(i)] for i in positions.legal.ids], judge(weights, positions)


def digest() -> str:
    """SHA-256 over ids, scores and values (little-endian int64) along seeded random games of all configurations."""
    sha = hashlib.sha256()
    for key in KEYS:
        for plies in (0, 5, 20, 40, 60, 90):
            positions = active(random_batch(key, 4, plies + 1, plies))
            judgement = judge(HEURISTIC_V1, positions)
            for array in (positions.legal.ids, judgement.scores, judgement.values):
                sha.update(array.astype("<i8").tobytes())
    return sha.hexdigest()


def test_heuristic_v1_is_frozen():
    assert digest() == HEURISTIC_V1_DIGEST, "heuristic-v1 never changes: a better one is another player"


@pytest.mark.parametrize("key", KEYS)
def test_judging_changes_no_state(key):
    positions = active(random_batch(key, 8, 3, 30))
    before = positions.states.copy()
    judge(HEURISTIC_V1, positions)
    np.testing.assert_array_equal(positions.states, before)


@pytest.mark.parametrize("key", ["hex8_2p", "square8_3p", "square19_2p", "hexagonal_4p"])
def test_a_position_is_judged_alike_alone_and_among_others(key):
    positions = active(random_batch(key, 6, 5, 40))
    together = judge(HEURISTIC_V1, positions)
    for i in range(len(positions)):
        batch = random_batch(key, 6, 5, 40)
        batch.advance()
        alone = judge(HEURISTIC_V1, positions_of(batch, np.flatnonzero(~batch.over)[[i]]))
        first, last = positions.legal.offsets[i : i + 2]
        np.testing.assert_array_equal(alone.scores, together.scores[first:last])
        np.testing.assert_array_equal(alone.values[0], together.values[i])


@pytest.mark.parametrize(
    ("key", "seats"), [("square8_2p", [2, 1]), ("hex8_3p", [2, 3, 1]), ("square19_4p", [2, 3, 4, 1])]
)
def test_seats_are_only_names(key, seats):
    """Seats renamed around the table: the same judgements, renamed."""
    n = len(seats)
    stacks = {"0,0": "1", "0,1": "12", "2,2": "221", "3,0": "22", "1,3": "1"}
    markers = {"0,2": 1, "0,3": 2, "1,2": 1, "2,0": 2, "3,1": 1}
    collapsed = {"2,1": 1, "-1,0" if key.startswith("hex") else "5,5": 2}
    name = {seat: seats[seat - 1] for seat in range(1, n + 1)}
    hands = [3, 5, 7, 9][:n]
    eliminated = [1, 2, 3, 4][:n]
    rings = {"square8_2p": 18, "hex8_3p": 18, "square19_4p": 72}[key] * n
    eliminated[0] += rings - sum(hands) - sum(eliminated) - sum(map(len, stacks.values()))

    def around(values: list[int]) -> list[int]:
        return [values[seats.index(seat)] for seat in range(1, n + 1)]

    plain = position(key, stacks, markers, collapsed, hands=hands, eliminated=eliminated, player=1)
    renamed = position(
        key,
        {cell: "".join(str(name[int(ring)]) for ring in text) for cell, text in stacks.items()},
        {cell: name[seat] for cell, seat in markers.items()},
        {cell: name[seat] for cell, seat in collapsed.items()},
        hands=around(hands),
        eliminated=around(eliminated),
        player=name[1],
    )
    (plies, ours), (same_plies, theirs) = judged(plain), judged(renamed)
    assert plies == same_plies
    np.testing.assert_array_equal(ours.scores, theirs.scores)
    assert around(ours.values[0].tolist()) == theirs.values[0].tolist()


def test_after_a_swap_the_agent_is_judged_where_it_sits_now():
    game = Game.start("hex8_2p")
    for ply in ("P 0,0 1", "M 0,0>1,0", "NL", "NT"):
        game.play(ply)
    plies, judgement = judged(game)
    after = GameBatch.of(game)
    after.apply([game.legal()["SW"][0]])
    values = judge(HEURISTIC_V1, positions_of(after, np.zeros(1, np.int64))).values[0]
    assert judgement.scores[plies.index("SW")] == 2 * (values[0] - values[1])


@pytest.mark.parametrize("weights", [HEURISTIC_V1, GREEDY], ids=["heuristic", "greedy"])
def test_a_winning_decision_scores_highest(weights):
    """One stack against none: landing on the marker at 0,3 eliminates the eighteenth ring."""
    game = position("square8_2p", {"0,0": "111", "5,5": "22"}, {"0,3": 2}, eliminated=[17, 14], player=1)
    game.play("NP")
    plies, judgement = judged(game, weights)
    winners = [ply for ply, score in zip(plies, judgement.scores, strict=True) if score == judgement.scores.max()]
    assert winners == ["M 0,0>0,3"]
    assert judgement.scores.max() == 2 * WON


def test_the_corner_is_shut_as_soon_as_it_can_be():
    """A single stack beside the corner of square8 moves into it and claims the rest (R142): a win in one ply."""
    game = position("square8_2p", {"1,0": "1", "5,5": "22"}, {"0,1": 1}, hands=[10, 10], player=1)
    game.play("SP")
    plies, judgement = judged(game)
    assert plies[int(judgement.scores.argmax())] == "M 1,0>0,0"


@pytest.mark.parametrize(("players", "is_seen"), [(3, True), (2, False)])
def test_a_stack_is_placed_where_leaving_cuts_a_region_off(players, is_seen):
    """A wall of territory with one gap: a marker in the gap cuts off a column in which one player has a stack."""
    wall = {f"1,{y}": 2 for y in range(8) if y != 3}
    stacks = {"0,6": "2", "4,4": "1", "6,1": "2", "5,6": str(players)}
    game = position(f"square8_{players}p", stacks, collapsed=wall, hands=[5] * players, player=1)
    weights = HEURISTIC_V1.by_feature
    without = Weights({place: weight for place, weight in weights.items() if place != CUT_NEXT})
    plies, judgement = judged(game)
    more = judgement.scores - judged(game, without)[1].scores
    cells_and_rings = {"P 1,3 1": 8 + 1, "P 2,3 1": 9 + 1, "P 3,3 1": 0}  # the column; with the gap; nothing
    for ply, worth in cells_and_rings.items():
        assert more[plies.index(ply)] == (2 * weights[CUT_NEXT][1] * worth if is_seen else 0)


def test_the_evaluator_gives_probabilities_and_finite_logits():
    for key in ("hex8_2p", "square8_4p"):
        positions = active(random_batch(key, 20, 1, 50))
        evaluation = HeuristicEvaluator().evaluate(positions)
        assert evaluation.logits.shape == positions.legal.ids.shape
        assert np.isfinite(evaluation.logits).all()
        assert evaluation.values.shape == (len(positions), positions.players)
        assert evaluation.values.dtype == evaluation.logits.dtype == np.float32
        np.testing.assert_allclose(evaluation.values.sum(axis=1), 1, atol=1e-5)


def test_read_only_states_can_be_judged():
    batch = random_batch("hex8_2p", 4, 1, 30)
    batch.advance()
    rows = np.flatnonzero(~batch.over)
    positions = Positions(batch.board, 2, batch.states, rows, batch.legal(rows))
    np.testing.assert_array_equal(
        judge(HEURISTIC_V1, positions).scores, judge(HEURISTIC_V1, positions_of(batch, rows)).scores
    )
    assert batch.states[0, at.SEATS] == 2
