"""The plain twin's board: where things lie, and every question that the rules ask about it.

Written from RULES.md alone; imports nothing of ringrift_core. Conventions of both modules of the twin:

* a cell is (x, y); a stack is a string of owner digits, bottom to top; a seat is such a digit ("1".."4");
* every question is answered by looking at the whole board again; nothing is kept up to date but the position itself.

Section numbers are those of RULES.md, Rxxx those of the canonical specification.
"""

from collections.abc import Iterable, Iterator
from typing import Any

Cell = tuple[int, int]
Stacks = dict[Cell, str]
State = dict[str, Any]

RINGS_PER_PLAYER = {"square8": 18, "square19": 72, "hex8": 18, "hexagonal": 96}
SQUARE_SIDE = {"square8": 8, "square19": 19}
HEX_RADIUS = {"hex8": 4, "hexagonal": 12}

KING_STEPS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
ORTHOGONAL_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
HEX_STEPS = ((1, 0), (1, -1), (0, -1), (-1, 0), (-1, 1), (0, 1))
SQUARE_AXES = ((1, 0), (0, 1), (1, 1), (1, -1))
HEX_AXES = ((1, 0), (1, -1), (0, -1))


def board_cells(board_type: str) -> set[Cell]:
    """All cells of a board (section 1, R001-R003)."""
    if board_type in SQUARE_SIDE:
        side = range(SQUARE_SIDE[board_type])
        return {(x, y) for x in side for y in side}
    radius = HEX_RADIUS[board_type]
    span = range(-radius, radius + 1)
    return {(x, y) for x in span for y in span if abs(-x - y) <= radius}


def cell_text(cell: Cell) -> str:
    """A cell as the recordings write it."""
    return f"{cell[0]},{cell[1]}"


def text_cell(text: str) -> Cell:
    """The cell that the recordings write as `text`."""
    x, y = text.split(",")
    return int(x), int(y)


def cells_text(cells: Iterable[Cell]) -> str:
    """A cell list as the recordings write it: sorted by (x, y) as numbers, separated by spaces."""
    return " ".join(cell_text(cell) for cell in sorted(cells))


def cap_height(stack: str) -> int:
    """How many rings of the controller lie on top without interruption."""
    return len(stack) - len(stack.rstrip(stack[-1]))


