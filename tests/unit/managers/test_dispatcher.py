"""Which node gets which job, and who gives way."""

from collections.abc import Mapping

import pytest

from managers.dispatcher import Dispatcher, rank
from managers.selfplay_scheduler import SelfplayScheduler
from managers.state.commands import Assign, Cancel, Drain, Enqueue, Fail, HaltAll
from managers.state.tasks import CanaryTask, GateForm
from tests.unit.managers.deciding import GAME, OTHER, A, B, Cluster, selfplay, settings_of, training
from tests.unit.managers.splitting import Splitting

GAMES = (GAME, OTHER, "hex8_3p")


def decide(cluster: Cluster, unfit: dict[str, str] | None = None, **sections: Mapping[str, object]) -> list[str]:
    """What the dispatcher would do, as text: + job node, - job."""
    settings = settings_of(*GAMES, **sections)
    decision = Dispatcher(settings, SelfplayScheduler(settings)).decide(cluster.state, cluster.now, unfit or {})
    told = []
    for body in decision.bodies:
        match body:
            case Assign():
                told.append(f"+{body.job} {body.node}")
            case Cancel():
                told.append(f"-{body.job}")
            case _:
                raise AssertionError(body)
    return told


def carried_out(cluster: Cluster, **sections: Mapping[str, object]) -> list[str]:
    settings = settings_of(*GAMES, **sections)
    cluster.follow(Dispatcher(settings, SelfplayScheduler(settings)).decide(cluster.state, cluster.now))
    return sorted(job.id for job in cluster.state.jobs.on("a"))


def canary(cluster: Cluster) -> str:
    """A shadow tournament of champion A."""
    task = CanaryTask(game=GAME, model=A, opponents=("heuristic",), number=0, games=16, seed=1)
    return cluster.do(Enqueue(task=task, priority=90)).job or ""


def nodes(*cores: int) -> Cluster:
    cluster = Cluster()
    for name, count in zip("abc", cores, strict=False):
        cluster.node(name, count)
    return cluster


# ---- who gets what ----


def test_a_job_goes_to_a_node_with_a_free_core():
    cluster = nodes(1, 1)
    first, second, third = (cluster.queued(selfplay()) for _ in range(3))
    assert decide(cluster) == [f"+{first} a", f"+{second} b"], third


def test_the_more_important_job_goes_first():
    cluster = nodes(1)
    low, high = cluster.queued(training(), 70), cluster.queued(training(OTHER), 80)
    assert decide(cluster) == [f"+{high} a"], low


def test_of_equals_the_older_one_goes_first():
    cluster = nodes(1)
    old = cluster.queued(training())
    cluster.later(1)
    cluster.queued(training(OTHER))
    assert decide(cluster) == [f"+{old} a"]


def test_a_job_rises_by_waiting():
    cluster = nodes(1)
    old = cluster.queued(training(), 70)
    cluster.later(599)
    young = cluster.queued(training(OTHER), 80)
    assert decide(cluster) == [f"+{young} a"]
    cluster.later(2)
    job = cluster.state.jobs.active[old]
    assert rank(job, job.queued_at + 600) == 80
    cluster.do(Cancel(job=young, reason="again"))
    young = cluster.queued(training(OTHER), 80)
    assert decide(cluster) == [f"+{old} a"], young


def test_selfplay_does_not_rise_above_what_trains():
    cluster = nodes(1)
    cluster.queued(selfplay())
    cluster.later(1e6)
    young = cluster.queued(training(), 70)
    assert decide(cluster) == [f"+{young} a"]


def test_a_failed_job_waits_for_its_next_attempt():
    cluster = nodes(1)
    name = cluster.queued(selfplay())
    cluster.do(Fail(job=name, fence=cluster.leased(name), reason="it broke", retry_after_s=10))
    assert decide(cluster) == []
    cluster.later(10)
    assert decide(cluster) == [f"+{name} a"]


# ---- who gets nothing ----


def test_nothing_is_assigned_while_all_is_halted():
    cluster = nodes(2)
    cluster.queued(selfplay())
    cluster.do(HaltAll(by="people", reason="a look"))
    assert decide(cluster) == []


def test_draining_unfit_and_coreless_nodes_get_nothing():
    cluster = nodes(2, 2, 0)
    name = cluster.queued(selfplay())
    cluster.do(Drain(node="a"))
    assert decide(cluster) == [f"+{name} b"]
    assert decide(cluster, {"b": "disk: 0.1 GB are free"}) == []


def test_selfplay_of_a_draining_node_ends_and_what_else_it_has_goes_on():
    cluster = nodes(2, 2)
    player, other = cluster.queued(selfplay()), cluster.queued(selfplay())
    cluster.leased(player)
    cluster.leased(other, "b")
    cluster.leased(cluster.queued(training()))
    cluster.do(Drain(node="a"))
    assert decide(cluster) == decide(cluster, {"a": "silent"}) == [f"-{player}"]


# ---- cores ----


def test_a_job_takes_its_cores():
    cluster = nodes(4)
    names = [cluster.queued(training(game), cores=2) for game in GAMES]
    assert carried_out(cluster) == sorted(names[:1])
    assert carried_out(cluster, selfplay={"minimum_share_of_cores": 0.0}) == sorted(names[:2])


def test_a_job_that_asks_for_more_than_there_is_runs_with_what_there_is():
    cluster = nodes(2)
    big = cluster.queued(training(), cores=64)
    assert carried_out(cluster) == [big]
    cluster.queued(selfplay())
    assert decide(cluster) == []


