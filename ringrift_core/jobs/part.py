"""The part job: one chunk of a gauntlet, played ahead for another process that judges it.

The games are those that the gauntlet itself would play there: agents, openings and generators come from the same spec.
They are written to `out` as a stored match of purpose "part", which rates nobody: its games count in the gauntlet.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from ringrift_core.blob import chunk_digests
from ringrift_core.errors import RulesError
from ringrift_core.evaluation.gauntlet import GameGauntlet, in_order
from ringrift_core.evaluation.parts import PURPOSE
from ringrift_core.evaluation.series import Watch
from ringrift_core.evaluation.stored_match import write_match
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.jobs.gauntlet import agents_of, settings_of
from ringrift_core.jobs.spec import PartSpec
from ringrift_core.jobs.stop import Emit, Stopped, beat_of
from ringrift_core.storage import prepare_folder


def run_part(spec: PartSpec, emit: Emit, stopped: Callable[[], bool]) -> None:
    """Play the chunk, or until `stopped()`; `emit` gets a done or stopped report. RulesError for what is no chunk."""
    whole = spec.gauntlet
    key = ConfigKey.parse(whole.game)
    candidate, opponents = agents_of(whole, key)
    prepare_folder(spec.out)
    gauntlet = GameGauntlet(key, settings_of(whole), spec.out, Watch(beat=beat_of(stopped)))
    rows = in_order(opponents)
    if spec.row >= len(rows) or (spec.first, spec.last) not in gauntlet.chunks(rows[spec.row].role):
        raise RulesError(f"row {spec.row} has no chunk of the blocks {spec.first} to {spec.last - 1}")
    series = gauntlet.series(spec.row, candidate, rows[spec.row])
    try:
        games = series.play(spec.first, spec.last)
    except Stopped:
        emit({"event": "stopped"})
        return
    path = write_match(spec.out, series.match(games, seed=whole.seed, purpose=PURPOSE, now=datetime.now(UTC)))
    blob, _ = chunk_digests(path)
    emit({"event": "done", "sha256": blob.sha256, "games": len(games)})
