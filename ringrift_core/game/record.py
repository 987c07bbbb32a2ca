"""Game records: reading recorded games, and writing and reading our own JSON form (docs/formats/game-record.md).

A recorded game ("trace", with the legal list and the state of every ply) and our own record (plies only) have the
same head, so one reader serves both.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.game.game import Game

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
    except (json.JSONDecodeError, RecursionError) as error:
        raise StorageError(f"{path}:{number}: not JSON: {error}") from None
    if not isinstance(record, dict):
        raise StorageError(f"{path}:{number}: a game must be a JSON object")
    return record


def start_of(record: Record) -> Game:
    """The start position of a record; RulesError when its head is not one of a game."""
    board_type, players, swap = record.get("bd"), record.get("n"), record.get("sw", 0)
    if not isinstance(board_type, str) or type(players) is not int or swap not in {0, 1}:
        raise RulesError("head: needs bd (board type), n (players) and sw (0 or 1)")
    key = ConfigKey(board_type, players)
    if "init" not in record:
        game = Game.start(key, swap=bool(swap))
    elif swap:
        raise RulesError("head: a constructed position has no swap option, but sw is 1")
    else:
        game = Game.from_state(key, record["init"])
    length = record.get("L", game.board.line_length(players))
    if length != game.variant.line_length:
        raise RulesError(f"head: L is {length}, lines of {key} have {game.variant.line_length} markers (R120)")
    return game


def plies_of(record: Record) -> list[str]:
    """The texts of the plies, from a recorded game or from our own record."""
    plies = record.get("plies")
    if not isinstance(plies, list):
        raise RulesError("plies: must be a list")
    texts = []
    for number, ply in enumerate(plies, 1):
        if isinstance(ply, dict) and isinstance(ply.get("l"), list) and type(ply.get("i")) is int:
            legal, index = ply["l"], ply["i"]
            if not 0 <= index < len(legal):
                raise RulesError(f"ply {number}: i is {index}, the list has {len(legal)} plies")
            ply = legal[index]  # noqa: PLW2901 - the text that the ply stands for
        if not isinstance(ply, str):
            raise RulesError(f"ply {number}: neither a ply text nor an object with l and i")
        texts.append(ply)
    return texts


def record_of(game: Game, game_id: str) -> Record:
    """The record of a game as JSON: head, plies, end (null while the game is active)."""
    head: Record = {
        "id": game_id,
        "bd": game.board.board_type,
        "n": game.variant.players,
        "sw": int(game.variant.swap),
    }
    if game.start_state is not None:
        head["init"] = game.start_state
    outcome = game.outcome
    end = None
    if outcome is not None:
        end = {
            "r": outcome.reason,
            "w": outcome.winner,
            "rk": outcome.ranks,
            "n": len(game.plies),
            "tn": game.turn,
            "agents": outcome.agents,
            "hash": f"{game.hash():016x}",
        }
    return {**head, "plies": game.plies, "end": end}
