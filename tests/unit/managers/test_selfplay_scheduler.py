"""Who plays what next: shares, memory, nets."""

import math
from collections.abc import Mapping

import pytest

from config.schema import Settings
from managers.selfplay_scheduler import JobTargets, SelfplayScheduler
from managers.state.commands import Cancel, Enqueue, Qualify
from managers.state.members import Member
from managers.state.tasks import CanaryTask, GateForm, Opponent
from tests.unit.managers.deciding import GAME, OTHER, A, B, Cluster, selfplay, settings_of

TWELVE = tuple(f"{board}_{players}p" for board in ("hex8", "hexagonal", "square19", "square8") for players in (2, 3, 4))


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.node()
    return made


def scheduler_of(*games: str, **sections: Mapping[str, object]) -> SelfplayScheduler:
    return SelfplayScheduler(settings_of(*games, **sections))


def member(cores: int, gpus: int = 0) -> Member:
    return Member(node="a", session=1, cores=cores, gpus=gpus, memory_bytes=0, joined_at=0.0)


# ---- cores ----


@pytest.mark.parametrize(
    ("cores", "gpus", "slots", "targets"), [(4, 0, 1, (0, 4)), (4, 1, 1, (1, 3)), (8, 2, 2, (4, 4)), (1, 2, 1, (2, 0))]
)
def test_every_gpu_slot_keeps_a_core_busy_and_the_others_play_too(cores, gpus, slots, targets):
    scheduler = scheduler_of(jobs={"gpu_slots_per_device": slots})
    assert scheduler.get_hybrid_job_targets(member(cores, gpus)) == JobTargets(*targets)


@pytest.mark.parametrize(
    ("cores", "share", "kept"),
    [(0, 0.5, 0), (1, 0.5, 0), (2, 0.5, 1), (3, 0.5, 2), (4, 0.0, 0), (4, 0.3, 2), (4, 1.0, 3)],
)
def test_selfplay_keeps_its_share_of_a_node_but_never_all_of_it(cores, share, kept):
    scheduler = scheduler_of(selfplay={"minimum_share_of_cores": share})
    assert scheduler.cores_of_selfplay(member(cores)) == kept


# ---- shares ----


@pytest.mark.parametrize("games", [1, 2, 5, 12])
def test_shares_sum_to_one_and_nobody_has_less_than_the_floor(cluster: Cluster, games):
    cluster.data(10_000, game=TWELVE[0])
    cluster.later(1e6)
    shares = scheduler_of(*TWELVE[:games]).shares(cluster.state, cluster.now)
    assert math.isclose(sum(shares.values()), 1.0)
    assert min(shares.values()) >= min(0.1, 1 / games) - 1e-9


def test_a_configuration_with_stale_games_gets_more(cluster: Cluster):
    cluster.data(100)
    cluster.data(100, game=OTHER)
    cluster.later(7200)
    cluster.data(101)
    parts = [scheduler_of(GAME, OTHER).parts(cluster.state, game, cluster.now) for game in (GAME, OTHER)]
    assert [part["staleness"] for part in parts] == [0.0, pytest.approx(0.3 * 2 / 6)]


@pytest.mark.parametrize("ahead_s", [60.0, 1e6, 1e9])
def test_games_that_are_dated_in_the_future_are_fresh_and_no_more_than_that(cluster: Cluster, ahead_s):
    """Files bear the time of the machine's clock, which somebody may have put forward for a while."""
    cluster.data(100, newest_at=cluster.now + ahead_s)
    scheduler = scheduler_of(GAME, OTHER)
    assert scheduler.parts(cluster.state, GAME, cluster.now)["staleness"] == 0.0
    assert all(0.1 <= share <= 0.9 for share in scheduler.shares(cluster.state, cluster.now).values())


def test_a_configuration_that_lacks_games_for_its_training_gets_more(cluster: Cluster):
    scheduler = scheduler_of(selfplay={"bootstrap_games": 400})
    assert scheduler.parts(cluster.state, GAME, cluster.now)["data_deficit"] == pytest.approx(0.15)
    cluster.data(300)
    assert scheduler.parts(cluster.state, GAME, cluster.now)["data_deficit"] == pytest.approx(0.15 / 4)
    cluster.data(800)
    assert scheduler.parts(cluster.state, GAME, cluster.now)["data_deficit"] == 0.0


