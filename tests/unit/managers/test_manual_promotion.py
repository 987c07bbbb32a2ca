"""What people ask for: a net is judged and promoted as every candidate is, or forced; they are told what came of it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from config.schema import Settings
from config.sections import PromotionSettings
from managers.manual_promotion import ManualPromotion
from managers.node_folder import NodeFolder
from managers.ports import BusyError
from managers.promotion_controller import PromotionController
from managers.promotion_desk import REQUESTS_MAX, TICKETS_MAX, Progress, PromotionDesk, Request, Ticket
from managers.promotion_result import PromotionResult, asked_form, gate_plan
from managers.proposer import Proposer
from managers.state import LocalConsensus
from managers.state.commands import AddNet, Body, Cancel, HaltAll, Judge, Promote, RollBack
from managers.state.learners import Learner
from managers.state.machine import StateMachine
from managers.state.tasks import GateForm
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game import Game
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry import ModelRegistry
from ringrift_core.registry.admission import AdmittedNet
from tests.unit.managers.verdicts import BEGAN, GAME, NETS, STRONG, WEAK, Consensus, World, umpire

A, B, C, *_ = NETS
WHERE = ("hex8", 2)


@dataclass
class Desk:
    """A node that judges: no processes, no files but the registry's, which installs nothing unless told."""

    root: Path
    settings: Settings
    consensus: Consensus
    world: World = field(default_factory=World)
    rules: str = Game.RULES_DIGEST

    def __post_init__(self) -> None:
        self.proposer = Proposer(self.consensus, "people", lambda: BEGAN)
        controller = PromotionController(self.settings, self.world.read)
        folder = NodeFolder(self.root)
        self.promotion = ManualPromotion(self.settings, self.consensus, self.proposer, folder, self.admit, controller)

    async def admit(self, model_path: str, key: ConfigKey) -> AdmittedNet:
        if model_path not in NETS:
            raise StorageError(f"{model_path}: there is no such file")
        return AdmittedNet(
            sha256=model_path, size_bytes=1, version=1, parent=None, evaluations=0, samples_total=0,
            rules_digest=self.rules,
        )  # fmt: skip

    @property
    def learner(self) -> Learner:
        return self.consensus.state.learner(GAME)

    async def do(self, *bodies: Body) -> None:
        for body in bodies:
            answer = await self.proposer.propose(body)
            assert answer.accepted, answer.reason

    async def champions(self, *nets: str) -> None:
        for sha256 in nets:
            await self.do(AddNet(game=GAME, sha256=sha256, size_bytes=1, version=1, parent=None))
            expected = self.learner.champion
            await self.do(Promote(game=GAME, candidate=sha256, expected=expected, how="manual", reason="test"))

    async def evaluate(self, net: str, games: int | None = None) -> PromotionResult:
        return await self.promotion.evaluate_and_promote(net, *WHERE, games)


