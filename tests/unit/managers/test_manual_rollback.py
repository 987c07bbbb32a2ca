"""What people ask of rollbacks: whether, now, which there were, and what a net was worth."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from config.schema import Settings
from managers.manual_rollback import ManualRollback
from managers.model_installer import ModelInstaller
from managers.node_folder import NodeFolder
from managers.proposer import Proposer
from managers.state import LocalConsensus
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import Promote
from managers.state.machine import StateMachine
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.registry import ModelRegistry, Trigger
from ringrift_core.registry.model_files import digest_of
from tests.unit.managers.verdicts import BEGAN, GAME, KEY, added
from tests.unit.registry.nets import NOW, SavedNet, family


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> list[SavedNet]:
    return family(tmp_path_factory.mktemp("nets"), 3)


def asked(root: Path, nets: list[SavedNet], ask: Callable[[ManualRollback], Awaitable[object]]) -> Any:
    """Ask a node whose champions were these nets, one after the other; it installs what changes."""
    folder, settings = NodeFolder(root), Settings()
    installer = ModelInstaller(settings, folder)
    for net in nets:
        installer.registry.register(net.path, NOW)

    def applied(_before: ClusterState, after: ClusterState, _result: Result) -> None:
        installer.install(after, BEGAN)

    async def main() -> object:
        async with LocalConsensus(StateMachine(), None) as consensus:
            proposer = Proposer(consensus, "people", lambda: BEGAN)
            consensus.on_applied(applied)
            champion = None
            for net in nets:
                await proposer.propose(added(net.sha256))
                body = Promote(game=GAME, candidate=net.sha256, expected=champion, how="manual", reason="test")
                assert (await proposer.propose(body)).accepted
                champion = net.sha256
            return await ask(ManualRollback(settings, consensus, proposer, folder, lambda: BEGAN + 600))

    return asyncio.run(main())


def test_a_rollback_installs_the_champion_before_blocks_the_net_and_is_history(tmp_path, nets):
    async def ask(rollback: ManualRollback) -> object:
        result = await rollback.rollback_model(GAME, reason="it is weak")
        return result, await rollback.get_rollback_history(GAME, 10)

    result, history = asked(tmp_path, nets, ask)
    assert (result.success, result.from_version, result.to_version) == (True, 3, 2)
    assert result.canonical_path == str(tmp_path / "models" / f"canonical_{GAME}.pth")
    assert digest_of(Path(result.canonical_path)) == nets[1].sha256
    assert ModelRegistry(tmp_path / "models").blocked() == {nets[2].sha256: "it is weak"}
    (event,) = history
    assert (event.model_id, event.trigger, event.reason) == (GAME, Trigger.MANUAL, "it is weak")
    assert (event.from_version, event.to_version) == (3, 2)


def test_a_rollback_goes_to_the_version_that_is_named(tmp_path, nets):
    result = asked(tmp_path, nets, lambda it: it.rollback_model(GAME, to_version=1, reason="back to the start"))
    assert (result.success, result.to_version, result.to_sha256) == (True, 1, nets[0].sha256)


def test_a_net_that_was_never_champion_is_refused(tmp_path, nets):
    asked(tmp_path, nets[:2], lambda it: it.get_rollback_history())
    ModelRegistry(tmp_path / "models").register(nets[2].path, NOW)
    other = tmp_path / "other"

    async def ask(rollback: ManualRollback) -> object:
        ModelRegistry(other / "models").register(nets[2].path, NOW)
        return await rollback.rollback_model(GAME, to_version=3, reason="why not")

    result = asked(other, nets[:2], ask)
    assert not result.success
    assert "was never champion" in str(result.failure_reason)


@pytest.mark.parametrize(("count", "why"), [(0, "no champion"), (1, "no earlier champion that is not blocked")])
def test_without_somebody_to_go_back_to_nothing_happens(tmp_path, nets, count, why):
    result = asked(tmp_path, nets[:count], lambda it: it.rollback_model(GAME, reason="weak"))
    assert (result.success, result.failure_reason) == (False, f"{GAME} has {why}")


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda it: it.rollback_model(GAME, reason=" "), "needs a reason"),
        (lambda it: it.rollback_model(GAME, to_version=9, reason="x"), "there is no version 9 of hex8_2p"),
        (lambda it: it.rollback_model("hex9_2p", reason="x"), "there is no game 'hex9_2p'"),
        (lambda it: it.get_rollback_history("hex9_2p"), "there is no game"),
        (lambda it: it.set_baseline("hex8_3p", {"elo": 1}), "hex8_3p has no production net"),
        (lambda it: it.set_baseline(GAME, {"elo": float("nan")}), "no finite number"),
    ],
)
def test_wrong_wishes_are_errors(tmp_path, nets, ask, message):
    with pytest.raises(RulesError, match=message):
        asked(tmp_path, nets[:2], ask)


def test_should_rollback_says_whether_and_why(tmp_path, nets):
    async def ask(rollback: ManualRollback) -> object:
        return rollback.should_rollback(GAME), rollback.should_rollback("hex8_3p")

    one, other = asked(tmp_path, nets[:2], ask)
    assert one == (False, "0 canary games and 0 games of jobs, 50 are needed")
    assert other == (False, "hex8_3p has no champion")


def test_a_baseline_is_kept_with_the_production_version(tmp_path, nets):
    asked(
        tmp_path, nets[:2], partial(ManualRollback.set_baseline, model_id=GAME, metrics={"elo": 1850, "win_rate": 0.62})
    )
    (measured,) = ModelRegistry(tmp_path / "models").metrics(KEY, 2)
    assert measured.values == {"baseline": {"elo": 1850, "win_rate": 0.62}}
    assert measured.at == datetime.fromtimestamp(BEGAN + 600, UTC)


def test_a_rollback_that_cannot_be_written_is_given_up_and_not_carried_out_later(tmp_path, nets, monkeypatch):
    """Whoever has asked is told so, and may have asked for something else since."""
    monkeypatch.setattr("managers.manual_rollback.WRITE_S", 0.01)
    tried = []

    async def refuse(_content: bytes, _timeout_s: float) -> Result:
        tried.append(asyncio.get_running_loop().time())
        raise StorageError("the disk is full")

    async def ask(rollback: ManualRollback) -> object:
        consensus = rollback._consensus
        monkeypatch.setattr(consensus, "propose", refuse)
        with pytest.raises(StorageError, match="cannot be written"):
            await rollback.rollback_model(GAME, reason="it is weak")
        monkeypatch.undo()
        return await rollback.get_rollback_history(GAME)

    assert asked(tmp_path, nets, ask) == ()
    assert len(tried) == 1
