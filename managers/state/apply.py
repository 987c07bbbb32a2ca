"""`apply(state, command)`: the one function that changes the state. Pure and total.

A command that the state does not allow is refused with a reason and changes nothing but its client's last answer; one
of an unknown version changes nothing at all. What one command does to several nouns stands here: a completed training
adds a candidate and queues its gauntlet, a completed gauntlet makes a promotion possible.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from managers.state import commands as asked
from managers.state import jobs as queue
from managers.state import learners as learn
from managers.state import members as people
from managers.state.cluster_state import Answered, ClusterState, Result, Transition, What
from managers.state.jobs import Job, JobStatus
from managers.state.learners import Learner
from managers.state.record import Refused
from managers.state.tally import counted
from managers.state.tasks import (
    CanaryOutcome,
    CanaryTask,
    GateForm,
    GauntletOutcome,
    GauntletTask,
    PartTask,
    Task,
    TrainingOutcome,
    TrainingTask,
)
from ringrift_core.game.config_key import ConfigKey

CLIENTS_MAX = 4096  # whose last answers are remembered
SEED_BITS = 62

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Change:
    """A state under change by one command."""

    state: ClusterState
    seq: int
    now: float
    job: str | None = None
    transitions: list[Transition] = field(default_factory=list)

    def update(self, **changes: object) -> None:
        """Put new parts into the state."""
        self.state = self.state.model_copy(update=changes)

    def learner(self, learner: Learner) -> None:
        """Put a learner into the state; says so when its current net is another one."""
        before = self.state.learner(learner.game)
        self.update(learners={**self.state.learners, learner.game: learner})
        if learner.current != before.current:
            self.note(What.CURRENT_CHANGED, game=learner.game)

    def note(self, what: What, **subjects: str | None) -> None:
        """Add a transition."""
        self.transitions.append(Transition(what=what, **subjects))

    def queue(self, task: Task, priority: int, cores: int, attempts_max: int) -> None:
        """A new job, named after its kind, its configuration and the seq."""
        name = f"{task.kind}-{task.game}-{self.seq}"
        job = Job(id=name, task=task, priority=priority, cores=cores, attempts_max=attempts_max, queued_at=self.now)
        self.update(jobs=queue.enqueue(self.state.jobs, job))
        self.job = name
        self.note(What.JOB_QUEUED, job=name, game=task.game)


def apply(state: ClusterState, command: asked.Command) -> tuple[ClusterState, Result]:
    """The state after a command, and the answer to it."""
    if command.version != asked.VERSION:
        return state, _refusal(state, f"commands of version {command.version} are not known here")
    known = state.answered.get(command.client)
    if known is not None and command.sequence <= known.sequence:
        if command.sequence == known.sequence:
            return state, known.result
        return state, _refusal(state, f"{command.client} has asked command {known.sequence} since")
    change = Change(state, seq=state.seq + 1, now=max(state.now, command.at))
    try:
        _check_epoch(state, command.epoch)
        _REDUCERS[type(command.body)](change, command.body)
        change.state = counted(change.state, tuple(change.transitions))
        change.update(seq=change.seq, now=change.now)
        result = Result(accepted=True, seq=change.seq, job=change.job, transitions=tuple(change.transitions))
    except Refused as refusal:
        change.state, result = state, _refusal(state, str(refusal))
    except Exception:  # noqa: BLE001 - one of the five places (docs/design/state.md)
        # every replica takes this way alike; an exception here would end all of them
        _log.exception("command %s of %s broke the reducer; it changes nothing", command.body.kind, command.client)
        change.state, result = state, _refusal(state, "a fault of ours: see the log")
    answer = Answered(sequence=command.sequence, result=result.model_copy(update={"transitions": ()}))
    return change.state.model_copy(update={"answered": _remembered(state.answered, command.client, answer)}), result


def _check_epoch(state: ClusterState, epoch: int | None) -> None:
    if epoch is not None and epoch != state.epoch:
        raise Refused(f"decided in epoch {epoch}; this is epoch {state.epoch}")


def _refusal(state: ClusterState, reason: str) -> Result:
    return Result(accepted=False, seq=state.seq, reason=reason)


def _remembered(answered: Mapping[str, Answered], client: str, answer: Answered) -> dict[str, Answered]:
    """The answers with this one as the latest; of too many clients the one that was silent longest is forgotten."""
    kept = {name: it for name, it in answered.items() if name != client}
    for name in list(kept)[: max(0, len(kept) + 1 - CLIENTS_MAX)]:
        del kept[name]
    kept[client] = answer
    return kept


# ---- jobs ----


def _enqueue(change: Change, body: asked.Enqueue) -> None:
    learner = change.state.learner(body.task.game)
    if isinstance(body.task, GauntletTask):
        raise Refused("a gauntlet is queued by `judge`, which counts the candidate")
    if isinstance(body.task, PartTask):
        queue.refuse_part(change.state.jobs, body.task)
    if isinstance(body.task, CanaryTask):
        if body.task.model != learner.champion:
            raise Refused("only the champion is watched")
        change.learner(learner.model_copy(update={"canaries": learner.canaries + 1, "canary_at": change.now}))
    change.queue(body.task, body.priority, body.cores, body.attempts_max)


def _assign(change: Change, body: asked.Assign) -> None:
    state = change.state
    if state.halt is not None:
        raise Refused(f"halted by {state.halt.by}")
    member = people.known_member(state.members, body.node, body.session)
    if member.draining:
        raise Refused(f"{body.node} is draining")
    jobs = queue.assign(state.jobs, body.job, node=body.node, session=body.session, fence=change.seq, now=change.now)
    change.update(jobs=jobs)
    _note_job(change, What.JOB_LEASED, body.job)


def _start(change: Change, body: asked.Start) -> None:
    change.update(jobs=queue.start(change.state.jobs, body.job, body.fence, change.now))
    _note_job(change, What.JOB_STARTED, body.job)


def _complete(change: Change, body: asked.Complete) -> None:
    change.update(jobs=queue.complete(change.state.jobs, body.job, body.fence, body.outcome, change.now))
    _note_job(change, What.JOB_SUCCEEDED, body.job)
    job = change.state.jobs.finished[body.job]
    learner = change.state.learner(job.game)
    match job.task, body.outcome:
        case TrainingTask() as task, TrainingOutcome() as outcome:
            _trained(change, learner, job, task, outcome)
        case GauntletTask() as task, GauntletOutcome() as outcome:
            change.learner(learn.judge(learner, task, outcome, change.now))
        case CanaryTask() as task, CanaryOutcome() as outcome:
            learner = learn.observe(learner, task.model, outcome, change.now)
            change.learner(learn.count_job(learner, task, failed=False, at=change.now))
        case _:
            pass  # selfplay: its games are counted by `count_data`; a part: they count in its gauntlet


def _trained(change: Change, learner: Learner, job: Job, task: TrainingTask, outcome: TrainingOutcome) -> None:
    """A candidate, and its gauntlet in the same step."""
    if outcome.candidate in learner.nets:
        raise Refused(f"{outcome.candidate[:16]} is known already")
    learner = learn.add_candidate(learner, outcome, parent=task.parent, job=job.id, at=change.now)
    learner = learner.model_copy(
        update={"trained_rows": task.rows_made, "trained_games": task.games_made, "trained_at": change.now}
    )
    if task.gate is None:  # no games will say whether it is a disaster, and the next net goes on from this one
        learner = learner.model_copy(update={"current": outcome.candidate})
    change.learner(learner)
    change.note(What.CANDIDATE_ADDED, game=job.game, job=job.id)
    if task.gate is not None:
        _judge_next(change, job.game, outcome.candidate, task.gate, seed_of(job.id, change.seq))


def _judge_next(change: Change, game: str, candidate: str, form: GateForm, seed: int) -> None:
    learner, task = learn.gauntlet_of(change.state.learner(game), candidate, form, seed)
    change.learner(learner)
    change.queue(task, form.priority, 1, form.attempts_max)


def _fail(change: Change, body: asked.Fail) -> None:
    retry_at = None if body.retry_after_s is None else change.now + body.retry_after_s
    job = queue.fenced(change.state.jobs, body.job, body.fence)
    if isinstance(job.task, CanaryTask):
        change.learner(learn.count_job(change.state.learner(job.game), job.task, failed=True, at=change.now))
    change.update(jobs=queue.fail(change.state.jobs, body.job, body.fence, body.reason, change.now, retry_at=retry_at))
    _ended(change, body.job, What.JOB_RETRIED, body.reason, job.node)


def _release(change: Change, body: asked.Release) -> None:
    node = queue.fenced(change.state.jobs, body.job, body.fence).node
    change.update(jobs=queue.release(change.state.jobs, body.job, body.fence, body.reason))
    _note_job(change, What.JOB_RELEASED, body.job, node)


def _cancel(change: Change, body: asked.Cancel) -> None:
    change.update(jobs=queue.cancel(change.state.jobs, body.job, body.reason, change.now))
    _ended(change, body.job, What.JOB_CANCELLED, body.reason)


def _expire(change: Change, body: asked.Expire) -> None:
    people.known_member(change.state.members, body.node, body.session)
    _lose(change, body.node, body.session + 1, "the node did not renew its lease")


def _lose(change: Change, node: str, session: int, reason: str) -> None:
    jobs, gone = queue.lose(change.state.jobs, node, session, reason, change.now)
    change.update(jobs=jobs)
    for job in gone:
        _ended(change, job, What.JOB_LOST, reason, node)


def _ended(change: Change, name: str, what: What, reason: str, node: str | None = None) -> None:
    """A job that `node` had and that went back to the queue (`what`) or ended without success.

    A candidate's verdict does not come then.
    """
    job = change.state.jobs.get(name)
    assert job is not None, "it was there a moment ago"
    _note_job(change, What.JOB_FAILED if job.status is JobStatus.FAILED else what, name, node)
    if job.status is not JobStatus.QUEUED and isinstance(job.task, GauntletTask):
        learner = change.state.learner(job.game)
        change.learner(learn.give_up(learner, job.task.candidate, f"{job.id} {job.status}: {reason}"))


def _note_job(change: Change, what: What, name: str, node: str | None = None) -> None:
    """Something about a job; `node` where it has been taken from one."""
    job = change.state.jobs.get(name)
    assert job is not None, "it was there a moment ago"
    change.note(what, job=name, game=job.game, node=node or job.node)


# ---- learners ----


def _count_data(change: Change, body: asked.CountData) -> None:
    people.known_member(change.state.members, body.node)
    change.learner(learn.count_data(change.state.learner(body.game), body.node, body.count))
    change.note(What.DATA_COUNTED, game=body.game, node=body.node)


def _qualify(change: Change, body: asked.Qualify) -> None:
    job = queue.fenced(change.state.jobs, body.job, body.fence)
    if not isinstance(job.task, GauntletTask) or job.task.champion is None:
        raise Refused(f"{body.job} meets no champion")
    learner = change.state.learner(job.game)
    change.learner(learn.qualify(learner, job.task, games=body.games, wins=body.wins))


def _judge(change: Change, body: asked.Judge) -> None:
    _judge_next(change, body.game, body.candidate, body.form, body.seed)


def _add_net(change: Change, body: asked.AddNet) -> None:
    learner = change.state.learner(body.game)
    if body.sha256 in learner.nets:
        raise Refused(f"{body.sha256[:16]} is known already")
    net = learn.Net(
        **body.model_dump(exclude={"kind", "game"}), at=change.now, job=None, status=learn.NetStatus.UNJUDGED
    )
    change.learner(learn.with_net(learner, net))
    change.note(What.CANDIDATE_ADDED, game=body.game)


def _promote(change: Change, body: asked.Promote) -> None:
    learner = change.state.learner(body.game)
    reign = learn.Reign(
        sha256=body.candidate,
        seq=change.seq,
        at=change.now,
        kind=body.how,
        replaced=body.expected,
        evidence=body.evidence,
        reason=body.reason,
    )
    baselines = baselines_of(change.state, body.game, body.candidate, body.evidence)
    change.learner(learn.promote(learner, reign, expected=body.expected, baselines=baselines))
    change.note(What.CHAMPION_PROMOTED, game=body.game)


def baselines_of(state: ClusterState, game: str, candidate: str, evidence: str | None) -> tuple[learn.Baseline, ...]:
    """What a net scored against the frozen players in the gauntlet it is promoted by; canaries are held to that."""
    players = ConfigKey.parse(game).players
    for job in reversed(state.jobs.finished.values()):
        if (
            isinstance(job.task, GauntletTask)
            and isinstance(job.outcome, GauntletOutcome)
            and (job.game, job.task.candidate, job.outcome.result) == (game, candidate, evidence)
        ):
            return tuple(
                learn.Baseline(opponent=row.sha256, blocks=row.blocks)
                for row in job.outcome.rows
                if row.opponent == "heuristic" and any(row.blocks) and len(row.blocks) == players + 1
            )
    return ()


def _roll_back(change: Change, body: asked.RollBack) -> None:
    rollback = learn.Rollback(
        from_sha256=body.expected,
        to_sha256=body.to,
        seq=change.seq,
        at=change.now,
        trigger=body.trigger,
        reason=body.reason,
        metrics=body.metrics,
    )
    change.learner(learn.roll_back(change.state.learner(body.game), rollback))
    change.note(What.CHAMPION_ROLLED_BACK, game=body.game)


def _hold_rollbacks(change: Change, body: asked.HoldRollbacks) -> None:
    learner = change.state.learner(body.game)
    if learner.held == body.reason:
        raise Refused("nothing changes")
    change.learner(learner.model_copy(update={"held": body.reason}))
    change.note(What.ROLLBACKS_HELD, game=body.game)


# ---- members, roles, halt ----


def _found(change: Change, body: asked.Found) -> None:
    if change.state.cluster_id:
        raise Refused(f"this is the cluster {change.state.cluster_id} already")
    change.update(cluster_id=body.cluster_id)


def _join(change: Change, body: asked.Join) -> None:
    member = people.Member(**body.model_dump(exclude={"kind"}), joined_at=change.now)
    change.update(members=people.join(change.state.members, member))
    change.note(What.MEMBER_JOINED, node=body.node)
    _lose(change, body.node, body.session, "the node began anew")


def _drain(change: Change, body: asked.Drain) -> None:
    change.update(members=people.drain(change.state.members, body.node, draining=body.draining))
    change.note(What.MEMBER_CHANGED, node=body.node)


def _leave(change: Change, body: asked.Leave) -> None:
    session = people.known_member(change.state.members, body.node).session
    if body.node in change.state.voters:
        raise Refused(f"{body.node} is a voter; another one must take its place first")
    change.update(members=people.leave(change.state.members, body.node))
    change.note(What.MEMBER_LEFT, node=body.node)
    _lose(change, body.node, session + 1, "the node has left")


def _take_role(change: Change, body: asked.TakeRole) -> None:
    people.known_member(change.state.members, body.node, body.session)
    before = change.state.roles.get(body.role)
    role = people.Role(
        name=body.role,
        node=body.node,
        session=body.session,
        seq=change.seq,
        until=change.now + body.lease_s,
        term=body.term,
    )
    change.update(roles=people.take_role(change.state.roles, role, change.now))
    if before is None or change.state.roles[body.role].seq != before.seq:
        change.note(What.ROLE_CHANGED, node=body.node)


def _yield_role(change: Change, body: asked.YieldRole) -> None:
    change.update(roles=people.yield_role(change.state.roles, body.role, body.node, body.session))
    change.note(What.ROLE_CHANGED, node=body.node)


def _set_voters(change: Change, body: asked.SetVoters) -> None:
    change.update(voters=people.set_voters(change.state.members, change.state.voters, body.voters))
    change.note(What.VOTERS_CHANGED)


def _halt(change: Change, body: asked.HaltAll) -> None:
    if change.state.halt is not None:
        raise Refused(f"halted already by {change.state.halt.by}")
    change.update(halt=people.Halt(by=body.by, reason=body.reason, at=change.now))
    change.note(What.HALTED)


def _resume(change: Change, _body: asked.ResumeAll) -> None:
    if change.state.halt is None:
        raise Refused("nothing is halted")
    change.update(halt=None)
    change.note(What.RESUMED)


def seed_of(name: str, seq: int) -> int:
    """A seed that belongs to a name and a seq."""
    return int.from_bytes(hashlib.sha256(f"{name}/{seq}".encode()).digest()[:8], "big") >> (64 - SEED_BITS)


_REDUCERS: Mapping[type, Callable[[Change, Any], None]] = {
    asked.Enqueue: _enqueue,
    asked.Assign: _assign,
    asked.Start: _start,
    asked.Complete: _complete,
    asked.Fail: _fail,
    asked.Release: _release,
    asked.Cancel: _cancel,
    asked.Found: _found,
    asked.Join: _join,
    asked.Expire: _expire,
    asked.Drain: _drain,
    asked.Leave: _leave,
    asked.TakeRole: _take_role,
    asked.YieldRole: _yield_role,
    asked.SetVoters: _set_voters,
    asked.CountData: _count_data,
    asked.Qualify: _qualify,
    asked.Judge: _judge,
    asked.AddNet: _add_net,
    asked.Promote: _promote,
    asked.RollBack: _roll_back,
    asked.HoldRollbacks: _hold_rollbacks,
    asked.HaltAll: _halt,
    asked.ResumeAll: _resume,
}
