"""Why a job stands where it stands, in words."""

from managers.job_view import Surroundings, why_of
from managers.state.commands import Assign, Cancel, Complete, Drain
from managers.state.jobs import Job
from tests.loop_states import NODE, Loop
from tests.unit.managers.splitting import PLAYED, Splitting


def why(loop: Loop, job: str, unfit: dict[str, str] | None = None) -> str:
    found = loop.state.jobs.get(job)
    assert isinstance(found, Job)
    return why_of(found, Surroundings(loop.state, loop.now, unfit or {}))


def test_a_job_waits_for_cores_and_names_what_has_them():
    loop = Loop()
    first, second, third = loop.selfplay(), loop.selfplay(), loop.queue_training()
    assert why(loop, third) == (
        f"waits for a node ({NODE}: 0 of 2 cores are free, it needs 1; {first}, {second} go before it)"
    )


def test_a_job_waits_for_a_node_that_is_fit():
    loop = Loop()
    job = loop.queue_training()
    assert why(loop, job, {NODE: "disk: 1 GB is free"}) == f"waits for a node ({NODE}: disk: 1 GB is free)"
    assert "2 cores free; the dispatcher looks" in why(loop, job)
    loop.do(Drain(node=NODE, draining=True))
    assert why(loop, job) == f"waits for a node ({NODE}: is draining)"


def test_a_job_that_is_assigned_runs_or_has_ended_says_where_and_how():
    loop = Loop()
    job = loop.queue_training()
    fence = loop.do(Assign(job=job, node=NODE, session=1)).seq
    assert why(loop, job) == f"assigned to {NODE} (fence {fence}), which has not said yet that it began"
    played = loop.selfplay()
    assert why(loop, played) == f"runs on {NODE}: games of hex8_2p with heuristic"
    loop.do(Cancel(job=played, reason="makes room"))
    assert why(loop, played) == "cancelled: makes room"


def test_a_gauntlet_that_has_ended_says_its_verdict():
    loop = Loop()
    gauntlet = loop.train(1)
    loop.judge(gauntlet, 1, "failed")
    assert why(loop, gauntlet) == "failed: failed as it is"
    training = next(name for name, job in loop.state.jobs.finished.items() if job.kind == "training")
    assert why(loop, training) == "it did what it was for"


def test_a_part_says_what_it_plays_and_its_gauntlet_who_has_played():
    cluster = Splitting("b")
    gauntlet, part = cluster.gauntlet(), cluster.part()
    around = Surroundings(cluster.state, cluster.now)
    assert why_of(cluster.job(part), around) == (
        "waits for a node (a: judges that gauntlet itself; b: has 1 cores free; the dispatcher looks every second)"
    )
    fence = cluster.leased(part, "b")
    around = Surroundings(cluster.state, cluster.now)
    assert why_of(cluster.job(part), around) == f"runs on b: blocks 25 to 56 of row 0 of {gauntlet.id}, played ahead"
    cluster.do(Complete(job=part, fence=fence, outcome=PLAYED))
    around = Surroundings(cluster.state, cluster.now)
    assert why_of(cluster.gauntlet(), around).endswith("of this reign; chunks played ahead: b 1")
