"""What must hold between a state, a command and the state after it, whatever they are; no model, no prediction."""

from pydantic import ValidationError

from managers.event_source import events_of
from managers.state import commands as asked
from managers.state.cluster_state import ClusterState, Result, What
from managers.state.jobs import ASSIGNED, Job, JobStatus
from managers.state.learners import Learner, NetStatus
from managers.state.machine import StateMachine

ENDED = {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.LOST}


def check_step(before: ClusterState, command: asked.Command | None, after: ClusterState, result: Result) -> None:
    """One command; None: bytes that hold none."""
    assert "fault of ours" not in result.reason
    assert result.accepted == (result.reason == "")
    if not is_news(before, command):
        assert after == before, "it changes nothing at all"
    elif not result.accepted:
        assert without_answers(after) == without_answers(before), "a refusal changes only the answer"
    else:
        assert command is not None
        assert after.seq == before.seq + 1 == result.seq
        assert after.now == max(before.now, command.at)
        check_champions(before, command.body, after)
        check_told(before, after, result)
        check_identity(before, after)
    if is_news(before, command):
        assert command is not None
        assert after.answered[command.client].result == result.model_copy(update={"transitions": ()})
    check_jobs(before, after)
    for learner in after.learners.values():
        check_learner(learner, after.seq)
    check_events(before, after, result)


def is_news(state: ClusterState, command: asked.Command | None) -> bool:
    """Whether a command of a known version has not been answered yet, nor a later one of its client."""
    if command is None or command.version != asked.VERSION:
        return False
    known = state.answered.get(command.client)
    return known is None or command.sequence > known.sequence


def without_answers(state: ClusterState) -> ClusterState:
    return state.model_copy(update={"answered": {}})


def check_jobs(before: ClusterState, after: ClusterState) -> None:
    """A job is in one place, a fence is of one assignment, and what has ended has ended."""
    active, finished = after.jobs.active, after.jobs.finished
    assert not set(active) & set(finished)
    for name, job in {**active, **finished}.items():
        assert job.id == name
        assert (job.status in ENDED) == (name in finished) == (job.ended_at is not None)
        assert (job.outcome is not None) == (job.status is JobStatus.SUCCEEDED)
        assert job.attempts <= job.attempts_max
    for name, job in before.jobs.finished.items():
        assert name not in active
        assert finished.get(name, job) == job
    assert set(before.jobs.active) <= {*active, *finished}
    assigned = [job for job in active.values() if job.status in ASSIGNED]
    assert len({job.fence for job in assigned}) == len(assigned)
    for job in assigned:
        assert job.node is not None
        assert after.members[job.node].session == job.session, "a lease is of a present life"
        old = before.jobs.active.get(job.id)
        assert old is not None, "a new job is assigned to nobody"
        assert job.fence == (old.fence if old.status in ASSIGNED else after.seq)


def check_champions(before: ClusterState, body: asked.Body, after: ClusterState) -> None:
    """A champion changes by a promotion or a rollback that expected the one there was."""
    for game in {*before.learners, *after.learners}:
        old, new = before.learner(game), after.learner(game)
        if old.reigns == new.reigns:
            continue
        assert isinstance(body, asked.Promote | asked.RollBack)
        assert new.reign is not None
        assert (body.game, body.expected) == (game, old.champion)
        assert new.reign.seq == after.seq
        assert new.champion != old.champion == new.reign.replaced
        if isinstance(body, asked.RollBack):
            assert new.champion == body.to in {reign.sha256 for reign in old.reigns}
            assert old.champion in new.blocked
            assert old.champion != new.current
        else:
            assert new.champion == body.candidate
        if isinstance(body, asked.Promote) and body.how == "gate":
            net = old.nets[body.candidate]
            assert body.candidate not in old.blocked
            assert (net.status, net.gauntlet, net.against) == (NetStatus.PASSED, body.evidence, old.champion)


def check_identity(before: ClusterState, after: ClusterState) -> None:
    """An id stays, and so does the key of a node as long as it is a member."""
    assert before.cluster_id in {"", after.cluster_id}
    for name in before.members.keys() & after.members.keys():
        assert before.members[name].public_key in {"", after.members[name].public_key}


def check_learner(learner: Learner, seq: int) -> None:
    """At most one champion, which is there and not blocked."""
    seqs = [reign.seq for reign in learner.reigns]
    assert seqs == sorted(set(seqs))
    assert max(seqs, default=0) <= seq
    if learner.champion is not None:
        assert learner.champion not in learner.blocked
        assert learner.nets[learner.champion].status is NetStatus.PROMOTED
    assert learner.previous is None or learner.previous not in learner.blocked
    assert learner.current is None or learner.current in learner.nets
    assert {reign.sha256 for reign in learner.reigns} <= set(learner.nets)


def check_told(before: ClusterState, after: ClusterState, result: Result) -> None:
    """Whoever follows the transitions learns of every change that is somebody's business."""
    told = {(it.what, it.game) for it in result.transitions}
    old, new = all_jobs(before), all_jobs(after)
    changed = {name for name, job in new.items() if old.get(name) != job}
    assert changed == {it.job for it in result.transitions if it.what.startswith("job_")}
    for game in after.learners:
        one, other = before.learner(game), after.learner(game)
        assert (one.current != other.current) == ((What.CURRENT_CHANGED, game) in told)
        crowned = {(What.CHAMPION_PROMOTED, game), (What.CHAMPION_ROLLED_BACK, game)} & told
        assert (one.reigns != other.reigns) == bool(crowned)
    whats = {what for what, _ in told}
    assert (before.halt != after.halt) == bool(whats & {What.HALTED, What.RESUMED})
    renewed = {name: role.seq for name, role in after.roles.items()}
    assert ({name: role.seq for name, role in before.roles.items()} != renewed) == (What.ROLE_CHANGED in whats)
    assert (before.voters != after.voters) == (What.VOTERS_CHANGED in whats)
    assert (set(before.members) - set(after.members) != set()) == (What.MEMBER_LEFT in whats)


def check_events(before: ClusterState, after: ClusterState, result: Result) -> None:
    """Whatever happened can be told, and bears the names that every node gives it."""
    try:
        events = events_of(before, after, result)
    except ValidationError as error:
        raise AssertionError(f"it cannot be told: {error}") from error
    assert [event.event_id for event in events] == [f"{result.seq}.{index}" for index in range(len(events))]


def all_jobs(state: ClusterState) -> dict[str, Job]:
    return {**state.jobs.active, **state.jobs.finished}


def check_round_trip(state: ClusterState) -> None:
    """A dump holds everything, the order of the tables included."""
    machine = StateMachine()
    dump = machine.dump(state)
    loaded = machine.load(dump)
    assert loaded == state
    assert machine.dump(loaded) == dump


def check_log(log: list[bytes], end: ClusterState) -> None:
    """The same commands lead to the same state, and so do all of them sent twice."""
    machine = StateMachine()
    once, twice = machine.initial(), machine.initial()
    for content in log:
        once, _ = machine.apply(once, content)
        twice, first = machine.apply(twice, content)
        again, second = machine.apply(twice, content)
        assert again == twice
        assert (second.accepted, second.seq, second.job) == (first.accepted, first.seq, first.job)
    assert machine.dump(once) == machine.dump(end)
    assert machine.dump(twice) == machine.dump(end)
