"""The position as plain text, for the terminal."""

from typing import TYPE_CHECKING

from ringrift_core.game.rules import layout as at
from ringrift_core.game.state import per_seat, rings_at

if TYPE_CHECKING:
    from ringrift_core.game.game import Game

CELL_WIDTH = 6
SHOWN_RINGS = 4  # a taller stack is shown as controller:height/cap

LEGEND = (
    ". empty   *1 marker of seat 1   #1 territory of seat 1   112 stack, bottom to top   1:7/2 controller:height/cap"
)


def cell_token(game: "Game", cell: int) -> str:
    """What is on a cell, in at most CELL_WIDTH - 1 characters where stacks allow it."""
    code = int(game.row[at.CODE + cell])
    if code == at.EMPTY:
        return "."
    if code <= at.MARKER_LAST:
        return f"*{code}"
    if code > at.STACK_LAST:
        return f"#{code - at.COLLAPSED}"
    rings = rings_at(game.board, game.row, cell)
    if len(rings) <= SHOWN_RINGS:
        return rings
    return f"{rings[-1]}:{len(rings)}/{len(rings) - len(rings.rstrip(rings[-1]))}"


def text_board(game: "Game") -> str:
    """The board with its coordinates (x to the right, y downwards, hex rows shifted), hands and counts below."""
    board = game.board
    columns = sorted({x for x, _ in board.cells})
    lines = [] if board.shape.hexagonal else [" " * 6 + "".join(f"x={x}".center(CELL_WIDTH) for x in columns)]
    for y in sorted({y for _, y in board.cells}):
        row = [x for x in columns if (x, y) in board.index]
        tokens = "".join(cell_token(game, board.index[x, y]).center(CELL_WIDTH) for x in row)
        indent = ""
        if board.shape.hexagonal:
            indent = " " * (CELL_WIDTH // 2 * abs(y))
            tokens += f"  x={row[0]}..{row[-1]}"
        lines.append(f"y={y}".ljust(6) + indent + tokens)
    return "\n".join([*lines, "", *seat_lines(game)])


def seat_lines(game: "Game") -> list[str]:
    """One line per seat: hand, eliminated rings and territory against what wins."""
    row, n = game.row, game.variant.players
    hands, eliminated, territory = (per_seat(row, block) for block in (at.HAND, at.ELIMINATED, at.TERRITORY))
    lines = []
    for seat in range(1, n + 1):
        turn = ">" if seat == game.player and not game.over else " "
        lines.append(
            f"{turn} seat {seat} (agent {game.agent_of_seat[seat - 1]}): {hands[seat - 1]} in hand, "
            f"{eliminated[seat - 1]}/{game.board.rings_to_win(n)} eliminated, "
            f"{territory[seat - 1]}/{game.board.territory_to_win(n)} territory"
        )
    return lines
