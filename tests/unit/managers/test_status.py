"""A status is what the state says, bounded and plain."""

import json

import pytest

from config.schema import Settings
from config.sections import NodeSettings
from managers.decision import Wait
from managers.gpu_probe import Gpu, Gpus
from managers.health import health_of
from managers.job_progress import JobWord
from managers.line import LINE_MAX, one_line
from managers.model_installer import Finding
from managers.outcomes import Outcome, outcomes_of
from managers.ports import Usage
from managers.resource_watch import Resources
from managers.runtime.service import ServiceStatus, State
from managers.state.commands import Fail, Found, HaltAll, Join, ResumeAll, TakeRole
from managers.state.jobs import Jobs
from managers.state.members import LEADER
from managers.status import Sight, Work, status_of
from managers.status_board import concerns_of
from managers.status_records import GPUS_MAX, JOBS_MAX, OUTCOMES_MAX, STATUS_BYTES_MAX, Status, encode_status
from tests.loop_states import GAME, Loop, digest

SETTINGS = Settings(node=NodeSettings(node_id="here"))


def sight(loop: Loop, **more: object) -> Sight:
    return Sight(loop.state, SETTINGS, loop.now, (GAME,), **more)  # type: ignore[arg-type]


def service(name: str, state: State = State.RUNNING, **more: object) -> ServiceStatus:
    fields = {"critical": False, "restarts": 0, "last_error": None, "state_age_s": 1.0, "progress_age_s": 1.0}
    return ServiceStatus(name, state, **{**fields, "stalled": False, "waits_for": (), **more})  # type: ignore[arg-type]


def test_before_the_first_net_it_is_the_bootstrap():
    loop = Loop()
    loop.count(40, 400)
    loop.now += 3600
    (game,) = status_of(sight(loop)).games
    assert (game.phase, game.champion, game.current, game.selfplay_with) == ("bootstrap", None, None, "heuristic")
    assert (game.games, game.rows, game.new_games) == (40, 400, 40)
    assert game.games_wanted == SETTINGS.selfplay.bootstrap_games
    assert game.freshness_h == pytest.approx(1.0)
    assert game.training == f"40 of {SETTINGS.selfplay.bootstrap_games} new games"


def test_a_champion_is_shown_with_its_bounds_and_what_it_won():
    loop = Loop()
    loop.count(1000, 12_800)
    loop.crown(1, elo=1410.0)
    loop.judge(loop.train(2), 2, "failed", elo=1350.0)
    (game,) = status_of(sight(loop)).games
    assert game.phase == "learning"
    assert game.champion is not None
    assert game.champion.sha256 == digest(1)
    assert (game.champion.kind, game.champion.elo_at_start) == ("gate", 1410.0)
    (row,) = game.champion.win_rates
    assert (row.opponent, row.wins, row.games, row.low, row.high) == ("random", 48, 50, 0.88, 0.99)
    assert game.stuck == 1
    assert game.losses["total"] == 2.5
    assert game.rows_per_new_row == 2.0


def test_the_latest_candidates_come_first_with_their_verdicts():
    loop = Loop()
    for number in range(1, 8):
        loop.judge(loop.train(number), number, "failed")
    (game,) = status_of(sight(loop)).games
    assert [it.version for it in game.candidates] == [7, 6, 5, 4, 3]
    assert game.nets == 7
    assert (game.candidates[0].status, game.candidates[0].reason) == ("not passed", "failed as it is")


def test_jobs_are_shown_with_what_they_take_those_that_run_first():
    loop = Loop()
    loop.queue_training()
    job = loop.selfplay()
    work = {
        job: Work(
            {"games": 7}, Usage(rss_bytes=1000, cpu_s=2.5, silent_s=0.0), JobWord(progress="7 games", silent_s=0.5)
        )
    }
    first, second = status_of(sight(loop, work=work)).jobs
    assert (first.id, first.progress, first.cpu_s, first.rss_bytes) == (job, "7 games", 2.5, 1000)
    assert (second.kind, second.status, second.cpu_s) == ("training", "queued", None)


def test_it_reads_back_as_it_was_written():
    loop = Loop()
    loop.crown(1)
    loop.do(HaltAll(by="admin", reason="a test"))
    status = status_of(sight(loop, waits=(Wait(GAME, "training", "why"),), services=(service("A"),), running=True))
    assert Status.model_validate_json(encode_status(status)) == status
    assert json.loads(encode_status(status))["halt"]["reason"] == "a test"


