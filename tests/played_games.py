"""Finished games for tests of shards: random play, concentrated policy targets with heavy tails."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ringrift_core.blob import BlobRef
from ringrift_core.game import GameBatch
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.selfplay.manifest import ShardHead, ShardPlayer
from ringrift_core.selfplay.played_game import EXPLORED, FULL, OPENING, Ending, PlayedGame
from ringrift_core.selfplay.shard import read_shard, write_columns

FULL_SHARE = 0.3
OPENING_CHOICES = 4


def shard_head(key: str = "hex8_2p", **changes: Any) -> ShardHead:
    """A head for games of a config, the swap option on where it exists."""
    config_key = ConfigKey.parse(key)
    given: dict[str, Any] = {
        "config_key": config_key,
        "swap": config_key.players == 2,
        "players": (ShardPlayer("random", "0" * 64), ShardPlayer("net", "ab" * 32)),
        "search": {"simulations": 64, "q_scale": 1.0},
        "seed": 7,
        "host": "here",
        "created_at": datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC),
    }
    return ShardHead(**{**given, **changes})


def random_target(rng: np.random.Generator, length: int) -> np.ndarray:
    """A softmax of normal logits, some sharper than others: a few large entries and a soft, heavy tail."""
    logits = rng.normal(size=length) * rng.uniform(0.5, 3.0)
    weights = np.exp(logits - logits.max())
    target: np.ndarray = (weights / weights.sum()).astype(np.float32)
    return target


def played_games(key: str = "hex8_2p", count: int = 8, seed: int = 1) -> list[PlayedGame]:
    """Random games of a config; the swap is taken in about half of those that offer it."""
    rng = np.random.default_rng(seed)
    batch = GameBatch.start(key, count)
    swap_id = batch.board.actions.size - 4
    chosen: list[list[int]] = [[] for _ in range(count)]
    flags: list[list[int]] = [[] for _ in range(count)]
    targets: list[list[np.ndarray]] = [[] for _ in range(count)]
    while True:
        batch.advance()
        rows = np.flatnonzero(~batch.over)
        if not len(rows):
            break
        legal = batch.legal(rows)
        actions = []
        for i, row in enumerate(rows):
            action = int(rng.choice(legal[i]))
            if swap_id in legal[i] and rng.random() < 0.5:
                action = swap_id
            actions.append(action)
            full = rng.random() < FULL_SHARE
            opening = len(chosen[row]) < OPENING_CHOICES
            flags[row].append(FULL * full + (OPENING if opening else EXPLORED))
            chosen[row].append(action)
            if full:
                targets[row].append(random_target(rng, len(legal[i])))
        batch.apply(actions, rows)
    endings = Ending.of(batch, range(count))
    players = batch.variant.players
    return [
        PlayedGame(
            choices=np.array(chosen[i], np.uint16),
            flags=np.array(flags[i], np.uint8),
            targets=targets[i],
            root_values=rng.dirichlet(np.ones(players), len(targets[i])).astype(np.float32),
            surprise=rng.exponential(0.5, len(targets[i])).astype(np.float32),
            players=tuple(rng.integers(0, 2, players).tolist()),
            seed=int(rng.integers(1 << 63)),
            number=i,
            ending=endings[i],
        )
        for i in range(count)
    ]


def tampered(folder: Path, path: Path, head: dict[str, Any] | None = None, **columns: Any) -> Path:
    """A copy of a shard with other arrays or another head, its digest, name and counts made to fit."""
    shard = read_shard(path)
    return write_columns(folder, replace(shard.columns, **columns), replace(shard.manifest.head, **(head or {})))


def edited_manifest(path: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """Change the manifest of a shard in place."""
    manifest = path.with_suffix(".json")
    form = json.loads(manifest.read_text())
    edit(form)
    manifest.write_text(json.dumps(form))
    return path


def with_content(path: Path, content: bytes) -> Path:
    """Replace the arrays of a shard and let its manifest name the new content."""
    path.write_bytes(content)
    return edited_manifest(path, lambda form: form.update(blob=asdict(BlobRef.of(content))))
