"""What `ringrift promote` does: through the loop that works in the data folder, or, without one, as a node of its own.

A net may lie anywhere: this process reads it and puts it into the registry, so that only its digest matters from there.
"""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from config.schema import Settings
from managers.job_outcome import outcome_of
from managers.job_spec import spec_of
from managers.manual_rollback import RollbackResult
from managers.node_folder import NodeFolder
from managers.outcomes import outcomes_of
from managers.pipeline import EVALUATION, REQUESTS, Duty, Pipeline
from managers.ports import Report
from managers.promotion_desk import Progress, Ticket
from managers.promotion_result import GatePlan, PromotionResult, gate_plan, played
from managers.state.cluster_state import ClusterState, Result, What
from managers.state.tasks import GauntletOutcome
from p2p.coordination_log import logging_to
from p2p.http.node_client import NotRunning, request
from p2p.node import log
from p2p.orchestrator import opened_state, running_node
from ringrift_core.errors import RingriftError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry.admission import AdmittedNet, admit, admitted
from ringrift_core.storage import make_folder

ASK_S = 1.0  # between two looks at a request that the loop works on
GATE = "/admin/promote"

Say = Callable[[str], None]  # a remark for people
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PromoteWish:
    """Who shall be promoted, and how."""

    key: ConfigKey
    model: Path
    games: int | None = None
    force: bool = False
    reason: str = ""


def promote(settings: Settings, wish: PromoteWish, say: Say) -> PromotionResult:
    """Judge a net, or not (force), and promote it."""
    folder = NodeFolder(settings.node.data_dir.absolute())
    net = admitted(folder.models, wish.model, wish.key) if folder.models.exists() else None
    if net is None:
        net = admit(folder.models, wish.model, wish.key, datetime.now(UTC))
    return ended_by_signals(_promote(settings, wish, net, say))


def dry_run(settings: Settings, wish: PromoteWish, say: Say) -> PromotionResult:
    """Play the gauntlet that the net would have and keep its games; nothing else changes.

    One that was interrupted goes on where it was.
    """
    from ringrift_core.jobs.gauntlet import run_gauntlet  # noqa: PLC0415 - statistics take a second to import
    from ringrift_core.jobs.spec import GauntletSpec  # noqa: PLC0415
    from ringrift_core.nn.checkpoint import load_checkpoint  # noqa: PLC0415 - torch takes seconds to import

    sha256 = load_checkpoint(wish.model, wish.key).sha256
    plan = asyncio.run(_plan(settings, wish))
    if sha256 == plan.champion:
        return _refused(wish, f"{sha256[:16]} is the champion already")
    job, folder = plan.job(sha256, settings.seed), NodeFolder(settings.node.data_dir.absolute())
    spec = spec_of(job, folder, cores=1, seed=settings.seed)
    assert isinstance(spec, GauntletSpec), "a gauntlet is planned"
    work = folder.dry_run(job.id)
    make_folder(work)
    done: list[Report] = []

    def emit(report: Report) -> None:
        done.append(report) if report["event"] == "done" else _tell(say, report)

    run_gauntlet(spec.model_copy(update={"candidate": wish.model.absolute(), "work": work}), emit, lambda: False)
    shutil.rmtree(work, ignore_errors=True)
    outcome = outcome_of(job, done[-1])
    assert isinstance(outcome, GauntletOutcome), "a gauntlet was played"
    result = _refused(wish, None if outcome.verdict == "passed" else outcome.reason)
    changes = {"sha256": sha256, "replaces": plan.champion, **played(outcome, sha256)}
    return result.model_copy(update=changes)


def rollback(settings: Settings, key: ConfigKey, to_version: int | None, reason: str) -> RollbackResult:
    """Take the champion back."""
    return ended_by_signals(_rollback(settings, key, to_version, reason))


def watch(settings: Settings, interval_s: float, say: Say) -> None:
    """Keep promoting what passes until a signal ends it; a loop that works does that by itself, until it ends."""
    ended_by_signals(_watch(settings, interval_s, say))


