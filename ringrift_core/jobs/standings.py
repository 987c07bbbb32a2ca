"""What the latest matches of a folder say of everybody's strength, as reports have it."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ringrift_core.errors import RingriftError, StorageError
from ringrift_core.evaluation.rating import rate
from ringrift_core.evaluation.stored_match import STEM, StoredMatch, read_match
from ringrift_core.evaluation.tally import tally_of
from ringrift_core.game.config_key import ConfigKey

BYTES_MAX = 32 << 20  # of matches that are read, the latest ones: about 30,000 games of a small board, seconds of work


def standings(folder: Path, key: ConfigKey, bytes_max: int = BYTES_MAX) -> list[dict[str, object]]:
    """The ratings of a configuration from its latest matches that can be read, best first; none where there are none.

    What was played longer ago than `bytes_max` of files counts no more: a folder grows for ever, a report must not.
    """
    try:
        tally = tally_of(_matches(folder, bytes_max), key)
        ratings = rate(tally).ratings()
    except RingriftError:
        return []
    return [
        {
            "sha256": tally.agents[row.agent].sha256,
            "sims": tally.agents[row.agent].sims,
            "name": tally.agents[row.agent].name,
            "version": tally.agents[row.agent].version,
            "elo": round(row.elo, 2),
            "se": round(row.se, 2),
            "margin": round(row.margin, 2),
            "games": row.games,
            "wins": row.wins,
            "link": row.link.value,
        }
        for row in ratings
    ]


def _matches(folder: Path, bytes_max: int) -> Iterator[StoredMatch]:
    """The latest matches, without those that are damaged or of other rules."""
    for path in _latest(folder, bytes_max):
        with suppress(StorageError):
            yield read_match(path)


def _latest(folder: Path, bytes_max: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            paths = [Path(it) for it in entries if it.name.endswith(".json") and STEM.fullmatch(it.name[:-5])]
        found = sorted(((it.stat().st_mtime_ns, it.name, it.stat().st_size) for it in paths), reverse=True)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be listed: {error.strerror}") from error
    left = bytes_max
    for _, name, size in found:
        left -= size
        if left < 0:
            return
        yield folder / name
