"""The position as a picture: an SVG with the board, the last ply, the legal targets and a panel of the seats."""

from dataclasses import dataclass
from math import cos, pi, sin, sqrt
from typing import TYPE_CHECKING

from ringrift_core.game.actions import Kind
from ringrift_core.game.board import Board
from ringrift_core.game.rules import layout as at
from ringrift_core.game.state import codes, per_seat, rings_at

if TYPE_CHECKING:
    from ringrift_core.game.game import Game

# four hues that stay apart for colour-blind eyes, each with a dark edge and a pale tint for territory
SEAT_COLOURS = {
    1: ("#d1495b", "#7d1f2f", "#f3ccd1"),
    2: ("#2e7ebd", "#164468", "#c5dff2"),
    3: ("#edae49", "#8a5a0b", "#fbe6c0"),
    4: ("#3f9a74", "#1c5540", "#c8e8da"),
}
PAPER, INK, FAINT, CELL_FILL, CELL_EDGE = "#faf7f2", "#2b2a28", "#8d867c", "#efe8dc", "#cfc4b2"
ACCENT = "#6b4fa0"  # last ply and targets
UNIT_PX = {"square8": 60.0, "square19": 36.0, "hex8": 34.0, "hexagonal": 20.0}  # side of a square, radius of a hexagon
MARGIN_PX = 34.0
HEADER_PX = 58.0
PANEL_PX = 236.0
FONT = "font-family='Inter, Segoe UI, Helvetica, Arial, sans-serif'"


@dataclass(frozen=True, slots=True)
class View:
    """Where the cells of a board lie on the paper."""

    board: Board
    unit: float
    left: float
    top: float

    @property
    def step(self) -> float:
        """Distance between neighbouring cells."""
        return self.unit * sqrt(3) if self.board.shape.hexagonal else self.unit

    def centre(self, cell: int) -> tuple[float, float]:
        """Centre of a cell in px."""
        x, y = self.board.cells[cell]
        if self.board.shape.hexagonal:
            return self.left + self.step * (x + y / 2), self.top + self.unit * 1.5 * y
        return self.left + self.unit * (x + 0.5), self.top + self.unit * (y + 0.5)


def view_of(board: Board) -> tuple[View, float, float]:
    """The view and the width and height of the board area without margins."""
    unit = UNIT_PX[board.board_type]
    if not board.shape.hexagonal:
        side = unit * board.shape.size
        return View(board, unit, MARGIN_PX, HEADER_PX + MARGIN_PX), side, side
    radius = board.shape.size
    width = unit * sqrt(3) * (2 * radius + 1)
    height = unit * (3 * radius + 2)
    return View(board, unit, MARGIN_PX + width / 2, HEADER_PX + MARGIN_PX + height / 2), width, height


def svg_board(game: "Game", *, targets: bool) -> str:
    """The whole picture as one SVG document."""
    board = game.board
    view, board_width, board_height = view_of(board)
    width = board_width + 2 * MARGIN_PX + PANEL_PX
    panel_height = 96.0 * game.variant.players + 40
    height = HEADER_PX + max(board_height + 2 * MARGIN_PX, panel_height + MARGIN_PX)
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:.0f}' height='{height:.0f}' "
        f"viewBox='0 0 {width:.0f} {height:.0f}' role='img' aria-label='{_heading(game)}' {FONT}>",
        _definitions(),
        f"<rect width='100%' height='100%' fill='{PAPER}'/>",
        f"<text x='{MARGIN_PX}' y='36' font-size='20' font-weight='650' fill='{INK}'>{_heading(game)}</text>",
        f"<text x='{MARGIN_PX}' y='57' font-size='13' fill='{FAINT}'>{_subheading(game)}</text>",
        *_cells(game, view),
        *_coordinates(view),
        *_last_ply(game, view),
        *(_targets(game, view) if targets else []),
        *_pieces(game, view),
        *_panel(game, board_width + 2 * MARGIN_PX),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _definitions() -> str:
    hatches = "".join(
        f"<pattern id='t{seat}' width='7' height='7' patternUnits='userSpaceOnUse' patternTransform='rotate(45)'>"
        f"<rect width='7' height='7' fill='{pale}'/><rect width='2' height='7' fill='{fill}' opacity='.38'/></pattern>"
        for seat, (fill, _, pale) in SEAT_COLOURS.items()
    )
    arrow = (
        "<marker id='head' viewBox='0 0 10 10' refX='7' refY='5' markerWidth='4.2' markerHeight='4.2' "
        f"orient='auto'><path d='M0 0L10 5L0 10z' fill='{ACCENT}'/></marker>"
    )
    return f"<defs>{hatches}{arrow}</defs>"


def _heading(game: "Game") -> str:
    outcome = game.outcome
    if outcome is None:
        return f"{game.config_key} · seat {game.player} to move"
    return f"{game.config_key} · seat {outcome.winner} wins ({outcome.reason.replace('_', ' ')})"


