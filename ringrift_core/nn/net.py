"""The network: a convolution trunk with global pooling, a gathered policy head, one win head entry per seat.

Works on every board; hexagons lie in the (x, y) grid and their kernels have seven taps. No batch norm, so a position's
judgement does not depend on its batch; no history. The policy is computed for legal ids only.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from ringrift_core.errors import RulesError
from ringrift_core.game.actions import Kind
from ringrift_core.game.board import Board
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.rules import layout as at
from ringrift_core.nn import features

POOL_EVERY = 3  # blocks 2, 5, 8, ... have a global pooling branch
RAY_WIDTH = 16  # length of the from and to vectors
DISTANCES = 8  # rays of this length or more share one bias
HIDDEN = 64  # of the value head


@dataclass(frozen=True, slots=True)
class Arch:
    """Size of a net."""

    name: str
    blocks: int
    channels: int


ARCHS = {
    arch.name: arch
    for arch in (
        Arch("nano", 4, 32),
        Arch("micro", 6, 64),
        Arch("small", 10, 128),
        Arch("base", 15, 192),
        Arch("large", 20, 256),
    )
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """k observed positions and their legal ids, on one device."""

    cells: Tensor  # int8 [k, fields, cells]
    globals: Tensor  # int16 [k, fields]
    counts: Tensor  # int64 [k] legal ids per position
    ids: Tensor  # int32 [legal] legal ids, position by position
    rays: Tensor  # int64 [rays] where in `ids` the RAY ids are
    member_of: Tensor  # int64 [members] where in `ids` the LINE or REGION id is
    member_cell: Tensor  # int64 [members] a cell of it


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a net says; seats are relative to the mover, entry 0 the mover."""

    logits: Tensor  # float32 [legal]
    win: Tensor  # float32 [k, players] logits
    score: Tensor | None  # float32 [k, players, 2] eliminated and territory at the end, as shares of what wins
    ownership: Tensor | None  # float32 [k, players + 1, cells] logits: nobody, then seats