class PlainBoard:
    """A position without whose turn it is: stacks, markers, collapsed cells, hands, credits."""

    def __init__(self, board_type: str, players: int, init: State | None = None) -> None:
        """The empty board with all rings in the hands, or what `init` (a state of the recordings) says."""
        square = board_type in SQUARE_SIDE
        self.board_type = board_type
        self.cells = board_cells(board_type)
        self.rings = RINGS_PER_PLAYER[board_type]
        self.line_length = 3 if board_type in {"square8", "hex8"} and players > 2 else 4  # R120
        self.rays = KING_STEPS if square else HEX_STEPS
        self.axes = SQUARE_AXES if square else HEX_AXES
        self.land_steps = ORTHOGONAL_STEPS if square else HEX_STEPS
        self.seats = [str(seat + 1) for seat in range(players)]

        start = init or {"s": {}, "m": {}, "c": {}, "h": [self.rings] * players, "e": [0] * players, "p": 1}
        self.stacks: Stacks = {text_cell(cell): rings for cell, rings in start["s"].items()}
        self.markers: dict[Cell, str] = {text_cell(cell): str(owner) for cell, owner in start["m"].items()}
        self.collapsed: dict[Cell, str] = {text_cell(cell): str(owner) for cell, owner in start["c"].items()}
        self.hand = dict(zip(self.seats, start["h"], strict=True))
        self.eliminated = dict(zip(self.seats, start["e"], strict=True))

    def ray(self, start: Cell, step: Cell) -> Iterator[Cell]:
        """The cells from `start` (excluded) to the edge."""
        x, y = start[0] + step[0], start[1] + step[1]
        while (x, y) in self.cells:
            yield x, y
            x, y = x + step[0], y + step[1]

    def around(self, cell: Cell, steps: Iterable[Cell]) -> Iterator[Cell]:
        """The cells of the board one step away."""
        for dx, dy in steps:
            if (cell[0] + dx, cell[1] + dy) in self.cells:
                yield cell[0] + dx, cell[1] + dy

    def between(self, start: Cell, landing: Cell) -> list[Cell]:
        """The cells strictly between two cells of one ray."""
        for step in self.rays:
            path = list(self.ray(start, step))
            if landing in path:
                return path[: path.index(landing)]
        raise ValueError(f"{start} and {landing} share no ray")

    def controlled(self, seat: str) -> list[Cell]:
        return [cell for cell, rings in self.stacks.items() if rings[-1] == seat]

    def rings_on_board(self, seat: str) -> int:
        return sum(rings.count(seat) for rings in self.stacks.values())

    def owns_ring(self, seat: str) -> bool:
        return self.hand[seat] > 0 or self.rings_on_board(seat) > 0

    def territory(self, seat: str) -> int:
        return sum(owner == seat for owner in self.collapsed.values())

    def marker_count(self, seat: str) -> int:
        return sum(owner == seat for owner in self.markers.values())

    def landings(self, stacks: Stacks, start: Cell) -> Iterator[Cell]:
        """Where the stack on `start` can move without capturing (section 4, R090-R092)."""
        for step in self.rays:
            for distance, cell in enumerate(self.ray(start, step), 1):
                if cell in stacks or cell in self.collapsed:
                    break
                if distance >= len(stacks[start]):
                    yield cell

    def captures(self, stacks: Stacks, start: Cell) -> Iterator[tuple[Cell, Cell]]:
        """(target, landing) of every capture segment of the stack on `start` (section 5, R101)."""
        for step in self.rays:
            target: Cell | None = None
            for distance, cell in enumerate(self.ray(start, step), 1):
                if cell in self.collapsed:
                    break
                if cell in stacks:
                    if target is not None or cap_height(stacks[start]) < cap_height(stacks[cell]):
                        break
                    target = cell
                elif target is not None and distance >= len(stacks[start]):
                    yield target, cell

    def mobile(self, stacks: Stacks, start: Cell) -> bool:
        """Whether the stack on `start` has any move or capture."""
        return any(True for _ in self.landings(stacks, start)) or any(True for _ in self.captures(stacks, start))

    def can_place(self, seat: str, cell: Cell, count: int) -> bool:
        """Whether `seat` may put `count` rings on `cell` (section 3, R080-R082)."""
        if cell in self.collapsed or cell in self.markers or self.hand[seat] < count:
            return False
        if cell in self.stacks and count > 1:
            return False
        after = {**self.stacks, cell: self.stacks.get(cell, "") + seat * count}
        return self.mobile(after, cell)

    def has_real_action(self, seat: str) -> bool:
        """A placement of one ring, a move or a capture (section 10, R172)."""
        return any(self.can_place(seat, cell, 1) for cell in self.cells) or any(
            self.mobile(self.stacks, cell) for cell in self.controlled(seat)
        )

    def buried_cells(self, seat: str) -> list[Cell]:
        """Stacks that hold a ring of `seat` below their top."""
        return [cell for cell, rings in self.stacks.items() if seat in rings[:-1]]

    def recovery_eligible(self, seat: str) -> bool:
        """Section 8, R110: no controlled stack, a marker, a buried ring."""
        return not self.controlled(seat) and self.marker_count(seat) > 0 and len(self.buried_cells(seat)) > 0

    def run(self, markers: set[Cell], cell: Cell, axis: Cell) -> list[Cell]:
        """The maximal run of `markers` through `cell` along one axis."""
        run = [cell]
        for direction in (axis, (-axis[0], -axis[1])):
            for other in self.ray(cell, direction):
                if other not in markers:
                    break
                run.append(other)
        return sorted(run)

    def windows(self, run: list[Cell]) -> list[list[Cell]]:
        """All contiguous pieces of a run that have exactly the line length."""
        return [run[i : i + self.line_length] for i in range(len(run) - self.line_length + 1)]

    def lines(self, seat: str) -> set[tuple[Cell, ...]]:
        """Runs of a seat's markers that are long enough (section 6, R120)."""
        mine = {cell for cell, owner in self.markers.items() if owner == seat}
        runs = {tuple(self.run(mine, cell, axis)) for cell in mine for axis in self.axes}
        return {run for run in runs if len(run) >= self.line_length}

    def recovery_runs(self, seat: str, start: Cell, landing: Cell) -> list[list[Cell]]:
        """Runs long enough that a marker slid to `landing` lies on, in the order of the axes (section 8)."""
        mine = {cell for cell, owner in self.markers.items() if owner == seat} - {start} | {landing}
        runs = [self.run(mine, landing, axis) for axis in self.axes]
        return [run for run in runs if len(run) >= self.line_length]

    def components(self, ground: set[Cell]) -> list[frozenset[Cell]]:
        """`ground` split by territory adjacency."""
        parts: list[frozenset[Cell]] = []
        left = set(ground)
        while left:
            part = {left.pop()}
            edge = list(part)
            while edge:
                for cell in self.around(edge.pop(), self.land_steps):
                    if cell in left:
                        left.remove(cell)
                        part.add(cell)
                        edge.append(cell)
            parts.append(frozenset(part))
        return parts

    def controllers_in(self, region: frozenset[Cell]) -> set[str]:
        return {rings[-1] for cell, rings in self.stacks.items() if cell in region}

    def regions(self, seat: str, *, by_extraction: bool) -> set[frozenset[Cell]]:
        """The regions that a seat can claim and pay for, with a cap or by extraction (section 7, R140-R145)."""
        ground = self.cells - set(self.collapsed)
        found = {part for part in self.components(ground) if len(self.controllers_in(part)) == 1}
        for border in set(self.markers.values()):
            found.update(self.components({cell for cell in ground if self.markers.get(cell) != border}))
        present = sum(self.rings_on_board(other) > 0 for other in self.seats)
        payers = self.buried_cells(seat) if by_extraction else self.controlled(seat)
        return {
            region
            for region in found
            if len(self.controllers_in(region)) < present and any(cell not in region for cell in payers)
        }

    def border(self, region: set[Cell]) -> set[Cell]:
        """Markers that collapse with a region (section 7, R145)."""
        beside = {cell for inner in region for cell in self.around(inner, self.land_steps)} - region
        border = {cell for cell in beside if cell in self.markers}
        if self.board_type == "hexagonal":
            return border
        edge = list(border)
        while edge:
            for cell in self.around(edge.pop(), KING_STEPS):
                if cell in self.markers and cell not in region and cell not in border:
                    border.add(cell)
                    edge.append(cell)
        return border