def test_the_documents_keys_say_who_leads_what_is_where_and_what_waits():
    loop = Loop()
    loop.crown(1)
    loop.judge(loop.train(2), 2, "passed")
    loop.do(TakeRole(role=LEADER, node="here", session=1, lease_s=10.0))
    services = (service("JOB_REAPER", progress_age_s=0.5), service("X", State.FAILED, critical=True, last_error="boom"))
    found = status_of(sight(loop, running=True, session=1, services=services, installed={GAME: digest(1)}))
    assert (found.node_id, found.role, found.leader_id, found.epoch) == ("here", "leader", "here", loop.state.seq)
    assert (found.alive_peers, found.alive_peer_count, found.peers) == ((), 0, ())
    assert found.model_distribution[digest(1)].model_dump() == {"nodes": ("here",), "missing": ()}
    assert (found.champions[GAME].sha256, found.champions[GAME].elo) == (digest(1), None)
    assert found.current_net == {GAME: digest(1)}
    assert found.elo[GAME].best == 1400.0
    assert found.promotion_status.games[GAME].waiting == digest(2)
    assert found.promotion_status.games[GAME].thresholds == {"random": 0.85, "heuristic": 0.6, "previous": 0.5}
    assert found.promotion_status.last_evaluation is not None
    assert (found.daemons["X"].state, found.daemons["X"].critical, found.daemons["X"].last_error) == (
        "failed", True, "boom",
    )  # fmt: skip
    loops = {name: (it.daemon, it.last_run_at) for name, it in found.loops.items()}
    assert loops == {"JobReaperLoop": ("JOB_REAPER", loop.now - 0.5)}


def test_a_champion_that_is_not_installed_is_missing():
    loop = Loop()
    loop.crown(1)
    found = status_of(sight(loop, installed={GAME: digest(7)}))
    assert found.model_distribution[digest(1)].missing == ("here",)
    assert (found.role, found.leader_id) == ("none", None), "it does not run"


def test_jobs_are_counted_by_where_they_stand_and_by_kind():
    loop = Loop()
    loop.selfplay()
    loop.queue_training()
    queue = status_of(sight(loop)).work_queue
    assert (queue.queued, queue.assigned, queue.running) == (1, 0, 1)
    assert queue.by_kind == {"selfplay": 1, "training": 1}


def test_the_cluster_has_an_id_once_it_is_founded():
    loop = Loop()
    assert status_of(sight(loop)).cluster_id is None
    loop.do(Found(cluster_id="a" * 32))
    assert status_of(sight(loop)).cluster_id == "a" * 32


def test_other_nodes_are_peers_alive_while_they_are_heard():
    loop = Loop()
    for name in ("b", "c"):
        loop.do(Join(node=name, session=1, cores=1))
    found = status_of(sight(loop, silent={"c": "silent for 100 s"}))
    assert (found.alive_peers, found.alive_hosts, found.alive_peer_count) == (("b",), ("b",), 1)
    assert [(row.node_id, row.alive) for row in found.peers] == [("b", True), ("c", False)]


def test_it_never_is_larger_than_it_may_be():
    loop = Loop()
    name = loop.selfplay()
    job = loop.state.jobs.active[name]
    many = {f"job-{number}": job.model_copy(update={"id": f"job-{number}"}) for number in range(1000)}
    loop.state = loop.state.model_copy(update={"jobs": Jobs(active=many)})
    text = "\u4e00" * 400
    status = status_of(
        sight(
            loop,
            waits=tuple(Wait(GAME, text, text) for _ in range(1000)),
            findings=tuple(Finding(GAME, "damaged", text) for _ in range(1000)),
            services=tuple(service(f"{number}", last_error=text) for number in range(1000)),
            recent=tuple(Outcome(at=1, event=text, weight="step", text=text) for _ in range(1000)),
        )
    )
    assert (len(status.jobs), status.jobs_total, len(status.recent)) == (JOBS_MAX, 1000, OUTCOMES_MAX)
    content = encode_status(status)
    assert len(content) <= STATUS_BYTES_MAX
    assert Status.model_validate_json(content).games == status.games


