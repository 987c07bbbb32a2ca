"""Learners: candidates, the current net, gauntlets, promotions, rollbacks, what is counted."""

import pytest

from managers.state import commands as asked
from managers.state import learners as learn
from managers.state.cluster_state import What
from managers.state.learners import Baseline, DataCount, NetStatus
from managers.state.record import TEXT_MAX
from managers.state.tasks import GateForm, GauntletTask
from ringrift_core.evaluation.odds import share_of_elo
from tests.commanded import (
    GAME,
    OTHER_GAME,
    START,
    Commanded,
    canary,
    canary_outcome,
    digest,
    gauntlet_outcome,
    promotion,
    rollback,
    training,
    training_outcome,
)

A, B, C, D = map(digest, range(10, 14))


@pytest.fixture
def cluster() -> Commanded:
    return Commanded()


def status(cluster: Commanded, net: str) -> NetStatus:
    return cluster.learner().nets[net].status


# ---- data ----


def test_counts_of_data_only_grow(cluster: Commanded):
    def counted(games: int, rows: int, newest_at: float) -> asked.CountData:
        count = DataCount(games=games, rows=rows, evaluations=rows, newest_at=newest_at)
        return asked.CountData(game=GAME, node="n1", count=count)

    assert cluster.refused(counted(10, 100, 5.0)) == "n1 is no member"
    cluster.join()
    cluster.do(counted(10, 100, 5.0))
    assert "nothing new" in cluster.refused(counted(9, 100, 4.0))
    cluster.do(counted(5, 120, 4.0))
    assert cluster.learner().data["n1"] == DataCount(games=10, rows=120, evaluations=120, newest_at=5.0)


def test_the_data_of_all_nodes_is_added_up(cluster: Commanded):
    assert cluster.learner().total == DataCount()
    for number, node in enumerate(("n1", "n2"), 1):
        count = DataCount(games=number, rows=10 * number, evaluations=100 * number, newest_at=number)
        cluster.join(node)
        cluster.do(asked.CountData(game=GAME, node=node, count=count))
    assert cluster.learner().total == DataCount(games=3, rows=30, evaluations=300, newest_at=2)
    assert cluster.learner(OTHER_GAME).total == DataCount()


