"""The learning curve as a picture: one SVG document that needs nothing else, for light and dark pages.

Above, first places against the yardsticks with bounds over blocks and the shares that the gate asks for; below, Elo. A
strip between the two says which net a point is and how many games it has; every point also says so under the mouse.
"""

from collections.abc import Iterable, Sequence
from html import escape

from ringrift_core.evaluation.axes import Scale, compact, scale_around, scale_from_zero, spread
from ringrift_core.evaluation.curve import YARDSTICKS, Axis, Curve, Point, Share
from ringrift_core.evaluation.rating import Link
from ringrift_core.evaluation.record import printable

WIDTH_PX = 960.0
LEFT_PX, RIGHT_PX = 108.0, 826.0  # of the panels; beyond the right edge stand the names of the lines
SHARES_PX = (112.0, 372.0)  # top and bottom of the upper panel
STRIP_PX = 392.0  # first line of the strip
LINE_PX = 16.0
ELO_PX = (470.0, 700.0)  # top and bottom of the lower panel
INSET_PX = 14.0  # between the edge of a panel and its first and last point
DODGE_PX = 3.5  # apart, so that bars of the same net do not cover each other
LETTER_PX = 6.3  # width of a letter of small text, about
NAME_MAX = 60
CLASSES = ("random", "heuristic")  # by yardstick
FONT = "font-family='Inter, Segoe UI, Helvetica, Arial, sans-serif'"
# hues that stay apart for colour-blind eyes, on paper and on a dark page; the marks differ in shape too
STYLE = """<style>
.paper{fill:#faf7f2} .ink{fill:#2b2a28} .faint{fill:#6a635a} .grid{stroke:#e4dccf} .edge{stroke:#8d867c}
.random{color:#1f6fb0} .heuristic{color:#bf4f14} .elo{color:#6b4fa0} .line{stroke:#6a635a}
@media (prefers-color-scheme: dark){
.paper{fill:#1c1b19} .ink{fill:#efeae2} .faint{fill:#aaa296} .grid{stroke:#37342f} .edge{stroke:#7d766c}
.random{color:#6fb7ee} .heuristic{color:#f59a62} .elo{color:#bba3ea} .line{stroke:#aaa296}}
</style>"""


