"""The boards as arrays, built once per process (R001, R020, R061).

Plain numpy and Python, no kernels: cells, rays, neighbours, axes and symmetries of a board shape, and the flat array
`g` into which `flatten` packs them for the kernels (rules/layout.py has its map). board.py puts them together.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ringrift_core.game.rules import layout as at

Int32Array = npt.NDArray[np.int32]
Cell = tuple[int, int]
Matrix = tuple[int, int, int, int]  # a, b, c, d: (x, y) -> (a x + b y, c x + d y)

SQUARE_DIRS: tuple[Cell, ...] = (
    (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1),
)  # fmt: skip
HEX_DIRS: tuple[Cell, ...] = ((1, 0), (1, -1), (0, -1), (-1, 0), (-1, 1), (0, 1))
# axes run in the direction of rising cell numbers; their order is that of R120
SQUARE_AXES: tuple[Cell, ...] = ((1, 0), (0, 1), (1, 1), (1, -1))
HEX_AXES: tuple[Cell, ...] = ((1, 0), (1, -1), (0, 1))
SQUARE_SIDES: tuple[Cell, ...] = ((1, 0), (0, 1), (-1, 0), (0, -1))
SQUARE_SYMMETRIES = (
    (1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0),
    (-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """What distinguishes one board type from another."""

    hexagonal: bool
    size: int  # side of a square, radius of a hexagon
    rings_per_player: int
    line_lengths: tuple[int, int, int]  # for 2, 3, 4 players
    border_grows: bool  # R145: border markers spread by king steps


SHAPES: dict[str, Shape] = {
    "square8": Shape(hexagonal=False, size=8, rings_per_player=18, line_lengths=(4, 3, 3), border_grows=True),
    "square19": Shape(hexagonal=False, size=19, rings_per_player=72, line_lengths=(4, 4, 4), border_grows=True),
    "hex8": Shape(hexagonal=True, size=4, rings_per_player=18, line_lengths=(4, 3, 3), border_grows=True),
    "hexagonal": Shape(hexagonal=True, size=12, rings_per_player=96, line_lengths=(4, 4, 4), border_grows=False),
}
BOARD_TYPES = tuple(SHAPES)
PLAYER_COUNTS = (2, 3, 4)


def cells_of(shape: Shape) -> tuple[Cell, ...]:
    """All cells in (x, y) order."""
    n = shape.size
    if not shape.hexagonal:
        return tuple((x, y) for x in range(n) for y in range(n))
    span = range(-n, n + 1)
    return tuple((x, y) for x in span for y in span if abs(x + y) <= n)


def rays(
    cells: tuple[Cell, ...], index: dict[Cell, int], dirs: tuple[Cell, ...]
) -> tuple[Int32Array, Int32Array, Int32Array, Int32Array]:
    """Ray table: start [cells * dirs + 1], then to, from and direction [rays], by (from, direction, distance)."""
    start, to, source, direction = [0], [], [], []
    for i, (x, y) in enumerate(cells):
        for d, (dx, dy) in enumerate(dirs):
            distance = 1
            while (cell := (x + dx * distance, y + dy * distance)) in index:
                to.append(index[cell])
                source.append(i)
                direction.append(d)
                distance += 1
            start.append(len(to))
    return _int32(start), _int32(to), _int32(source), _int32(direction)


def neighbours(cells: tuple[Cell, ...], index: dict[Cell, int], steps: tuple[Cell, ...]) -> Int32Array:
    """Cell one step away, [cells, steps]; `cells` where that is off the board."""
    outside = len(cells)
    return _int32([[index.get((x + dx, y + dy), outside) for dx, dy in steps] for x, y in cells])


def symmetry_matrices(shape: Shape) -> tuple[Matrix, ...]:
    """Linear maps of the coordinates: the identity first, 8 on squares, 12 on hexes."""
    if not shape.hexagonal:
        return SQUARE_SYMMETRIES
    matrices = []
    for mirror in (False, True):
        a, b, c, d = (0, 1, 1, 0) if mirror else (1, 0, 0, 1)
        for _ in range(6):
            matrices.append((a, b, c, d))
            a, b, c, d = -c, -d, a + c, b + d  # a turn by 60 degrees: (x, y) -> (-y, x + y)
    return tuple(matrices)


def symmetry_cells(
    shape: Shape,
    cells: tuple[Cell, ...],
    index: dict[Cell, int],
    matrices: tuple[Matrix, ...],
) -> Int32Array:
    """Image of every cell under every symmetry, [symmetries, cells]."""
    far = 0 if shape.hexagonal else shape.size - 1

    def image(matrix: Matrix, cell: Cell) -> int:
        a, b, c, d = matrix
        x, y = 2 * cell[0] - far, 2 * cell[1] - far  # doubled, so that the centre is the origin
        return index[((a * x + b * y + far) // 2, (c * x + d * y + far) // 2)]

    return _int32([[image(matrix, cell) for cell in cells] for matrix in matrices])


def keeping(matrices: tuple[Matrix, ...], steps: tuple[Cell, ...]) -> tuple[int, ...]:
    """Numbers of the symmetries that map a set of steps onto itself."""
    return tuple(
        number
        for number, (a, b, c, d) in enumerate(matrices)
        if {(a * x + b * y, c * x + d * y) for x, y in steps} == set(steps)
    )


def images(matrices: tuple[Matrix, ...], steps: tuple[Cell, ...], *, signed: bool) -> Int32Array:
    """Index of the image of each step; unsigned: a step and its opposite count as one."""
    number = {step: i for i, step in enumerate(steps)}
    if not signed:
        number |= {(-x, -y): i for (x, y), i in number.items()}
    return _int32([[number[(a * x + b * y, c * x + d * y)] for x, y in steps] for a, b, c, d in matrices])


def action_blocks(cells: int, axes: int, rays: int) -> dict[int, int]:
    """First id of each block of the action table (see docs/formats/actions.md)."""
    sizes = {
        at.RAY_ID: at.PLACE_MAX * cells,
        at.LINE_ALL_ID: rays,
        at.LINE_SEG_ID: cells * axes,
        at.ELIM_ID: cells * axes,
        at.REGION_ID: cells,
        at.SPECIAL_ID: cells * at.REGION_COLOURS,
        at.ACTIONS: at.SPECIALS,
    }  # each entry: size of the block before
    first = 0
    blocks = {}
    for key, size in sizes.items():
        first += size
        blocks[key] = first
    return blocks


def flatten(sizes: dict[int, int], tables: dict[int, Int32Array]) -> Int32Array:
    """The array `g`: header, then the tables at the offsets that the header gives."""
    header = np.zeros(at.GEOMETRY_HEADER, np.int32)
    for key, size in sizes.items():
        header[key] = size
    offset = at.GEOMETRY_HEADER
    for key, table in tables.items():
        header[key] = offset
        offset += table.size
    flat = np.concatenate([header, *(table.ravel() for table in tables.values())])
    flat.flags.writeable = False
    return flat


def _int32(values: object) -> Int32Array:
    return np.array(values, np.int32)
