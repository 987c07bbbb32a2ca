"""Selfplay inside the loop against the same jobs on their own, on the same cores, in turns; JSON on standard output.

    python -m benchmarks.loop_selfplay [--game hex8_2p] [--sims 16] [--processes 2] [--turns 6] [--seconds 20]

A node with a random nano net plays (training waits for games that never come), and as many bare selfplay jobs with the
same net and settings. The loop's side has all that a node does: the control process, its disk, its pipes. How it is
counted: selfplay_sides.py.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.selfplay_sides import Rates, Side, await_ready, ended, in_turns, registered, started, told
from config.loading import load
from managers.node_folder import NodeFolder
from managers.ports import Report
from managers.state.commands import AddNet, Body, Promote
from managers.state.jobs import Job
from p2p.orchestrator import running_node
from ringrift_core.commands.bench_engine import cpu_name
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry import ModelRegistry

NEVER = 100_000_000  # new games before a training
RATIOS = ("per_s", "per_core_s")
ASKED = ("game", "sims", "processes", "turns", "seconds")
LOOP = "--loop"


def arguments(text: str) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--game", default="hex8_2p")
    parser.add_argument("--sims", type=int, default=16)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--turns", type=int, default=6, help="of each side")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a turn")
    parser.add_argument(LOOP, dest="loop", type=Path, default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


# ---- the loop's side, a process of its own ----


def write(job: Job, report: Report) -> None:
    """A listener of the jobs: what the other process counts."""
    if (line := told(job, report)) is not None:
        os.write(1, line)


async def loop(asked: argparse.Namespace) -> None:
    """A node whose current net is the one in its registry; ends when standard input does."""
    overrides = {
        "node.data_dir": str(asked.loop), "node.cores": asked.processes, "games": (asked.game,),
        "selfplay.sims": asked.sims, "training.trigger_threshold_games": NEVER,
    }  # fmt: skip
    settings, folder = load(overrides=overrides).settings, NodeFolder(asked.loop)
    (version,) = await asyncio.to_thread(ModelRegistry(folder.models).versions, ConfigKey.parse(asked.game))
    net = version.sha256
    bodies: Sequence[Body] = (
        AddNet(game=asked.game, sha256=net, size_bytes=version.size_bytes, version=version.label, parent=None),
        Promote(game=asked.game, candidate=net, expected=None, how="manual", reason="benchmark"),
    )
    async with running_node(settings) as pipeline:
        pipeline.report_listeners.append(write)
        for body in bodies:
            await pipeline.proposer("benchmark").propose(body)
        orders = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        await orders.read()


# ---- both sides ----


def bare_command(folder: NodeFolder, asked: argparse.Namespace, net: str, number: int) -> list[str]:
    """A job like those of the loop."""
    spec = folder.root / f"bare-{number}.json"
    form = {
        "kind": "selfplay", "game": asked.game, "model": str(folder.net(net)), "out": str(folder.root / "bare"),
        "seed": number, "games": 0, "sims": asked.sims, "opening_max": 6, "drawn_decisions": 20,
    }  # fmt: skip
    spec.write_text(json.dumps(form))
    return [sys.executable, "-P", "-m", "ringrift_core.jobs", str(spec)]


def loop_command(folder: NodeFolder, asked: argparse.Namespace) -> list[str]:
    """A loop in a folder whose registry has the net."""
    words = [sys.executable, "-m", "benchmarks.loop_selfplay", LOOP, str(folder.root), "--game", asked.game]
    return [*words, "--sims", str(asked.sims), "--processes", str(asked.processes)]


def measure(asked: argparse.Namespace, folder: NodeFolder, on_turn: Callable[[str], None]) -> dict[str, Rates]:
    """Both sides in turns: their medians."""
    net = registered(folder, asked.game)
    bare = [bare_command(folder, asked, net, number) for number in range(asked.processes)]
    sides = Side([started(loop_command(folder, asked))]), Side([started(command) for command in bare])
    try:
        await_ready(sides, asked.processes)
        return in_turns(("loop", sides[0]), ("bare", sides[1]), asked.turns, asked.seconds, on_turn)
    finally:
        ended(sides)


def answer(asked: argparse.Namespace, found: dict[str, Rates], one: str, of: str) -> str:
    """As JSON."""
    ratio = {name: round(found[one][name] / found[of][name], 3) for name in RATIOS}
    asked_for = {name: getattr(asked, name) for name in ASKED}
    return json.dumps({**asked_for, **found, f"{one}_of_{of}": ratio, "cpu": cpu_name()}, indent=1)


def shown(text: str) -> None:
    """A turn that is over."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """One measurement."""
    asked = arguments(__doc__ or "")
    if asked.loop is not None:
        asyncio.run(loop(asked))
        return
    with tempfile.TemporaryDirectory() as name:
        print(answer(asked, measure(asked, NodeFolder(Path(name)), shown), "loop", "bare"))


if __name__ == "__main__":
    main()
