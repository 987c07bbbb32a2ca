"""Who becomes champion: what passed against the present champion, as its stored gauntlet bears out, and nobody else."""

import pytest

from config.loading import load
from config.schema import Settings
from config.sections import PromotionSettings
from managers.decision import Decision
from managers.feedback_loop_controller import FeedbackLoopController
from managers.promotion_controller import DAY_S, PromotionController
from managers.state.commands import Assign, Complete, Enqueue, Join, Judge, Promote, RollBack
from managers.state.learners import NetStatus
from managers.state.tasks import GateForm, TrainingOutcome, TrainingTask
from managers.training_coordinator import gate_form
from tests.unit.managers.verdicts import BEGAN, GAME, NETS, NODE, STRONG, WEAK, World, added

A, B, C, *_ = NETS


def settings(**promotion: object) -> Settings:
    return Settings(promotion=PromotionSettings.model_validate(promotion))


def decided(world: World, **promotion: object) -> Decision:
    return PromotionController(settings(**promotion), world.read).decide(world.state, world.now)


def why(decision: Decision) -> str:
    assert decision.bodies == ()
    assert [(wait.game, wait.what) for wait in decision.waits] == [(GAME, "promotion")]
    return decision.waits[0].why


def trained(world: World, sha256: str, gate: GateForm | None = None) -> None:
    """The loop trains a net; without a gate nobody judges it."""
    if NODE not in world.state.members:
        world.do(Join(node=NODE, session=1, cores=1))
    task = TrainingTask(game=GAME, size="nano", seed=1, steps=1, rows_made=1, games_made=1, gate=gate)
    name = world.do(Enqueue(task=task, priority=70)).job
    assert name is not None
    fence = world.do(Assign(job=name, node=NODE, session=1)).seq
    outcome = TrainingOutcome(
        candidate=sha256, size_bytes=1, version=1, steps=1, samples_total=1, rows=1, evaluations=0
    )
    world.do(Complete(job=name, fence=fence, outcome=outcome))


def test_a_net_that_passed_becomes_champion_in_the_place_of_the_one_it_met():
    world = World()
    world.champions(A)
    stem = world.judged(B)
    decision = decided(world)
    (body,) = decision.bodies
    assert isinstance(body, Promote)
    assert (body.candidate, body.expected, body.how, body.evidence) == (B, A, "gate", stem)
    world.do(body)
    assert world.learner.champion == B
    assert decided(world) == Decision()


def test_without_the_controller_what_passed_does_not_become_champion():
    """The removal test: every other part that decides about nets works on, and nobody is crowned."""

    def run(*, controller: bool) -> str | None:
        world = World()
        trained(world, A, GateForm())
        feedback = FeedbackLoopController(settings())
        for _ in range(5):
            for job in list(world.state.jobs.active):
                world.completed(job)
            bodies = feedback.decide(world.state, world.now).bodies
            if controller:
                bodies += decided(world).bodies
            world.do(*bodies) if bodies else None
        assert world.learner.nets[A].status in {NetStatus.PASSED, NetStatus.PROMOTED}
        return world.learner.champion

    assert run(controller=True) == A
    assert run(controller=False) is None


def test_what_did_not_pass_waits_for_nothing():
    world = World()
    world.judged(A, WEAK)
    assert decided(world) == Decision()


def test_a_net_that_met_a_former_champion_is_not_promoted():
    world = World()
    world.judged(B)
    world.champions(A)
    assert decided(world) == Decision()


def test_a_blocked_net_is_not_promoted():
    world = World()
    world.champions(A, B)
    world.do(RollBack(game=GAME, expected=B, to=A, trigger="manual", reason="weak"))
    world.judged(B)
    assert world.learner.nets[B].status is NetStatus.PASSED
    assert decided(world) == Decision()


def test_the_newest_that_passed_is_promoted():
    world = World()
    world.judged(A)
    world.judged(B)
    (body,) = decided(world).bodies
    assert isinstance(body, Promote)
    assert body.candidate == B


def test_a_gauntlet_that_cannot_be_read_promotes_nobody():
    world = World()
    stem = world.judged(A)
    world.stored.clear()
    assert why(decided(world)) == f"the gauntlet cannot be read: there is no gauntlet {stem}"


def test_the_stored_gauntlet_decides_and_not_what_the_job_said_of_it():
    world = World()
    world.champions(C)
    stem = world.judged(A)
    other = world.judged(B, WEAK)
    world.stored[stem] = world.stored[other].model_copy(update={"candidate": world.stored[stem].candidate})
    assert "failed against random" in why(decided(world))