def test_canaries_that_fail_lower_the_quality(cluster: Cluster):
    cluster.crowned(A)
    task = CanaryTask(game=GAME, model=A, opponents=("heuristic",), number=0, games=16, seed=1)
    name = cluster.do(Enqueue(task=task, priority=90)).job or ""
    assert scheduler_of().parts(cluster.state, GAME, cluster.now)["quality"] == pytest.approx(0.15)
    cluster.failed(name)
    assert scheduler_of().parts(cluster.state, GAME, cluster.now)["quality"] == 0.0


def test_only_the_proportions_of_the_weights_count(cluster: Cluster):
    one, ten = (
        SelfplayScheduler(
            Settings.model_validate({
                "games": (GAME, OTHER),
                "scheduler": {"weights": {"staleness": it, "elo_velocity": it, "curriculum": it, "quality": it,
                                          "data_deficit": it}},
            })
        )
        for it in (1.0, 10.0)
    )  # fmt: skip
    cluster.data(500)
    assert one.shares(cluster.state, cluster.now) == pytest.approx(ten.shares(cluster.state, cluster.now))


# ---- the next choice ----


def test_whoever_is_furthest_behind_its_share_plays_next(cluster: Cluster):
    scheduler = scheduler_of(GAME, OTHER)
    first = scheduler.pick_weighted_config(cluster.state, cluster.now)
    cluster.queued(selfplay(first or ""))
    second = scheduler.pick_weighted_config(cluster.state, cluster.now)
    assert {first, second} == {GAME, OTHER}


def test_the_same_state_gives_the_same_choice(cluster: Cluster):
    scheduler = scheduler_of(*TWELVE)
    assert len({scheduler.pick_weighted_config(cluster.state, cluster.now) for _ in range(5)}) == 1


def test_who_rests_is_not_chosen(cluster: Cluster):
    scheduler = scheduler_of(GAME, OTHER)
    assert scheduler.pick_weighted_config(cluster.state, cluster.now, {GAME}) == OTHER
    assert scheduler.pick_weighted_config(cluster.state, cluster.now, {GAME, OTHER}) is None


@pytest.mark.parametrize(
    ("games", "minutes", "floor"),
    [(TWELVE, 10.0, 0.1), (TWELVE[:6], 60.0, 0.1), (TWELVE[:2], 30.0, 0.02), (TWELVE[:3], 1440.0, 0.1)],
)
def test_one_core_plays_every_configuration_and_none_less_than_its_floor(games, minutes, floor):
    """One job after the other, as a single core takes them."""
    settings = Settings.model_validate({
        "games": games, "selfplay": {"minutes_per_job": minutes}, "scheduler": {"minimum_share": floor},
    })  # fmt: skip
    scheduler, cluster = SelfplayScheduler(settings), Cluster()
    cluster.node(cores=1)
    turns = max(60, int(3 / floor))
    counts = dict.fromkeys(games, 0)
    for _ in range(turns):
        game = scheduler.pick_weighted_config(cluster.state, cluster.now)
        assert game is not None
        counts[game] += 1
        name = cluster.queued(selfplay(game))
        cluster.leased(name)
        cluster.later(60 * minutes)
        cluster.data(10 * counts[game], game=game)
        cluster.do(Cancel(job=name, reason="over"))
    least = settings.scheduler.floor(len(games))
    assert min(counts.values()) >= 0.7 * least * turns - 1, counts


# ---- what was received ----


def test_waiting_and_running_jobs_count_ahead_of_time(cluster: Cluster):
    scheduler = scheduler_of(selfplay={"minutes_per_job": 10.0})
    name = cluster.queued(selfplay(), cores=2)
    assert scheduler.received(cluster.state, cluster.now)[GAME] == 1200
    cluster.leased(name)
    assert scheduler.received(cluster.state, cluster.later(100))[GAME] == 1200
    assert scheduler.received(cluster.state, cluster.later(800))[GAME] == 1800


def test_ended_jobs_count_as_long_as_they_ran_until_they_are_forgotten(cluster: Cluster):
    scheduler = scheduler_of()
    name = cluster.queued(selfplay())
    cluster.leased(name)
    cluster.later(100)
    cluster.do(Cancel(job=name, reason="over"))
    assert scheduler.received(cluster.state, cluster.now)[GAME] == 100
    assert scheduler.received(cluster.state, cluster.later(1e6))[GAME] == 0


def test_a_job_that_never_ran_received_nothing(cluster: Cluster):
    name = cluster.queued(selfplay())
    cluster.do(Cancel(job=name, reason="over"))
    assert scheduler_of().received(cluster.state, cluster.now)[GAME] == 0


# ---- nets ----


