"""`ringrift verify-traces`: recorded games against the engine, every ply."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringrift_core.commands.paths import files_below
from ringrift_core.errors import RingriftError, StorageError
from ringrift_core.game import Game
from ringrift_core.game.record import Record, read_records
from ringrift_core.game.rules import layout as at
from ringrift_core.game.state import PHASE_CODES, PHASE_NAMES, per_seat

RAW = "-raw"  # part of the names of files that the unpatched reference recorded
TRACE_REASONS = {  # reason code -> reason string of the reference engine
    "ring": "ring_elimination",
    "territory": "territory_control",
    "lps_rounds": "last_player_standing",
    "lps_early": "last_player_standing",
    "stalemate_territory": "territory_control",
    "stalemate_rings": "ring_elimination",
    "stalemate_markers": "last_player_standing",
    "stalemate_last_actor": "last_player_standing",
}


class MismatchError(RingriftError):
    """Engine and record differ; the message says where and how."""


@dataclass(slots=True)
class Tally:
    """What was verified in one file, or in all."""

    games: int = 0
    plies: int = 0
    mismatches: int = 0

    def __str__(self) -> str:
        return f"games={self.games} plies={self.plies} mismatches={self.mismatches}"


def verify_traces(paths: list[Path], write: Callable[[str], None]) -> int:
    """Verify all recorded games, one line per file, the first mismatch in full; return the exit code."""
    total = Tally()
    for path in files_below(paths, (".jsonl", ".jsonl.gz")):
        if RAW in path.name:
            write(f"{path.name}: skipped: recorded with the reference unpatched, lines of 3 are not found there")
            continue
        tally, first = verify_file(path)
        write(f"{path.name}: {tally}")
        if first and not total.mismatches:
            write(f"first mismatch: {first}")
        total.games += tally.games
        total.plies += tally.plies
        total.mismatches += tally.mismatches
    write(str(total))
    if not total.games and not total.mismatches:
        raise StorageError("no game was verified")
    return 1 if total.mismatches else 0


def verify_file(path: Path) -> tuple[Tally, str]:
    """The tally of one file and its first mismatch; a damaged file counts as one mismatch."""
    tally, first = Tally(), ""
    try:
        for line, record in read_records(path):
            tally.games += 1
            try:
                tally.plies += verify_game(record)
            except RingriftError as error:
                tally.mismatches += 1
                first = first or f"{path.name}:{line}: {record.get('id')}: {error}"
    except StorageError as error:
        tally.mismatches += 1
        first = first or str(error)
    return tally, first


def verify_game(record: Record) -> int:
    """Play a recorded game; return its number of plies; RingriftError at the first difference."""
    game = Game.from_json(record, plies=0)
    plies: list[object] = record["plies"]
    for number, ply in enumerate(plies, 1):
        try:
            _verify_ply(game, ply)
        except MismatchError as error:
            raise MismatchError(f"ply {number}: {error}") from None
    _verify_end(game, record.get("end"))
    return len(plies)


def _verify_ply(game: Game, ply: object) -> None:
    if not isinstance(ply, dict):
        raise MismatchError(f"not an object: {ply!r}")
    if game.over:
        raise MismatchError("the game is over before this ply")
    _same("player p", ply.get("p"), game.player)
    _same("phase f", ply.get("f"), PHASE_CODES[PHASE_NAMES.index(game.phase)])
    legal = game.legal()
    listed = ply.get("l")
    if listed != sorted(legal):
        raise MismatchError(f"legal list: {_list_difference(listed, set(legal))}")
    index = ply.get("i")
    if type(index) is not int or not 0 <= index < len(listed):
        raise MismatchError(f"i is {index!r}, the list has {len(listed)} plies")
    for action_id in legal[listed[index]]:
        game.decide_legal(action_id)
    after = game.state()
    if ply.get("a") != after:
        raise MismatchError(f"state after {listed[index]!r}: {_state_difference(ply.get('a'), after)}")


def _verify_end(game: Game, end: object) -> None:
    if not isinstance(end, dict):
        raise MismatchError("end: missing")
    outcome = game.outcome
    _same("end: plies n", end.get("n"), len(game.plies))
    _same("end: turns tn", end.get("tn"), game.turn)
    if outcome is None:
        _same("end: reason r", end.get("r"), "truncated")
        _same("end: winner w", end.get("w", ""), None)
        _same("end: ranking values sc", end.get("sc"), _standing(game))
        return
    _same("end: reason r", end.get("r"), outcome.reason)
    _same("end: winner w", end.get("w"), outcome.winner)
    _same("end: ranking rk", end.get("rk"), outcome.ranks)
    _same("end: reason string ts", end.get("ts"), TRACE_REASONS[outcome.reason])
    _same("end: ranking values sc", end.get("sc"), {**_standing(game), "e": outcome.eliminated})
    if outcome.reason.startswith("stalemate"):
        _same(
            "end: leaders by the text of R173 wx",
            end.get("wx"),
            _leaders(outcome.territory, outcome.eliminated, outcome.markers),
        )


def _standing(game: Game) -> dict[str, list[Any]]:
    """Territory, eliminated rings, markers and turn of permanent elimination by seat."""
    blocks = {"t": at.TERRITORY, "e": at.ELIMINATED, "m": at.MARKERS, "x": at.OUT_TURN}
    values: dict[str, list[Any]] = {key: list(per_seat(game.row, block)) for key, block in blocks.items()}
    owned = zip(per_seat(game.row, at.HAND), per_seat(game.row, at.RINGS), strict=True)
    for seat, (hand, rings) in enumerate(owned):
        if values["x"][seat] == at.NONE:  # the engine notes it when the turn ends, the recorder at once
            values["x"][seat] = None if hand or rings else game.turn
    return values


def _leaders(*rungs: list[int]) -> list[int]:
    """Seats that lead lexicographically."""
    keys = list(zip(*rungs, strict=True))
    return [seat for seat, key in enumerate(keys, 1) if key == max(keys)]


def _same(what: str, recorded: object, computed: object) -> None:
    if type(recorded) is not type(computed) or recorded != computed:
        raise MismatchError(f"{what}: recorded {recorded!r}, computed {computed!r}")


def _list_difference(listed: object, legal: set[str]) -> str:
    if not isinstance(listed, list) or not all(isinstance(ply, str) for ply in listed):
        return f"not a list of texts: {listed!r}"
    missing, extra = sorted(legal - set(listed)), sorted(set(listed) - legal)
    if missing or extra:
        return f"not recorded but legal {missing}; recorded but not legal {extra}"
    return "not sorted by code point, or with duplicates"


def _state_difference(recorded: object, computed: dict[str, Any]) -> str:
    if not isinstance(recorded, dict):
        return f"recorded {recorded!r}"
    parts = []
    for key in sorted(set(recorded) | set(computed)):
        old, new = recorded.get(key), computed.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            cells = sorted(cell for cell in set(old) | set(new) if old.get(cell) != new.get(cell))
            parts += [f"{key} {cell}: recorded {old.get(cell)!r}, computed {new.get(cell)!r}" for cell in cells]
        else:
            parts.append(f"{key}: recorded {old!r}, computed {new!r}")
    return "; ".join(parts)
