"""What a net sees: planes per cell and a vector of globals, made from the raw fields of an observation.

The planes are one-hots and ramps of single fields, so a 1x1 convolution over them is a sum of table rows: `CELL_PLANES`
says which planes each value of each field sets, and the net multiplies it once by its stem's weights instead of
building the planes. Seats are relative to the mover and never merged. The turn number is left out: positions that the
state hash calls equal look equal. ENCODER names all this; a checkpoint of another encoder is refused.
"""

import hashlib
import json
import math

import numpy as np
import numpy.typing as npt

from ringrift_core.game.rules import observation
from ringrift_core.game.rules.observation import CELL_FIELDS, GLOBAL_FIELDS

SEATS = 4
FIELD_MAX = {
    **dict.fromkeys(CELL_FIELDS, SEATS),  # fields that hold a seat, 0 for nobody
    "height": 63,
    "cap": 63,
    **{f"rings_{seat}": 31 for seat in range(SEATS)},
    "role": 15,
}
HEIGHT_STEPS = (1, 2, 3, 4, 5, 6, 7, 9)  # a stack's height is its shortest move
CAP_STEPS = (1, 2, 3, 4, 5, 7)  # captures compare caps
ROLES = ("must_move", "capturing", "slide_from", "slide_to")
PHASES = 7
PENDINGS = 3
FLAGS = ("line_due", "region_due", "recovery_turn", "acted", "swap_open")
LPS_COUNTS = 4
COUNT_SCALES = {"markers": 16, "stacks": 8}  # typical largest counts on the small boards


def planes_of(field: str, value: int) -> dict[str, float]:
    """The planes that one value of one field sets."""
    if field == "height":
        return {f"height>={step}": 1.0 for step in HEIGHT_STEPS if value >= step} | {"height": _ramp(value)}
    if field == "cap":
        return {f"cap>={step}": 1.0 for step in CAP_STEPS if value >= step} | {"cap": _ramp(value)}
    if field.startswith("rings_"):
        return {f"{field}>=1": float(value >= 1), field: _ramp(value)}
    if field == "role":
        return {name: float(value >> bit & 1) for bit, name in enumerate(ROLES)}
    seen = {f"{field}={value}": 1.0} if value else {}
    if field == "controller":
        seen["on_board"] = 1.0
    if field == "collapsed" and value:
        seen["collapsed"] = 1.0
    return seen


def _ramp(value: int) -> float:
    return math.log2(1 + value) / 4


def _cell_planes() -> tuple[tuple[str, ...], npt.NDArray[np.float32], tuple[int, ...]]:
    names: dict[str, int] = {}
    rows: list[dict[str, float]] = []
    starts = []
    for field in CELL_FIELDS:
        starts.append(len(rows))
        for value in range(FIELD_MAX[field] + 1):
            rows.append(planes_of(field, value))
            for name in rows[-1]:
                names.setdefault(name, len(names))
    table = np.zeros((len(rows), len(names)), np.float32)
    for row, planes in enumerate(rows):
        for name, weight in planes.items():
            table[row, names[name]] = weight
    return tuple(names), table, tuple(starts)


PLANE_NAMES, CELL_PLANES, FIELD_START = _cell_planes()  # CELL_PLANES: [rows, planes]
FIELD_LAST = tuple(FIELD_MAX[field] for field in CELL_FIELDS)


def _global_planes() -> tuple[tuple[str, ...], tuple[tuple[int, int], ...]]:
    """Names of the one-hot features, and (field, value) of each."""
    wanted = {
        "phase": PHASES,
        "pending": PENDINGS,
        "lps_exclusive": SEATS + 1,
        "lps_first": SEATS + 1,
        "lps_count": LPS_COUNTS,
    }
    pairs = [(field, value) for field, count in wanted.items() for value in range(count)]
    pairs += [(flag, 1) for flag in FLAGS] + [("mover", seat + 1) for seat in range(SEATS)]
    pairs += [(f"lps_action_{seat}", value) for seat in range(SEATS) for value in (1, 2)]
    return (
        tuple(f"{field}={value}" for field, value in pairs),
        tuple((GLOBAL_FIELDS.index(field), value) for field, value in pairs),
    )


GLOBAL_NAMES, GLOBAL_PAIRS = _global_planes()
COUNT_FIELDS = tuple(f"{name}_{seat}" for name in observation.PER_SEAT if name != "lps_action" for seat in range(SEATS))
COUNT_INDEX = tuple(GLOBAL_FIELDS.index(field) for field in COUNT_FIELDS)
GLOBALS = len(GLOBAL_PAIRS) + len(COUNT_FIELDS)


def count_scales(rings: int, rings_to_win: int, territory_to_win: int) -> list[float]:
    """What divides each of COUNT_FIELDS: the supply, the two thresholds of the game, typical counts."""
    scales: dict[str, float] = {
        "hand": rings,
        "rings": rings,
        "eliminated": rings_to_win,
        "territory": territory_to_win,
        **COUNT_SCALES,
    }
    return [float(scales[field.rpartition("_")[0]]) for field in COUNT_FIELDS]


def _digest() -> str:
    text = json.dumps([PLANE_NAMES, FIELD_START, GLOBAL_NAMES, COUNT_FIELDS, COUNT_SCALES])
    return hashlib.sha256(text.encode() + CELL_PLANES.tobytes()).hexdigest()[:12]


ENCODER = f"planes-{_digest()}"
