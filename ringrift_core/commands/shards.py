"""`ringrift shards`: what is in a folder of shards, whether it is sound, and single games of it."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ringrift_core.errors import StorageError
from ringrift_core.game import Game
from ringrift_core.selfplay.check import FolderCheck, Verdict, check_folder, check_shard, quarantine
from ringrift_core.selfplay.manifest import Manifest
from ringrift_core.selfplay.played_game import EXPLORED, FULL, OPENING
from ringrift_core.selfplay.shard import Shard, read_manifest, read_shard
from ringrift_core.selfplay.shard_folder import leftovers, shards_in

Write = Callable[[str], None]

COLUMNS = ("name", "game", "games", "samples", "players", "bytes", "created")
FLAG_NAMES = {FULL: "full", OPENING: "opening", EXPLORED: "explored"}
BEST_SHOWN = 3  # target ids shown at a choice
NAME_WIDTH_MAX = 40


# ---- ls ----


def list_shards(folder: Path, now_s: float, write: Write, *, as_json: bool) -> None:
    """One line per shard, those with a bad manifest included; then what killed writers left."""
    rows = [_row(path) for path in shards_in(folder)]
    unfinished = [str(path) for path in leftovers(folder, now_s)]
    if as_json:
        write(json.dumps({"shards": rows, "leftovers": unfinished}))
        return
    good = [row for row in rows if "error" not in row]
    cells = [[str(row[column])[:NAME_WIDTH_MAX] for column in COLUMNS] for row in good]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *cells, strict=True)]
    for line in [list(COLUMNS), *cells]:
        write("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    for row in rows:
        if "error" in row:
            write(f"{row['name']}  BAD: {row['error']}")
    for path in unfinished:
        write(f"{path}: left by a killed writer")
    write(f"shards={len(good)} games={sum(row['games'] for row in good)} samples={sum(row['samples'] for row in good)}")


def _row(path: Path) -> dict[str, Any]:
    try:
        manifest = read_manifest(path)
    except StorageError as error:
        return {"name": path.stem, "error": str(error)}
    if not path.exists():
        return {"name": path.stem, "error": f"{path}: there is no such file"}
    form = _form(manifest)
    return {
        "name": path.stem,
        "game": form["config_key"],
        "games": manifest.counts.games,
        "samples": manifest.counts.samples,
        "players": ",".join(sorted({player.name for player in manifest.head.players})),
        "bytes": manifest.blob.size_bytes,
        "created": form["created_at"],
    }


def _form(manifest: Manifest) -> dict[str, Any]:
    form: dict[str, Any] = json.loads(manifest.dump())
    return form


# ---- check ----


def check_shards(paths: list[Path], now_s: float, write: Write, *, move: bool, as_json: bool) -> int:
    """Check folders and files; `move`: put what is wrong into quarantine; return the exit code."""
    checks = [_check(path, now_s) for path in paths]
    verdicts = [verdict for check in checks for verdict in check.verdicts]
    if not verdicts:
        raise StorageError(f"no shard in {', '.join(map(str, paths))}")
    moved = {}
    for verdict in verdicts:
        if move and verdict.fault is not None:
            moved[verdict.path] = str(quarantine(verdict.path, verdict.reason))
    report = {
        "shards": [{**_verdict_form(verdict), "quarantined": moved.get(verdict.path)} for verdict in verdicts],
        "leftovers": [str(path) for check in checks for path in check.leftovers],
        "wrong": sum(verdict.fault is not None for verdict in verdicts),
    }
    if as_json:
        write(json.dumps(report))
    else:
        _write_report(report, write)
    return 1 if report["wrong"] else 0


def _check(path: Path, now_s: float) -> FolderCheck:
    if path.is_dir():
        return check_folder(path, now_s)
    if path.suffix not in {".npz", ".json"} or not path.exists():
        raise StorageError(f"{path}: there is no such folder or shard (.npz or .json)")
    return FolderCheck((check_shard(path),), ())


def _verdict_form(verdict: Verdict) -> dict[str, Any]:
    return {
        "path": str(verdict.path),
        "fault": None if verdict.fault is None else verdict.fault.value,
        "reason": verdict.reason,
        "games": len(verdict.game_ids),
        "samples": 0 if verdict.manifest is None else verdict.manifest.counts.samples,
        "known_games": verdict.known_games,
    }


def _write_report(report: dict[str, Any], write: Write) -> None:
    games = 0
    for shard in report["shards"]:
        if shard["fault"] is not None:
            write(f"BAD ({shard['fault']}) {shard['reason']}")
            if shard["quarantined"]:
                write(f"  moved to {shard['quarantined']}")
            continue
        known = f", {shard['known_games']} of them in other shards too" if shard["known_games"] else ""
        write(f"ok {shard['path']}: {shard['games']} games{known}, {shard['samples']} samples")
        games += shard["games"]
    for path in report["leftovers"]:
        write(f"{path}: left by a killed writer; it counts for nothing and may be deleted")
    write(f"shards={len(report['shards'])} games={games} wrong={report['wrong']}")


# ---- show ----


@dataclass(frozen=True, slots=True)
class ShownChoice:
    """One choice of a game, with the best entries of its policy target."""

    choice: int
    seat: int
    agent: int
    id: int
    flags: list[str]
    targets: list[tuple[int, float]]  # [[id, probability]], the largest first
    plies: list[str]  # played by it and by the forced decisions after it


def show_shard(path: Path, number: int | None, write: Write, *, as_json: bool) -> None:
    """The manifest of a shard, or one of its games, ply by ply."""
    shard = read_shard(path)
    if number is None:
        text = json.dumps(_form(shard.manifest), indent=None if as_json else 1)
        write(text)
        return
    if not 0 <= number < len(shard):
        raise StorageError(f"{path}: it has {len(shard)} games; their numbers are 0 to {len(shard) - 1}")
    game, before, choices = _shown_choices(shard, number)
    assert game.outcome is not None
    form = {
        "shard": shard.manifest.stem,
        "game": number,
        "id": shard.game_ids()[number],
        "config_key": str(game.config_key),
        "players": [shard.manifest.head.players[i].name for i in shard.columns.players[number]],
        "seed": int(shard.columns.seeds[number]),
        "forced_before": before,
        "choices": [asdict(choice) for choice in choices],
        "outcome": asdict(game.outcome),
        "hash": f"{game.hash():016x}",
    }
    write(json.dumps(form) if as_json else _game_text(form))


def _shown_choices(shard: Shard, number: int) -> tuple[Game, list[str], list[ShownChoice]]:
    """The game played to its end, the plies before its first choice, and its choices."""
    samples = shard.samples(number, number + 1)
    rows = {int(choice): row for row, (_, choice) in enumerate(samples.row_of)}
    offsets = shard.replayer().choice_offsets
    played = slice(offsets[number], offsets[number + 1])
    head = shard.manifest.head
    game = Game.start(head.config_key, swap=head.swap)
    game.advance()
    before, choices = game.plies, []
    for choice, (action, flags) in enumerate(
        zip(shard.columns.choices[played].tolist(), shard.columns.flags[played].tolist(), strict=True)
    ):
        seat, agent, plies = game.player, game.agent_of_seat[game.player - 1], len(game.plies)
        game.decide(action)
        game.advance()
        targets = []
        if choice in rows:
            offset = samples.legal.offsets[rows[choice]]
            ids = samples.legal[rows[choice]]
            policy = samples.policy[offset : offset + len(ids)]
            best = np.argsort(-policy, kind="stable")[:BEST_SHOWN]
            targets = [(int(ids[i]), round(float(policy[i]), 4)) for i in best]
        names = [name for bit, name in FLAG_NAMES.items() if flags & bit]
        choices.append(ShownChoice(choice, seat, agent, action, names, targets, game.plies[plies:]))
    return game, before, choices


def _game_text(form: dict[str, Any]) -> str:
    head = f"{form['config_key']}, game {form['game']} of {form['shard']}, id {form['id']}"
    players = ", ".join(f"agent {i} {name}" for i, name in enumerate(form["players"], 1))
    lines = [head, players, f"{'':>4} {'; '.join(form['forced_before'])}".rstrip()]
    for choice in form["choices"]:
        marks = " ".join(choice["flags"])
        targets = "  ".join(f"{action}:{share:.2f}" for action, share in choice["targets"])
        plies = "; ".join(choice["plies"]) or "(decision within a ply)"
        note = f"  [{marks}{' | ' if targets else ''}{targets}]" if marks else ""
        lines.append(f"{choice['choice']:>4} seat {choice['seat']} {choice['id']:>5}  {plies}{note}")
    outcome = form["outcome"]
    lines.append(f"agent {outcome['winner_agent']} won by {outcome['reason']}; hash {form['hash']}")
    return "\n".join(line for line in lines if line)
