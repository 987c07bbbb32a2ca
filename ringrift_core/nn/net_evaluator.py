"""NetEvaluator: a net as a judge of positions, on a CPU or a CUDA device.

The search gives state rows; what goes to the device is their raw fields (int8), their legal ids and where rays and
members are; what comes back is one logit per legal id and one probability per seat. The CUDA path (pinned memory, its
own stream, bf16) has not been run on a device yet.
"""

from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ringrift_core.errors import RulesError
from ringrift_core.game.actions import Kind
from ringrift_core.game.batch import Ragged
from ringrift_core.game.board import Board
from ringrift_core.game.rules import jit
from ringrift_core.game.rules import layout as at
from ringrift_core.game.rules.observation import CELL_FIELDS, GLOBAL_FIELDS
from ringrift_core.game.state import scratch_words
from ringrift_core.nn.kernels import encode
from ringrift_core.nn.net import Inputs, Net
from ringrift_core.search.evaluator import Evaluation, Positions

MEMBERS_ROOM = 4096  # first room for members of lines and regions; it grows when it is short


@dataclass(slots=True)
class Traffic:
    """What an evaluator has moved and judged since it was made."""

    batches: int = 0
    positions: int = 0
    legal: int = 0
    to_device_bytes: int = 0
    from_device_bytes: int = 0


class Encoder:
    """Positions as arrays for a net; keeps its scratch between calls."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._g = jit.for_kernel(board.flat)
        self._w = np.zeros((1, scratch_words(board)), np.int16)
        self._room = MEMBERS_ROOM

    def encode(self, positions: Positions) -> dict[str, npt.NDArray[Any]]:
        """The fields of `Inputs` as arrays."""
        rows, ids = positions.rows, positions.legal.ids
        cells = np.zeros((len(rows), len(CELL_FIELDS) * self._board.cell_count), np.int8)
        values = np.zeros((len(rows), len(GLOBAL_FIELDS)), np.int16)
        encode.observe_rows(self._g, *(jit.for_kernel(array) for array in (positions.states, rows, cells, values)))
        first = self._board.actions.first
        member_of, member_cell = self._members(positions)
        return {
            "cells": cells.reshape(len(rows), len(CELL_FIELDS), -1),
            "globals": values,
            "counts": np.diff(positions.legal.offsets),
            "ids": ids.astype(np.int32),
            "rays": np.flatnonzero((ids >= first[Kind.RAY]) & (ids < first[Kind.LINE_ALL])),
            "member_of": member_of.astype(np.int64),
            "member_cell": member_cell.astype(np.int64),
        }

    def _members(self, positions: Positions) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        while True:
            of, cells = np.zeros(self._room, np.int32), np.zeros(self._room, np.int32)
            arrays = (
                positions.states,
                positions.rows,
                self._w,
                positions.legal.offsets,
                positions.legal.ids,
                of,
                cells,
            )
            count = encode.list_members(self._g, *(jit.for_kernel(array) for array in arrays))
            if count <= self._room:
                return of[:count], cells[:count]
            self._room = 2 * count


@dataclass(slots=True)
class NetEvaluator:
    """Judges positions with a copy of a net in the given precision, `batch` positions at a time."""

    net: Net
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32
    batch: int = 256
    traffic: Traffic = field(default_factory=Traffic)
    _encoder: Encoder = field(init=False)
    _stream: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        board = Board.of(self.net.key.board_type)
        self.net = deepcopy(self.net).to(self.device, self.dtype).eval()
        self._encoder = Encoder(board)
        if self.device.type == "cuda":
            self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
            self._stream.wait_stream(torch.cuda.current_stream(self.device))  # on which the net is copied there

    def evaluate(self, positions: Positions) -> Evaluation:
        """Judge the positions; RulesError when the net plays another game."""
        key = self.net.key
        if (positions.board.board_type, positions.players) != (key.board_type, key.players):
            raise RulesError(
                f"a net for {key} cannot judge {positions.board.board_type} with {positions.players} seats"
            )
        parts = [self._judge(part) for part in split(positions, self.batch)]
        if len(parts) == 1:
            return parts[0]
        return Evaluation(
            np.concatenate([part.logits for part in parts]) if parts else np.zeros(0, np.float32),
            np.concatenate([part.values for part in parts]) if parts else np.zeros((0, key.players), np.float32),
        )

    def send(self, positions: Positions) -> Inputs:
        """Encode positions and move them to the device."""
        arrays = self._encoder.encode(positions)
        self.traffic.to_device_bytes += sum(array.nbytes for array in arrays.values())
        return Inputs(**{name: self._to_device(array) for name, array in arrays.items()})

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """The bare net: logits [legal] and win probabilities relative to the mover [k, players]."""
        with torch.inference_mode():
            outputs = self.net(inputs)
            return outputs.logits, torch.softmax(outputs.win, 1)

    def _judge(self, positions: Positions) -> Evaluation:
        with torch.cuda.stream(self._stream) if self._stream is not None else nullcontext():
            logits, win = (tensor.cpu().numpy() for tensor in self.forward(self.send(positions)))
        self.traffic.batches += 1
        self.traffic.positions += len(positions)
        self.traffic.legal += len(logits)
        self.traffic.from_device_bytes += logits.nbytes + win.nbytes
        mover = positions.states[positions.rows, at.PLAYER].astype(np.int64) - 1
        seats = np.arange(positions.players)
        return Evaluation(logits, np.take_along_axis(win, (seats - mover[:, None]) % positions.players, 1))

    def _to_device(self, array: npt.NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(array)
        if self._stream is None:
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)


def split(positions: Positions, batch: int) -> list[Positions]:
    """Positions in parts of at most `batch`."""
    if len(positions) <= batch:
        return [positions] if len(positions) else []
    parts = []
    for first in range(0, len(positions), batch):
        last = min(first + batch, len(positions))
        offsets = positions.legal.offsets[first : last + 1]
        parts.append(
            Positions(
                positions.board,
                positions.players,
                positions.states,
                positions.rows[first:last],
                Ragged(positions.legal.ids[offsets[0] : offsets[-1]], offsets - offsets[0]),
            )
        )
    return parts