def test_before_there_is_a_net_bootstrap_says_who_plays(cluster: Cluster):
    assert scheduler_of().model_of(cluster.state, GAME) == "heuristic"
    assert scheduler_of(selfplay={"bootstrap": "none"}).model_of(cluster.state, GAME) == "random"
    cluster.candidate(A)
    assert scheduler_of().model_of(cluster.state, GAME) == A


def test_the_current_net_plays_and_not_the_champion(cluster: Cluster):
    cluster.crowned(A)
    cluster.candidate(B, gate=GateForm())
    assert scheduler_of().model_of(cluster.state, GAME) == A
    job = cluster.gauntlet()
    cluster.do(Qualify(job=job.id, fence=cluster.leased(job.id), games=64, wins=40))
    assert (scheduler_of().model_of(cluster.state, GAME), cluster.learner().champion) == (B, A)


def test_the_first_games_have_their_own_search_and_no_opponents(cluster: Cluster):
    selfplay_form: dict[str, object] = {
        "bootstrap_sims": 8,
        "sims": 32,
        "cheap_sims": 4,
        "full_share": 0.5,
        "heuristic_share": 0.2,
    }
    task = scheduler_of(selfplay=selfplay_form).selfplay_task(cluster.state, GAME)
    assert (task.model, task.sims, task.cheap_sims, task.full_share, task.opponents) == ("heuristic", 8, None, None, ())
    cluster.candidate(A)
    task = scheduler_of(selfplay=selfplay_form).selfplay_task(cluster.state, GAME)
    assert (task.model, task.sims, task.cheap_sims, task.full_share) == (A, 32, 4, 0.5)
    assert task.opponents == (Opponent(model="heuristic", share=0.2),)


def test_a_share_against_the_previous_champion_needs_one(cluster: Cluster):
    scheduler = scheduler_of(selfplay={"previous_share": 0.1})
    cluster.crowned(A)
    assert scheduler.selfplay_task(cluster.state, GAME).opponents == ()
    cluster.crowned(B)
    assert scheduler.selfplay_task(cluster.state, GAME).opponents == (Opponent(model=A, share=0.1),)


# ---- the heuristic stops ----

BOOTSTRAP: dict[str, object] = {"bootstrap_games": 100}
SHORT: dict[str, object] = {"bootstrap_steps": 10, "batch_size": 128}


def test_the_heuristic_stops_when_its_games_are_played(cluster: Cluster):
    scheduler = scheduler_of(selfplay=BOOTSTRAP, training=SHORT)
    cluster.data(99)
    assert not scheduler.bootstrapped(cluster.state, GAME, cluster.now)
    cluster.data(100)
    assert scheduler.bootstrapped(cluster.state, GAME, cluster.now)
    cluster.candidate(A)
    assert not scheduler.bootstrapped(cluster.state, GAME, cluster.now)


def test_the_heuristic_plays_on_while_its_rows_do_not_allow_the_first_training(cluster: Cluster):
    """Or nobody would ever play again: the training waits for rows."""
    scheduler = scheduler_of(selfplay=BOOTSTRAP, training={"bootstrap_steps": 100, "batch_size": 256})
    cluster.data(100)  # 3000 rows allow 12,000 samples
    assert not scheduler.bootstrapped(cluster.state, GAME, cluster.now)
    cluster.data(220)
    assert scheduler.bootstrapped(cluster.state, GAME, cluster.now)


def test_the_heuristic_plays_on_when_its_games_are_too_old_for_the_first_training(cluster: Cluster):
    """A loop that stood still for days before its first net: the training waits for new games, who else plays them?"""
    scheduler = scheduler_of(selfplay=BOOTSTRAP, training=SHORT | {"max_age_hours": 48})
    cluster.data(100)
    assert scheduler.bootstrapped(cluster.state, GAME, cluster.later(48 * 3600))
    assert not scheduler.bootstrapped(cluster.state, GAME, cluster.later(1))
    cluster.data(101)
    assert scheduler.bootstrapped(cluster.state, GAME, cluster.now)


def test_without_the_heuristic_nothing_stops(cluster: Cluster):
    cluster.data(10_000_000)
    assert not scheduler_of(selfplay={"bootstrap": "none"}).bootstrapped(cluster.state, GAME, cluster.now)


def test_choosing_changes_nothing(cluster: Cluster):
    before = cluster.state.model_dump_json()
    scheduler_of(*TWELVE).pick_weighted_config(cluster.state, cluster.now)
    assert cluster.state.model_dump_json() == before