@pytest.mark.parametrize(("cores", "others"), [(1, 1), (2, 1), (3, 1), (4, 2), (6, 3)])
def test_selfplay_keeps_its_share_however_many_others_wait(cores, others):
    cluster = nodes(cores)
    for _ in range(cores):
        cluster.queued(selfplay())
    carried_out(cluster)
    for game in GAMES:
        cluster.queued(training(game), 70)
    carried_out(cluster)
    kinds = [job.kind for job in cluster.state.jobs.on("a")]
    assert (kinds.count("training"), kinds.count("selfplay")) == (others, cores - others)


def test_the_first_other_job_gets_in_even_if_it_takes_more_than_the_rest():
    cluster = nodes(4)
    for _ in range(4):
        cluster.leased(cluster.queued(selfplay()))
    big = cluster.queued(training(), cores=3)
    assert [line for line in decide(cluster) if line.startswith("+")] == [f"+{big} a"]


def test_a_job_that_has_waited_is_not_overtaken_for_ever_by_smaller_ones():
    """Canaries and gauntlets of other configurations come all the time, and each would take the core that it needs."""
    cluster = nodes(4)
    small = cluster.queued(training(OTHER), 90)
    cluster.leased(small)
    big = cluster.queued(training(), 70, cores=2)
    cluster.later(300)
    smaller = cluster.queued(training("hex8_3p"), 70)
    assert decide(cluster) == [f"+{smaller} a"], "for a while it may"
    cluster.later(301)
    assert decide(cluster) == [], "now the core is kept for the old one"
    player = cluster.queued(selfplay())
    assert decide(cluster) == [f"+{player} a"], "selfplay goes on"
    cluster.do(Cancel(job=small, reason="over"))
    assert decide(cluster)[0] == f"+{big} a"


def test_a_canary_gets_in_where_a_training_has_all_that_selfplay_leaves():
    cluster = nodes(2)
    cluster.crowned(A)
    cluster.leased(cluster.queued(training()))
    player = cluster.queued(selfplay())
    cluster.leased(player)
    name = canary(cluster)
    assert decide(cluster) == [f"-{player}", f"+{name} a"], "it is short, and a champion depends on it"


def test_a_canary_waits_for_no_job_that_has_waited_long():
    cluster = nodes(3)
    cluster.crowned(A)
    cluster.leased(cluster.queued(training(OTHER)))
    cluster.queued(training(), 70, cores=2)
    cluster.later(601)
    name = canary(cluster)
    assert decide(cluster) == [f"+{name} a"]


def test_a_training_does_not_take_selfplays_share_beside_a_canary():
    cluster = nodes(2)
    cluster.crowned(A)
    cluster.leased(canary(cluster))
    cluster.leased(cluster.queued(selfplay()))
    cluster.queued(training())
    assert decide(cluster) == []


# ---- making room ----


def test_the_selfplay_that_has_run_for_the_shortest_time_makes_room():
    cluster = nodes(2)
    old = cluster.queued(selfplay())
    cluster.leased(old)
    cluster.later(10)
    young = cluster.queued(selfplay(OTHER))
    cluster.leased(young)
    wanted = cluster.queued(training())
    assert decide(cluster) == [f"-{young}", f"+{wanted} a"]


def test_a_selfplay_that_has_not_begun_makes_room_first():
    cluster = nodes(2)
    begun, assigned = cluster.queued(selfplay()), cluster.queued(selfplay(OTHER))
    cluster.do(Assign(job=assigned, node="a", session=1))
    cluster.leased(begun)
    wanted = cluster.queued(training())
    assert decide(cluster) == [f"-{assigned}", f"+{wanted} a"]


def test_what_made_room_has_ended_and_what_it_played_counts():
    """Put back into the queue it would begin anew each time, never be over, and keep the other configurations out."""
    cluster = nodes(1)
    player = cluster.queued(selfplay())
    cluster.leased(player)
    cluster.later(250)
    cluster.queued(training())
    carried_out(cluster)
    assert player in cluster.state.jobs.finished
    settings = settings_of(*GAMES)
    assert SelfplayScheduler(settings).received(cluster.state, cluster.now)[GAME] == 250


def test_nobody_makes_room_where_a_core_is_free():
    cluster = nodes(2)
    cluster.leased(cluster.queued(selfplay()))
    wanted = cluster.queued(training())
    assert decide(cluster) == [f"+{wanted} a"]


def test_only_selfplay_makes_room():
    cluster = nodes(1)
    cluster.leased(cluster.queued(training(), 10))
    cluster.queued(training(OTHER), 100)
    assert decide(cluster) == []


def test_a_canary_comes_before_a_gauntlet_and_that_before_a_training():
    cluster = nodes(1)
    cluster.crowned(A)
    cluster.candidate(B, gate=GateForm())
    cluster.queued(training(), 70)
    name = canary(cluster)
    order = []
    for _ in range(3):
        (line,) = decide(cluster)
        order.append(line[1:].split()[0])
        cluster.do(Cancel(job=order[-1], reason="next"))
    assert [job.split("-")[0] for job in order] == ["canary", "gauntlet", "training"], name


# ---- parts of gauntlets ----


def test_a_part_takes_a_core_of_selfplay_on_any_node_but_that_of_its_judge():
    cluster = Splitting("b")
    played = cluster.queued(selfplay())
    cluster.leased(played, "b")
    part = cluster.part()
    assert decide(cluster) == [f"-{played}", f"+{part} b"]


def test_a_part_waits_where_only_its_judge_has_room_and_keeps_nobody_out():
    cluster = Splitting(cores=4)
    part, other = cluster.part(), cluster.queued(selfplay())
    cluster.later(10_000)
    assert decide(cluster) == [f"+{other} a"], part


def test_a_part_that_has_no_place_does_not_stand_in_the_way_of_another_gauntlets_job():
    cluster = Splitting(cores=4)
    cluster.part()
    wanted = cluster.queued(training())
    assert decide(cluster) == [f"+{wanted} a"]