def test_the_data_of_so_many_nodes_is_counted_and_that_of_those_who_left_stays(
    cluster: Commanded, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(learn, "COUNTED_MAX", 1)
    for node in ("n1", "n2"):
        cluster.join(node)
    cluster.do(asked.CountData(game=GAME, node="n1", count=DataCount(games=1)))
    assert "1 nodes is counted already" in cluster.refused(
        asked.CountData(game=GAME, node="n2", count=DataCount(games=1))
    )
    cluster.do(asked.CountData(game=GAME, node="n1", count=DataCount(games=2)))
    cluster.do(asked.Leave(node="n1"))
    assert cluster.learner().total.games == 2


# ---- candidates ----


def test_a_completed_training_leaves_a_candidate_and_its_gauntlet_in_one_command(cluster: Commanded):
    job = cluster.queued(training(gate=GateForm(priority=77)))
    fence = cluster.leased(job)
    cluster.at += 100
    result = cluster.do(asked.Complete(job=job, fence=fence, outcome=training_outcome(A)))
    net = cluster.learner().nets[A]
    assert (net.status, net.job, net.at, net.evaluations) == (NetStatus.CANDIDATE, job, START + 100, 7)
    assert result.job == f"gauntlet-{GAME}-{result.seq}"
    queued = cluster.job(result.job)
    assert (queued.priority, queued.cores, queued.attempts_max) == (77, 1, 3)
    assert isinstance(queued.task, GauntletTask)
    assert (queued.task.candidate, queued.task.champion, queued.task.candidate_number) == (A, None, 1)
    whats = [it.what for it in result.transitions]
    assert whats == [What.JOB_SUCCEEDED, What.CURRENT_CHANGED, What.CANDIDATE_ADDED, What.JOB_QUEUED]


def test_a_training_without_a_gate_leaves_an_unjudged_candidate_that_is_current(cluster: Commanded):
    cluster.crowned(A)
    assert cluster.trained(B).job is None
    assert status(cluster, B) is NetStatus.UNJUDGED
    assert cluster.learner().current == B
    assert cluster.learner().judged == 0


def test_the_next_training_counts_its_rows_from_when_this_one_was_queued(cluster: Commanded):
    cluster.trained(A, rows_made=500)
    learner = cluster.learner()
    assert (learner.trained_rows, learner.trained_games, learner.trained_at) == (500, 250, START)


def test_a_candidate_that_is_there_already_is_refused_and_the_training_stays(cluster: Commanded):
    cluster.trained(A)
    job = cluster.queued(training())
    fence = cluster.leased(job)
    outcome = training_outcome(A)
    assert "known already" in cluster.refused(asked.Complete(job=job, fence=fence, outcome=outcome))
    assert cluster.job(job).status == "leased"


def test_each_candidate_of_a_reign_has_its_number(cluster: Commanded):
    numbers = []
    for net in (A, B, C):
        task = cluster.job(cluster.gauntlet(net)).task
        assert isinstance(task, GauntletTask)
        numbers.append(task.candidate_number)
    assert numbers == [1, 2, 3]


def test_every_gauntlet_has_a_seed_of_its_own(cluster: Commanded):
    seeds = set()
    for net in (A, B):
        task = cluster.job(cluster.gauntlet(net)).task
        assert isinstance(task, GauntletTask)
        seeds.add(task.seed)
    assert len(seeds) == 2


def test_a_net_that_a_person_brings_is_not_judged_and_plays_no_selfplay(cluster: Commanded):
    net = asked.AddNet(game=GAME, sha256=A, size_bytes=9, version=4, parent=B)
    cluster.do(net)
    known = cluster.learner().nets[A]
    assert (known.status, known.parent, known.version, known.job) == (NetStatus.UNJUDGED, B, 4, None)
    assert cluster.learner().current is None
    assert "known already" in cluster.refused(net)


def test_of_too_many_nets_the_oldest_go_that_nobody_needs(cluster: Commanded, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(learn, "NETS_MAX", 4)
    cluster.sealed(A)  # champion and current
    cluster.gauntlet(B)  # waits
    for number in range(20, 24):
        cluster.do(asked.AddNet(game=GAME, sha256=digest(number), size_bytes=1, version=1, parent=None))
    assert list(cluster.learner().nets) == [A, B, digest(22), digest(23)]


# ---- the current net ----


def test_without_a_champion_the_newest_candidate_is_current(cluster: Commanded):
    for net in (A, B):
        cluster.trained(net)
        assert cluster.learner().current == net


def test_with_a_champion_a_candidate_becomes_current_only_when_it_qualifies(cluster: Commanded):
    cluster.crowned(A)
    job = cluster.gauntlet(B)
    assert cluster.learner().current == A
    result = cluster.do(asked.Qualify(job=job, fence=cluster.leased(job), games=64, wins=32))
    assert cluster.learner().current == B
    assert [it.what for it in result.transitions] == [What.CURRENT_CHANGED]
    assert cluster.learner().champion == A


@pytest.mark.parametrize(("game", "players"), [(GAME, 2), (OTHER_GAME, 3)])
def test_a_disaster_plays_no_selfplay(cluster: Commanded, game, players):
    cluster.crowned(A, game)
    job = cluster.gauntlet(B, game)
    fence = cluster.leased(job)
    wins = int(share_of_elo(-150.0, players) * 1000)
    assert "a disaster" in cluster.refused(asked.Qualify(job=job, fence=fence, games=1000, wins=wins))
    assert cluster.learner(game).current == A
    cluster.do(asked.Qualify(job=job, fence=fence, games=1000, wins=wins + 1))
    assert cluster.learner(game).current == B


def test_an_older_candidate_does_not_replace_a_newer_current_net(cluster: Commanded):
    cluster.crowned(A)
    older = cluster.gauntlet(B)
    cluster.at += 10
    newer = cluster.gauntlet(C)
    fences = cluster.leased(older), cluster.leased(newer)
    cluster.do(asked.Qualify(job=newer, fence=fences[1], games=64, wins=40))
    assert "a newer net" in cluster.refused(asked.Qualify(job=older, fence=fences[0], games=64, wins=40))
    assert cluster.learner().current == C


def test_games_qualify_for_the_champion_they_met_only(cluster: Commanded):
    first = cluster.gauntlet(A)
    fence = cluster.leased(first)
    assert "meets no champion" in cluster.refused(asked.Qualify(job=first, fence=fence, games=64, wins=64))
    cluster.crowned(B)
    second = cluster.gauntlet(C)
    fence = cluster.leased(second)
    cluster.sealed(D)
    late = asked.Qualify(job=second, fence=fence, games=64, wins=64)
    assert "not champion any more" in cluster.refused(late)
    assert "assigned anew" in cluster.refused(late.model_copy(update={"fence": fence + 1}))
    other = cluster.queued(training())
    no_gauntlet = asked.Qualify(job=other, fence=cluster.leased(other), games=64, wins=64)
    assert "meets no champion" in cluster.refused(no_gauntlet)


@pytest.mark.parametrize(
    ("form", "games", "wins"),
    [
        (GateForm(), 63, 40),
        (GateForm(qualify_games=80), 64, 40),
        (GateForm(), 64, 65),
        (GateForm(asked=True), 64, 40),
    ],
)
def test_only_the_games_that_a_gauntlet_was_asked_for_qualify(cluster: Commanded, form, games, wins):
    cluster.crowned(A)
    job = cluster.trained(B, form).job
    assert job is not None
    body = asked.Qualify(job=job, fence=cluster.leased(job), games=games, wins=wins)
    assert "not what this gauntlet was asked for" in cluster.refused(body)
    assert cluster.learner().current == A


def test_a_blocked_net_does_not_become_current_by_games_of_its_gauntlet(cluster: Commanded):
    cluster.crowned(A)
    job = cluster.gauntlet(B)
    fence = cluster.leased(job)
    cluster.do(promotion(B, expected=A, how="manual"))
    cluster.do(rollback(expected=B, to=A))
    assert "is blocked" in cluster.refused(asked.Qualify(job=job, fence=fence, games=64, wins=40))
    assert cluster.learner().current == A


# ---- verdicts ----


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [("passed", NetStatus.PASSED), ("failed", NetStatus.NOT_PASSED), ("undecided", NetStatus.NOT_PASSED)],
)
def test_a_verdict_stands_with_its_result_and_its_opponent(cluster: Commanded, verdict, expected):
    cluster.crowned(A)
    cluster.judged(B, verdict, "f" * 16)
    net = cluster.learner().nets[B]
    assert (net.status, net.gauntlet, net.against, net.reason) == (expected, "f" * 16, A, "as it went")


def test_a_verdict_makes_nobody_champion(cluster: Commanded):
    cluster.judged(A)
    assert cluster.learner().champion is None


@pytest.mark.parametrize("how", ["cancelled", "failed"])
def test_a_gauntlet_without_verdict_leaves_its_candidate_unjudged(cluster: Commanded, how):
    job = cluster.gauntlet(A)
    if how == "cancelled":
        cluster.do(asked.Cancel(job=job, reason="too long"))
    else:
        cluster.do(asked.Fail(job=job, fence=cluster.leased(job), reason="too long", retry_after_s=None))
    net = cluster.learner().nets[A]
    assert (net.status, net.reason) == (NetStatus.UNJUDGED, f"{job} {how}: too long")


def test_the_reason_of_a_gauntlet_without_verdict_stays_a_text_that_fits(cluster: Commanded):
    job = cluster.gauntlet(A)
    cluster.do(asked.Cancel(job=job, reason="x" * TEXT_MAX))
    assert len(cluster.learner().nets[A].reason) == TEXT_MAX
    assert cluster.machine.load(cluster.machine.dump(cluster.state)) == cluster.state


def test_a_gauntlet_that_is_tried_again_keeps_its_candidate_waiting(cluster: Commanded):
    job = cluster.gauntlet(A)
    cluster.do(asked.Fail(job=job, fence=cluster.leased(job), reason="", retry_after_s=0))
    cluster.leased(job)
    cluster.do(asked.Expire(node="n1", session=1))
    assert status(cluster, A) is NetStatus.CANDIDATE


def test_a_candidate_is_judged_again_under_the_next_number(cluster: Commanded):
    job = cluster.gauntlet(A)
    cluster.do(asked.Cancel(job=job, reason=""))
    again = cluster.do(asked.Judge(game=GAME, candidate=A, seed=99, form=GateForm())).job
    assert again is not None
    task = cluster.job(again).task
    assert isinstance(task, GauntletTask)
    assert (task.candidate_number, task.seed) == (2, 99)
    assert status(cluster, A) is NetStatus.CANDIDATE
    assert "no net of" in cluster.refused(asked.Judge(game=GAME, candidate=B, seed=1, form=GateForm()))


def test_the_champion_is_not_judged_against_itself(cluster: Commanded):
    cluster.crowned(A)
    judge = asked.Judge(game=GAME, candidate=A, seed=1, form=GateForm())
    assert "is the champion" in cluster.refused(judge)
    assert status(cluster, A) is NetStatus.PROMOTED


@pytest.mark.parametrize("taken_back", [False, True])
def test_what_people_did_meanwhile_stands_against_a_verdict(cluster: Commanded, taken_back):
    cluster.crowned(A)
    job = cluster.gauntlet(B)
    fence = cluster.leased(job)
    cluster.do(promotion(B, expected=A, how="manual"))
    if taken_back:
        cluster.do(rollback(expected=B, to=A))
    cluster.do(asked.Complete(job=job, fence=fence, outcome=gauntlet_outcome("failed", "f" * 16)))
    net = cluster.learner().nets[B]
    assert net.status is (NetStatus.ROLLED_BACK if taken_back else NetStatus.PROMOTED)
    assert net.gauntlet == "f" * 16


def test_anchors_are_former_champions_that_are_not_blocked(cluster: Commanded):
    for net in (A, B, C, D):
        cluster.crowned(net)
    assert cluster.learner().anchors(16) == (C, B, A)
    assert cluster.learner().anchors(2) == (C, B)
    cluster.do(rollback(expected=D, to=C))
    assert cluster.learner().anchors(16) == (B, A)
    task = cluster.job(cluster.gauntlet(digest(30))).task
    assert isinstance(task, GauntletTask)
    assert (task.champion, task.anchors) == (C, (B, A))


# ---- promotions ----


def test_a_candidate_that_passed_becomes_champion(cluster: Commanded):
    cluster.judged(A)
    cluster.at += 5
    result = cluster.do(promotion(A, expected=None))
    reign = cluster.learner().reign
    assert reign is not None
    assert (reign.sha256, reign.seq, reign.at, reign.kind, reign.replaced) == (A, result.seq, START + 5, "gate", None)
    assert (reign.evidence, status(cluster, A)) == ("e" * 16, NetStatus.PROMOTED)
    assert What.CHAMPION_PROMOTED in {it.what for it in result.transitions}


def test_a_promotion_is_a_compare_and_set(cluster: Commanded):
    cluster.judged(A)
    for how in ("gate", "manual"):
        assert "the champion is none, not" in cluster.refused(promotion(A, expected=B, how=how))
    cluster.do(promotion(A, expected=None))
    cluster.judged(B)
    for how in ("gate", "manual"):
        assert "not none" in cluster.refused(promotion(B, expected=None, how=how))
        assert "champion already" in cluster.refused(promotion(A, expected=A, how=how))
    cluster.do(promotion(B, expected=A))


@pytest.mark.parametrize("verdict", ["failed", "undecided"])
def test_only_who_passed_is_promoted_by_the_gate(cluster: Commanded, verdict):
    cluster.judged(A, verdict)
    assert "has not passed" in cluster.refused(promotion(A, expected=None))
    cluster.trained(B)
    assert "has not passed" in cluster.refused(promotion(B, expected=None, evidence=None))
    assert "no net of" in cluster.refused(promotion(C, expected=None))


def test_the_evidence_is_the_candidates_own_last_gauntlet(cluster: Commanded):
    cluster.judged(A, result="f" * 16)
    for evidence in ("e" * 16, None):
        assert "has not passed" in cluster.refused(promotion(A, expected=None, evidence=evidence))
    cluster.do(promotion(A, expected=None, evidence="f" * 16))


def test_a_gauntlet_against_a_former_champion_promotes_nobody(cluster: Commanded):
    cluster.crowned(A)
    cluster.judged(B, result="b" * 16)
    cluster.judged(C, result="c" * 16)
    cluster.do(promotion(B, expected=A, evidence="b" * 16))
    assert "has not passed" in cluster.refused(promotion(C, expected=B, evidence="c" * 16))
    assert status(cluster, C) is NetStatus.PASSED


def test_a_blocked_net_is_promoted_by_hand_only_which_ends_the_block(cluster: Commanded):
    cluster.crowned(A)
    cluster.crowned(B)
    cluster.do(rollback(expected=B, to=A))
    job = cluster.do(asked.Judge(game=GAME, candidate=B, seed=1, form=GateForm())).job
    assert job is not None
    cluster.do(asked.Complete(job=job, fence=cluster.leased(job), outcome=gauntlet_outcome()))
    assert status(cluster, B) is NetStatus.PASSED
    assert "is blocked: it lost" in cluster.refused(promotion(B, expected=A))
    cluster.do(promotion(B, expected=A, how="manual"))
    assert (cluster.learner().champion, set(cluster.learner().blocked)) == (B, set())


def test_a_promotion_blocks_nobody(cluster: Commanded):
    cluster.sealed(A)
    cluster.sealed(B)
    cluster.crowned(C)
    assert cluster.learner().blocked == {}


def test_the_first_champion_is_current_where_nobody_is(cluster: Commanded):
    cluster.sealed(A)
    assert cluster.learner().current == A
    cluster.sealed(B)
    assert cluster.learner().current == A, "selfplay goes on with the newest candidate"


def test_baselines_are_what_it_scored_against_the_frozen_player(cluster: Commanded):
    cluster.crowned(A)
    assert cluster.learner().baselines == (Baseline(opponent=digest(0xABC), blocks=(2, 6, 12)),)
    cluster.sealed(B)
    assert cluster.learner().baselines == ()


# ---- rollbacks ----


def test_a_rollback_brings_back_a_former_champion_and_blocks_what_it_replaces(cluster: Commanded):
    cluster.crowned(A)
    cluster.crowned(B)
    cluster.at += 50
    result = cluster.do(rollback(expected=B, to=A))
    learner = cluster.learner()
    assert (learner.champion, learner.blocked) == (A, {B: "it lost"})
    assert (status(cluster, B), learner.nets[B].reason) == (NetStatus.ROLLED_BACK, "it lost")
    assert learner.reign is not None
    assert (learner.reign.kind, learner.reign.replaced, learner.reign.seq) == ("rollback", B, result.seq)
    (row,) = learner.rollbacks
    assert (row.from_sha256, row.to_sha256, row.at, row.trigger) == (B, A, START + 50, "auto_elo")
    assert row.metrics == {"elo": -80.5, "games": None}


def test_a_rollback_is_a_compare_and_set_between_champions(cluster: Commanded):
    assert "the champion is none" in cluster.refused(rollback(expected=A, to=B))
    cluster.crowned(A)
    cluster.crowned(B)
    cluster.judged(C)
    assert "the champion is" in cluster.refused(rollback(expected=A, to=A))
    assert "leads to another" in cluster.refused(rollback(expected=B, to=B))
    assert "was never champion" in cluster.refused(rollback(expected=B, to=C))


def test_a_rollback_takes_its_net_out_of_selfplay(cluster: Commanded):
    cluster.crowned(A)
    cluster.sealed(B)
    job = cluster.gauntlet(C)
    cluster.do(asked.Qualify(job=job, fence=cluster.leased(job), games=64, wins=60))
    cluster.do(promotion(C, expected=B, how="manual"))
    assert cluster.learner().current == C
    result = cluster.do(rollback(expected=C, to=A))
    assert cluster.learner().current == A
    assert What.CURRENT_CHANGED in {it.what for it in result.transitions}


def test_a_rollback_leaves_selfplay_with_a_candidate_alone(cluster: Commanded):
    cluster.crowned(A)
    cluster.crowned(B)
    job = cluster.gauntlet(C)
    cluster.do(asked.Qualify(job=job, fence=cluster.leased(job), games=64, wins=40))
    cluster.do(rollback(expected=B, to=A))
    assert cluster.learner().current == C


def test_the_way_back_skips_blocked_champions(cluster: Commanded):
    for net in (A, B, C):
        cluster.crowned(net)
    assert cluster.learner().previous == B
    cluster.do(rollback(expected=C, to=B))
    assert cluster.learner().previous == A
    cluster.do(rollback(expected=B, to=A))
    assert cluster.learner().previous is None


def test_a_person_may_roll_back_to_a_blocked_champion_which_ends_the_block(cluster: Commanded):
    cluster.crowned(A)
    cluster.crowned(B)
    cluster.do(rollback(expected=B, to=A))
    cluster.do(rollback(expected=A, to=B))
    assert (cluster.learner().champion, set(cluster.learner().blocked)) == (B, {A})


def test_a_champion_again_is_promoted_whatever_it_was_meanwhile(cluster: Commanded):
    cluster.crowned(A)
    cluster.crowned(B)
    cluster.do(rollback(expected=B, to=A))
    cluster.do(rollback(expected=A, to=B))
    assert (status(cluster, A), status(cluster, B)) == (NetStatus.ROLLED_BACK, NetStatus.PROMOTED)


def test_rollbacks_are_held_until_somebody_says_otherwise_or_a_reign_begins(cluster: Commanded):
    def hold(reason: str) -> asked.HoldRollbacks:
        return asked.HoldRollbacks(game=GAME, reason=reason)

    assert "nothing changes" in cluster.refused(hold(""))
    cluster.do(hold("three in a day"))
    assert "nothing changes" in cluster.refused(hold("three in a day"))
    cluster.do(hold(""))
    cluster.crowned(A)
    cluster.crowned(B)
    cluster.do(hold("three in a day"))
    cluster.do(rollback(expected=B, to=A))
    assert cluster.learner().held == ""


# ---- reigns ----


@pytest.mark.parametrize("how", ["gate", "manual", "rollback"])
def test_a_new_reign_counts_from_nothing(cluster: Commanded, how):
    cluster.crowned(A)
    cluster.crowned(B)
    cluster.judged(C)
    job = cluster.queued(canary(B))
    cluster.do(asked.Complete(job=job, fence=cluster.leased(job), outcome=canary_outcome()))
    before = cluster.learner()
    assert (before.judged, before.canaries, before.canary_at) == (1, 1, START)
    assert before.seen
    assert before.job_games
    cluster.do(rollback(expected=B, to=A) if how == "rollback" else promotion(C, expected=B, how=how))
    after = cluster.learner()
    assert (after.judged, after.canaries, after.canary_at, after.seen, after.job_games) == (0, 0, None, (), ())
    task = cluster.job(cluster.gauntlet(D)).task
    assert isinstance(task, GauntletTask)
    assert task.candidate_number == 1


def test_what_is_remembered_of_a_configuration_has_limits(cluster: Commanded, monkeypatch: pytest.MonkeyPatch):
    for name, most in (("REIGNS_MAX", 3), ("ROLLBACKS_MAX", 2), ("BLOCKED_MAX", 1), ("BLOCKS_MAX", 2)):
        monkeypatch.setattr(learn, name, most)
    cluster.crowned(A)
    cluster.crowned(B)
    for expected, to in ((B, A), (A, B), (B, A)):
        cluster.do(rollback(expected=expected, to=to))
    learner = cluster.learner()
    assert [reign.sha256 for reign in learner.reigns] == [A, B, A]
    assert [row.from_sha256 for row in learner.rollbacks] == [A, B]
    cluster.crowned(C)
    cluster.do(rollback(expected=C, to=A))
    assert set(cluster.learner().blocked) == {C}, "the oldest block went"
    for _ in range(4):
        cluster.at += 1
        job = cluster.queued(canary(A))
        cluster.do(asked.Complete(job=job, fence=cluster.leased(job), outcome=canary_outcome()))
    assert [it.at for it in cluster.learner().job_games] == [START + 3, START + 4]
    assert [it.at for it in cluster.learner().seen] == [START + 3, START + 4]


def test_a_reign_begins_with_the_rating_of_its_net(cluster: Commanded):
    job = cluster.gauntlet(A)
    outcome = gauntlet_outcome(rated=A)
    cluster.do(asked.Complete(job=job, fence=cluster.leased(job), outcome=outcome))
    cluster.do(promotion(A, expected=None))
    cluster.sealed(B)
    assert [reign.elo for reign in cluster.learner().reigns] == [1300.5, None]


def test_configurations_do_not_touch_each_other(cluster: Commanded):
    cluster.crowned(A)
    cluster.judged(B, game=OTHER_GAME)
    assert cluster.learner(OTHER_GAME).champion is None
    assert set(cluster.learner(OTHER_GAME).nets) == {B}
    assert "no net of" in cluster.refused(promotion(B, expected=A))