def ended_by_signals(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; SIGINT and SIGTERM end it in good order, as KeyboardInterrupt."""

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None, "it runs in a task"
        with suppress(NotImplementedError):  # not on every system
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


# ---- promotion ----


async def _promote(settings: Settings, wish: PromoteWish, net: AdmittedNet, say: Say) -> PromotionResult:
    model_path = f"versions/{net.sha256}.pth"
    try:
        return await _through_loop(settings.node.data_dir, wish, model_path, say)
    except NotRunning:
        pass
    where = (model_path, wish.key.board_type, wish.key.players)
    async with _own_node(settings, REQUESTS) as node:
        node.report_listeners.append(lambda _job, report: _tell(say, report))
        if wish.force:
            return await node.promotion.force(*where, wish.reason)
        return await node.promotion.evaluate_and_promote(*where, wish.games)


@asynccontextmanager
async def _own_node(settings: Settings, duty: Duty) -> AsyncIterator[Pipeline]:
    """A node for this command alone; what happens in it stands in the log of the folder, as what a loop does."""
    log_file = logging_to(NodeFolder(settings.node.data_dir.absolute()).logs, debug=settings.monitoring.debug)
    async with running_node(settings, duty=duty) as node:
        await asyncio.to_thread(log_file.__enter__)
        try:
            node.consensus.on_applied(_logged)
            yield node
        finally:
            await asyncio.to_thread(log_file.__exit__, None, None, None)


def _logged(_before: ClusterState, after: ClusterState, result: Result) -> None:
    for outcome in outcomes_of(after, result):
        log(outcome)


async def _through_loop(data_dir: Path, wish: PromoteWish, model_path: str, say: Say) -> PromotionResult:
    """Let the running loop do it; NotRunning when there is none."""
    body = {
        "model_path": model_path,
        "board_type": wish.key.board_type,
        "num_players": wish.key.players,
        "gauntlet_games": wish.games,
        "force": wish.force,
        "reason": wish.reason,
    }
    ticket = _ticket(await request(data_dir, "POST", GATE, body))
    say(f"the running loop does it, request {ticket.number}")
    try:
        while ticket.progress is not Progress.DONE:
            await asyncio.sleep(ASK_S)
            ticket = _ticket(await request(data_dir, "GET", f"{GATE}/{ticket.number}"))
    except NotRunning:
        raise RingriftError("the loop has ended; ask again, a gauntlet that was begun goes on") from None
    if ticket.result is None:
        raise RingriftError(ticket.error)
    return ticket.result


def _ticket(answer: dict[str, object]) -> Ticket:
    try:
        return Ticket.model_validate(answer)
    except ValidationError as error:
        raise RingriftError("the running loop is of another version; end it and start it again") from error


async def _plan(settings: Settings, wish: PromoteWish) -> GatePlan:
    """The gauntlet that the net would have now."""
    body = {"board_type": wish.key.board_type, "num_players": wish.key.players, "gauntlet_games": wish.games}
    try:
        answer = await request(settings.node.data_dir, "POST", GATE, {**body, "dry_run": True})
        return GatePlan.model_validate(answer["plan"])
    except NotRunning:
        pass
    if not NodeFolder(settings.node.data_dir.absolute()).log.exists():
        return gate_plan(ClusterState().learner(str(wish.key)), settings, wish.games)
    async with opened_state(settings) as consensus:
        return gate_plan(consensus.state.learner(str(wish.key)), settings, wish.games)


def _refused(wish: PromoteWish, reason: str | None) -> PromotionResult:
    """The result of a dry run, so far."""
    return PromotionResult(game=str(wish.key), promoted=False, dry_run=True, failure_reason=reason)


def _tell(say: Say, report: Report) -> None:
    if report.get("event") == "progress":
        say(f"against {report.get('opponent')}: {report.get('wins')} of {report.get('games')} games won")


# ---- rollback ----


async def _rollback(settings: Settings, key: ConfigKey, to_version: int | None, reason: str) -> RollbackResult:
    body = {"model_id": str(key), "to_version": to_version, "reason": reason}
    try:
        return RollbackResult.model_validate(await request(settings.node.data_dir, "POST", "/admin/rollback", body))
    except NotRunning:
        pass
    async with _own_node(settings, REQUESTS) as node:
        return await node.rollback.rollback_model(str(key), to_version, reason)


# ---- daemon ----


async def _watch(settings: Settings, interval_s: float, say: Say) -> None:
    try:
        await _watch_loop(settings.node.data_dir, interval_s, say)
    except NotRunning:
        await _evaluate(settings, interval_s, say)


async def _watch_loop(data_dir: Path, interval_s: float, say: Say) -> None:
    """Tell what the running loop promotes, until it ends."""
    told: object = (await request(data_dir, "GET", GATE))["last_evaluation"]
    say("a loop works here and promotes what passes by itself (promotion.auto_promote); watching it")
    while True:
        await asyncio.sleep(interval_s)
        try:
            latest = (await request(data_dir, "GET", GATE))["last_evaluation"]
        except NotRunning:
            say("the loop has ended")
            return
        if latest is not None and latest != told:
            say(told_in_a_line(PromotionResult.model_validate(latest)))
        told = latest


async def _evaluate(settings: Settings, interval_s: float, say: Say) -> None:
    """Be a node that judges and promotes, and trains nothing."""
    async with _own_node(settings, EVALUATION) as node:
        node.consensus.on_applied(partial(_applied, say))
        say(f"no loop works here: gauntlets, promotions and rollbacks of {', '.join(settings.games)}; Ctrl-C ends it")
        while True:
            await asyncio.sleep(interval_s)
            say(_standing(node))


def _applied(say: Say, _before: ClusterState, after: ClusterState, result: Result) -> None:
    for transition in result.transitions:
        if transition.what in {What.CHAMPION_PROMOTED, What.CHAMPION_ROLLED_BACK} and transition.game is not None:
            reign = after.learner(transition.game).reign
            assert reign is not None, "somebody was crowned a moment ago"
            say(f"{transition.game}: the champion is {reign.sha256[:16]} ({reign.kind}: {reign.reason})")


def _standing(node: Pipeline) -> str:
    jobs = [job.id for job in node.consensus.state.jobs.active.values() if job.kind in {"gauntlet", "canary"}]
    waits = [f"{wait.game}: {wait.what}: {wait.why}" for wait in node.waits]
    return "; ".join([f"jobs: {', '.join(jobs) or 'none'}", *waits])


def told_in_a_line(result: PromotionResult) -> str:
    """A result for people, in short."""
    rates = ", ".join(f"{rate:.1%} against {who}" for who, rate in result.win_rates.items())
    verdict = "promoted" if result.promoted else f"not promoted: {result.failure_reason}"
    if result.dry_run:
        verdict = "it would be promoted" if result.passed else f"it would not be promoted: {result.failure_reason}"
    return f"{result.game} {(result.sha256 or '')[:16]}: {verdict}" + (f" ({rates})" if rates else "")
