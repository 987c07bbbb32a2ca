"""The stem by looking rows up equals planes times weights; what is different looks different."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from ringrift_core.game import GameBatch
from ringrift_core.game.config_key import CONFIG_KEYS
from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules import observation
from ringrift_core.nn import features
from ringrift_core.nn.net import Inputs, Stem
from ringrift_core.nn.net_evaluator import Encoder
from ringrift_core.search.evaluator import Positions
from tests.positions import position
from tests.unit.nn.positions import games_as_positions, line_games, random_net, random_positions

KEYS = [str(key) for key in CONFIG_KEYS]


def encoded(positions: Positions) -> Inputs:
    return Inputs(**{name: torch.from_numpy(a) for name, a in Encoder(positions.board).encode(positions).items()})


def observed(positions: Positions) -> tuple[np.ndarray, np.ndarray]:
    """The raw fields, by another door."""
    rules = positions.states[positions.rows]
    variant = GameBatch.start(f"{positions.board.board_type}_{positions.players}p", 1).variant
    return GameBatch(positions.board, variant, np.ascontiguousarray(rules)).observe()


def explicit_planes(cells: np.ndarray) -> np.ndarray:
    """[fields, cells] -> [cells, planes], one plane after the other."""
    planes = np.zeros((cells.shape[1], len(features.PLANE_NAMES)), np.float64)
    for field, values in zip(observation.CELL_FIELDS, cells, strict=True):
        for cell, value in enumerate(values):
            for name, weight in features.planes_of(field, min(int(value), features.FIELD_MAX[field])).items():
                planes[cell, features.PLANE_NAMES.index(name)] += weight
    return planes


@pytest.mark.parametrize("key", KEYS)
def test_the_stem_is_planes_times_weights_plus_globals(key):
    net = random_net(key)
    positions = random_positions(key, 3, 60)
    inputs = encoded(positions)
    cells, values = observed(positions)
    np.testing.assert_array_equal(inputs.cells, cells)
    np.testing.assert_array_equal(inputs.globals, values)
    with torch.no_grad():
        vector = net.stem.vector(inputs.globals)
        found = net.stem(inputs.cells, vector).numpy()
    weights = net.stem.cells.weight.detach().numpy().astype(np.float64)
    added = vector.numpy() @ net.stem.globals.weight.detach().numpy().T + net.stem.globals.bias.detach().numpy()
    for i in range(len(positions)):
        np.testing.assert_allclose(found[i], explicit_planes(cells[i]) @ weights.T + added[i], atol=2e-4)


@pytest.mark.parametrize("key", ["square8_2p", "hex8_3p", "hexagonal_4p"])
def test_the_globals_by_name(key):
    positions = random_positions(key, 4, 50)
    board, players = positions.board, positions.players
    values = observed(positions)[1]
    found = random_net(key).stem.vector(torch.from_numpy(values)).numpy()
    scale = {
        "hand": board.shape.rings_per_player,
        "rings": board.shape.rings_per_player,
        "eliminated": board.rings_to_win(players),
        "territory": board.territory_to_win(players),
        "markers": 16,
        "stacks": 8,
    }
    for i, row in enumerate(values):
        by_name = dict(zip(observation.GLOBAL_FIELDS, row.tolist(), strict=True))
        expected = [float(by_name[name.split("=")[0]] == int(name.split("=")[1])) for name in features.GLOBAL_NAMES]
        expected += [by_name[name] / scale[name.rpartition("_")[0]] for name in features.COUNT_FIELDS]
        assert found[i] == pytest.approx(expected, rel=1e-5)


def test_no_two_values_of_a_field_look_the_same():
    for number, field in enumerate(observation.CELL_FIELDS):
        first, count = features.FIELD_START[number], features.FIELD_MAX[field] + 1
        rows = features.CELL_PLANES[first : first + count]
        assert len(np.unique(rows, axis=0)) == count, field
    assert len(np.unique(features.CELL_PLANES.any(0))) == 1  # every plane is set by something


def test_small_heights_and_caps_differ_by_a_whole_plane():
    """Heights 1 .. 9 are shortest moves, caps 1 .. 7 decide captures: a ramp alone would blur them."""
    for field, last in (("height", 7), ("cap", 5)):
        seen = [tuple(sorted(n for n in features.planes_of(field, v) if ">=" in n)) for v in range(last + 1)]
        assert len(set(seen)) == last + 1


def vectors(fields: list[dict[str, int]]) -> np.ndarray:
    values = np.zeros((len(fields), len(observation.GLOBAL_FIELDS)), np.int16)
    for row, given in zip(values, fields, strict=True):
        for name, value in given.items():
            row[observation.GLOBAL_FIELDS.index(name)] = value
    return Stem(4, [1.0] * len(features.COUNT_FIELDS)).vector(torch.from_numpy(values)).numpy()


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("phase", range(7)),
        ("pending", range(3)),
        ("lps_exclusive", range(5)),
        ("lps_first", range(5)),
        ("lps_count", range(at.LPS_ROUNDS + 1)),
        ("mover", range(1, 5)),
        *((flag, range(2)) for flag in ("line_due", "region_due", "recovery_turn", "acted", "swap_open")),
        *((f"lps_action_{seat}", range(3)) for seat in range(4)),
        *((f"{name}_{seat}", range(97)) for name in ("hand", "eliminated", "rings", "markers") for seat in range(4)),
    ],
)
def test_every_value_of_a_global_field_looks_different(field, values):
    rows = vectors([{field: value} for value in values])
    assert len(np.unique(rows, axis=0)) == len(values)


@pytest.mark.parametrize("key", ["square8_2p", "hex8_3p", "square8_4p", "hexagonal_2p"])
def test_what_differs_in_observation_differs_in_features(key):
    """But for the turn number, which is left out, and for what is clipped."""
    seen: dict[bytes, bytes] = {}
    turn = observation.GLOBAL_FIELDS.index("turn")
    net = random_net(key)
    for plies in (1, 2, 3, 10, 40, 41, 42, 43, 100, 160):
        positions = random_positions(key, 24, plies, seed=plies)
        cells, values = observed(positions)
        vector = net.stem.vector(torch.from_numpy(values)).numpy()
        clipped = (
            np.minimum(cells, np.array(features.FIELD_LAST)[None, :, None])
            + np.array(features.FIELD_START)[None, :, None]
        )
        planes = features.CELL_PLANES[clipped]
        for i in range(len(positions)):
            raw = cells[i].tobytes() + np.delete(values[i], turn).tobytes()
            made = planes[i].sum(0).tobytes() + vector[i].tobytes()
            assert seen.setdefault(made, raw) == raw
    assert len(seen) > 100


def test_seats_are_never_merged():
    """Exchanging two opponents' pieces, or one ring deep in a stack, changes the planes."""
    stacks, markers = {"0,0": "1213", "5,5": "23", "7,7": "3"}, {"3,3": 2, "4,4": 3}
    one = position("square8_3p", stacks, markers, hands=[5, 6, 7])
    other = {"1": "1", "2": "3", "3": "2"}
    swapped_stacks = {cell: "".join(other[ring] for ring in rings) for cell, rings in stacks.items()}
    variants = [
        position("square8_3p", swapped_stacks, markers, hands=[5, 6, 7]),
        position("square8_3p", stacks, {"3,3": 3, "4,4": 2}, hands=[5, 6, 7]),
        position("square8_3p", stacks, markers, hands=[5, 7, 6]),
        position("square8_3p", stacks | {"0,0": "1312"}, markers, hands=[5, 6, 7]),
        position("square8_3p", stacks, markers, hands=[5, 6, 7], player=2),
        one,
    ]
    inputs = encoded(games_as_positions(variants))
    net = random_net("square8_3p")
    with torch.no_grad():
        seen = net.stem(inputs.cells, net.stem.vector(inputs.globals)).numpy()
    for a, b in itertools.combinations(range(len(variants)), 2):
        assert np.abs(seen[a] - seen[b]).max() > 1e-3, (a, b)


def test_the_open_decision_of_a_slide_is_seen():
    """The options and the payment of one slide are two positions, and the cells of the slide have their role."""
    positions = games_as_positions(line_games()[1:3])
    inputs = encoded(positions)
    assert (inputs.cells[0] == inputs.cells[1]).all()
    assert not (inputs.globals[0] == inputs.globals[1]).all()
    role = inputs.cells[0, observation.CELL_FIELDS.index("role")]
    assert role[positions.board.parse_cell("4,4")] == 4
    assert role[positions.board.parse_cell("3,3")] == 8


def test_rows_of_a_larger_array_are_meant():
    positions = random_positions("hex8_2p", 6, 40)
    some = np.array([4, 1, 1])
    legal = [positions.legal[i] for i in some]
    offsets = np.concatenate([[0], np.cumsum([len(ids) for ids in legal])]).astype(np.int64)
    part = replace(positions, rows=some, legal=replace(positions.legal, ids=np.concatenate(legal), offsets=offsets))
    np.testing.assert_array_equal(encoded(part).cells, encoded(positions).cells[some])