def _subheading(game: "Game") -> str:
    plies = game.plies
    last = f" · last ply {_escape(_short(plies[-1]))}" if plies else ""
    phase = "" if game.over else f" · {game.phase.replace('_', ' ')}"
    return f"turn {game.turn} · ply {len(plies)}{phase}{last}"


def _short(ply: str) -> str:
    return ply if len(ply) <= 40 else ply[:37] + "..."


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _outline(view: View, cell: int, scale: float) -> str:
    """Points of a cell's outline, shrunk by `scale`."""
    x, y = view.centre(cell)
    if view.board.shape.hexagonal:
        corners = [(view.unit * scale, pi / 6 + i * pi / 3) for i in range(6)]
    else:
        corners = [(view.unit * scale / sqrt(2), pi / 4 + i * pi / 2) for i in range(4)]
    return " ".join(f"{x + r * cos(a):.1f},{y + r * sin(a):.1f}" for r, a in corners)


def _cells(game: "Game", view: View) -> list[str]:
    parts = [f"<g stroke='{CELL_EDGE}' stroke-width='1' stroke-linejoin='round'>"]
    for cell, code in enumerate(codes(game.board, game.row)):
        fill = f"url(#t{code - at.COLLAPSED})" if code > at.COLLAPSED else CELL_FILL
        parts.append(f"<polygon points='{_outline(view, cell, 0.965)}' fill='{fill}'/>")
    return [*parts, "</g>"]


def _coordinates(view: View) -> list[str]:
    """x and y along the edge: at two sides of a square, at both ends of each hex row."""
    board, unit = view.board, view.unit
    size = 11 if unit >= 30 else 9
    parts = [f"<g font-size='{size}' fill='{FAINT}' text-anchor='middle'>"]
    if board.shape.hexagonal:
        for y in sorted({y for _, y in board.cells}):
            row = [board.index[cell] for cell in board.cells if cell[1] == y]
            for cell, shift in ((row[0], -0.82), (row[-1], 0.82)):
                cx, cy = view.centre(cell)
                parts.append(
                    f"<text x='{cx + shift * view.step:.1f}' y='{cy + size / 3:.1f}'>{board.cell_text[cell]}</text>"
                )
        return [*parts, "</g>"]
    for i in range(board.shape.size):
        middle = unit * (i + 0.5)
        parts.append(f"<text x='{view.left + middle:.1f}' y='{view.top - 9:.1f}'>{i}</text>")
        parts.append(f"<text x='{view.left - 14:.1f}' y='{view.top + middle + 4:.1f}'>{i}</text>")
    return [*parts, "</g>"]


def _last_ply(game: "Game", view: View) -> list[str]:
    """An arrow for a move, a capture or a slide, an outline for everything else that names cells."""
    shown = [(text, ids) for text, ids in game.record if view.board.actions.kind(ids[0]) is not Kind.SPECIAL]
    if not shown:
        return []
    text, ids = shown[-1]
    if view.board.actions.kind(ids[0]) is Kind.RAY:
        source, landing = view.board.actions.ray(ids[0])
        (ax, ay), (bx, by) = view.centre(source), view.centre(landing)
        length = sqrt((bx - ax) ** 2 + (by - ay) ** 2)
        back = min(0.30 * view.step / length, 0.4)
        bx, by = bx - (bx - ax) * back, by - (by - ay) * back
        return [
            f"<polygon points='{_outline(view, landing, 0.93)}' fill='none' stroke='{ACCENT}' stroke-width='2.5'/>",
            f"<line x1='{ax:.1f}' y1='{ay:.1f}' x2='{bx:.1f}' y2='{by:.1f}' stroke='{ACCENT}' "
            f"stroke-width='{view.step * 0.075:.1f}' stroke-linecap='round' opacity='.55' marker-end='url(#head)'/>",
        ]
    named = [view.board.parse_cell(word) for word in text.split() if "," in word]
    return [
        f"<polygon points='{_outline(view, cell, 0.93)}' fill='none' stroke='{ACCENT}' stroke-width='2.5'/>"
        for cell in named
    ]


def _targets(game: "Game", view: View) -> list[str]:
    """A dot on every cell that a legal decision may end on."""
    cells = set()
    for action_id in game.legal_decisions():
        kind = view.board.actions.kind(action_id)
        if kind is Kind.RAY:
            cells.add(view.board.actions.ray(action_id)[1])
        elif kind is not Kind.SPECIAL:
            cells.add(view.board.decode(action_id).cell)
    parts = [f"<g fill='{ACCENT}' opacity='.45'>"]
    for cell in sorted(cells):
        x, y = view.centre(cell)
        parts.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{view.step * 0.075:.1f}'/>")
    return [*parts, "</g>"]


def _pieces(game: "Game", view: View) -> list[str]:
    """Markers and stacks, upper rows first so that a pile covers what is behind it."""
    occupied = [
        (view.centre(cell)[1], cell, code)
        for cell, code in enumerate(codes(game.board, game.row))
        if at.EMPTY < code <= at.STACK_LAST
    ]
    parts = []
    for _, cell, code in sorted(occupied):
        if code <= at.MARKER_LAST:
            parts.append(_marker(view, cell, code))
        else:
            parts.append(_stack(view, cell, rings_at(game.board, game.row, cell)))
    return parts


