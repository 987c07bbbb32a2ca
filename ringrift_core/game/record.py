"""Game records: the files and the shape of what is in them (docs/formats/game-record.md).

A recorded game ("trace", with the legal list and the state of every ply) and our own record (plies only) have the
same head, so one reader serves both. `Game.from_json` plays them, `Game.to_json` makes one.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game.config_key import ConfigKey

Record = dict[str, Any]


def read_records(path: Path) -> Iterator[tuple[int, Record]]:
    """(line number, record) of every game in a .jsonl, .jsonl.gz or .json file; StorageError names the bad line."""
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                number += 1
                if line.strip():
                    yield number, _parse(path, number, line)
    except FileNotFoundError:
        raise StorageError(f"{path}: there is no such file") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise StorageError(f"{path}: damaged after line {number}: {error}") from error


def _parse(path: Path, number: int, line: str) -> Record:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path}:{number}: not JSON: {error}") from None
    if not isinstance(record, dict):
        raise StorageError(f"{path}:{number}: a game must be a JSON object")
    return record


@dataclass(frozen=True, slots=True)
class Head:
    """What a record says before its first ply."""

    key: ConfigKey
    swap: bool
    line_length: int | None  # None: that of the rules
    start_state: dict[str, Any] | None  # None: the empty board


def head_of(record: Record) -> Head:
    """The head of a record; RulesError when it is not one of a game."""
    if not isinstance(record, dict):
        raise RulesError("head: a game is a JSON object")
    board_type, players, swap = record.get("bd"), record.get("n"), record.get("sw", 0)
    if not isinstance(board_type, str) or type(players) is not int or type(swap) is not int or swap not in {0, 1}:
        raise RulesError("head: needs bd (board type), n (players) and sw (0 or 1)")
    state, length = record.get("init"), record.get("L")
    if "init" in record and not isinstance(state, dict):
        raise RulesError("head: init must be a state")
    if length is not None and type(length) is not int:
        raise RulesError("head: L must be a line length")
    return Head(ConfigKey(board_type, players), bool(swap), length, state)


def plies_of(record: Record, count: int | None = None) -> list[str]:
    """The texts of the first `count` plies (None: all), from a recorded game or from our own record."""
    plies = record.get("plies")
    if not isinstance(plies, list):
        raise RulesError("plies: must be a list")
    if count is not None and not 0 <= count <= len(plies):
        raise RulesError(f"the game has {len(plies)} plies, there is no position after ply {count}")
    return [_text_of(number, ply) for number, ply in enumerate(plies[:count], 1)]


def _text_of(number: int, ply: object) -> str:
    if isinstance(ply, dict) and isinstance(ply.get("l"), list) and type(ply.get("i")) is int:
        legal, index = ply["l"], ply["i"]
        if not 0 <= index < len(legal):
            raise RulesError(f"ply {number}: i is {index}, the list has {len(legal)} plies")
        ply = legal[index]
    if not isinstance(ply, str):
        raise RulesError(f"ply {number}: neither a ply text nor an object with l and i")
    return ply
