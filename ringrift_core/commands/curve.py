"""`ringrift curve`: how nets got stronger, as text, JSON or a picture."""

import json
from pathlib import Path

from ringrift_core.evaluation.curve import json_form, learning_curve, text_table
from ringrift_core.evaluation.curve_svg import svg_curve
from ringrift_core.evaluation.leaderboard import read_tally
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.storage import make_folder, write_whole


def curve(results: list[Path], svg: str | None, game: str | None, *, as_json: bool) -> str:
    """The points of the curve; with `svg`, the picture is written ("-": returned instead)."""
    found = learning_curve(read_tally(results, None if game is None else ConfigKey.parse(game)))
    if svg == "-":
        return svg_curve(found)
    if svg is not None:
        path = Path(svg)
        make_folder(path.parent)
        write_whole(path, svg_curve(found).encode())
    if as_json:
        return json.dumps(json_form(found))
    return text_table(found) + (f"\npicture: {svg}" if svg else "")