def svg_curve(curve: Curve) -> str:
    """The whole picture."""
    across = _across(curve)
    notes = _remarks(curve)
    height = ELO_PX[1] + 62 + LINE_PX * len(notes)
    heading = f"{curve.tally.key}: how the nets got stronger"
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH_PX:.0f}' height='{height:.0f}' "
        f"viewBox='0 0 {WIDTH_PX:.0f} {height:.0f}' role='img' aria-label='{heading}' {FONT}>",
        STYLE,
        "<rect class='paper' width='100%' height='100%'/>",
        _text(LEFT_PX, 36, heading, "ink", size=20, weight=650),
        _text(LEFT_PX, 58, _subheading(curve), "faint", size=13),
        *_legend(curve),
        *_ticks_across(curve, across),
        *_shares(curve, across),
        *_strip(curve, across),
        *_elo(curve, across),
        *(_text(LEFT_PX, ELO_PX[1] + 60 + LINE_PX * line, note, "faint") for line, note in enumerate(notes)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _across(curve: Curve) -> Scale:
    places = [point.x for point in curve.points]
    start, end = LEFT_PX + INSET_PX, RIGHT_PX - INSET_PX
    return scale_around(places, start, end, 0.0) if curve.axis is Axis.VERSION else scale_from_zero(places, start, end)


def _subheading(curve: Curve) -> str:
    zero = "heuristic-v1 has 1200 Elo" if curve.anchored else "heuristic-v1 did not play; the mean of all is 1200 Elo"
    return f"{curve.tally.games:,} games of {len(curve.tally.agents)} agents, fitted at once; {zero}; bars: 95 %"


def _legend(curve: Curve) -> list[str]:
    parts, x = [], LEFT_PX
    for number in _met(curve):
        games = [share.games for point in curve.points if (share := point.shares[number])]
        many = f"{min(games):,}" if min(games) == max(games) else f"{min(games):,} to {max(games):,}"
        label = f"against {YARDSTICKS[number].name}, {many} games a net"
        mark = _mark(CLASSES[number], x + 6, 86, hollow=False)
        parts.append(f"<g class='{CLASSES[number]}'>{mark}</g>" + _text(x + 18, 90, label, "ink"))
        x += 40 + LETTER_PX * len(label)
    if not parts:
        return [_text(LEFT_PX, 90, "no net has met random or heuristic-v1 alone", "faint")]
    parts.append(f"<line class='line' x1='{x:.1f}' y1='86' x2='{x + 24:.1f}' y2='86' stroke-dasharray='5 4'/>")
    return [*parts, _text(x + 30, 90, "what the gate asks for", "ink")]


def _shares(curve: Curve, across: Scale) -> list[str]:
    """The upper panel."""
    top, bottom = SHARES_PX
    up = Scale(0.0, 1.04, bottom, top)  # room for points at 100 %
    parts = _frame(SHARES_PX, "share of first places")
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        parts.append(_level(up.at(tick), f"{tick:.0%}"))
    for number in _met(curve):
        threshold = curve.thresholds[number]
        y = up.at(threshold)
        parts.append(
            f"<g class='{CLASSES[number]}'><line class='gate' x1='{LEFT_PX}' y1='{y:.1f}' x2='{RIGHT_PX}' y2='{y:.1f}' "
            f"stroke='currentColor' stroke-width='1.4' stroke-dasharray='5 4' opacity='.75'/>"
            f"{_text(RIGHT_PX + 8, y + 4, f'gate {threshold:.0%}', 'own')}</g>"
        )
    for number in _met(curve):
        dodge = DODGE_PX * (2 * number - 1)
        met = [(point, share) for point in curve.points if (share := point.shares[number])]
        marks = [
            _bar(
                CLASSES[number],
                across.at(point.x) + dodge,
                (up.at(share.value), up.at(share.bounds[0]), up.at(share.bounds[1])),
                hollow=not point.placed,
                pale=False,
                title=_share_title(point, number, share),
            )
            for point, share in met
        ]
        line = _line((across.at(point.x) + dodge, up.at(share.value)) for point, share in met)
        parts.append(f"<g class='{CLASSES[number]}'>{line}{''.join(marks)}</g>")
    return parts


def _elo(curve: Curve, across: Scale) -> list[str]:
    """The lower panel."""
    top, bottom = ELO_PX
    levels = [elo for _, elo in curve.baselines]
    ends = [end for point in curve.points for end in (point.elo - point.margin, point.elo + point.margin)]
    up = scale_around([*levels, *ends], bottom, top, 0.06)
    parts = [*_frame(ELO_PX, "Elo"), *(_level(up.at(tick), f"{tick:.0f}") for tick in up.ticks())]
    labels = spread([up.at(elo) for elo in levels], LINE_PX - 2)
    for (name, elo), label in zip(curve.baselines, labels, strict=True):
        css = next(own for own, yardstick in zip(CLASSES, YARDSTICKS, strict=True) if yardstick.name == name)
        y = up.at(elo)
        parts.append(
            f"<g class='{css}'><line class='level' x1='{LEFT_PX}' y1='{y:.1f}' x2='{RIGHT_PX}' y2='{y:.1f}' "
            f"stroke='currentColor' stroke-width='1.4' opacity='.75'/>"
            f"{_text(RIGHT_PX + 8, label + 4, f'{name} {elo:.0f}', 'own')}</g>"
        )
    marks = [
        _bar(
            "elo",
            across.at(point.x),
            (up.at(point.elo), up.at(point.elo - point.margin), up.at(point.elo + point.margin)),
            hollow=not point.placed,
            pale=point.link is not Link.MEASURED,
            title=f"{_name(point)}: {point.elo:.0f} ± {point.margin:.0f} Elo from {point.games:,} games",
        )
        for point in curve.points
    ]
    line = _line((across.at(point.x), up.at(point.elo)) for point in curve.points)
    return [*parts, f"<g class='elo'>{line}{''.join(marks)}</g>"]


def _strip(curve: Curve, across: Scale) -> list[str]:
    """Version and games of every net whose numbers find room; the last net and the first come first."""
    points = curve.points
    rows = [
        ("net", [f"v{point.agent.version}" for point in points], "ink"),
        *(
            (
                f"games, {CLASSES[n]}",
                [f"{share.games:,}" if (share := point.shares[n]) else "" for point in points],
                CLASSES[n],
            )
            for n in _met(curve)
        ),
        ("games, all", [f"{point.games:,}" for point in points], "faint"),
    ]
    places = [across.at(point.x) for point in points]
    parts = []
    for line, (label, words, css) in enumerate(rows):
        y = STRIP_PX + LINE_PX * line
        own = "own" if css in CLASSES else css
        shown = _fitting(places, [LETTER_PX * len(word) for word in words])
        numbers = [_text(places[point], y, words[point], own, anchor="middle", size=11) for point in shown]
        head = _text(LEFT_PX - 8, y, label, own, anchor="end", size=11)
        parts.append(f"<g class='strip {css if css in CLASSES else ''}'>{head}{''.join(numbers)}</g>")
    return parts


def _met(curve: Curve) -> list[int]:
    """Which yardsticks some net has met."""
    return [number for number in range(len(YARDSTICKS)) if any(point.shares[number] for point in curve.points)]


def _fitting(middles: Sequence[float], widths: Sequence[float]) -> list[int]:
    """Which words can stand side by side: the last, the first, then from the left."""
    order = [len(middles) - 1, *range(len(middles) - 1)]
    taken: list[int] = []
    for number in order:
        free = all(abs(middles[number] - middles[k]) >= (widths[number] + widths[k]) / 2 + 4 for k in taken)
        if widths[number] and free:
            taken.append(number)
    return sorted(taken)


def _ticks_across(curve: Curve, across: Scale) -> list[str]:
    """Ticks and name of the axis that both panels share."""
    ticks = [tick for tick in across.ticks() if curve.axis is Axis.EVALUATIONS or tick == int(tick)]
    labels = [compact(tick) if curve.axis is Axis.EVALUATIONS else f"{tick:.0f}" for tick in ticks]
    places = [across.at(tick) for tick in ticks]
    parts = []
    for number in _fitting(places, [LETTER_PX * len(label) + 8 for label in labels]):
        x = places[number]
        parts += [
            f"<line class='grid' x1='{x:.1f}' y1='{low + 0.5}' x2='{x:.1f}' y2='{high}'/>"
            for low, high in (SHARES_PX, ELO_PX)
        ]
        parts.append(_text(x, ELO_PX[1] + 18, labels[number], "tick-x faint", anchor="middle"))
    name = curve.axis.value + (" (logarithmic)" if across.knee else "")
    return [*parts, _text((LEFT_PX + RIGHT_PX) / 2, ELO_PX[1] + 38, name, "ink", anchor="middle")]


def _remarks(curve: Curve) -> list[str]:
    notes = []
    if any(not point.placed for point in curve.points):
        notes.append("hollow: how much selfplay made this net is not recorded; it stands where its version lies")
    elif curve.axis is Axis.VERSION:
        notes.append("how much selfplay made these nets is not recorded, so they stand by their version")
    if any(point.link is not Link.MEASURED for point in curve.points):
        notes.append(
            "pale: its group only won, only lost or met nobody from outside; this Elo is little more than a guess"
        )
    return notes


def _frame(panel: tuple[float, float], label: str) -> list[str]:
    top, bottom = panel
    middle = (top + bottom) / 2
    return [
        f"<path class='edge' d='M{LEFT_PX} {top}V{bottom}H{RIGHT_PX}' fill='none'/>",
        f"<text class='ink' transform='translate(26 {middle}) rotate(-90)' font-size='12' text-anchor='middle'>"
        f"{label}</text>",
    ]


def _level(y: float, label: str) -> str:
    return f"<line class='grid' x1='{LEFT_PX}' y1='{y:.1f}' x2='{RIGHT_PX}' y2='{y:.1f}'/>" + _text(
        LEFT_PX - 8, y + 4, label, "tick-y faint", anchor="end"
    )


def _bar(css: str, x: float, heights: tuple[float, float, float], *, hollow: bool, pale: bool, title: str) -> str:
    """A point at the first of the heights (px) with an error bar between the others."""
    y, low, high = heights
    faded = " opacity='.5'" if pale else ""
    return (
        f"<g{faded}><title>{title}</title><path class='bar' d='M{x:.1f} {low:.1f}V{high:.1f}"
        f"M{x - 3:.1f} {low:.1f}H{x + 3:.1f}M{x - 3:.1f} {high:.1f}H{x + 3:.1f}' stroke='currentColor' "
        f"stroke-width='1.3' fill='none'/>{_mark(css, x, y, hollow=hollow)}</g>"
    )


def _mark(css: str, x: float, y: float, *, hollow: bool) -> str:
    """A circle for random, a square for heuristic-v1, a diamond for Elo."""
    fill = "class='mark paper'" if hollow else "class='mark' fill='currentColor'"
    style = f"{fill} stroke='currentColor' stroke-width='1.5'"
    if css == "random":
        return f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4' {style}/>"
    if css == "heuristic":
        return f"<rect x='{x - 3.6:.1f}' y='{y - 3.6:.1f}' width='7.2' height='7.2' {style}/>"
    return f"<path d='M{x:.1f} {y - 5.2:.1f}l5.2 5.2l-5.2 5.2l-5.2 -5.2z' {style}/>"


def _line(places: Iterable[tuple[float, float]]) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f"<polyline points='{points}' fill='none' stroke='currentColor' stroke-width='1.6' opacity='.55'/>"


def _share_title(point: Point, number: int, share: Share) -> str:
    low, high = share.bounds
    won = f"{share.won:,} of {share.games:,} games against {YARDSTICKS[number].name}"
    return f"{_name(point)}: {won}, {share.value:.1%} ({low:.1%} to {high:.1%})"


def _name(point: Point) -> str:
    """The label of a net as text of the picture."""
    return escape(printable(point.agent.name)[:NAME_MAX])


def _text(
    x: float, y: float, text: str, css: str, *, anchor: str = "start", size: int = 12, weight: int | None = None
) -> str:
    """A line of text; `own` takes the colour of its group."""
    colour = "fill='currentColor'" if css == "own" else f"class='{css}'"
    bold = "" if weight is None else f" font-weight='{weight}'"
    side = "" if anchor == "start" else f" text-anchor='{anchor}'"
    return f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}'{bold}{side} {colour}>{text}</text>"
