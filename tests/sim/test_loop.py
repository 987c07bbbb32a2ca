"""The loop under faults drawn by seed: its rules hold after every command, and when the faults end it goes on to win.

RINGRIFT_TEST_SCALE multiplies the number of seeds.
"""

import numpy as np
import pytest

from config.schema import Settings
from tests.property import SCALE
from tests.sim.loop import Faults, Loop, Plan

SEEDS = 24
FAULTY_S = 900.0
WEAKER_ELO = 300.0
CANARY_S = 600.0  # of shadow tournaments, within which a weakened champion is taken back
PATIENCE_S = 8 * 3600.0  # after the faults
GAMES = ("hex8_2p", "square8_2p", "hex8_3p", "square8_4p")


def plan_of(seed: int) -> Plan:
    """A cluster, its settings and its faults, all drawn by the seed."""
    rng = np.random.default_rng([seed, 1])

    def one_of(*values: int) -> int:
        return values[int(rng.integers(len(values)))]

    games = tuple(str(game) for game in rng.permutation(GAMES)[: one_of(1, 1, 2, 3)])
    settings = Settings.model_validate(
        {
            "games": games,
            "seed": seed,
            "selfplay": {
                "bootstrap": ("heuristic", "heuristic", "none")[one_of(0, 1, 2)],
                "bootstrap_games": one_of(0, 150, 300),
                "minutes_per_job": float(one_of(2, 10)),
            },
            "training": {
                "trigger_threshold_games": 120,
                "bootstrap_steps": one_of(0, 60, 100),
                "steps": one_of(0, 40, 56),
                "threads": (None, None, 2)[one_of(0, 1, 2)],
                "max_concurrent_jobs": one_of(1, 1, 2),
            },
            "evaluation": {"anchors_max": one_of(0, 2)},
            "jobs": {"hang_seconds": 120.0, "attempts_max": one_of(1, 3)},
        }
    )
    cores = (1, 2, 3, 6) if len(games) == 1 else (2, 3, 6)
    nodes = {name: one_of(*cores) for name in ("a", "b", "c")[: one_of(1, 1, 2, 3)]}
    return Plan(seed, settings, nodes, Faults(FAULTY_S))


def better(sim: Loop) -> bool:
    """Whether every configuration has a champion of the gate that is stronger than its first one."""
    for game in sim.settings.games:
        reigns = sim.state.learner(game).reigns
        if len(reigns) < 2 or sim.world.elo[reigns[-1].sha256] <= sim.world.elo[reigns[0].sha256]:
            return False
    return True


@pytest.mark.parametrize("seed", range(SEEDS * SCALE))
def test_whatever_goes_wrong_champions_appear_and_improve_and_a_weakened_one_is_taken_back(seed):
    sim = Loop(plan_of(seed))
    sim.run(FAULTY_S)
    assert sim.run(PATIENCE_S, lambda: better(sim)), told(sim)
    assert all(sum(node.played_s.get(game, 0.0) for node in sim.nodes.values()) > 0 for game in sim.settings.games)
    weaken(sim, sim.settings.games[-1])
    assert sim.machine.load(sim.machine.dump(sim.state)) == sim.state


def weaken(sim: Loop, game: str) -> None:
    """Somebody forces a much weaker champion; the rollback is there within some minutes of canary games."""
    before = sim.state.learner(game).champion
    assert before is not None
    sim.run(5)
    weak = sim.force(game, sim.world.elo[before] - WEAKER_ELO)
    assert sim.run(30, lambda: sim.state.learner(game).champion == weak), told(sim)
    seen_s = canary_s(sim, game)
    assert sim.run(7200, lambda: sim.state.learner(game).champion != weak), told(sim)
    end = sim.state.learner(game).reigns[-1]
    assert end.kind == "rollback" or sim.world.elo[end.sha256] > sim.world.elo[weak], told(sim)  # a better candidate
    assert canary_s(sim, game) - seen_s <= CANARY_S


def canary_s(sim: Loop, game: str) -> float:
    """Seconds of shadow tournaments so far."""
    return sum(node.canary_s.get(game, 0.0) for node in sim.nodes.values())


def told(sim: Loop) -> str:
    """Where a loop stands that does not come to its end."""
    lines = [f"seed {sim.plan.seed}, {sim.t:.0f} s"]
    for game in sim.settings.games:
        learner = sim.state.learner(game)
        elos = [f"{reign.kind} {sim.world.elo[reign.sha256]:.0f}" for reign in learner.reigns]
        lines.append(f"{game}: {learner.total.games} games, {len(learner.nets)} nets, reigns {elos}")
    lines += [f"{job.id}: {job.status} {job.node} {job.reason}" for job in sim.state.jobs.active.values()]
    lines += [f"{name}: {wait.game} {wait.what} {wait.why}" for name, waits in sim.waits.items() for wait in waits]
    return "\n".join(lines)