def test_the_gauntlet_of_another_net_promotes_nobody():
    world = World()
    stem = world.judged(A)
    other = world.judged(B)
    world.stored[stem], world.stored[other] = world.stored[other], world.stored[stem]
    assert decided(world).bodies == ()


def test_without_auto_promote_a_person_is_told_what_to_type():
    world = World()
    world.judged(A)
    told = why(decided(world, auto_promote=False))
    assert f"`ringrift promote --game {GAME} --model models/versions/{A}.pth`" in told


def test_no_more_promotions_a_day_than_allowed_by_the_gate():
    world = World()
    for sha256 in (A, B):
        world.judged(sha256)
        world.do(*decided(world).bodies)
    world.judged(C)
    assert "2 promotions in 24 hours" in why(decided(world, max_promotions_per_day=2))
    assert decided(world, max_promotions_per_day=3).bodies
    world.now = BEGAN + DAY_S
    assert decided(world, max_promotions_per_day=2).bodies


def test_promotions_by_hand_do_not_count_for_the_day():
    world = World()
    world.champions(A, B)
    world.judged(C)
    assert decided(world, max_promotions_per_day=1).bodies


# ---- the environment ----


def by(**variables: str) -> Settings:
    return load(environment=variables).settings


def test_ringrift_auto_promote_false_waits_for_a_person():
    world = World()
    world.judged(A)
    controller = PromotionController(by(RINGRIFT_AUTO_PROMOTE="false"), world.read)
    assert "auto_promote (RINGRIFT_AUTO_PROMOTE) is false" in why(controller.decide(world.state, BEGAN))


def test_ringrift_skip_gauntlet_promotes_every_candidate_without_games_and_queues_none():
    chosen = by(RINGRIFT_SKIP_GAUNTLET="true")
    world = World()
    trained(world, A)
    controller = PromotionController(chosen, world.read)
    assert FeedbackLoopController(chosen).decide(world.state, BEGAN) == Decision()
    (body,) = controller.decide(world.state, BEGAN).bodies
    assert isinstance(body, Promote)
    assert (body.candidate, body.how) == (A, "manual")
    assert "RINGRIFT_SKIP_GAUNTLET" in body.reason
    world.do(body)
    assert controller.decide(world.state, BEGAN) == Decision()


def test_skipping_gauntlets_promotes_neither_a_blocked_net_nor_one_that_a_person_brought():
    world = World()
    trained(world, A)
    world.champions(B)
    blocked = world.learner.model_copy(update={"blocked": {A: "weak"}})
    state = world.state.model_copy(update={"learners": {GAME: blocked}})
    controller = PromotionController(settings(skip_gauntlet=True), world.read)
    assert controller.decide(state, BEGAN) == Decision()
    world = World()
    world.judged(A, WEAK)
    assert PromotionController(settings(skip_gauntlet=True), world.read).decide(world.state, BEGAN) == Decision()


def test_ringrift_gauntlet_games_are_the_least_games_of_the_next_gauntlet():
    assert gate_form(by()).games == 50
    assert gate_form(by(RINGRIFT_GAUNTLET_GAMES="80")).games == 80


@pytest.mark.parametrize(
    ("variable", "opponent"),
    [
        ("RINGRIFT_PROMOTION_RANDOM_WIN_RATE", "random"),
        ("RINGRIFT_PROMOTION_HEURISTIC_WIN_RATE", "heuristic"),
        ("RINGRIFT_PROMOTION_VS_PREVIOUS_WIN_RATE", "champion"),
    ],
)
def test_a_win_rate_of_the_environment_is_asked_of_the_next_gauntlet_and_of_every_stored_one(variable, opponent):
    world = World()
    world.champions(C)
    world.judged(A, STRONG)  # under the documented rates
    strict = by(**{variable: "0.93"})
    assert getattr(gate_form(strict), opponent) == 0.93
    told = why(PromotionController(strict, world.read).decide(world.state, BEGAN))
    assert f"against {opponent}" in told
    assert "the gate has 0.93" in told
    assert PromotionController(by(), world.read).decide(world.state, BEGAN).bodies


@pytest.mark.parametrize(("asked", "cancelled"), [(True, 0), (False, 1)])
def test_a_gauntlet_that_a_person_waits_for_is_not_given_up_for_a_newer_candidate(asked, cancelled):
    world = World()
    trained(world, A)
    world.do(added(B), Judge(game=GAME, candidate=B, seed=1, form=GateForm(asked=asked)))
    bodies = FeedbackLoopController(settings()).decide(world.state, BEGAN).bodies
    assert sum(body.kind == "cancel" for body in bodies) == cancelled