@pytest.fixture(autouse=True)
def _nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody installs here, so nobody waits for it."""

    async def at_once(*_: object) -> bool:
        return True

    monkeypatch.setattr("managers.manual_promotion.wait_installed", at_once)


def asked(
    root: Path,
    ask: Callable[[Desk], Awaitable[object]],
    *,
    blocks: tuple[int, ...] | None = STRONG,
    before: tuple[Body, ...] = (),
    champions: tuple[str, ...] = (),
    **promotion: object,
) -> tuple[Desk, Any]:
    """Ask a node in which an umpire plays gauntlets with the given success (None: nobody plays)."""
    settings = Settings(promotion=PromotionSettings.model_validate(promotion))

    async def main() -> tuple[Desk, object]:
        async with asyncio.timeout(20), LocalConsensus(StateMachine(), None) as consensus:
            desk = Desk(root, settings, consensus)
            await desk.champions(*champions)
            playing = (
                None if blocks is None else asyncio.create_task(umpire(consensus, desk.world, blocks, before=before))
            )
            try:
                return desk, await ask(desk)
            finally:
                if playing is not None:
                    playing.cancel()
                    await asyncio.wait([playing])

    return asyncio.run(main())


def result_of(root: Path, net: str, games: int | None = None, **more: object) -> PromotionResult:
    """What comes of evaluate_and_promote."""
    _, found = asked(root, lambda desk: desk.evaluate(net, games), **more)  # type: ignore[arg-type]
    assert isinstance(found, PromotionResult)
    return found


# ---- evaluate_and_promote ----


def test_a_net_that_passes_is_promoted_and_the_result_says_against_whom(tmp_path):
    result = result_of(tmp_path, B, champions=(A,))
    assert (result.promoted, result.passed, result.sha256, result.replaces) == (True, True, B, A)
    assert result.failure_reason is None
    assert set(result.win_rates) == {"random", "heuristic", "champion"}
    assert result.win_rates["champion"] == pytest.approx(0.95)
    assert result.canonical_path == str(tmp_path / "models" / f"canonical_{GAME}.pth")
    assert result.gauntlet is not None
    assert result.how == "gate"


def test_a_net_that_fails_is_not_promoted_and_the_reason_is_that_of_the_gauntlet(tmp_path):
    desk, result = asked(tmp_path, lambda desk: desk.evaluate(B), blocks=WEAK, champions=(A,))
    assert (result.promoted, result.passed, result.canonical_path) == (False, False, None)
    assert result.failure_reason is not None
    assert "games against random" in result.failure_reason
    assert set(result.win_rates) == {"random"}
    assert desk.learner.champion == A


def test_a_person_promotes_what_passes_also_without_auto_promote(tmp_path):
    assert result_of(tmp_path, A, auto_promote=False).promoted


def test_the_games_asked_for_are_the_least_of_the_gauntlet(tmp_path):
    desk, _ = asked(tmp_path, lambda desk: desk.evaluate(A, 77))
    (job,) = desk.consensus.state.jobs.finished.values()
    assert job.task.kind == "gauntlet"
    assert (job.task.form.games, job.task.form.asked, job.priority) == (77, True, 90)


def test_a_net_that_has_passed_already_is_promoted_without_another_gauntlet(tmp_path):
    async def ask(desk: Desk) -> PromotionResult:
        await desk.do(AddNet(game=GAME, sha256=A, size_bytes=1, version=1, parent=None))
        await desk.do(Judge(game=GAME, candidate=A, seed=1, form=GateForm()))
        while desk.learner.nets[A].gauntlet is None:
            await desk.consensus.changed(desk.consensus.version, 5.0)
        return await desk.evaluate(A)

    desk, result = asked(tmp_path, ask, auto_promote=False)
    assert result.promoted
    assert set(result.win_rates) == {"random", "heuristic"}
    assert len(desk.consensus.state.jobs.finished) == 1


def test_a_gauntlet_that_the_net_waits_for_is_waited_for_and_not_queued_twice(tmp_path):
    async def ask(desk: Desk) -> object:
        return await asyncio.gather(desk.evaluate(A), desk.evaluate(A))

    desk, results = asked(tmp_path, ask)
    assert [result.promoted for result in results] == [True, True]
    assert len(desk.consensus.state.jobs.finished) == 1


def test_the_champion_itself_is_refused(tmp_path):
    result = result_of(tmp_path, A, champions=(A,))
    assert result.failure_reason == f"{A[:16]} is the champion already"


def test_a_blocked_net_is_refused_with_its_reason(tmp_path):
    async def ask(desk: Desk) -> PromotionResult:
        await desk.do(RollBack(game=GAME, expected=B, to=A, trigger="manual", reason="it was weak"))
        return await desk.evaluate(B)

    _, result = asked(tmp_path, ask, champions=(A, B))
    assert result.failure_reason == f"{B[:16]} is blocked (it was weak); only force promotes it"


def test_a_halted_node_plays_no_gauntlet_and_says_so(tmp_path):
    async def ask(desk: Desk) -> PromotionResult:
        await desk.do(HaltAll(by="ada", reason="a break"))
        return await desk.evaluate(A)

    _, result = asked(tmp_path, ask, blocks=None)
    assert result.failure_reason == "halted by ada: no gauntlet is played; resume first"


def test_a_cancelled_gauntlet_is_the_failure_reason(tmp_path):
    async def ask(desk: Desk) -> PromotionResult:
        asking = asyncio.create_task(desk.evaluate(A))
        while not desk.consensus.state.jobs.active:
            await desk.consensus.changed(desk.consensus.version, 5.0)
        (name,) = desk.consensus.state.jobs.active
        await desk.do(Cancel(job=name, reason="nobody wants it"))
        return await asking

    _, result = asked(tmp_path, ask, blocks=None)
    assert (result.promoted, str(result.failure_reason).split(" ", 1)[1]) == (False, "cancelled: nobody wants it")


def test_when_the_champion_changes_meanwhile_the_net_is_not_promoted(tmp_path):
    added = AddNet(game=GAME, sha256=C, size_bytes=1, version=1, parent=None)
    faster = Promote(game=GAME, candidate=C, expected=A, how="manual", reason="faster")
    desk, result = asked(tmp_path, lambda desk: desk.evaluate(B), before=(added, faster), champions=(A,))
    assert not result.promoted
    assert "the champion has changed" in str(result.failure_reason)
    assert desk.learner.champion == C


def test_a_stored_gauntlet_that_cannot_be_read_promotes_nobody(tmp_path):
    async def ask(desk: Desk) -> PromotionResult:
        desk.promotion._controller = PromotionController(desk.settings, World().read)
        return await desk.evaluate(A)

    desk, result = asked(tmp_path, ask)
    assert str(result.failure_reason).startswith("the gauntlet cannot be read: there is no gauntlet")
    assert desk.learner.champion is None


def test_ringrift_skip_gauntlet_promotes_without_games_but_never_a_blocked_net(tmp_path):
    result = result_of(tmp_path, B, blocks=None, champions=(A,), skip_gauntlet=True)
    assert (result.promoted, result.passed, result.how, result.win_rates) == (True, False, "manual", {})

    async def ask(desk: Desk) -> PromotionResult:
        await desk.do(RollBack(game=GAME, expected=B, to=A, trigger="manual", reason="weak"))
        return await desk.evaluate(B)

    _, refused = asked(tmp_path, ask, blocks=None, champions=(A, B), skip_gauntlet=True)
    assert not refused.promoted


def test_wrong_wishes_are_errors(tmp_path):
    for ask, error in [
        (lambda desk: desk.promotion.evaluate_and_promote(A, "hex9", 2), RulesError),
        (lambda desk: desk.promotion.evaluate_and_promote(A, "hex8", 5), RulesError),
        (lambda desk: desk.promotion.evaluate_and_promote(A, "hex8", 2, 0), RulesError),
        (lambda desk: desk.promotion.force(A, "hex8", 2, "  "), RulesError),
        (lambda desk: desk.promotion.evaluate_and_promote("nowhere.pth", "hex8", 2), StorageError),
    ]:
        with pytest.raises(error):
            asked(tmp_path, ask, blocks=None)


# ---- force ----


def force(root: Path, net: str, **more: object) -> tuple[Desk, PromotionResult]:
    desk, result = asked(root, lambda desk: desk.promotion.force(net, *WHERE, "I know it"), blocks=None, **more)  # type: ignore[arg-type]
    return desk, result


def test_a_forced_promotion_plays_nothing_and_keeps_its_reason(tmp_path):
    desk, result = force(tmp_path, B, champions=(A,))
    assert (result.promoted, result.how, result.passed, result.replaces) == (True, "manual", False, A)
    reign = desk.learner.reign
    assert reign is not None
    assert (reign.kind, reign.reason) == ("manual", "forced: I know it")
    assert not desk.consensus.state.jobs.active


def test_force_promotes_a_blocked_net_and_ends_the_block(tmp_path):
    async def ask(desk: Desk) -> PromotionResult:
        await desk.do(RollBack(game=GAME, expected=B, to=A, trigger="manual", reason="weak"))
        return await desk.promotion.force(B, *WHERE, "it was not")

    desk, result = asked(tmp_path, ask, blocks=None, champions=(A, B))
    assert result.promoted
    assert desk.learner.blocked == {}


def test_force_does_not_promote_a_net_of_other_rules(tmp_path):
    async def ask(desk: Desk) -> PromotionResult:
        desk.rules = "0" * 64
        return await desk.promotion.force(A, *WHERE, "why not")

    desk, result = asked(tmp_path, ask, blocks=None)
    assert not result.promoted
    assert "made for the rules 0000000000000000" in str(result.failure_reason)
    assert desk.learner.champion is None


def test_the_champion_is_not_forced_again(tmp_path):
    _, result = force(tmp_path, A, champions=(A,))
    assert (result.promoted, result.failure_reason) == (False, f"{A[:16]} is the champion already")


# ---- last_evaluation, plans ----


def test_last_evaluation_is_the_latest_verdict_whoever_asked_for_it(tmp_path):
    async def ask(desk: Desk) -> object:
        before = desk.promotion.last_evaluation
        await desk.evaluate(A)
        return before

    desk, before = asked(tmp_path, ask)
    assert before is None
    last = desk.promotion.last_evaluation
    assert last is not None
    assert (last.sha256, last.promoted, last.passed) == (A, True, True)


def test_a_plan_is_the_gauntlet_that_would_be_queued(tmp_path):
    desk, _ = asked(tmp_path, lambda desk: desk.evaluate(C, 60), champions=(A, B))
    (job,) = desk.consensus.state.jobs.finished.values()
    world = World()
    world.champions(A, B)
    plan = gate_plan(world.learner, desk.settings, 60)
    assert plan.job(C, 1).task.model_copy(update={"seed": 0}) == job.task.model_copy(update={"seed": 0})


def test_more_games_than_the_settings_allow_at_most_raise_that_too():
    settings = Settings.model_validate({"evaluation": {"games": 10, "games_max": 20}})
    assert (asked_form(settings, None).games, asked_form(settings, None).games_max) == (10, 20)
    assert (asked_form(settings, 60).games, asked_form(settings, 60).games_max) == (60, 60)


# ---- the desk ----


def submitted(desk: Desk, *requests: Request) -> Awaitable[list[Ticket]]:
    async def main() -> list[Ticket]:
        counter = PromotionDesk(desk.promotion)
        serving = asyncio.create_task(counter.run(lambda: None))
        try:
            numbers = [counter.submit(request).number for request in requests]
            for number in numbers:
                await done(counter, number)
            return [counter.tickets[number] for number in numbers]
        finally:
            serving.cancel()
            await asyncio.wait([serving])

    return main()


async def done(counter: PromotionDesk, number: int) -> None:
    while counter.tickets[number].progress is not Progress.DONE:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0)


def request(net: str, **more: object) -> Request:
    return Request.model_validate({"model_path": net, "board_type": "hex8", "num_players": 2, **more})


def test_every_request_has_a_result_under_its_number_and_a_bad_one_its_error(tmp_path):
    wishes = (request(A), request("nowhere.pth"), request(B, force=True, reason="now"))
    _, tickets = asked(tmp_path, lambda desk: submitted(desk, *wishes))
    one, two, three = tickets
    assert (one.number, two.number, three.number) == (1, 2, 3)
    assert two.result is None
    assert two.error == "nowhere.pth: there is no such file"
    assert three.result.promoted
    assert one.result is not None


def test_a_forced_request_does_not_wait_for_a_gauntlet(tmp_path):
    async def ask(desk: Desk) -> object:
        counter = PromotionDesk(desk.promotion)
        serving = asyncio.create_task(counter.run(lambda: None))
        slow = counter.submit(request(A))
        fast = counter.submit(request(B, force=True, reason="now"))
        await done(counter, fast.number)
        serving.cancel()
        await asyncio.wait([serving])
        return counter.tickets[slow.number], counter.tickets[fast.number]

    _, tickets = asked(tmp_path, ask, blocks=None)
    slow, fast = tickets
    assert fast.result.promoted
    assert slow.error == "ended with the service"


def test_too_many_requests_are_refused_and_old_results_forgotten(tmp_path):
    async def ask(desk: Desk) -> object:
        counter = PromotionDesk(desk.promotion)
        for _ in range(REQUESTS_MAX):
            counter.submit(request(A))
        with pytest.raises(BusyError, match="asked for already"):
            counter.submit(request(A))
        for number in range(1000, 1000 + TICKETS_MAX):
            counter.tickets[number] = Ticket(number=number, request=request(A), progress=Progress.DONE)
        counter.tickets[1] = counter.tickets[1].model_copy(update={"progress": Progress.DONE})
        counter.submit(request(A))
        return len(counter.tickets)

    _, kept = asked(tmp_path, ask, blocks=None)
    assert kept == TICKETS_MAX


def test_a_registry_without_the_net_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.undo()
    from managers.manual_promotion import wait_installed

    assert not asyncio.run(wait_installed(ModelRegistry(tmp_path), ConfigKey.parse(GAME), A, timeout_s=0.0))


def test_a_promotion_waits_for_its_net_as_long_as_the_settings_say(tmp_path, monkeypatch: pytest.MonkeyPatch):
    waited: list[float] = []

    async def never(_registry: object, _key: object, _sha256: str, timeout_s: float) -> bool:
        waited.append(timeout_s)
        return False

    monkeypatch.setattr("managers.manual_promotion.wait_installed", never)
    _, result = force(tmp_path, B, champions=(A,), distribution_timeout_seconds=7.0)
    assert waited == [7.0]
    assert (result.promoted, result.canonical_path) == (True, None)
