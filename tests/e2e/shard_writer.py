"""A program that writes shards until it is killed, again and again; its output names each shard that was acknowledged.

`python -m tests.e2e.shard_writer FOLDER SEED KILLS [planted]`; with "planted" files are not written whole, to see that
the test around this notices.
"""

import os
import signal
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np

from ringrift_core.selfplay import shard
from ringrift_core.selfplay.played_game import PlayedGame
from ringrift_core.selfplay.shard import write_shard
from tests.played_games import played_games, shard_head

LIFE_S_MAX = 0.1  # a writer is killed after a random part of this; a write takes a few milliseconds
GAP_S = 0.03  # of the planted bug, so long that most kills fall into it


def write_in_halves(path: Path, content: bytes) -> None:
    """The planted bug."""
    with path.open("wb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        time.sleep(GAP_S)
        file.write(content[len(content) // 2 :])


def write_for_ever(folder: Path, games: list[PlayedGame], first: int) -> None:
    """Write shards that all differ; a name is printed when its write has returned."""
    number = first
    while True:
        written = write_shard(folder, [replace(game, number=number) for game in games], shard_head())
        os.write(sys.stdout.fileno(), f"{written.name}\n".encode())
        number += 1


def main(folder: Path, seed: int, kills: int) -> None:
    """Fork a writer, kill it after a random while, and so on."""
    rng = np.random.default_rng(seed)
    games = played_games(count=6)
    write_shard(folder / "warm", games, shard_head())
    for kill in range(kills):
        writer = os.fork()
        if writer == 0:
            write_for_ever(folder, games, kill << 20)
        time.sleep(LIFE_S_MAX * rng.random())
        os.kill(writer, signal.SIGKILL)
        _, status = os.waitpid(writer, 0)
        assert os.WIFSIGNALED(status), "the writer ended by itself"


if __name__ == "__main__":
    planted = mock.patch.object(shard, "write_whole", write_in_halves)
    with planted if "planted" in sys.argv else nullcontext():
        main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
