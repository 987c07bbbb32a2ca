"""The action table: what each id means (docs/formats/actions.md).

An id names one decision; which of several moves it is (capture or recovery slide, line payment or forced
elimination) follows from the state it is played in.
"""

from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum
from operator import index

import numpy as np

from ringrift_core.errors import RulesError
from ringrift_core.game.geometry import Int32Array
from ringrift_core.game.rules import layout as at


class Kind(StrEnum):
    """The blocks of the table, in id order."""

    PLACE = "place"  # cell, number = rings 1..3
    RAY = "ray"  # cell -> number = destination cell
    LINE_ALL = "line_all"  # first cell of the run, number = axis
    LINE_SEG = "line_seg"  # first cell of the window, number = axis
    ELIM = "elim"  # cell
    REGION = "region"  # lowest cell, number = border colour relative to the mover 0..3, 4 = none
    SPECIAL = "special"  # number = one of Special


class Special(StrEnum):
    """The SPECIAL ids in order; two more are spare."""

    SKIP_PLACEMENT = "skip_placement"
    SKIP_CAPTURE = "skip_capture"
    SKIP_TERRITORY = "skip_territory"
    SKIP_RECOVERY = "skip_recovery"
    SWAP_SIDES = "swap_sides"
    NO_ACTION = "no_action"


@dataclass(frozen=True, slots=True)
class Action:
    """One entry of the table; the meaning of `cell` and `number` is at each Kind."""

    kind: Kind
    cell: int
    number: int


BLOCKS = (
    (Kind.PLACE, None),
    (Kind.RAY, at.RAY_ID),
    (Kind.LINE_ALL, at.LINE_ALL_ID),
    (Kind.LINE_SEG, at.LINE_SEG_ID),
    (Kind.ELIM, at.ELIM_ID),
    (Kind.REGION, at.REGION_ID),
    (Kind.SPECIAL, at.SPECIAL_ID),
)


class ActionTable:
    """Ids <-> actions of one board; `size` ids in all, they fit uint16."""

    def __init__(
        self, blocks: dict[int, int], axes: int, ray_start: Int32Array, ray_from: Int32Array, ray_to: Int32Array
    ) -> None:
        self.size = blocks[at.ACTIONS]
        self.first = {kind: 0 if key is None else blocks[key] for kind, key in BLOCKS}
        self._per_cell = {
            Kind.PLACE: at.PLACE_MAX,
            Kind.LINE_ALL: axes,
            Kind.LINE_SEG: axes,
            Kind.ELIM: 1,
            Kind.REGION: at.REGION_COLOURS,
        }
        self._starts = list(self.first.values())
        self._ray_to: list[int] = ray_to.tolist()
        lengths = np.diff(ray_start)
        self._ray_begin: list[int] = np.repeat(ray_start[:-1], lengths).tolist()
        self._rays = list(zip(ray_from.tolist(), ray_to.tolist(), strict=True))
        self._ray_number = {pair: i for i, pair in enumerate(self._rays)}

    def number(self, action_id: int) -> int:
        """The id as a plain int; RulesError when it is no integer or outside the table."""
        try:
            number = index(action_id)
        except TypeError:
            raise RulesError(f"an action id is an integer, not {action_id!r}") from None
        if not 0 <= number < self.size:
            raise RulesError(f"action id {number} is outside the table: 0..{self.size - 1}")
        return number

    def kind(self, action_id: int) -> Kind:
        """Block of an id of the table."""
        return BLOCKS[bisect_right(self._starts, action_id) - 1][0]

    def ray(self, action_id: int) -> tuple[int, int]:
        """(from, to) of a RAY id."""
        return self._rays[action_id - self.first[Kind.RAY]]

    def ray_number(self, source: int, landing: int) -> int | None:
        """RAY id of a pair of cells, None when no ray joins them."""
        ray = self._ray_number.get((source, landing))
        return None if ray is None else self.first[Kind.RAY] + ray

    def between(self, action_id: int) -> list[int]:
        """Cells strictly between departure and landing of a RAY id, in order."""
        ray = action_id - self.first[Kind.RAY]
        return self._ray_to[self._ray_begin[ray] : ray]

    def decode(self, action_id: int) -> Action:
        """Action of an id."""
        action_id = self.number(action_id)
        kind = self.kind(action_id)
        rest = action_id - self.first[kind]
        if kind is Kind.RAY:
            return Action(kind, *self._rays[rest])
        if kind is Kind.SPECIAL:
            return Action(kind, -1, rest)
        cell, number = divmod(rest, self._per_cell[kind])
        return Action(kind, cell, number + 1 if kind is Kind.PLACE else number)

    def encode(self, action: Action) -> int:
        """Id of an action."""
        kind, cell, number = action.kind, action.cell, action.number
        if kind is Kind.RAY:
            if (cell, number) not in self._ray_number:
                raise RulesError(f"no ray leads from cell {cell} to cell {number}")
            rest = self._ray_number[cell, number]
        elif kind is Kind.SPECIAL:
            rest = number
        else:
            per_cell = self._per_cell[kind]
            offset = number - 1 if kind is Kind.PLACE else number
            if not 0 <= offset < per_cell:
                raise RulesError(f"no {kind} action has number {number}")
            rest = cell * per_cell + offset
        action_id = self.first[kind] + rest
        if rest < 0 or action_id >= self.size or self.kind(action_id) is not kind:
            raise RulesError(f"the table has no {kind} action ({cell}, {number})")
        return action_id
