"""Manifests of shards without their arrays: what an index of shards reads."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ringrift_core.blob import BlobRef
from ringrift_core.game import Game
from ringrift_core.selfplay.manifest import Counts, Manifest
from tests.played_games import shard_head

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def manifest(
    number: int, *, games: int = 3, samples: int = 50, rules: str = Game.RULES_DIGEST, **head: Any
) -> Manifest:
    """The manifest of a shard that differs from those of other numbers, made so many minutes after noon."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    key = head.pop("key", "hex8_2p")
    given = {"created_at": NOON + timedelta(minutes=number), "evaluations": 7, **head}
    counts = Counts(games=games, plies=40 * games, decisions=30 * games, samples=samples)
    return Manifest(BlobRef(digest, 1000, digest), shard_head(key, **given), rules, counts)


def put(folder: Path, made: Manifest, name: str = "") -> Path:
    """Write a manifest where a shard's would be."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name or made.stem}.json"
    path.write_bytes(made.dump())
    return path
