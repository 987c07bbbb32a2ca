"""`ringrift show`: a position of a recorded game or of a game of a stored match, as text or as a picture."""

from pathlib import Path

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.evaluation.stored_match import read_match
from ringrift_core.game import Game
from ringrift_core.game.record import Record, read_records

MATCH_FORM = "ringrift.match/1"


def show(target: str, svg: str | None) -> str:
    """The position named by FILE[:GAME[:PLY]] as text; with `svg`, the picture ("-") or a note on where it is."""
    path, game_id, ply = split_target(target)
    game = Game.from_json(find_record(path, game_id), plies=ply)
    if svg is None:
        last = f"last ply: {game.plies[-1]}\n" if game.plies else ""
        status = f"{game.config_key}, turn {game.turn}, ply {len(game.plies)}, {game.phase}\n"
        if game.outcome:
            status = f"{game.config_key}: seat {game.outcome.winner} won by {game.outcome.reason}\n"
        return f"{status}{last}\n{game.text()}"
    picture = game.svg()
    if svg == "-":
        return picture
    out = Path(svg)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write the picture: {error}") from None
    return f"{game.config_key} after ply {len(game.plies)}: {out}"


def split_target(target: str) -> tuple[Path, str | None, int | None]:
    """FILE[:GAME[:PLY]]; a colon in the name of an existing file is part of the name."""
    parts = target.split(":")
    for used in range(len(parts), 0, -1):
        path = Path(":".join(parts[:used]))
        rest = parts[used:]
        if path.is_file() and len(rest) <= 2:
            ply = _number(rest[1]) if len(rest) > 1 else None
            return path, rest[0] or None if rest else None, ply
    raise StorageError(f"{target}: there is no such file (write FILE, FILE:GAME or FILE:GAME:PLY)")


def _number(text: str) -> int:
    if not text.isdecimal():
        raise RulesError(f"{text!r} is not the number of a ply; 0 is the start")
    return int(text)


def find_record(path: Path, game_id: str | None) -> Record:
    """The named game of a file, or its first; StorageError lists the ids otherwise. Games of matches have numbers."""
    ids = []
    for _, record in read_records(path):
        if record.get("form") == MATCH_FORM:
            return match_record(path, game_id or "0")
        if game_id is None or record.get("id") == game_id:
            return record
        ids.append(str(record.get("id")))
    if not ids:
        raise StorageError(f"{path}: holds no game")
    more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
    raise StorageError(f"{path}: holds no game {game_id!r}; it holds {', '.join(ids[:5])}{more}")


def match_record(path: Path, game: str) -> Record:
    """Game number `game` of a stored match; StorageError when there is none or it cannot be played."""
    match = read_match(path)
    if not (game.isdecimal() and len(game) < 10) or int(game) >= len(match.games):
        raise StorageError(f"{path}: holds no game {game!r}; the {len(match.games)} games are numbered from 0")
    played = Game.start(match.config_key)
    try:
        for decision in match.games[int(game)].decisions:
            played.decide(decision)
    except RulesError as error:
        raise StorageError(f"{path}: game {game} cannot be played: {error}") from None
    return played.to_json(game)
