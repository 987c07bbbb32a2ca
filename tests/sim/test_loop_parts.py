"""Every part of the loop is left out once, to see which outcome disappears; and what holds without being told."""

from collections.abc import Callable

import pytest

from config.schema import Settings
from managers.state.cluster_state import What
from managers.state.learners import NetStatus
from managers.state.tasks import TrainingTask
from tests.sim.loop import Faults, Loop, Plan

GAME = "hex8_2p"
LONG_S = 3600.0
SETTINGS = Settings.model_validate(
    {
        "games": (GAME,),
        "selfplay": {"bootstrap_games": 100},
        "training": {"trigger_threshold_games": 120, "bootstrap_steps": 30, "steps": 30},
        "jobs": {"hang_seconds": 120.0},
    }
)
ONE_NET = SETTINGS.model_copy(
    update={"training": SETTINGS.training.model_copy(update={"trigger_threshold_games": 1_000_000})}
)


def loop(*without: str, settings: Settings = SETTINGS, seed: int = 3, wakes: bool = True, **nodes: int) -> Loop:
    """A quiet loop: nothing goes wrong by itself."""
    return Loop(Plan(seed, settings, nodes or {"a": 4}, without=frozenset(without), wakes=wakes))


def happened(sim: Loop, what: What) -> int:
    """How often something happened."""
    return sum(it.what is what for _, _, result in sim.history for it in result.transitions)


def played(sim: Loop) -> bool:
    return sim.state.learner(GAME).total.games > 0


def trained(sim: Loop) -> bool:
    return bool(sim.state.learner(GAME).nets)


def crowned(sim: Loop) -> bool:
    return sim.state.learner(GAME).champion is not None


def improved(sim: Loop) -> bool:
    return len(sim.state.learner(GAME).reigns) > 2


def watched(sim: Loop) -> bool:
    return bool(sim.state.learner(GAME).seen)


def taken_back(sim: Loop) -> bool:
    """A weak champion is forced upon it, and taken back."""
    if not sim.run(LONG_S, lambda: crowned(sim)):
        return False
    sim.force(GAME, 1000.0)
    return sim.run(900, lambda: bool(sim.state.learner(GAME).rollbacks))


def rejudged(sim: Loop) -> bool:
    """A gauntlet is given up; its candidate gets another one."""

    def waits() -> bool:
        return any(job.kind == "gauntlet" for job in sim.state.jobs.active.values())

    if not sim.run(LONG_S, waits):
        return False
    job = next(job for job in sim.state.jobs.active.values() if job.kind == "gauntlet")
    sim.cancel(job.id)
    (name,) = sim.state.learner(GAME).nets
    sim.run(60, lambda: sim.state.learner(GAME).nets[name].status is not NetStatus.CANDIDATE)
    return sim.run(120, lambda: sim.state.learner(GAME).nets[name].status is not NetStatus.UNJUDGED)


def recovered(sim: Loop) -> bool:
    """The node that trains is never heard again; another one ends the training."""

    def training_node() -> str | None:
        found = (job.node for job in sim.state.jobs.active.values() if isinstance(job.task, TrainingTask))
        return next(found, None)

    if not sim.run(LONG_S, lambda: training_node() is not None):
        return False
    sim.nodes[training_node() or ""].cut(1e9)
    return sim.run(LONG_S, lambda: trained(sim))


def by(seconds: float, what: Callable[[Loop], bool]) -> Callable[[Loop], bool]:
    return lambda sim: sim.run(seconds, lambda: what(sim))