@pytest.mark.parametrize(
    ("text", "line"),
    [("one\n two\r\tthree", "one two three"), ("\x1b[31mred", "?[31mred"), ("x" * 400, "x" * (LINE_MAX - 1) + "…")],
)
def test_texts_are_single_plain_lines(text: str, line: str):
    assert one_line(text) == line


def test_health_names_what_is_down():
    well = [service("JOB_MANAGER", critical=True), service("A")]
    assert health_of(well, "", halted=False).status == "ok"
    assert health_of(well, "", halted=True).status == "halted"
    down = health_of([service("JOB_MANAGER", State.BACKOFF, critical=True, last_error="boom")], "", halted=True)
    assert (down.status, down.reasons) == ("failing", ("JOB_MANAGER is backoff: boom",))
    assert health_of([service("J", critical=True, stalled=True)], "", halted=False).reasons == ("J is stalled",)
    assert health_of(well, "disk full", halted=False).reasons == ("the state cannot be written: disk full",)


def test_a_service_that_is_not_critical_degrades_and_no_more():
    found = health_of([service("A", State.FAILED)], "", halted=False)
    assert (found.status, found.degraded) == ("ok", ("A is failed",))


def test_concerns_have_a_name_that_stays_while_their_words_change():
    loop = Loop()
    one = status_of(sight(loop, findings=(Finding(GAME, "damaged", "again in 800 s"),)))
    other = status_of(sight(loop, findings=(Finding(GAME, "damaged", "again in 799 s"),)))
    assert concerns_of(one).keys() == concerns_of(other).keys() == {f"canonical {GAME}"}
    assert concerns_of(status_of(sight(loop))) == {}


def told(loop: Loop, since: int = 0) -> list[tuple[str, str, str]]:
    found = [outcome for result in loop.results[since:] for outcome in outcomes_of(loop.state, result)]
    return [(it.event, it.weight, it.text) for it in found]


def test_what_the_loop_is_for_is_told_as_an_outcome():
    loop = Loop()
    loop.crown(1)
    outcomes = [(event, text) for event, weight, text in told(loop) if weight == "outcome"]
    assert ("champion_promoted", "champion 0000000000 (gate, Elo 1400 +- 30): it passed") in outcomes
    assert ("candidate_added", "candidate 0000000000, version 1") in outcomes
    assert ("job_succeeded", "gauntlet of 0000000000: passed: passed as it is") in outcomes


def test_selfplay_jobs_are_steps_and_failures_are_trouble():
    loop = Loop()
    job = loop.selfplay()
    assert {weight for _, weight, _ in told(loop)} == {"step"}
    since = len(loop.results)
    loop.do(Fail(job=job, fence=loop.state.jobs.active[job].fence, reason="killed"))
    assert told(loop, since) == [("job_retried", "trouble", f"{job} retried on here: killed; it is queued again")]


def test_a_rollback_is_trouble_and_a_halt_is_told_with_its_reason():
    loop = Loop()
    loop.crown(1)
    loop.crown(2)
    loop.roll_back(2, to=1)
    assert told(loop, -1)[-1][:2] == ("champion_rolled_back", "trouble")
    loop.do(HaltAll(by="admin", reason="a test"))
    assert told(loop, -1) == [("halted", "outcome", "halted by admin: a test")]
    loop.do(ResumeAll(by="admin"))
    assert told(loop, -1) == [("resumed", "outcome", "goes on")]


def test_gpus_are_told_as_they_are_up_to_a_bound():
    cards = tuple(Gpu(index, "H100\n", f"GPU-{index}", 80, 79, 37.0) for index in range(GPUS_MAX + 3))
    found = Resources(1, 2, 3, 4, 0.0, 0, 0, gpus=Gpus((Gpu(0, trouble="lost"), *cards), "it hangs"))
    told = status_of(sight(Loop(), resources=found)).self
    assert (len(told.gpus), told.gpus_total, told.gpu_trouble) == (GPUS_MAX, GPUS_MAX + 4, "it hangs")
    assert (told.gpus[0].trouble, told.gpus[0].memory_bytes) == ("lost", None)
    assert (told.gpus[1].name, told.gpus[1].memory_free_bytes, told.gpus[1].busy_percent) == ("H100", 79, 37.0)
