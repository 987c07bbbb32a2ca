"""The net against slow computations: neighbours by direction, logits id by id; every weight learns."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ringrift_core.errors import RulesError
from ringrift_core.game import Board
from ringrift_core.game.actions import Kind
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.rules import layout as at
from ringrift_core.game.state import Row
from ringrift_core.nn.net import ARCHS, DISTANCES, RAY_WIDTH, Arch, Block, Grid, Inputs, Net
from ringrift_core.search.evaluator import Positions
from tests.unit.nn.positions import (
    games_as_positions,
    hex_line_game,
    joined,
    key_board,
    line_games,
    random_net,
    random_positions,
    rare_positions,
)
from tests.unit.nn.test_planes import encoded

BOARDS = ["square8", "hex8", "hexagonal"]


# ---- the trunk ----


def neighbourhood(board: Board) -> list[tuple[int, int]]:
    if board.shape.hexagonal:
        return [(0, 0), *board.directions]
    return [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]


def slow_convolve(board: Board, conv: nn.Conv2d, x: Tensor) -> Tensor:
    """[cells, in] -> [cells, out]: each cell and its neighbours, no cell off the board."""
    rows = []
    for a, b in board.cells:
        row = conv.bias.clone() if conv.bias is not None else torch.zeros(conv.out_channels)
        for dx, dy in neighbourhood(board):
            cell = board.index.get((a + dx, b + dy))
            if cell is not None:
                row += conv.weight[:, :, dx + 1, dy + 1] @ x[cell]
        rows.append(row)
    return torch.stack(rows)


def filled(block: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(torch.randn_like(parameter) / 3)
    return block


@pytest.mark.parametrize("board_type", BOARDS)
def test_a_kernel_has_the_taps_of_the_neighbours(board_type):
    torch.manual_seed(3)
    board = Board.of(board_type)
    grid, conv = Grid(board), nn.Conv2d(3, 2, 3, padding=1)
    cells = torch.randn(2, board.cell_count, 3)
    with torch.no_grad():
        found = grid.to_cells(grid.convolve(conv, grid.to_grid(cells)))
        for i in range(2):
            torch.testing.assert_close(found[i], slow_convolve(board, conv, cells[i]), atol=1e-5, rtol=1e-5)
    assert len(neighbourhood(board)) == (7 if board.shape.hexagonal else 9)


@pytest.mark.parametrize("board_type", BOARDS)
@pytest.mark.parametrize("pools", [False, True])
def test_a_block_knows_nothing_off_the_board(board_type, pools):
    """Two convolutions in a row: what the first one makes of cells off the board must not come back."""
    torch.manual_seed(4)
    board = Board.of(board_type)
    grid, block = Grid(board), Block(4, pools=pools)
    filled(block)
    cells = torch.randn(1, board.cell_count, 4)
    with torch.no_grad():
        made = block(grid.to_grid(cells), grid)
        active = torch.relu(cells[0])
        h = slow_convolve(board, block.first, active)
        if block.pool is not None:
            h = h + block.pool(torch.cat([active.mean(0), active.amax(0)])[None])
        expected = cells[0] + slow_convolve(board, block.second, torch.relu(h))
        torch.testing.assert_close(grid.to_cells(made)[0], expected, atol=1e-4, rtol=1e-4)
        off = torch.ones(grid.side**2, dtype=torch.bool)
        off[grid.place] = False
        assert (made.flatten(2)[0, :, off] == 0).all()


def test_a_new_block_changes_nothing():
    board = Board.of("hex8")
    grid = Grid(board)
    x = grid.to_grid(torch.randn(2, board.cell_count, 8))
    torch.testing.assert_close(Block(8, pools=True)(x.clone(), grid), x)


# ---- the policy ----


def line_cells(board: Board, row: Row, cell: int, axis: int, *, whole: bool) -> list[int]:
    """The cells of a line, walked by coordinates over the markers as they stand once an open slide is done."""
    seat = int(row[at.PLAYER])
    markers = {i for i in range(board.cell_count) if row[at.CODE + i] == seat}
    if row[at.PENDING] == at.LINE_OPTION:
        markers = (markers - {int(row[at.PENDING_FROM])}) | {int(row[at.PENDING_TO])}
    cells = []
    dx, dy = board.axes[axis]
    x, y = board.cells[cell]
    while (x, y) in board.index and board.index[x, y] in markers:
        cells.append(board.index[x, y])
        x, y = x + dx, y + dy
    return cells if whole else cells[: int(row[at.LINE_LENGTH])]


def region_cells(board: Board, row: Row, cell: int, colour: int) -> list[int]:
    """The cells that a walk over territory neighbours reaches without collapsed cells and border markers."""
    border = -1 if colour == at.REGION_COLOURS - 1 else (int(row[at.PLAYER]) - 1 + colour) % int(row[at.SEATS]) + 1
    reached, waiting = {cell}, [cell]
    while waiting:
        for near in board.neighbours[waiting.pop()].tolist():
            if near < board.cell_count and near not in reached:
                code = int(row[at.CODE + near])
                if code != border and code <= at.COLLAPSED:
                    reached.add(near)
                    waiting.append(near)
    return sorted(reached)


def slow_logit(net: Net, row: Row, action_id: int, out: Tensor, special: Tensor) -> float:
    """One logit from the head's planes [cells, planes + 2 * RAY_WIDTH] and its eight specials."""
    board = key_board(str(net.key))
    axes = len(board.axes)
    action = board.decode(action_id)
    match action.kind:
        case Kind.PLACE:
            return float(out[action.cell, action.number - 1])
        case Kind.LINE_ALL | Kind.LINE_SEG:
            whole = action.kind is Kind.LINE_ALL
            cells = line_cells(board, row, action.cell, action.number, whole=whole)
            assert len(cells) >= row[at.LINE_LENGTH]
            return float(out[cells, 3 + (0 if whole else axes) + action.number].mean())
        case Kind.ELIM:
            return float(out[action.cell, 3 + 2 * axes])
        case Kind.REGION:
            cells = region_cells(board, row, action.cell, action.number)
            return float(out[cells, 4 + 2 * axes + action.number].mean())
        case Kind.SPECIAL:
            return float(special[action.number])
        case Kind.RAY:
            planes = 3 + 2 * axes + 1 + 5
            (x, y), (to_x, to_y) = board.cells[action.cell], board.cells[action.number]
            distance = max(abs(to_x - x), abs(to_y - y))
            direction = board.directions.index(((to_x - x) // distance, (to_y - y) // distance))
            source = out[action.cell, planes : planes + RAY_WIDTH]
            landing = out[action.number, planes + RAY_WIDTH : planes + 2 * RAY_WIDTH]
            bias = net.policy.reach[direction * DISTANCES + min(distance, DISTANCES) - 1]
            return float(source @ landing / RAY_WIDTH**0.5 + bias)


def check_policy(net: Net, positions: Positions) -> set[Kind]:
    """Compare every logit; return the kinds that were among them."""
    heard: list[Tensor] = []
    hook = net.policy.register_forward_hook(lambda _, inputs, __: heard.extend(inputs[:2]))
    with torch.no_grad():
        logits = net(encoded(positions)).logits
        hook.remove()
        cells, pooled = heard
        out, special = net.policy.out(cells), net.policy.special(pooled)
        expected = [
            slow_logit(net, positions.states[positions.rows[i]], int(a), out[i], special[i])
            for i in range(len(positions))
            for a in positions.legal[i]
        ]
    np.testing.assert_allclose(logits.numpy(), expected, atol=2e-4, rtol=1e-4)
    return {positions.board.decode(int(a)).kind for a in positions.legal.ids}


@pytest.mark.parametrize("key", ["square8_2p", "hex8_3p", "square8_4p", "hex8_2p"])
def test_logits_id_by_id(key):
    net = random_net(key)
    kinds = check_policy(net, random_positions(key, 6, 30)) | check_policy(net, rare_positions(key, 120))
    assert kinds >= {Kind.PLACE, Kind.RAY, Kind.ELIM, Kind.REGION, Kind.SPECIAL}


@pytest.mark.parametrize("key", ["square19_3p", "hexagonal_4p"])
def test_logits_on_the_large_boards(key):
    check_policy(random_net(key), random_positions(key, 2, 70))


def test_logits_of_overlong_lines_regions_and_open_slides():
    positions = games_as_positions(line_games())
    assert check_policy(random_net("square8_2p"), positions) >= {Kind.LINE_ALL, Kind.LINE_SEG, Kind.ELIM, Kind.REGION}
    check_policy(random_net("hexagonal_2p"), games_as_positions([hex_line_game()]))


# ---- learning ----


def loss_of(net: Net, inputs: Inputs) -> Tensor:
    outputs = net(inputs, auxiliary=True)
    assert outputs.score is not None
    assert outputs.ownership is not None
    parts = (outputs.logits, outputs.win, outputs.score, outputs.ownership)
    return torch.stack([torch.tanh(part).square().mean() + part.mean() / 7 for part in parts]).sum()


@pytest.mark.parametrize("key", ["square8_2p", "hex8_2p"])
def test_every_weight_gets_its_gradient(key, monkeypatch):
    """In double precision against finite differences: nothing that works in place spoils the way back."""
    monkeypatch.setattr(torch.Tensor, "float", lambda tensor: tensor)
    monkeypatch.setitem(ARCHS, "tiny", Arch("tiny", 2, 8))
    net = random_net(key, "tiny").double().train()
    inputs = encoded(joined(rare_positions(key, 60, most=8), random_positions(key, 6, 31)))
    loss_of(net, inputs).backward()
    rng = np.random.default_rng(3)
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
        spot = tuple(int(rng.integers(size)) for size in parameter.shape)
        with torch.no_grad():
            losses = []
            for shift in (1e-6, -2e-6):
                parameter[spot] += shift
                losses.append(float(loss_of(net, inputs)))
            parameter[spot] += 1e-6
        slope = (losses[0] - losses[1]) / 2e-6
        assert float(parameter.grad[spot]) == pytest.approx(slope, rel=1e-3, abs=1e-7), name


def test_a_new_net_learns_everywhere_after_a_step():
    """Some weights begin at zero; none of them is stuck there."""
    torch.manual_seed(1)
    net = Net(ConfigKey.parse("hex8_2p"), "nano")
    inputs = encoded(random_positions("hex8_2p", 8, 40))
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    for _ in range(3):
        optimiser.zero_grad()
        loss_of(net, inputs).backward()
        optimiser.step()
    dead = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    unused = {"policy.special.weight", "policy.special.bias"}
    assert set(dead) <= unused


def test_shapes_and_sizes():
    positions = random_positions("hex8_3p", 5, 40)
    outputs = random_net("hex8_3p")(encoded(positions), auxiliary=True)
    assert outputs.logits.shape == (len(positions.legal.ids),)
    assert outputs.win.shape == (len(positions), 3)
    assert outputs.score.shape == (len(positions), 3, 2)
    assert outputs.ownership.shape == (len(positions), 4, 61)
    with pytest.raises(RulesError, match="no net size"):
        Net(ConfigKey.parse("hex8_3p"), "huge")