@pytest.mark.parametrize(
    ("part", "outcome", "still"),
    [
        ("QUEUE_POPULATOR", by(LONG_S, played), lambda sim: sim.state.members),
        ("DISPATCHER", by(LONG_S, played), lambda sim: sim.state.jobs.active),
        ("JOB_MANAGER", by(LONG_S, played), lambda sim: sim.state.jobs.on("a")),
        ("DATA_COUNTER", by(LONG_S, trained), lambda sim: sim.nodes["a"].disk),
        ("TRAINING_COORDINATOR", by(LONG_S, trained), played),
        ("AUTO_PROMOTION", by(LONG_S, crowned), trained),
        ("FEEDBACK_LOOP", rejudged, trained),
        ("SHADOW_TOURNAMENT", by(LONG_S, watched), crowned),
    ],
)
def test_without_a_part_its_outcome_is_missing(part, outcome, still):
    assert outcome(loop()), "with all parts it is there"
    sim = loop(part)
    assert not outcome(sim)
    assert still(sim), "what comes before it is there"


@pytest.mark.parametrize("part", ["SHADOW_TOURNAMENT", "ROLLBACK"])
def test_without_canaries_or_rollback_a_weak_champion_stays(part):
    assert taken_back(loop(settings=ONE_NET))
    sim = loop(part, settings=ONE_NET)
    assert not taken_back(sim)
    assert len(sim.state.learner(GAME).reigns) == 2


def test_without_the_reaper_the_jobs_of_a_dead_node_never_come_back():
    assert recovered(loop(a=3, b=3))
    sim = loop("JOB_REAPER", a=3, b=3)
    assert not recovered(sim)
    assert played(sim)


@pytest.mark.parametrize("seed", [1, 2])
def test_where_nobody_is_told_of_changes_the_loop_goes_on_all_the_same(seed):
    """Deciders and nodes look by themselves, so an event that is dropped costs time only."""
    assert by(3 * LONG_S, improved)(loop(seed=seed, wakes=False))


def test_one_seed_replays_everything():
    def run() -> list[tuple[float, str, int]]:
        plan = Plan(11, SETTINGS, {"a": 3, "b": 2}, Faults(900.0, every_s=60.0))
        sim = Loop(plan)
        sim.run(1500)
        return [(t, command.model_dump_json(), result.seq) for t, command, result in sim.history]

    first = run()
    assert first == run()
    assert len(first) > 100


def test_the_faults_that_are_drawn_really_happen():
    twice = SETTINGS.model_copy(update={"jobs": SETTINGS.jobs.model_copy(update={"attempts_max": 2})})
    sim = Loop(Plan(6, twice, {"a": 3, "b": 2}, Faults(3600.0, every_s=40.0, failing_share=0.4)))

    sim.run(3600)
    assert min(sim.checks.repeated, sim.checks.refused, sim.checks.late) > 0
    assert min(happened(sim, what) for what in (What.JOB_LOST, What.JOB_RETRIED, What.JOB_FAILED)) > 0
    assert max(node.session for node in sim.nodes.values()) > 1


def test_a_halt_stops_everything_and_its_end_starts_it_again():
    sim = loop()
    assert sim.run(LONG_S, lambda: played(sim))
    sim.halt()
    sim.run(60)
    assert not any(node.running for node in sim.nodes.values())
    before = sim.state.learner(GAME).total.games
    sim.run(600)
    assert sim.state.learner(GAME).total.games == before
    sim.resume()
    assert sim.run(LONG_S, lambda: crowned(sim))


@pytest.mark.parametrize("cores", [1, 2])
def test_no_configuration_starves_although_others_train_and_are_judged(cores):
    games = ("hex8_2p", "hex8_3p", "square8_2p", "square8_4p")
    form = SETTINGS.model_dump() | {"games": games, "selfplay": {"bootstrap": "none", "minutes_per_job": 10.0}}
    sim = Loop(Plan(4, Settings.model_validate(form), {"a": cores}, without=frozenset({"ROLLBACK"})))
    sim.run(2 * 3600)
    for node in sim.nodes.values():
        node.crash(1.0)  # what runs is counted when it ends
    played_s = {game: sum(node.played_s.get(game, 0.0) for node in sim.nodes.values()) for game in games}
    least = sim.settings.scheduler.floor(len(games))
    assert min(played_s.values()) >= 0.5 * least * sum(played_s.values()), played_s
    assert all(sim.state.learner(game).nets for game in games)
