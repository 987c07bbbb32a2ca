"""Inside a node the accessors speak to its own objects, and nothing blocks its thread."""

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import p2p.client
from managers.manual_rollback import RollbackResult
from managers.promotion_result import PromotionResult
from managers.runtime import Service, Supervisor
from managers.state.cluster_state import ClusterState
from p2p.client import NotYetAvailable, PromotionController, RollbackManager, RollbackThresholds, attach, detach
from p2p.client.attached import attached
from p2p.client.daemons import get_daemon_manager, get_loop_manager
from p2p.client.health import get_health_check_orchestrator
from ringrift_core.errors import RulesError
from tests.e2e.loop_process import tiny

RESULT = PromotionResult(game="hex8_2p", promoted=False, failure_reason="weak")
BACK = RollbackResult(model_id="hex8_2p", success=True)


class Promotion:
    last_evaluation = RESULT

    async def evaluate_and_promote(self, *_wish: object) -> PromotionResult:
        self.thread = threading.get_ident()
        return RESULT

    async def force(self, *_wish: object) -> PromotionResult:
        return RESULT


class Rollback:
    baselines: list[object]

    def __init__(self) -> None:
        self.baselines = []

    def should_rollback(self, _key: str) -> tuple[bool, str]:
        return True, "weak"

    async def rollback_model(self, *_wish: object) -> RollbackResult:
        return BACK

    async def get_rollback_history(self, *_wish: object) -> tuple[()]:
        return ()

    async def set_baseline(self, *baseline: object) -> None:
        self.baselines.append(baseline)


def inside(test: Callable[[Any], Any], tmp_path: Any) -> None:
    """Run a coroutine function beside a node."""

    up = asyncio.Event()

    async def idle(_beat: Callable[[], None]) -> None:
        up.set()
        await asyncio.Event().wait()

    async def main() -> None:
        import numpy as np

        async with Supervisor([Service("JOB_REAPER", idle)], np.random.default_rng(1)) as supervisor:
            await up.wait()
            node: Any = SimpleNamespace(
                router=object(), promotion=Promotion(), rollback=Rollback(), settings=tiny(tmp_path),
                supervisor=supervisor, identity=SimpleNamespace(node="n1"), standing=SimpleNamespace(unwritable=""),
                consensus=SimpleNamespace(state=ClusterState()),
            )  # fmt: skip
            attach(node)
            try:
                await test(node)
            finally:
                detach(node)

    asyncio.run(main())


def test_a_node_that_has_ended_is_not_spoken_to(tmp_path):
    async def test(node: Any) -> None:
        assert p2p.client.get_router() is node.router
        other: Any = SimpleNamespace(router=object())
        attach(other)
        assert p2p.client.get_router() is other.router
        detach(other)
        assert p2p.client.get_event_bus() is node.router

    inside(test, tmp_path)
    assert attached() is None


def test_coroutines_run_on_the_node_from_whatever_loop(tmp_path):
    async def test(node: Any) -> None:
        wish = ("x.pth", "hex8", 2)
        assert await PromotionController().evaluate_and_promote(*wish) == RESULT
        elsewhere = await asyncio.to_thread(asyncio.run, PromotionController().evaluate_and_promote(*wish))
        assert elsewhere == RESULT
        assert node.promotion.thread == threading.get_ident()
        assert await PromotionController().force(*wish, "why") == RESULT
        assert PromotionController.get_instance().last_evaluation == RESULT

    inside(test, tmp_path)


def test_what_waits_is_refused_on_the_thread_of_the_node_and_works_from_others(tmp_path):
    async def test(node: Any) -> None:
        manager = RollbackManager()
        for call in (
            lambda: manager.rollback_model("hex8_2p", reason="why"),
            manager.get_rollback_history,
            lambda: manager.set_baseline("hex8_2p", {}),
            lambda: p2p.client.check_model_availability("canonical_hex8_2p.pth"),
        ):
            with pytest.raises(RulesError, match="to_thread"):
                call()
        assert await asyncio.to_thread(manager.rollback_model, "hex8_2p", reason="why") == BACK
        assert await asyncio.to_thread(manager.get_rollback_history) == ()
        await asyncio.to_thread(manager.set_baseline, "hex8_2p", {"elo": 5})
        assert node.rollback.baselines == [("hex8_2p", {"elo": 5})]
        assert manager.should_rollback("hex8_2p") == (True, "weak")
        with pytest.raises(RulesError, match="set rollback"):
            RollbackManager(thresholds=RollbackThresholds(min_games_for_evaluation=51)).should_rollback("hex8_2p")
        with pytest.raises(RulesError, match="no champion"):
            await asyncio.to_thread(p2p.client.check_model_availability, "canonical_hex8_2p.pth")

    inside(test, tmp_path)


def test_daemons_and_health_are_those_of_the_node(tmp_path):
    async def test(_node: Any) -> None:
        manager = get_daemon_manager()
        await manager.stop("JOB_REAPER")
        assert manager.get_daemon_status("JOB_REAPER").state == "stopped"
        health = await get_health_check_orchestrator().check_node_health("n1")
        assert (health.status, len(health.reasons)) == ("degraded", 1)
        assert await manager.start_all() == ("JOB_REAPER",)
        await manager.restart("JOB_REAPER")
        await asyncio.sleep(0)
        assert manager.get_daemon_status("JOB_REAPER").state in {"waiting", "running"}
        with pytest.raises(RulesError, match="no daemon"):
            await manager.stop("NO_SUCH")
        with pytest.raises(RulesError, match="no node of this cluster"):
            await get_health_check_orchestrator().check_node_health("n2")
        with pytest.raises(NotYetAvailable):
            get_loop_manager().get_all_loop_status()
        with pytest.raises(RulesError, match="inside a node"):
            p2p.client.status()

    inside(test, tmp_path)
