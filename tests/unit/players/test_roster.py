"""The roster: names, identities, and what a checkpoint says about a net."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.nn.checkpoint import CheckpointHead, save_checkpoint
from ringrift_core.nn.net import Net
from ringrift_core.players.names import HEURISTIC_V1_DIGEST
from ringrift_core.players.roster import agent_of, player_of

HEX = ConfigKey.parse("hex8_2p")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("text", "name", "sha256", "sims"),
    [
        ("random", "random", digest("random"), None),
        ("greedy", "greedy", digest("greedy"), None),
        ("heuristic", "heuristic-v1", HEURISTIC_V1_DIGEST, None),
        ("heuristic:0", "heuristic-v1:0", HEURISTIC_V1_DIGEST, 0),
        ("heuristic:64", "heuristic-v1:64", HEURISTIC_V1_DIGEST, 64),
        ("random:16", "uniform:16", digest("uniform"), 16),
    ],
)
def test_players_without_a_net_have_a_fixed_identity(text, name, sha256, sims):
    agent = agent_of(text, HEX)
    assert agent.identity.model_dump() == {
        "name": name,
        "sha256": sha256,
        "sims": sims,
        "version": None,
        "evaluations": None,
    }
    assert agent.player(np.random.default_rng(1)).name == name
    assert player_of(text, HEX, np.random.default_rng(1)).name == name


@pytest.mark.parametrize(("made_of", "expected"), [(123_456, 123_456), ("many", None), (-1, None), (True, None)])
def test_the_identity_of_a_net_is_its_file(made_of, expected, tmp_path: Path):
    path = tmp_path / f"{'n' * 200}.pth"
    head = CheckpointHead(version=7, trained_at="2026-01-31T00:00:00+00:00", data={"evaluations": made_of})
    sha256 = save_checkpoint(path, Net(HEX, "nano"), head)
    identity = agent_of(str(path), HEX).identity
    assert (identity.sha256, identity.sims, identity.version) == (sha256, 64, 7)
    assert identity.evaluations == expected
    assert len(identity.name) <= 200
    assert agent_of(str(path), HEX, net_sims=8).identity.sims == 8
    assert agent_of(f"{path}:2", HEX, net_sims=8).identity.sims == 2
    with pytest.raises(StorageError, match="its config_key is 'hex8_2p'; here it must be 'square8_2p'"):
        agent_of(str(path), ConfigKey.parse("square8_2p"))


def test_who_is_not_there_is_said():
    with pytest.raises(RulesError, match="there is nobody called 'nobody' here"):
        agent_of("nobody", HEX)
    with pytest.raises(RulesError, match="greedy has no search"):
        agent_of("greedy:4", HEX)
    with pytest.raises(RulesError, match="at most 100000 simulations"):
        agent_of("heuristic:100001", HEX)
