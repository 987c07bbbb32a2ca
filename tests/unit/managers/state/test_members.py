"""Members, roles, halt."""

import pytest
from pydantic import ValidationError

from managers.state import commands as asked
from managers.state import members as people
from managers.state.cluster_state import What
from tests.commanded import START, Commanded, selfplay, selfplay_outcome

KEY, OTHER_KEY = "A" * 43, "B" * 42 + "A"


@pytest.fixture
def cluster() -> Commanded:
    return Commanded()


# ---- joining and leaving ----


def test_a_member_is_as_it_was_when_it_joined(cluster: Commanded):
    result = cluster.do(asked.Join(node="n1", session=7, cores=16, gpus=2, memory_bytes=5))
    assert cluster.state.members["n1"] == people.Member(
        node="n1", session=7, cores=16, gpus=2, memory_bytes=5, joined_at=START
    )
    assert [(it.what, it.node) for it in result.transitions] == [(What.MEMBER_JOINED, "n1")]


def join_with(key: str, session: int = 1) -> asked.Join:
    return asked.Join(node="n1", session=session, cores=4, public_key=key)


def test_a_member_keeps_its_key_and_nobody_joins_under_its_name_with_another(cluster: Commanded):
    cluster.do(join_with(KEY))
    cluster.do(join_with(KEY, session=2))
    for other in (OTHER_KEY, ""):
        refusal = cluster.refused(join_with(other, session=3))
        assert "the folder of n1 has another key" in refusal
        assert "bring back its identity/node.key" in refusal
    assert cluster.state.members["n1"].public_key == KEY
    cluster.do(asked.Leave(node="n1"))
    cluster.do(join_with(OTHER_KEY))


def test_a_member_without_a_key_gets_one_in_a_later_life(cluster: Commanded):
    cluster.join()
    cluster.do(join_with(KEY, session=2))
    assert cluster.state.members["n1"].public_key == KEY


@pytest.mark.parametrize("text", ["A" * 42, "A" * 44, "A" * 42 + "B", "+" * 43, "A" * 43 + "\n"])
def test_what_is_no_public_key_in_its_one_text_form_is_no_command(text: str):
    with pytest.raises(ValidationError):
        join_with(text)


def test_a_cluster_is_founded_once(cluster: Commanded):
    assert cluster.state.cluster_id == ""
    assert cluster.do(asked.Found(cluster_id="a" * 32)).transitions == ()
    for again in ("a" * 32, "b" * 32):
        assert "cluster aaaaaaaa" in cluster.refused(asked.Found(cluster_id=again))
    assert cluster.state.cluster_id == "a" * 32
    for text in ("", "A" * 32, "a" * 31, "a" * 33):
        with pytest.raises(ValidationError):
            asked.Found(cluster_id=text)


def test_a_life_begins_once_and_only_after_the_one_before(cluster: Commanded):
    cluster.join(session=5)
    for session in (4, 5):
        assert "is not newer" in cluster.refused(asked.Join(node="n1", session=session, cores=4))
    cluster.join(session=6)


def test_a_new_life_loses_what_the_one_before_had(cluster: Commanded):
    cluster.join()
    leased, running, foreign = (cluster.queued(selfplay()) for _ in range(3))
    cluster.leased(leased)
    cluster.do(asked.Start(job=running, fence=cluster.leased(running)))
    cluster.leased(foreign, "n2")
    result = cluster.do(asked.Join(node="n1", session=2, cores=8))
    assert [cluster.job(it).status for it in (leased, running, foreign)] == ["queued", "queued", "leased"]
    assert [it.job for it in result.transitions] == [None, leased, running]
    assert cluster.state.members["n1"].cores == 8


def test_an_expired_session_loses_its_jobs_and_stays_a_member(cluster: Commanded):
    job = cluster.queued(selfplay())
    fence = cluster.leased(job)
    cluster.do(asked.Expire(node="n1", session=1))
    assert "assigned to nobody" in cluster.refused(asked.Complete(job=job, fence=fence, outcome=selfplay_outcome()))
    assert "n1" in cluster.state.members
    cluster.leased(job)