class Block(nn.Module):
    """Pre-activation residual block; the second convolution starts at zero, so a new net is its stem."""

    def __init__(self, channels: int, *, pools: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        for parameter in self.second.parameters():
            nn.init.zeros_(parameter)
        self.pool = nn.Linear(2 * channels, channels) if pools else None

    def forward(self, x: Tensor, grid: "Grid") -> Tensor:
        """[k, channels, side, side] -> the same shape."""
        active = torch.relu(x)
        h = grid.convolve(
            self.first, active
        )  # in place from here on: a convolution's gradient does not need its output
        if self.pool is not None:
            h.add_(self.pool(grid.pool(active))[:, :, None, None])
        return grid.cut(grid.convolve(self.second, grid.cut(h).relu_()).add_(x))


class Grid(nn.Module):
    """The board as a grid: where cells lie, which taps of a kernel are neighbours, what pooling averages."""

    mask: Tensor
    taps: Tensor
    place: Tensor
    cell_at: Tensor

    def __init__(self, board: Board) -> None:
        super().__init__()
        low = min(min(cell) for cell in board.cells)
        self.side = max(max(cell) for cell in board.cells) - low + 1
        place = torch.tensor([(x - low) * self.side + (y - low) for x, y in board.cells])
        mask = torch.zeros(self.side * self.side)
        mask[place] = 1
        cell_at = torch.full((self.side * self.side,), board.cell_count)
        cell_at[place] = torch.arange(board.cell_count)
        taps = torch.ones(3, 3)
        if board.shape.hexagonal:
            taps[0, 0] = taps[2, 2] = 0  # (-1, -1) and (1, 1) are no neighbours on axial coordinates
        self.register_buffer("mask", mask.view(1, 1, self.side, self.side), persistent=False)
        self.register_buffer("taps", taps, persistent=False)
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("cell_at", cell_at, persistent=False)
        self.cells = board.cell_count
        self.hexagonal = board.shape.hexagonal

    def convolve(self, conv: nn.Conv2d, x: Tensor) -> Tensor:
        """A 3x3 convolution whose taps outside the neighbourhood count as zero."""
        weight = conv.weight * self.taps if self.hexagonal else conv.weight
        return F.conv2d(x, weight, conv.bias, padding=1)

    def pool(self, x: Tensor) -> Tensor:
        """Mean and largest value over the cells, [k, 2 * channels]; x is zero off the board and not negative on it."""
        flat = x.permute(0, 2, 3, 1).flatten(1, 2)
        largest = flat.float().amax(1).to(flat.dtype)  # in bf16 this is ten times slower on a CPU
        return torch.cat([flat.sum(1) / self.cells, largest], 1)

    def cut(self, x: Tensor) -> Tensor:
        """Zero off the board, in place."""
        return x.mul_(self.mask) if self.hexagonal else x

    def to_grid(self, cells: Tensor) -> Tensor:
        """[k, cells, channels] -> [k, channels, side, side] in channels-last memory, zero off the board."""
        padded = F.pad(cells, (0, 0, 0, 1))
        rows = padded.index_select(1, self.cell_at)
        grid: Tensor = rows.view(len(cells), self.side, self.side, -1).permute(0, 3, 1, 2)
        return grid

    def to_cells(self, x: Tensor) -> Tensor:
        """[k, channels, side, side] -> [k, cells, channels]."""
        return x.permute(0, 2, 3, 1).flatten(1, 2).index_select(1, self.place)


class Stem(nn.Module):
    """Planes and globals to channels: a 1x1 convolution over the planes, computed by looking rows up."""

    planes: Tensor
    start: Tensor
    last: Tensor
    pair_field: Tensor
    pair_value: Tensor
    count_field: Tensor
    count_scale: Tensor

    def __init__(self, channels: int, scales: list[float]) -> None:
        super().__init__()
        self.cells = nn.Linear(features.CELL_PLANES.shape[1], channels, bias=False)
        self.globals = nn.Linear(features.GLOBALS, channels)
        constants = {
            "planes": torch.from_numpy(features.CELL_PLANES),
            "start": torch.tensor(features.FIELD_START, dtype=torch.int32),
            "last": torch.tensor(features.FIELD_LAST, dtype=torch.int8),
            "pair_field": torch.tensor([field for field, _ in features.GLOBAL_PAIRS]),
            "pair_value": torch.tensor([value for _, value in features.GLOBAL_PAIRS], dtype=torch.int16),
            "count_field": torch.tensor(features.COUNT_INDEX),
            "count_scale": 1 / torch.tensor(scales),
        }
        for name, tensor in constants.items():
            self.register_buffer(name, tensor, persistent=False)

    def vector(self, values: Tensor) -> Tensor:
        """Raw global fields [k, fields] -> features [k, GLOBALS]."""
        pairs = values.index_select(1, self.pair_field) == self.pair_value
        counts = values.index_select(1, self.count_field) * self.count_scale
        return torch.cat([pairs.to(counts.dtype), counts], 1)

    def forward(self, cells: Tensor, vector: Tensor) -> Tensor:
        """Raw cell fields [k, fields, cells] and global features -> [k, cells, channels]."""
        rows = torch.minimum(cells.permute(0, 2, 1), self.last) + self.start
        table = self.planes @ self.cells.weight.t()
        summed = F.embedding_bag(rows.reshape(-1, rows.shape[2]), table, mode="sum")
        spread: Tensor = summed.view(rows.shape[0], rows.shape[1], -1) + self.globals(vector)[:, None]
        return spread


class PolicyHead(nn.Module):
    """Logits of legal ids: planes for what names a cell, from-to attention for RAY, a linear map for SPECIAL."""

    place_of: Tensor
    ray_from: Tensor
    ray_to: Tensor
    ray_bias: Tensor

    def __init__(self, board: Board, channels: int) -> None:
        super().__init__()
        first, axes = board.actions.first, len(board.axes)
        self.planes = at.PLACE_MAX + 2 * axes + 1 + at.REGION_COLOURS
        self.cells = board.cell_count
        self.ray_first = first[Kind.RAY]
        self.out = nn.Linear(channels, self.planes + 2 * RAY_WIDTH)
        self.special = nn.Linear(2 * channels, at.SPECIALS)
        self.reach = nn.Parameter(torch.zeros(len(board.directions) * DISTANCES))
        # place of every id in the row [cells * planes | specials | zero]; RAY ids read the zero
        zero = self.cells * self.planes + at.SPECIALS
        place = np.full(board.actions.size, zero)
        channel = 0
        for kind, width in (
            (Kind.PLACE, at.PLACE_MAX),
            (Kind.LINE_ALL, axes),
            (Kind.LINE_SEG, axes),
            (Kind.ELIM, 1),
            (Kind.REGION, at.REGION_COLOURS),
        ):
            number = np.arange(self.cells * width)
            place[first[kind] + number] = number // width * self.planes + channel + number % width
            channel += width
        place[first[Kind.SPECIAL] :] = self.cells * self.planes + np.arange(at.SPECIALS)
        lengths = np.diff(board.ray_start)
        distance = np.arange(len(board.ray_to)) - np.repeat(board.ray_start[:-1], lengths)
        bias = board.ray_direction * DISTANCES + np.minimum(distance, DISTANCES - 1)
        for name, array in (
            ("place_of", place),
            ("ray_from", board.ray_from),
            ("ray_to", board.ray_to),
            ("ray_bias", bias),
        ):
            self.register_buffer(name, torch.from_numpy(np.asarray(array, np.int64)), persistent=False)

    def forward(self, cells: Tensor, pooled: Tensor, inputs: Inputs) -> Tensor:
        """[k, cells, channels] and pooled [k, 2 * channels] -> logits [legal] in float32."""
        k = len(cells)
        rows = torch.repeat_interleave(inputs.counts, output_size=len(inputs.ids))
        spread = self.out(cells).float()
        planes = spread[:, :, : self.planes].flatten(1)
        flat = F.pad(torch.cat([planes, self.special(pooled).float()], 1), (0, 1))
        ids = inputs.ids.long()
        member = torch.zeros_like(ids, dtype=torch.bool).index_fill_(0, inputs.member_of, True)  # noqa: FBT003
        place = self.place_of[ids].masked_fill(member, flat.shape[1] - 1)
        logits = flat.view(-1).index_select(0, rows * flat.shape[1] + place)
        logits = self._add_rays(logits, spread.view(k * self.cells, -1), rows, ids, inputs)
        return self._add_members(logits, flat, rows, ids, inputs)

    def _add_rays(self, logits: Tensor, spread: Tensor, rows: Tensor, ids: Tensor, inputs: Inputs) -> Tensor:
        ray = ids[inputs.rays] - self.ray_first
        row = rows[inputs.rays] * self.cells
        source = spread[:, self.planes : self.planes + RAY_WIDTH].index_select(0, row + self.ray_from[ray])
        landing = spread[:, self.planes + RAY_WIDTH :].index_select(0, row + self.ray_to[ray])
        value = (source * landing).sum(1) * RAY_WIDTH**-0.5 + self.reach.float()[self.ray_bias[ray]]
        return logits.index_add(0, inputs.rays, value)

    def _add_members(self, logits: Tensor, flat: Tensor, rows: Tensor, ids: Tensor, inputs: Inputs) -> Tensor:
        """LINE and REGION ids: the mean of their plane over their member cells."""
        if not len(inputs.member_of):
            return logits
        channel = self.place_of[ids[inputs.member_of]] % self.planes
        place = rows[inputs.member_of] * flat.shape[1] + inputs.member_cell * self.planes + channel
        size = torch.zeros_like(logits).index_add(0, inputs.member_of, torch.ones_like(place, dtype=logits.dtype))
        return logits.index_add(0, inputs.member_of, flat.view(-1)[place] / size[inputs.member_of])


class Net(nn.Module):
    """One net of one configuration."""

    def __init__(self, key: ConfigKey, arch: str) -> None:
        super().__init__()
        if arch not in ARCHS:
            raise RulesError(f"there is no net size {arch!r}; choose from {', '.join(ARCHS)}")
        self.key = key
        self.arch = ARCHS[arch]
        board = Board.of(key.board_type)
        channels, players = self.arch.channels, key.players
        rings = board.shape.rings_per_player
        scales = features.count_scales(rings, rings * (players + 1) // 3, board.cell_count // players + 1)
        self.grid = Grid(board)
        self.stem = Stem(channels, scales)
        self.blocks = nn.ModuleList(
            Block(channels, pools=number % POOL_EVERY == 1) for number in range(self.arch.blocks)
        )
        self.policy = PolicyHead(board, channels)
        self.hidden = nn.Linear(2 * channels + features.GLOBALS, HIDDEN)
        self.win = nn.Linear(HIDDEN, players)
        self.score = nn.Linear(HIDDEN, 2 * players)
        self.ownership = nn.Linear(channels, players + 1)
        nn.init.zeros_(self.win.weight)

    def forward(self, inputs: Inputs, *, auxiliary: bool = False) -> Outputs:
        """Judge positions; score and ownership are computed only when asked for."""
        vector = self.stem.vector(inputs.globals)
        x = self.grid.to_grid(self.stem(inputs.cells, vector))
        for block in self.blocks:
            x = block(x, self.grid)
        x = torch.relu(x)
        pooled = self.grid.pool(x)
        cells = self.grid.to_cells(x)
        hidden = torch.relu(self.hidden(torch.cat([pooled, vector], 1)))
        players = self.key.players
        return Outputs(
            logits=self.policy(cells, pooled, inputs),
            win=self.win(hidden).float(),
            score=self.score(hidden).float().view(-1, players, 2) if auxiliary else None,
            ownership=self.ownership(cells).float().transpose(1, 2) if auxiliary else None,
        )
