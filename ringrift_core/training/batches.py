"""Rows as tensors: each under a symmetry of the board drawn for it, encoded as the net takes positions.

Only symmetries that keep every rule are used (`Board.exact_symmetries`): under the others a policy target would name
decisions that are not those of the image.
"""

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ringrift_core.game import GameBatch
from ringrift_core.game.batch import IntArray, Ragged
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.nn.net import Inputs
from ringrift_core.nn.net_evaluator import Encoder
from ringrift_core.search.evaluator import Positions
from ringrift_core.training.stream import Rows


@dataclass(frozen=True, slots=True)
class Targets:
    """What a net should say of B positions, seats relative to the mover."""

    policy: Tensor  # float32 [legal]
    value: Tensor  # float32 [B, players] probability that the seat wins
    ownership: Tensor  # int64 [B, cells] nobody, then seats
    score: Tensor  # float32 [B, players, 2]


Sent = TypeVar("Sent", Inputs, Targets)


class Assembler:
    """Makes batches for one configuration."""

    def __init__(self, key: ConfigKey, device: torch.device) -> None:
        start = GameBatch.start(key, 1)
        self._board, self._variant = start.board, start.variant
        self._exact = np.array(start.board.exact_symmetries)
        self._encoder = Encoder(start.board)
        self._device = device

    def symmetries(self, rows: int, rng: np.random.Generator) -> IntArray:
        """One exact symmetry of the board for each row, [rows]."""
        drawn: IntArray = self._exact[rng.integers(len(self._exact), size=rows)]
        return drawn

    def assemble(self, rows: Rows, symmetries: IntArray) -> tuple[Inputs, Targets]:
        """The images of rows under symmetries, as tensors on the device."""
        batch = GameBatch(self._board, self._variant, rows.states)
        images = batch.mapped(symmetries).states.copy()  # kernels are compiled for arrays that can be written to
        legal = Ragged(batch.map_ids(symmetries, rows.legal), rows.legal.offsets)
        positions = Positions(self._board, self._variant.players, images, np.arange(len(rows)), legal)
        arrays = self._encoder.encode(positions)
        ownership = np.zeros_like(rows.ownership)
        np.put_along_axis(ownership, self._board.symmetries[symmetries].astype(np.int64), rows.ownership, axis=1)
        inputs = Inputs(**{name: torch.from_numpy(array) for name, array in arrays.items()})
        targets = Targets(
            policy=torch.from_numpy(rows.policy),
            value=torch.from_numpy(rows.value),
            ownership=torch.from_numpy(ownership.astype(np.int64)),
            score=torch.from_numpy(rows.score),
        )
        return (inputs, targets) if self._device.type == "cpu" else (self._sent(inputs), self._sent(targets))

    def _sent(self, batch: Sent) -> Sent:
        """The tensors on the device, copied from pinned memory without waiting."""
        return type(batch)(
            **{
                it.name: getattr(batch, it.name).pin_memory().to(self._device, non_blocking=True)
                for it in fields(batch)
            }
        )
