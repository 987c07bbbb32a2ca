"""Checking stored results: every game is replayed, every count made anew.

A match is right when each of its games begins with its opening, is legal decision by decision and ends as it says; a
gauntlet is right when its matches are and say what its rows say.
"""

from math import isclose
from pathlib import Path

import numpy as np

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.evaluation.gauntlet_result import GauntletResult, GauntletRow
from ringrift_core.evaluation.intervals import block_interval
from ringrift_core.evaluation.match import Ending, endings_of
from ringrift_core.evaluation.openings import Book, play_openings
from ringrift_core.evaluation.sprt import Sprt
from ringrift_core.evaluation.stored_match import StoredGame, StoredMatch, read_match
from ringrift_core.game import GameBatch

GAMES_AT_ONCE = 1024  # bounds the memory
TOLERANCE = 1e-6  # of numbers that another machine computed


def check_match(match: StoredMatch) -> None:
    """Replay every game; StorageError names the first one that is not what it says.

    Openings are checked where they are of a book, which must be the one of this program; none may be used twice.
    """
    book = _book_of(match)
    if book is not None:
        used = [game.opening for game in match.games[:: match.players]]
        for block, number in enumerate(used):
            if number >= len(book.openings) or number in used[:block]:
                says = "has no such opening" if number >= len(book.openings) else "was used before in this match"
                raise StorageError(f"game {block * match.players}: opening {number}: {match.book} {says}")
    for first in range(0, len(match.games), GAMES_AT_ONCE):
        part = match.games[first : first + GAMES_AT_ONCE]
        faults = replay(match.config_key, part, book)
        if faults:
            row = min(faults)
            raise StorageError(f"game {first + row} is not what it says: {faults[row]}")


def check_gauntlet(result: GauntletResult, folder: Path) -> None:
    """Check the matches of a gauntlet, in `folder`, and its rows against them; StorageError says what is wrong."""
    for row in result.rows:
        match = read_match(folder / f"{row.match}.json")
        expected = (result.candidate, *[row.agent] * (match.players - 1))
        if (match.config_key, match.agents, match.book) != (result.config_key, expected, result.book):
            raise StorageError(f"match {row.match} is not one of {result.candidate.name} against {row.agent.name}")
        check_match(match)
        if tuple(match.blocks()) != row.blocks:
            raise StorageError(f"match {row.match}: {match.blocks()} is not what the row {row.opponent} says")
        _check_row(row)


def _check_row(row: GauntletRow) -> None:
    """Compute anew what a row says of its blocks."""
    try:
        test = Sprt(row.h0, row.h1, row.alpha, row.beta)
    except RulesError as error:
        raise StorageError(f"the row {row.opponent} has a test that is none: {error}") from None
    low, high = block_interval(row.blocks)
    says, found = (row.llr, row.low, row.high), (test.llr(row.blocks), low, high)
    if not all(isclose(*pair, rel_tol=TOLERANCE, abs_tol=TOLERANCE) for pair in zip(says, found, strict=True)):
        raise StorageError(f"the row {row.opponent} says llr, low and high {says}, its blocks {found}")
    if test.outcome(row.blocks) is not row.outcome:
        raise StorageError(f"the row {row.opponent} says {row.outcome}, its test {test.outcome(row.blocks)}")


def replay(key: str, games: tuple[StoredGame, ...], book: Book | None) -> dict[int, str]:
    """Replay games side by side; what is wrong, by number of the game."""
    batch = GameBatch.start(key, len(games))
    faults: dict[int, str] = {}
    if book is not None:
        openings = [book.openings[game.opening] for game in games]
        begins = play_openings(GameBatch.start(key, len(games)), openings)
        for row, (game, begin) in enumerate(zip(games, begins, strict=True)):
            if list(game.decisions[: len(begin)]) != begin:
                faults[row] = f"it does not begin with opening {game.opening}"
    for i in range(max(len(game.decisions) for game in games)):
        rows = [row for row, game in enumerate(games) if len(game.decisions) > i and row not in faults]
        try:
            batch.apply([games[row].decisions[i] for row in rows], rows)
        except RulesError:
            _apply_singly(batch, games, rows, i, faults)
    endings = _endings(batch, games)
    for row, game in enumerate(games):
        if row not in faults:
            faults |= _compare(row, game, endings.get(row))
    return faults


def _apply_singly(
    batch: GameBatch, games: tuple[StoredGame, ...], rows: list[int], i: int, faults: dict[int, str]
) -> None:
    for row in rows:
        try:
            batch.apply([games[row].decisions[i]], [row])
        except RulesError:
            faults[row] = f"its decision {i}, {games[row].decisions[i]}, is not legal there"


def _endings(batch: GameBatch, games: tuple[StoredGame, ...]) -> dict[int, Ending]:
    """How the games ended that are over, by number."""
    rows = np.flatnonzero(batch.over).tolist()
    if not rows:
        return {}
    return dict(zip(rows, endings_of(batch.copy(rows), [games[row].rotation for row in rows]), strict=True))


def _compare(row: int, game: StoredGame, ending: Ending | None) -> dict[int, str]:
    if ending is None:
        return {row: "it goes on after the last decision"}
    for name in ("winner", "ranks", "reason", "plies"):
        says, reached = getattr(game, name), getattr(ending, name)
        if says != reached:
            return {row: f"{name} {says} recorded, {reached} reached"}
    return {}


def _book_of(match: StoredMatch) -> Book | None:
    if match.book is None:
        return None
    book = Book.of(match.config_key)
    if match.book != book.record:
        raise StorageError(
            f"the openings are of the book {match.book.name} ({match.book.sha256[:16]}); "
            f"here is {book.record.name} ({book.record.sha256[:16]})"
        )
    return book
