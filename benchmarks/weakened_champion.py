"""How long the loop takes to take back a weakened champion, from games alone; JSON on standard output.

    python benchmarks/weakened_champion.py --folder COPY [--noise 1.0] [--minutes 120] [--set PATH=VALUE]

COPY is the data folder of a loop with a champion; it is changed, so give a copy. The champion's weights get noise, the
result is a sound checkpoint of its own, registered and promoted by hand. No training begins meanwhile; selfplay goes on
beside the shadow tournaments, as in a real loop.
"""

import argparse
import asyncio
import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from config.loading import load, parse_override
from config.schema import Settings
from config.yaml_file import Plain
from managers.node_folder import NodeFolder
from managers.pipeline import Pipeline
from managers.state.commands import AddNet, Body, Promote
from managers.state.learners import Learner
from p2p.orchestrator import opened_state, running_node
from ringrift_core.errors import RingriftError, RulesError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.nn.checkpoint import load_checkpoint, save_checkpoint
from ringrift_core.registry import ModelRegistry
from ringrift_core.registry.model_files import digest_of

NEVER = 100_000_000  # new games before a training
LOOK_S = 1.0
INSTALL_S = 60.0  # for the canonical file to follow


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--game", default="hex8_2p")
    parser.add_argument("--noise", type=float, default=1.0, help="of each tensor, in its own standard deviations")
    parser.add_argument("--minutes", type=float, default=120.0, help="to wait at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="a setting")
    return parser.parse_args()


def weakened(folder: NodeFolder, champion: str, game: str, noise: float, seed: int) -> AddNet:
    """The champion with noise in its weights, registered."""
    key, generator = ConfigKey.parse(game), torch.Generator().manual_seed(seed)
    checkpoint = load_checkpoint(folder.net(champion), key)
    with torch.no_grad():
        for weights in checkpoint.net.parameters():
            spread = weights.std() if weights.numel() > 1 else weights.abs().max()
            weights.add_(noise * spread * torch.randn(weights.shape, generator=generator))
    path = folder.root / "weakened.pth"
    head = replace(checkpoint.head, version=checkpoint.head.version + 1, parent=champion, elo=None)
    save_checkpoint(path, checkpoint.net, head)
    version = ModelRegistry(folder.models).register(path, datetime.now(UTC))
    path.unlink()
    return AddNet(
        game=game, sha256=version.sha256, size_bytes=version.size_bytes, version=version.label, parent=champion
    )


async def promoted(pipeline: Pipeline, net: AddNet, champion: str) -> None:
    """Make it champion by hand."""
    crown = Promote(game=net.game, candidate=net.sha256, expected=champion, how="manual", reason="weakened on purpose")
    bodies: tuple[Body, ...] = (net, crown)
    for body in bodies:
        answer = await pipeline.proposer("benchmark").propose(body)
        if not answer.accepted:
            raise RulesError(answer.reason)


async def measured(settings: Settings, asked: argparse.Namespace) -> dict[str, Any]:
    """Promote, wait for the rollback, look at what it left."""
    folder, game = NodeFolder(settings.node.data_dir.absolute()), asked.game
    async with opened_state(settings) as consensus:
        champion = consensus.state.learner(game).champion
    if champion is None:
        raise RulesError(f"{folder.root}: no champion of {game}; let a loop make one there first")
    async with running_node(settings) as pipeline:
        net = await asyncio.to_thread(weakened, folder, champion, game, asked.noise, asked.seed)
        await promoted(pipeline, net, champion)
        began, rollbacks = perf_counter(), len(pipeline.consensus.state.learner(game).rollbacks)
        while perf_counter() - began < 60 * asked.minutes:
            learner = pipeline.consensus.state.learner(game)
            if len(learner.rollbacks) > rollbacks or learner.champion != net.sha256:
                break
            await asyncio.sleep(LOOK_S)
        minutes = (perf_counter() - began) / 60
        installed = await installs(folder, game, champion)
        return report(pipeline.consensus.state.learner(game), folder, net.sha256, minutes) | {
            "champion": champion,
            "canonical_is_former_champion": installed,
            "noise": asked.noise,
        }


async def installs(folder: NodeFolder, game: str, champion: str) -> bool:
    """Whether the canonical file is that of a net, soon."""
    path = ModelRegistry(folder.models).files.canonical(ConfigKey.parse(game))
    until = perf_counter() + INSTALL_S
    while await asyncio.to_thread(digest_of, path) != champion:
        if perf_counter() > until:
            return False
        await asyncio.sleep(LOOK_S)
    return True


def report(learner: Learner, folder: NodeFolder, net: str, minutes: float) -> dict[str, Any]:
    """What the rollback left."""
    history = json.loads(folder.rollback_history.read_text()) if folder.rollback_history.exists() else []
    return {
        "game": learner.game,
        "weakened": net,
        "rolled_back": bool(learner.rollbacks) and learner.rollbacks[-1].from_sha256 == net,
        "minutes": round(minutes, 2),
        "canary_games": learner.rollbacks[-1].metrics.get("games") if learner.rollbacks else None,
        "reason": learner.rollbacks[-1].reason if learner.rollbacks else "",
        "newest_history_row": history[0] if history else None,
        "blocked_in_state": net in learner.blocked,
        "blocked_in_registry": net in ModelRegistry(folder.models).blocked(),
    }


def main() -> None:
    """One measurement."""
    asked = arguments()
    overrides: dict[str, Plain] = {"games": (asked.game,), "training.trigger_threshold_games": NEVER}
    try:
        overrides |= dict(map(parse_override, asked.set))
        settings = load(overrides={**overrides, "node.data_dir": str(asked.folder)}).settings
        print(json.dumps(asyncio.run(measured(settings, asked)), indent=1))
    except RingriftError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
