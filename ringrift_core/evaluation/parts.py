"""Parts: chunks of a gauntlet's rows that other processes play ahead of the one that judges.

A part is a stored match of purpose "part". It is believed as far as it can be checked: the agents, the book and the
seed are those of the row, the games those of the chunk, each legal and ending as it says.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ringrift_core.errors import StorageError
from ringrift_core.evaluation.check import check_match
from ringrift_core.evaluation.match import MatchGame
from ringrift_core.evaluation.part_offer import read_offer
from ringrift_core.evaluation.series import Series, is_chunk
from ringrift_core.evaluation.stored_match import StoredMatch, read_match

PURPOSE = "part"  # of the matches

Chunk = tuple[int, int]  # the first block and the one after the last


class Parts(Protocol):
    """What others play."""

    def look(self, row: int) -> Mapping[Chunk, Path | None]:
        """The chunks of a row that others play, or have played: then where they are."""

    def games(self, path: Path, series: Series, chunk: Chunk) -> Sequence[MatchGame]:
        """The games of a chunk that was played; none where they cannot be believed."""


class NoParts:
    """Nobody else plays."""

    def look(self, _row: int) -> Mapping[Chunk, Path | None]:
        """Nothing."""
        return {}

    def games(self, _path: Path, _series: Series, _chunk: Chunk) -> Sequence[MatchGame]:
        """None."""
        return ()


class OfferedParts:
    """The parts of an offer that is kept in a file; a damaged one offers nothing."""

    def __init__(self, path: Path, refused: Callable[[str, str], None]) -> None:
        """`refused` is told the file and the reason, once for each that is not believed."""
        self._path = path
        self._refused = refused
        self._bad: set[Path] = set()

    def look(self, row: int) -> Mapping[Chunk, Path | None]:
        """As the file says now, without those that were refused."""
        try:
            parts = read_offer(self._path).parts
        except StorageError as error:
            self._refuse(self._path, str(error))
            return {}
        found = {(it.first, it.last): None if it.file is None else Path(it.file) for it in parts if it.row == row}
        return {chunk: path for chunk, path in found.items() if path not in self._bad}

    def games(self, path: Path, series: Series, chunk: Chunk) -> Sequence[MatchGame]:
        """The games, checked and replayed; none where something is wrong, which is told."""
        try:
            match = read_match(path)
            return games_of(match, series, chunk)
        except StorageError as error:
            self._refuse(path, str(error))
            return ()

    def _refuse(self, path: Path, reason: str) -> None:
        if path not in self._bad:
            self._bad.add(path)
            self._refused(path.name, reason)


def games_of(match: StoredMatch, series: Series, chunk: Chunk) -> list[MatchGame]:
    """The games of a part, replayed; StorageError when it is not this chunk of this series."""
    expected = (str(series.book.key), [agent.id for agent in series.identities], series.book.record, series.seed[0])
    if (match.config_key, [agent.id for agent in match.agents], match.book, match.seed) != expected:
        raise StorageError("it is no part of this row: its game, agents, book or seed are others")
    games = [MatchGame(**dict(game)) for game in match.games]
    if match.purpose != PURPOSE or not is_chunk(games, series.openings[slice(*chunk)], series.book.key.players):
        raise StorageError(f"it does not have the games of the blocks {chunk[0]} to {chunk[1] - 1}")
    check_match(match)
    return games