def test_only_the_present_session_expires(cluster: Commanded):
    cluster.join(session=3)
    job = cluster.queued(selfplay())
    cluster.leased(job)
    assert "session 3, not 2" in cluster.refused(asked.Expire(node="n1", session=2))
    assert "no member" in cluster.refused(asked.Expire(node="n9", session=1))
    assert cluster.job(job).status == "leased"


def test_a_member_that_leaves_loses_its_jobs(cluster: Commanded):
    job = cluster.queued(selfplay())
    cluster.leased(job)
    result = cluster.do(asked.Leave(node="n1"))
    assert cluster.state.members == {}
    assert (cluster.job(job).status, cluster.job(job).losses) == ("queued", 1)
    assert [it.what for it in result.transitions] == [What.MEMBER_LEFT, What.JOB_LOST]
    assert "no member" in cluster.refused(asked.Leave(node="n1"))


def test_members_have_a_limit_that_those_who_are_there_do_not_meet(cluster: Commanded, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(people, "MEMBERS_MAX", 2)
    cluster.join("n1")
    cluster.join("n2")
    assert "2 members already" in cluster.refused(asked.Join(node="n3", session=1, cores=1))
    cluster.join("n2", session=2)
    cluster.do(asked.Leave(node="n1"))
    cluster.join("n3")


# ---- draining ----


def test_a_draining_member_gets_no_jobs_and_keeps_those_it_has(cluster: Commanded):
    first, second = cluster.queued(selfplay()), cluster.queued(selfplay())
    fence = cluster.leased(first)
    cluster.do(asked.Drain(node="n1"))
    assert "n1 is draining" in cluster.refused(asked.Assign(job=second, node="n1", session=1))
    cluster.do(asked.Complete(job=first, fence=fence, outcome=selfplay_outcome()))
    cluster.do(asked.Drain(node="n1", draining=False))
    cluster.leased(second)


def test_draining_outlives_a_life_and_ends_with_the_membership(cluster: Commanded):
    cluster.join()
    cluster.do(asked.Drain(node="n1"))
    cluster.join(session=2)
    assert cluster.state.members["n1"].draining
    cluster.do(asked.Leave(node="n1"))
    cluster.join(session=3)
    assert not cluster.state.members["n1"].draining
    assert "no member" in cluster.refused(asked.Drain(node="n9"))


# ---- roles ----


def take(node: str = "n1", session: int = 1, lease_s: float = 10, term: int = 0) -> asked.TakeRole:
    return asked.TakeRole(role="LEADER", node=node, session=session, lease_s=lease_s, term=term)


def test_the_seq_of_a_taking_is_its_epoch_and_a_renewal_keeps_it(cluster: Commanded):
    cluster.join()
    taken = cluster.do(take())
    assert [it.what for it in taken.transitions] == [What.ROLE_CHANGED]
    cluster.at += 5
    renewed = cluster.do(take())
    assert renewed.transitions == ()
    role = cluster.state.roles["LEADER"]
    assert (role.seq, role.until) == (taken.seq, START + 15)


def test_a_renewal_never_shortens_a_lease(cluster: Commanded):
    cluster.join()
    cluster.do(take(lease_s=100))
    cluster.do(take(lease_s=1))
    assert cluster.state.roles["LEADER"].until == START + 100


def test_a_role_is_held_by_one_node_until_its_lease_ends(cluster: Commanded):
    cluster.join("n1")
    cluster.join("n2")
    first = cluster.do(take("n1"))
    cluster.at += 9
    assert "n1 holds LEADER for another 1 s" in cluster.refused(take("n2"))
    cluster.at += 1
    second = cluster.do(take("n2"))
    assert second.seq > first.seq
    assert (cluster.state.roles["LEADER"].node, cluster.state.roles["LEADER"].seq) == ("n2", second.seq)
    assert "n2 holds LEADER" in cluster.refused(take("n1"))


def test_a_new_life_takes_its_own_role_anew(cluster: Commanded):
    cluster.join()
    first = cluster.do(take())
    cluster.join(session=2)
    assert "session 2, not 1" in cluster.refused(take(session=1))
    second = cluster.do(take(session=2))
    assert cluster.state.roles["LEADER"].seq == second.seq > first.seq


def test_a_later_election_ends_a_lease_and_begins_an_epoch(cluster: Commanded):
    cluster.join("n1")
    cluster.join("n2")
    cluster.do(take("n1", term=3))
    taken = cluster.do(take("n2", term=4))
    assert (cluster.state.roles["LEADER"].node, cluster.state.epoch) == ("n2", taken.seq)
    assert "n2 holds LEADER in term 4; 3 is over" in cluster.refused(take("n1", term=3))
    again = cluster.do(take("n2", term=5))
    assert cluster.state.epoch == again.seq > taken.seq


def test_what_was_decided_in_another_epoch_is_refused(cluster: Commanded):
    cluster.join()
    assert cluster.state.epoch == 0
    epoch = cluster.do(take()).seq
    drain = asked.Drain(node="n1")
    for other in (0, epoch - 1, epoch + 1):
        assert f"this is epoch {epoch}" in cluster.refused(drain, epoch=other)
    cluster.do(drain, epoch=epoch)
    assert cluster.state.members["n1"].draining


# ---- voters ----


def test_voters_are_members_that_can_listen_to_voters(cluster: Commanded):
    cluster.join("n2")
    cluster.join("n1")
    told = cluster.do(asked.SetVoters(voters=("n2", "n1", "n2")))
    assert (cluster.state.voters, [it.what for it in told.transitions]) == (("n1", "n2"), [What.VOTERS_CHANGED])
    assert "nothing changes" in cluster.refused(asked.SetVoters(voters=("n1", "n2")))
    assert "n3 is no member" in cluster.refused(asked.SetVoters(voters=("n1", "n3")))
    cluster.do(asked.Join(node="n3", session=1, cores=4))
    assert "n3 cannot be a voter" in cluster.refused(asked.SetVoters(voters=("n1", "n3")))


def test_a_voter_does_not_leave_before_another_takes_its_place(cluster: Commanded):
    cluster.join("n1")
    cluster.join("n2")
    cluster.do(asked.SetVoters(voters=("n1",)))
    assert "another one must take its place" in cluster.refused(asked.Leave(node="n1"))
    cluster.do(asked.SetVoters(voters=("n2",)))
    cluster.do(asked.Leave(node="n1"))


def test_only_members_take_roles_and_only_the_holder_gives_them_back(cluster: Commanded):
    assert "no member" in cluster.refused(take())
    cluster.join("n1")
    cluster.join("n2")
    cluster.do(take("n1"))
    for node, session in (("n2", 1), ("n1", 2)):
        assert "does not hold" in cluster.refused(asked.YieldRole(role="LEADER", node=node, session=session))
    cluster.do(asked.YieldRole(role="LEADER", node="n1", session=1))
    assert cluster.state.roles == {}
    assert "does not hold" in cluster.refused(asked.YieldRole(role="LEADER", node="n1", session=1))


def test_roles_have_a_limit(cluster: Commanded, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(people, "ROLES_MAX", 1)
    cluster.join()
    cluster.do(take())
    other = asked.TakeRole(role="TRAINER", node="n1", session=1, lease_s=5)
    assert "1 roles already" in cluster.refused(other)
    cluster.do(take())


# ---- halt ----


def test_nothing_is_assigned_while_everything_is_halted(cluster: Commanded):
    cluster.join()
    job = cluster.queued(selfplay())
    result = cluster.do(asked.HaltAll(by="me", reason="smoke"))
    assert [it.what for it in result.transitions] == [What.HALTED]
    assert cluster.state.halt == people.Halt(by="me", reason="smoke", at=START)
    assert "halted by me" in cluster.refused(asked.Assign(job=job, node="n1", session=1))
    assert "halted already by me" in cluster.refused(asked.HaltAll(by="you", reason=""))
    result = cluster.do(asked.ResumeAll(by="you"))
    assert [it.what for it in result.transitions] == [What.RESUMED]
    cluster.leased(job)
    assert "nothing is halted" in cluster.refused(asked.ResumeAll(by="me"))


def test_what_runs_may_end_while_everything_is_halted(cluster: Commanded):
    done, back = cluster.queued(selfplay()), cluster.queued(selfplay())
    fences = cluster.leased(done), cluster.leased(back)
    cluster.do(asked.HaltAll(by="me", reason=""))
    cluster.do(asked.Complete(job=done, fence=fences[0], outcome=selfplay_outcome()))
    cluster.do(asked.Release(job=back, fence=fences[1], reason="halted"))
    assert cluster.job(back).status == "queued"
