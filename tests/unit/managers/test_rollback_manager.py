"""Who is taken back: a champion that is surely weaker than the one before it, unless something restrains it."""

import pytest

from config.loading import load
from config.schema import Settings
from config.sections import RollbackSettings
from managers.decision import Decision
from managers.rollback_manager import RollbackManager, get_rollback_history
from managers.state.cluster_state import ClusterState
from managers.state.commands import HoldRollbacks, RollBack
from managers.state.learners import Baseline, JobGames, Learner, SeenBlocks
from ringrift_core.players.names import SIMPLE
from ringrift_core.registry import Trigger
from tests.unit.managers.verdicts import BEGAN, GAME, NETS, World

A, B, C, D, *_ = NETS
HEURISTIC = SIMPLE["heuristic"].sha256
LOST, EVEN = (0,) * 60, (1,) * 60  # blocks of two games: how many were won
LATER = BEGAN + 600.0


def settings(**changes: object) -> Settings:
    return Settings(rollback=RollbackSettings.model_validate(changes))


def reigning(*nets: str) -> World:
    world = World()
    world.champions(*nets)
    return world


def with_learner(world: World, **changes: object) -> ClusterState:
    learner = world.learner.model_copy(update=changes)
    return world.state.model_copy(update={"learners": {GAME: learner}})


def seen(wins: tuple[int, ...], opponent: str = A) -> tuple[SeenBlocks, ...]:
    return (SeenBlocks(at=BEGAN + 300.0, opponent=opponent, wins=wins, match="0" * 16),)


def decided(state: ClusterState, now: float = LATER, **changes: object) -> Decision:
    return RollbackManager(settings(**changes)).decide(state, now)


def test_without_a_champion_or_games_nothing_is_decided():
    assert decided(ClusterState()) == Decision()
    assert decided(reigning(A, B).state) == Decision()


def test_a_champion_that_keeps_up_stays():
    assert decided(with_learner(reigning(A, B), seen=seen(EVEN))) == Decision()


def test_a_champion_that_loses_to_the_one_before_it_is_taken_back_and_blocked():
    world = reigning(A, B)
    world.state = with_learner(world, seen=seen(LOST))
    (body,) = decided(world.state).bodies
    assert isinstance(body, RollBack)
    assert (body.expected, body.to, body.trigger) == (B, A, "auto_elo")
    assert body.metrics["games"] == 120
    world.do(body)
    assert (world.learner.champion, set(world.learner.blocked)) == (A, {B})
    assert decided(world.state) == Decision()


def test_without_the_manager_a_weak_champion_stays():
    """The removal test: nothing but its decision takes a champion back."""
    world = reigning(A, B)
    world.state = with_learner(world, seen=seen(LOST))
    assert world.learner.champion == B


def test_a_champion_whose_games_fail_is_taken_back():
    failing = (JobGames(at=BEGAN + 300.0, games=30, failed=30),) * 20
    (body,) = decided(with_learner(reigning(A, B), job_games=failing)).bodies
    assert isinstance(body, RollBack)
    assert body.trigger == "auto_error"


def test_right_after_the_installation_nothing_is_decided():
    state = with_learner(reigning(A, B), seen=seen(LOST))
    assert decided(state, BEGAN + 100.0) == Decision()
    assert decided(state, BEGAN + 301.0).bodies


@pytest.mark.parametrize(
    ("changes", "held", "why"),
    [({"enabled": False}, "", "rollback.enabled is false"), ({}, "look at it first", "look at it first")],
)
def test_a_restrained_rollback_says_why_it_would_be_and_what_holds_it(changes, held, why):
    decision = decided(with_learner(reigning(A, B), seen=seen(LOST), held=held), **changes)
    assert decision.bodies == ()
    (wait,) = decision.waits
    assert (wait.game, wait.what) == (GAME, "rollback")
    assert wait.why.endswith(f"; {why}")
    assert "Elo lost" in wait.why


def test_with_nothing_to_go_back_to_a_person_is_called():
    baseline = Baseline(opponent=HEURISTIC, blocks=(0, 0, 100))
    state = with_learner(reigning(A), seen=seen(LOST, HEURISTIC), baselines=(baseline,))
    (body,) = decided(state).bodies
    assert isinstance(body, HoldRollbacks)
    assert "nothing to roll back to" in body.reason


def test_a_third_rollback_in_a_day_is_left_to_a_person():
    world = reigning(A, B)
    for bad in (B, C):
        world.do(RollBack(game=GAME, expected=bad, to=A, trigger="auto_elo", reason="weak"))
        world.champions(D if bad == C else C)
    (body,) = decided(with_learner(world, seen=seen(LOST))).bodies
    assert isinstance(body, HoldRollbacks)
    assert "2 rollbacks in the last 24 hours did not help" in body.reason


def test_rollbacks_by_hand_do_not_count_for_the_day():
    world = reigning(A, B)
    for bad in (B, C):
        world.do(RollBack(game=GAME, expected=bad, to=A, trigger="manual", reason="weak"))
        world.champions(D if bad == C else C)
    (body,) = decided(with_learner(world, seen=seen(LOST))).bodies
    assert isinstance(body, RollBack)


def test_the_thresholds_are_those_of_the_settings():
    manager = RollbackManager(load(overrides={"rollback.min_games_for_evaluation": 500}, environment={}).settings)
    assert manager.decide(with_learner(reigning(A, B), seen=seen(LOST)), LATER) == Decision()


def test_a_rollback_by_hand_goes_to_the_champion_before_or_to_the_one_that_is_named():
    manager, world = RollbackManager(settings()), reigning(A, B, C)
    one = manager.rollback(world.learner, Trigger.MANUAL, "why")
    other = manager.rollback(world.learner, Trigger.MANUAL, "why", A)
    assert one is not None
    assert other is not None
    assert (one.to, other.to) == (B, A)
    assert manager.rollback(reigning(A).learner, Trigger.MANUAL, "why") is None
    assert manager.rollback(Learner(game=GAME), Trigger.MANUAL, "why") is None


def test_the_history_is_newest_first_of_one_configuration_and_bounded():
    world = reigning(A, B)
    world.do(RollBack(game=GAME, expected=B, to=A, trigger="manual", reason="first"))
    world.now += 60
    world.champions(C)
    world.do(RollBack(game=GAME, expected=C, to=A, trigger="auto_error", reason="second"))
    events = get_rollback_history([world.learner], {A: 1, B: 2, C: 3}, GAME)
    assert [event.reason for event in events] == ["second", "first"]
    assert (events[0].from_version, events[0].to_version, events[0].trigger) == (3, 1, Trigger.AUTO_ERROR)
    assert get_rollback_history([world.learner], {}, None, 1)[0].reason == "second"
    assert get_rollback_history([world.learner], {}, "hex8_3p") == ()
