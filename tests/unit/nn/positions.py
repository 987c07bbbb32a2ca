"""Positions and nets for tests of the nets."""

import numpy as np
import torch

from ringrift_core.game import Board, Game, GameBatch
from ringrift_core.game.actions import Kind
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.nn.net import Net
from ringrift_core.search.evaluator import Positions
from tests.positions import play, position


def positions_of(batch: GameBatch) -> Positions:
    """Every game of a batch that is not over."""
    batch = batch.copy(np.flatnonzero(~batch.over))
    return Positions(batch.board, batch.variant.players, batch.states.copy(), np.arange(len(batch)), batch.legal())


def games_as_positions(games: list[Game]) -> Positions:
    """Single games of one configuration as positions."""
    states = np.stack([game.row for game in games])
    return positions_of(GameBatch(games[0].board, games[0].variant, states))


def random_positions(key: str, count: int, plies: int, seed: int = 1) -> Positions:
    """Positions from random games."""
    batch = GameBatch.start(key, count)
    batch.play_random(np.arange(seed, seed + count) * 7919 + 1, plies)
    batch.advance()
    return positions_of(batch)


def rare_positions(key: str, count: int, seed: int = 1, most: int = 30) -> Positions:
    """Positions of random games in which a line, a region or an elimination is to be decided."""
    batch = GameBatch.start(key, count)
    seeds = np.arange(seed, seed + count) * 7919 + 1
    found = []
    first = batch.board.actions.first
    for plies in range(20, 260, 12):
        seeds = batch.play_random(seeds, plies)
        legal = batch.legal()
        rare = [
            i
            for i in range(count)
            if len(legal[i]) > 1 and (legal[i] >= first[Kind.LINE_ALL]).sum() * 2 > len(legal[i])
        ]
        found += [batch.states[i].copy() for i in rare]
    some = found[:: -(-len(found) // most)]
    return positions_of(GameBatch(batch.board, batch.variant, np.stack(some)))


def joined(one: Positions, other: Positions) -> Positions:
    """Both, one after the other."""
    variant = GameBatch.start(f"{one.board.board_type}_{one.players}p", 1).variant
    return positions_of(GameBatch(one.board, variant, np.concatenate([one.states, other.states])))


def line_games() -> list[Game]:
    """Square8 for two: overlong lines on two axes, regions, the options and the payment of a recovery slide."""
    markers = {"1,0": 1, "2,0": 1, "3,0": 1, "4,0": 1, "0,1": 1, "0,2": 1, "0,3": 1, "0,4": 1, "0,6": 1}
    lines = play(position("square8_2p", {"0,0": "1", "7,7": "2", "7,5": "1"}, markers), "NP", "M 0,0>6,6")
    row = {"0,3": 1, "1,3": 1, "2,3": 1, "4,4": 1, "3,2": 1, "3,1": 1, "3,0": 1, "3,4": 1}
    slide = play(position("square8_2p", {"7,7": "12", "7,5": "122"}, row), "NP")
    board = slide.board
    source, landing = board.parse_cell("4,4"), board.parse_cell("3,3")
    number = board.actions.ray_number(source, landing)
    assert number is not None
    slide.decide(number)
    paying = play(position("square8_2p", {"7,7": "12", "7,5": "122"}, row), "NP")
    paying.decide(number)
    paying.decide(paying.legal_decisions()[0])
    corner = {"1,0": 1, "0,1": 1, "1,2": 2, "2,3": 2, "3,3": 1, "6,0": 1, "7,2": 1, "6,2": 1}
    stacks = {"0,0": "2", "7,7": "2", "7,3": "1", "7,1": "2", "5,5": "1"}
    regions = play(position("square8_2p", stacks | {"6,1": "2"}, corner), "NP", "M 5,5>5,4", "NL")
    return [lines, slide, paying, regions]


def hex_line_game() -> Game:
    """Hexagonal for two: an overlong line on a slanting axis."""
    markers = {f"{x},{-x}": 1 for x in range(-2, 4)} | {f"{x},3": 1 for x in range(-5, 0)}
    return play(position("hexagonal_2p", {"5,5": "1", "-9,0": "2"}, markers), "NP", "M 5,5>5,4")


def random_net(key: str, arch: str = "nano", seed: int = 1) -> Net:
    """A net none of whose weights is zero."""
    torch.manual_seed(seed)
    net = Net(ConfigKey.parse(key), arch)
    with torch.no_grad():
        for parameter in net.parameters():
            fan = parameter[0].numel() if parameter.dim() > 1 else 4
            parameter.copy_(torch.randn_like(parameter) * fan**-0.5)
    return net.eval()


def key_board(key: str) -> Board:
    """The board of a config key."""
    return Board.of(ConfigKey.parse(key).board_type)
