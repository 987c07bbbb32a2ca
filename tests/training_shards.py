"""Shards, windows and runs for tests of the training."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ringrift_core.game.config_key import ConfigKey
from ringrift_core.jobs.spec import TrainingSpec
from ringrift_core.jobs.training import run_training
from ringrift_core.selfplay.played_game import PlayedGame
from ringrift_core.selfplay.shard import read_manifest, write_shard
from ringrift_core.training.stream import Rows, SampleStream
from ringrift_core.training.window import Store, Window, commit_window
from tests.played_games import played_games, shard_head

KEY = "hex8_2p"
NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
GAMES = 24  # about 500 rows


@cache
def games(key: str = KEY, count: int = GAMES, seed: int = 1) -> tuple[PlayedGame, ...]:
    """Random games; the same ones for the same arguments."""
    return tuple(played_games(key, count, seed))


def shard(folder: Path, played: Sequence[PlayedGame] | None = None, *, key: str = KEY, **head: Any) -> Path:
    """A shard of some games in a folder; `hour` dates it."""
    hour = head.pop("hour", 0)
    head = {"created_at": NOON + timedelta(hours=hour), **head}
    return write_shard(folder, games(key) if played is None else played, shard_head(key, **head))


def rows_in(*paths: Path) -> int:
    """Rows of shards, by their manifests."""
    return sum(read_manifest(path).counts.samples for path in paths)


def window_of(*folders: Path, key: str = KEY) -> Window:
    """The window of some folders, of any age."""
    return commit_window(Store(folders), ConfigKey.parse(key), NOON, None)


def stream_of(*folders: Path, key: str = KEY, **changes: Any) -> SampleStream:
    """The stream of the window of some folders."""
    given: dict[str, Any] = {"batch": 32, "seed": 5, "root_share": 0.2, **changes}
    return SampleStream(Store(folders), window_of(*folders, key=key), **given)


def all_rows(*folders: Path, key: str = KEY) -> Rows:
    """A whole pass over the rows for training, each once and in no drawn order."""
    stream = stream_of(*folders, key=key)
    return stream._rows(stream._segments)


def spec(data: Path, out: Path, **changes: Any) -> TrainingSpec:
    """A short run of a nano net."""
    given: dict[str, Any] = {
        "game": KEY,
        "data": (data,),
        "out": out,
        "size": "nano",
        "seed": 3,
        "steps": 6,
        "batch": 16,
        "max_age_hours": 0,
        "save_every": 2,
        "device": "cpu",
    }
    given |= {"size": None} if "parent" in changes else {}
    return TrainingSpec(**{**given, **changes})


def train(asked: TrainingSpec, stop_at: int | None = None) -> list[dict[str, Any]]:
    """The reports of a run; `stop_at`: asked to stop after so many steps of it."""
    reports: list[dict[str, Any]] = []
    steps = iter(range(1, 1 << 30))
    run_training(asked, reports.append, lambda: next(steps) == stop_at)
    return reports


def bare(game: PlayedGame) -> PlayedGame:
    """A game without policy targets."""
    seats = game.root_values.shape[1]
    no_rows: dict[str, Any] = {"root_values": np.zeros((0, seats), np.float32), "surprise": np.zeros(0, np.float32)}
    return replace(game, flags=game.flags & ~np.uint8(1), targets=(), **no_rows)
