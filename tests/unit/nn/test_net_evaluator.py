"""The evaluator: absolute seats, no influence of the batch, refusals, and the same on CUDA."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ringrift_core.errors import RulesError
from ringrift_core.game.batch import Ragged
from ringrift_core.game.rules import layout as at
from ringrift_core.nn import net_evaluator
from ringrift_core.nn.net_evaluator import NetEvaluator, split
from ringrift_core.search.evaluator import Positions
from tests.unit.nn.positions import games_as_positions, joined, line_games, random_net, random_positions, rare_positions
from tests.unit.nn.test_planes import encoded

KEYS = ["square8_2p", "hex8_3p", "square8_4p", "hexagonal_2p"]


def part(positions: Positions, rows: list[int]) -> Positions:
    legal = [positions.legal[i] for i in rows]
    offsets = np.cumsum([0, *map(len, legal)]).astype(np.int64)
    ids = np.concatenate(legal) if legal else positions.legal.ids[:0]
    return replace(positions, rows=positions.rows[rows], legal=Ragged(ids, offsets))


@pytest.mark.parametrize("key", KEYS)
def test_values_come_back_by_absolute_seat(key):
    net = random_net(key)
    positions = joined(random_positions(key, 5, 33), random_positions(key, 5, 44))
    found = NetEvaluator(net).evaluate(positions)
    with torch.inference_mode():
        relative = torch.softmax(net(encoded(positions)).win, 1).numpy()
    movers = positions.states[positions.rows, at.PLAYER]
    assert len(set(movers.tolist())) > 1
    for i, mover in enumerate(movers.tolist()):
        for step in range(positions.players):
            seat = (mover - 1 + step) % positions.players
            assert found.values[i, seat] == pytest.approx(relative[i, step], abs=1e-5)
    assert found.values.sum(1) == pytest.approx(np.ones(len(positions)), abs=1e-5)
    assert found.values.dtype == found.logits.dtype == np.float32


@pytest.mark.parametrize("key", KEYS)
def test_a_judgement_does_not_depend_on_the_batch(key):
    net = random_net(key)
    positions = random_positions(key, 11, 45)
    whole = NetEvaluator(net).evaluate(positions)
    for batch in (1, 4, 5, 64):
        found = NetEvaluator(net, batch=batch).evaluate(positions)
        np.testing.assert_allclose(found.logits, whole.logits, atol=1e-5, rtol=1e-5)
        np.testing.assert_allclose(found.values, whole.values, atol=1e-5)
    rows = [7, 2, 2, 0]
    some = NetEvaluator(net).evaluate(part(positions, rows))
    expected = np.concatenate([whole.logits[slice(*positions.legal.offsets[i : i + 2])] for i in rows])
    np.testing.assert_allclose(some.logits, expected, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(some.values, whole.values[rows], atol=1e-5)


def test_the_room_for_members_grows(monkeypatch):
    positions = games_as_positions(line_games())
    net = random_net("square8_2p")
    expected = NetEvaluator(net).evaluate(positions)
    monkeypatch.setattr(net_evaluator, "MEMBERS_ROOM", 1)
    found = NetEvaluator(net).evaluate(positions)
    np.testing.assert_array_equal(found.logits, expected.logits)


def test_nothing_to_judge():
    positions = part(random_positions("hex8_3p", 2, 20), [])
    found = NetEvaluator(random_net("hex8_3p")).evaluate(positions)
    assert found.logits.shape == (0,)
    assert found.values.shape == (0, 3)
    assert split(positions, 4) == []


@pytest.mark.parametrize("other", ["hex8_2p", "square8_3p", "hexagonal_3p"])
def test_positions_of_another_game_are_refused(other):
    with pytest.raises(RulesError, match=r"hex8_3p.*cannot judge"):
        NetEvaluator(random_net("hex8_3p")).evaluate(random_positions(other, 2, 20))


def test_an_evaluator_keeps_its_own_copy_of_the_net():
    net, positions = random_net("hex8_2p"), random_positions("hex8_2p", 3, 20)
    evaluator = NetEvaluator(net)
    before = evaluator.evaluate(positions)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(evaluator.evaluate(positions).logits, before.logits)


def test_half_precision_is_close():
    net, positions = random_net("hex8_2p"), random_positions("hex8_2p", 8, 40)
    exact = NetEvaluator(net).evaluate(positions)
    rough = NetEvaluator(net, dtype=torch.bfloat16).evaluate(positions)
    assert rough.logits.dtype == rough.values.dtype == np.float32
    spread = float(exact.logits.std())
    assert np.abs(rough.logits - exact.logits).mean() < 0.1 * spread
    assert np.abs(rough.values - exact.values).max() < 0.1


def test_traffic_is_counted():
    positions = random_positions("hex8_2p", 7, 30)
    evaluator = NetEvaluator(random_net("hex8_2p"), batch=3)
    found = evaluator.evaluate(positions)
    traffic = evaluator.traffic
    assert (traffic.batches, traffic.positions, traffic.legal) == (3, 7, len(found.logits))
    assert traffic.from_device_bytes == found.logits.nbytes + found.values.nbytes
    assert traffic.to_device_bytes > 7 * 14 * 61


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device that PyTorch can use")
@pytest.mark.parametrize("key", ["square8_2p", "hex8_3p"])
def test_cuda_says_the_same(key):
    net = random_net(key)
    positions = joined(random_positions(key, 30, 40), rare_positions(key, 60))
    torch.backends.cudnn.allow_tf32 = False
    cpu = NetEvaluator(net).evaluate(positions)
    cuda = NetEvaluator(net, torch.device("cuda"), batch=16).evaluate(positions)
    np.testing.assert_allclose(cuda.logits, cpu.logits, atol=1e-3, rtol=1e-3)
    np.testing.assert_allclose(cuda.values, cpu.values, atol=1e-4)