def _marker(view: View, cell: int, seat: int) -> str:
    x, y = view.centre(cell)
    fill, edge, _ = SEAT_COLOURS[seat]
    r = view.step * 0.165
    return (
        f"<path d='M{x:.1f} {y - r:.1f}L{x + r:.1f} {y:.1f}L{x:.1f} {y + r:.1f}L{x - r:.1f} {y:.1f}z' "
        f"fill='{fill}' stroke='{edge}' stroke-width='1.2' stroke-linejoin='round'/>"
    )


def _stack(view: View, cell: int, rings: str) -> str:
    """A pile of rings seen from the front, with height and cap beside it when there is more than one."""
    x, y = view.centre(cell)
    rx, ry = view.step * 0.30, view.step * 0.155
    thick = view.step * 0.11
    lift = min(view.step * 0.105, view.step * 0.46 / max(len(rings) - 1, 1))
    base = y + lift * (len(rings) - 1) / 2
    parts = ["<g>"]
    for i, owner in enumerate(rings):
        fill, edge, _ = SEAT_COLOURS[int(owner)]
        cy = base - lift * i
        for colour, stroke in ((edge, thick + 1.8), (fill, thick)):
            parts.append(
                f"<ellipse cx='{x:.1f}' cy='{cy:.1f}' rx='{rx:.1f}' ry='{ry:.1f}' fill='none' "
                f"stroke='{colour}' stroke-width='{stroke:.1f}'/>"
            )
    if len(rings) > 1:
        cap = len(rings) - len(rings.rstrip(rings[-1]))
        size = max(8.0, view.step * 0.185)
        parts.append(
            f"<text x='{x + view.step * 0.47:.1f}' y='{y + view.step * 0.44:.1f}' font-size='{size:.1f}' "
            f"font-weight='600' text-anchor='end' fill='{INK}' paint-order='stroke' stroke='{PAPER}' "
            f"stroke-width='2.4'>{len(rings)}/{cap}</text>"
        )
    return "".join([*parts, "</g>"])


def _panel(game: "Game", left: float) -> list[str]:
    """Hands, eliminated rings and territory of every seat, and the meaning of the signs."""
    row, n = game.row, game.variant.players
    hands, eliminated, territory = (per_seat(row, block) for block in (at.HAND, at.ELIMINATED, at.TERRITORY))
    supply = game.board.shape.rings_per_player
    outcome = game.outcome
    parts = []
    for seat in range(1, n + 1):
        top = HEADER_PX + MARGIN_PX + 96 * (seat - 1)
        fill, edge, _ = SEAT_COLOURS[seat]
        to_move = seat == game.player and not game.over
        parts.append(
            f"<rect x='{left}' y='{top}' width='{PANEL_PX - MARGIN_PX}' height='86' rx='8' fill='#ffffff' "
            f"stroke='{ACCENT if to_move else CELL_EDGE}' stroke-width='{2 if to_move else 1}'/>"
            f"<circle cx='{left + 20}' cy='{top + 20}' r='7' fill='none' stroke='{edge}' stroke-width='6.5'/>"
            f"<circle cx='{left + 20}' cy='{top + 20}' r='7' fill='none' stroke='{fill}' stroke-width='4.5'/>"
        )
        rank = "" if outcome is None else f" · rank {outcome.ranks[seat - 1]}"
        parts.append(
            f"<text x='{left + 38}' y='{top + 25}' font-size='13' font-weight='600' fill='{INK}'>"
            f"seat {seat} · agent {game.agent_of_seat[seat - 1]}{rank}</text>"
        )
        rows = (
            ("in hand", hands[seat - 1], supply),
            ("eliminated", eliminated[seat - 1], game.board.rings_to_win(n)),
            ("territory", territory[seat - 1], game.board.territory_to_win(n)),
        )
        for i, (label, value, goal) in enumerate(rows):
            parts.append(_bar(left + 12, top + 44 + 15 * i, label, value, goal, fill))
    foot = HEADER_PX + MARGIN_PX + 96 * n + 14
    parts.append(
        f"<text x='{left}' y='{foot}' font-size='11' fill='{FAINT}'>3/2 stack height / cap · diamond: marker</text>"
        f"<text x='{left}' y='{foot + 16}' font-size='11' fill='{FAINT}'>hatched: territory · dot: legal target</text>"
    )
    return parts


def _bar(x: float, y: float, label: str, value: int, goal: int, colour: str) -> str:
    full = 62.0
    return (
        f"<text x='{x}' y='{y + 4}' font-size='11' fill='{FAINT}'>{label}</text>"
        f"<rect x='{x + 66}' y='{y - 3}' width='{full}' height='6' rx='3' fill='{CELL_FILL}'/>"
        f"<rect x='{x + 66}' y='{y - 3}' width='{full * min(value / goal, 1):.1f}' height='6' rx='3' fill='{colour}'/>"
        f"<text x='{x + 66 + full + 6}' y='{y + 4}' font-size='11' fill='{INK}'>{value}/{goal}</text>"
    )
