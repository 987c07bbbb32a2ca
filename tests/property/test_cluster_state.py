"""Random commands against a plain model: valid, late, repeated, out of order, from many clients, with jumping clocks.

After every command the real state and the plain one know the same, and what holds of every step holds; at the end the
same log, and the log with every command sent twice, lead to the same state. Planted bugs show that this finds some.
"""

import inspect
import textwrap
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from managers.state import apply as reducer
from managers.state import commands as asked
from managers.state import jobs, learners, members
from managers.state.jobs import ASSIGNED, Job
from managers.state.learners import DataCount
from managers.state.machine import StateMachine
from managers.state.members import LEADER
from managers.state.tasks import CanaryOutcome, GateForm, GauntletOutcome, SelfplayOutcome, TrainingOutcome
from tests import commanded
from tests.property import SCALE
from tests.property.cluster_checks import check_log, check_round_trip, check_step
from tests.property.plain_cluster import GAMES, LEAST, PlainCluster, view_of, view_of_plain

LIMITS = {
    "queued": (jobs, "QUEUED_MAX"),
    "finished": (jobs, "FINISHED_MAX"),
    "losses": (jobs, "LOSSES_MAX"),
    "clients": (reducer, "CLIENTS_MAX"),
    "members": (members, "MEMBERS_MAX"),
    "roles": (members, "ROLES_MAX"),
    "nets": (learners, "NETS_MAX"),
    "reigns": (learners, "REIGNS_MAX"),
    "counted": (learners, "COUNTED_MAX"),
    "blocks": (learners, "BLOCKS_MAX"),
    "rollbacks": (learners, "ROLLBACKS_MAX"),
    "blocked": (learners, "BLOCKED_MAX"),
}
CHOSEN = settings(
    max_examples=20 * SCALE,
    stateful_step_count=25,
    deadline=None,
    database=None,
    derandomize=SCALE == 1,  # a soak looks elsewhere each time
    suppress_health_check=[HealthCheck.too_slow],
)
HUNT = settings(CHOSEN, max_examples=500, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)

NODES = ("n1", "n2", "n3")
CLIENTS = "abcdef"
NETS = [commanded.digest(number) for number in range(1, 10)]
VERDICTS = ("passed", "passed", "failed", "undecided")
KEYS = ("", "A" * 43, "B" * 42 + "A")
CLUSTERS = ("0" * 32, "1" * 32)
STEMS = ("e" * 16, "f" * 16)
T = TypeVar("T")
seeds = st.integers(0, (1 << 20) - 1)


class Dice:
    """Choices; those of a seed and a place in the log, because hypothesis likes to draw the same values again."""

    def __init__(self, seed: int, place: int) -> None:
        self.rng = np.random.default_rng((seed, place))

    def one(self, items: Sequence[T]) -> T:
        return items[int(self.rng.integers(len(items)))]

    def often(self) -> bool:
        return self.one((True, True, True, False))


class Commands(RuleBasedStateMachine):
    """One state, one plain one, and the log of all that was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = StateMachine()
        self.state = self.machine.initial()
        self.plain = PlainCluster()
        self.log: list[bytes] = []
        self.sequences: dict[str, int] = {}
        self.at = 1000.0
        self.dice = Dice(0, 0)

    def teardown(self) -> None:
        check_log(self.log, self.state)

    # ---- sending ----

    def send(self, content: bytes, command: asked.Command | None) -> str | None:
        """Any bytes; the job that they queued."""
        before = self.state
        self.log.append(content)
        self.state, result = self.machine.apply(before, content)
        check_step(before, command, self.state, result)
        assert (result.accepted, result.seq, result.job) == self.plain.ask(command)
        assert view_of(self.state) == view_of_plain(self.plain)
        if result.accepted:
            check_round_trip(self.state)
        return result.job

    def ask(self, body: asked.Body, skip: int = 1, epoch: int | None = None) -> str | None:
        """The next command of some client."""
        client = self.dice.one(CLIENTS)
        self.sequences[client] = self.sequences.get(client, 0) + skip
        return self.give(client, self.sequences[client], body, epoch)

    def give(self, client: str, sequence: int, body: asked.Body, epoch: int | None = None) -> str | None:
        command = asked.Command(client=client, sequence=sequence, at=self.at, epoch=epoch, body=body)
        return self.send(asked.encode(command), command)

    def roll(self, seed: int) -> Dice:
        self.dice = Dice(seed, len(self.log))
        return self.dice

    # ---- nodes ----

    @initialize(seed=seeds)
    def begin(self, seed: int) -> None:
        """Two members, and no, one or several champions in each configuration."""
        dice = self.roll(seed)
        for node in ("n1", "n2"):
            self.ask(asked.Join(node=node, session=1, cores=4, public_key=dice.one(KEYS)))
        for game in GAMES:
            for net in NETS[: dice.one((0, 1, 2, 3))]:
                self.learn_from(game, net, "passed", STEMS[0])
                self.ask(commanded.promotion(net, expected=self.state.learner(game).champion, game=game))
        self.storm(seed, 30)

    def session(self, node: str) -> int:
        return self.state.members[node].session if node in self.state.members else 1

    def key(self, node: str) -> str:
        return self.state.members[node].public_key if node in self.state.members else ""

    def ready(self) -> str:
        """A node; usually made a member that takes jobs, as far as the state allows."""
        node = self.dice.one([*self.state.members] * 4 or NODES)
        if self.dice.often():
            if self.state.halt is not None:
                self.ask(asked.ResumeAll(by="me"))
            if node not in self.state.members:
                self.ask(asked.Join(node=node, session=self.session(node), cores=4))
            if self.state.members[node].draining:
                self.ask(asked.Drain(node=node, draining=False))
        return node

    @rule(step=st.sampled_from([-500.0, 0.5, 6.0, 10_000.0]))
    def jump(self, step: float) -> None:
        self.at = max(0.0, self.at + step)

    @rule(seed=seeds)
    def change_members(self, seed: int) -> None:
        dice = self.roll(seed)
        node = dice.one(NODES)
        session, off = self.session(node), dice.one((0, 1, 1, 2))
        bodies: Sequence[asked.Body] = (
            asked.Join(node=node, session=session + off, cores=4, public_key=self.key(node)),
            asked.Join(
                node=node, session=session + off, cores=8, gpus=1, public_key=self.key(node), raft_address="h:1"
            ),
            asked.Join(node=node, session=session + off, cores=4, public_key=dice.one(KEYS)),
            asked.Found(cluster_id=dice.one(CLUSTERS)),
            asked.Expire(node=node, session=session + off // 2),
            asked.Leave(node=node),
            asked.SetVoters(voters=(node,)),
            asked.SetVoters(voters=()),
            asked.Drain(node=node),
            asked.Drain(node=node, draining=False),
            asked.HaltAll(by="me", reason="smoke"),
            asked.ResumeAll(by="me"),
        )
        self.ask(dice.one(bodies))

    @rule(seed=seeds)
    def change_roles(self, seed: int) -> None:
        dice = self.roll(seed)
        node, role = dice.one(NODES), dice.one((LEADER, LEADER, "T", "X"))
        session = self.session(node) + dice.one((0, 0, 0, 1))
        if dice.often():
            lease_s, term = dice.one((1.0, 20.0)), dice.one((0, 0, 0, 1, 2))
            self.ask(asked.TakeRole(role=role, node=node, session=session, lease_s=lease_s, term=term))
        else:
            self.ask(asked.YieldRole(role=role, node=node, session=session))
        epoch = self.state.epoch
        self.ask(asked.Drain(node=node), epoch=dice.one((epoch, epoch, epoch + 1, 0)))

    # ---- jobs ----

    def some_job(self, *, assigned: bool) -> Job | None:
        """A job, usually one that can take such orders."""
        active = [it for it in self.state.jobs.active.values() if (it.status in ASSIGNED) == assigned]
        anything = [*self.state.jobs.active.values(), *self.state.jobs.finished.values()]
        found = active if active and self.dice.often() else anything
        return self.dice.one(found) if found else None

    def outcome(self, job: Job, net: str, verdict: str, result: str) -> Any:
        rated = self.dice.one((None, net))
        made: dict[str, SelfplayOutcome | TrainingOutcome | GauntletOutcome | CanaryOutcome] = {
            "selfplay": commanded.selfplay_outcome(),
            "training": commanded.training_outcome(net),
            "gauntlet": commanded.gauntlet_outcome(verdict, result, rated, job.game),
            "canary": commanded.canary_outcome(rated),
        }
        return made[job.kind]

    @rule(seed=seeds)
    def enqueue(self, seed: int) -> None:
        dice = self.roll(seed)
        game, kind = dice.one(list(GAMES)), dice.one(("selfplay", "selfplay", "training", "canary", "gauntlet"))
        learner = self.state.learner(game)
        task: Any = commanded.selfplay(game)
        if kind == "training":
            task = commanded.training(game, gate=GateForm() if dice.often() else None)
        if kind == "canary":
            task = commanded.canary(learner.champion if learner.champion and dice.often() else dice.one(NETS), game)
        if kind == "gauntlet":
            task = next((it.task for it in self.state.jobs.of(game, kind)), task)
        self.ask(asked.Enqueue(task=task, priority=5, attempts_max=dice.one((1, 1, 2))))

    @rule(seed=seeds)
    def assign(self, seed: int) -> None:
        dice = self.roll(seed)
        if found := self.some_job(assigned=False):
            node = self.ready()
            self.ask(asked.Assign(job=found.id, node=node, session=self.session(node) + dice.one((0, 0, 0, 1))))

    def orders(self, job: Job, fence: int) -> Sequence[asked.Body]:
        """What nodes and people say of a job that is assigned, now and then with an outcome of another kind."""
        outcome = self.outcome(job, self.dice.one(NETS), self.dice.one(VERDICTS), self.dice.one(STEMS))
        wrong = commanded.canary_outcome() if job.kind == "selfplay" else commanded.selfplay_outcome()
        wait_s = self.dice.one((None, 5.0, 0.0))
        return (
            asked.Complete(job=job.id, fence=fence, outcome=outcome),
            asked.Complete(job=job.id, fence=fence, outcome=outcome if self.dice.often() else wrong),
            asked.Fail(job=job.id, fence=fence, reason="it broke", retry_after_s=wait_s),
            asked.Release(job=job.id, fence=fence, reason=""),
            asked.Cancel(job=job.id, reason=""),
        )

    @rule(seed=seeds)
    def order(self, seed: int) -> None:
        """An order, now and then with a wrong fence."""
        dice = self.roll(seed)
        if found := self.some_job(assigned=True):
            fence = max(0, found.fence + dice.one((0, 0, 0, 0, 1, -1)))
            self.ask(dice.one((asked.Start(job=found.id, fence=fence), *self.orders(found, fence))))

    @rule(seed=seeds)
    def work(self, seed: int) -> None:
        """A node takes what waits and begins; it may be gone in the middle; its last word comes twice."""
        dice = self.roll(seed)
        found = self.some_job(assigned=False)
        if found is None:
            return
        node = self.ready()
        session = self.session(node)
        self.ask(asked.Assign(job=found.id, node=node, session=session))
        fence = self.state.seq
        if dice.often():
            self.ask(asked.Start(job=found.id, fence=fence))
        ends: Sequence[asked.Body] = (
            asked.Join(node=node, session=session + 1, cores=4, public_key=self.key(node)),
            asked.Expire(node=node, session=session),
            asked.Leave(node=node),
        )
        if dice.one((True, False)):
            self.ask(dice.one(ends))
        last = dice.one(self.orders(found, fence))
        for _ in range(2):
            self.ask(last)

    # ---- learning ----

    @rule(seed=seeds)
    def learn(self, seed: int) -> None:
        dice = self.roll(seed)
        self.learn_from(dice.one(list(GAMES)), dice.one(NETS), dice.one(VERDICTS), dice.one(STEMS))

    def learn_from(self, game: str, net: str, verdict: str, result: str) -> None:
        """A training and its gauntlet, from the queue to the verdict, as far as the state allows."""
        self.ask(asked.Enqueue(task=commanded.training(game, gate=GateForm(anchors_max=2)), priority=5))
        job: str | None = next((it.id for it in self.state.jobs.of(game, "training")), None)
        for _ in range(2):
            found = self.state.jobs.active.get(job or "")
            if found is None or found.status in ASSIGNED:
                return
            node = self.ready()
            self.ask(asked.Assign(job=found.id, node=node, session=self.session(node)))
            fence = self.state.jobs.active[found.id].fence
            if found.kind == "gauntlet":
                self.ask(asked.Qualify(job=found.id, fence=fence, games=64, wins=self.dice.one((10, 17, 20, 40))))
            outcome = self.outcome(found, net, verdict, result)
            job = self.ask(asked.Complete(job=found.id, fence=fence, outcome=outcome))

    @rule(seed=seeds)
    def qualify(self, seed: int) -> None:
        dice = self.roll(seed)
        gauntlets = [it for game in GAMES for it in self.state.jobs.of(game, "gauntlet")]
        if gauntlets:
            found = dice.one([it for it in gauntlets if it.status in ASSIGNED] or gauntlets)
            fence, wins = found.fence + dice.one((0, 0, 1)), dice.one((10, 17, 20, 40))
            self.ask(asked.Qualify(job=found.id, fence=fence, games=64, wins=wins))

    @rule(seed=seeds)
    def judge(self, seed: int) -> None:
        """A net is judged again; a blocked one, if there is one, passes; people may meddle with others meanwhile."""
        dice = self.roll(seed)
        learner = self.state.learner(dice.one(list(GAMES)))
        known = [it for it in learner.nets if it != learner.champion] or NETS
        net = dice.one([it for it in learner.blocked if it in known] or known if dice.often() else [*known, *NETS])
        judge = asked.Judge(game=learner.game, candidate=net, seed=7, form=GateForm(anchors_max=1))
        name = self.ask(judge)
        job = self.state.jobs.active.get(name or "")
        if job is None or not dice.often():
            return
        node, old = self.ready(), learner.champion
        self.ask(asked.Assign(job=job.id, node=node, session=self.session(node)))
        fence = self.state.jobs.active[job.id].fence
        blocked = net in learner.blocked
        if old is not None and not blocked and dice.one((True, False)):
            self.ask(commanded.promotion(net, expected=old, how="manual", game=learner.game))
            self.ask(commanded.rollback(expected=net, to=old, game=learner.game))
        self.ask(asked.Qualify(job=job.id, fence=fence, games=64, wins=40))
        outcome = self.outcome(job, net, "passed" if blocked else dice.one(VERDICTS), STEMS[0])
        self.ask(asked.Complete(job=job.id, fence=fence, outcome=outcome))
        self.ask(commanded.promotion(net, expected=old, evidence=STEMS[0], game=learner.game))

    @rule(seed=seeds)
    def crown(self, seed: int) -> None:
        """Whoever passed asks to be champion, usually with its own evidence."""
        dice = self.roll(seed)
        learner = self.state.learner(dice.one(list(GAMES)))
        passed = [net for net in learner.nets.values() if net.status == "passed"]
        if passed:
            net = dice.one(passed)
            evidence = net.gauntlet if dice.often() else "a" * 16
            self.ask(commanded.promotion(net.sha256, expected=learner.champion, evidence=evidence, game=learner.game))

    @rule(seed=seeds)
    def promote(self, seed: int) -> None:
        dice = self.roll(seed)
        learner = self.state.learner(dice.one(list(GAMES)))
        net = dice.one([*learner.nets, NETS[-1]])
        expected = dice.one((learner.champion, dice.one([None, *NETS])))
        how = dice.one(("gate", "manual", "manual"))
        self.ask(commanded.promotion(net, expected=expected, how=how, game=learner.game))

    @rule(seed=seeds)
    def roll_back(self, seed: int) -> None:
        dice = self.roll(seed)
        learner = max((self.state.learner(game) for game in GAMES), key=lambda it: len(it.reigns) - dice.one((0, 9)))
        former = [*(reign.sha256 for reign in learner.reigns if reign.sha256 != learner.champion), dice.one(NETS)]
        expected = learner.champion if learner.champion and dice.often() else dice.one(NETS)
        self.ask(commanded.rollback(expected=expected, to=dice.one(former), game=learner.game))

    @rule(seed=seeds)
    def watch(self, seed: int) -> None:
        """A champion's canary from the queue to its end, if the state allows; another champion may come first."""
        dice = self.roll(seed)
        learner = self.state.learner(dice.one(list(GAMES)))
        if learner.champion is None:
            return
        self.ask(asked.Enqueue(task=commanded.canary(learner.champion, learner.game), priority=5, attempts_max=2))
        found = next((it for it in self.state.jobs.of(learner.game, "canary") if it.status not in ASSIGNED), None)
        if found is None:
            return
        node = self.ready()
        self.ask(asked.Assign(job=found.id, node=node, session=self.session(node)))
        fence = self.state.jobs.active[found.id].fence
        if not dice.often():
            self.ask(commanded.promotion(dice.one(NETS), expected=learner.champion, how="manual", game=learner.game))
        self.ask(dice.one(self.orders(found, fence)))

    @rule(seed=seeds)
    def count(self, seed: int) -> None:
        dice = self.roll(seed)
        game, net, number = dice.one(list(GAMES)), dice.one(NETS), dice.one(range(4))
        data = DataCount(games=number, rows=3 - number, evaluations=number, newest_at=number / 2)
        bodies: Sequence[asked.Body] = (
            asked.CountData(game=game, node=dice.one(NODES), count=data),
            asked.AddNet(game=game, sha256=net, size_bytes=3, version=0, parent=None),
            asked.HoldRollbacks(game=game, reason=dice.one(("", "two in a day", "three in a day"))),
        )
        self.ask(dice.one(bodies))

    # ---- what a network does ----

    @rule(seed=seeds)
    def again(self, seed: int) -> None:
        """A command from the log once more: one of the latest, or any."""
        content = self.roll(seed).one(self.dice.one((self.log, self.log[-4:])))
        try:
            command = asked.decode(content)
        except ValueError:
            command = None
        self.send(content, command)

    @rule(seed=seeds)
    def overtake(self, seed: int) -> None:
        """A later command of a client comes first."""
        dice = self.roll(seed)
        self.ask(asked.Drain(node=dice.one(NODES), draining=False), skip=2)
        last = asked.decode(self.log[-1])
        self.give(last.client, last.sequence - 1, asked.HaltAll(by="me", reason="late"))

    @rule(content=st.binary(max_size=8), version=st.sampled_from([0, 2, None]))
    def noise(self, content: bytes, version: int | None) -> None:
        """Bytes that are no command, or one of a version that is not known."""
        if version is None:
            self.send(content, None)
            return
        body = asked.HaltAll(by="them", reason="")
        command = asked.Command(version=version, client="a", sequence=10**6, at=self.at, body=body)
        self.send(asked.encode(command), command)

    # ---- everything at once ----

    @rule(seed=seeds, steps=st.integers(5, 15))
    def storm(self, seed: int, steps: int) -> None:
        """Steps of all kinds, drawn by dice: hypothesis prefers a few kinds of rules in each of its runs."""
        ways = [
            self.change_members, self.change_roles, self.change_roles, self.enqueue, self.assign, self.order,
            self.work, self.work, self.learn, self.learn, self.qualify, self.judge, self.judge, self.crown,
            self.crown, self.promote, self.promote, self.roll_back, self.watch, self.count, self.again, self.overtake,
        ]  # fmt: skip
        for number in range(steps):
            Dice(seed, len(self.log) + number).one(ways)(seed)


@pytest.fixture(autouse=True)
def little_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, (module, constant) in LIMITS.items():
        monkeypatch.setattr(module, constant, LEAST[name])


def test_the_state_does_what_the_plain_one_does():
    run_state_machine_as_test(Commands, settings=CHOSEN)


def plant(monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any], old: str, new: str) -> None:
    """A bug in the shipped code: the function with a piece of its source replaced, until the test ends."""
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, f"{function.__name__} does not hold {old!r} once"
    assert isinstance(function, FunctionType)
    names = dict(function.__globals__)
    exec(compile(source.replace(old, new), inspect.getfile(function), "exec"), names)
    monkeypatch.setattr(function, "__code__", names[function.__name__].__code__)


BUGS: dict[str, tuple[Callable[..., Any], str, str]] = {
    "a node's end takes the jobs of all": (jobs.lose, "jobs.on(node)", "jobs.active.values()"),
    "an assignment keeps the old fence": (jobs.assign, "fence=fence, ", ""),
    "an ended job stays in the queue": (jobs._end, " if name != job.id", ""),
    "the gate promotes who is blocked": (learners.promote, "reign.sha256 in learner.blocked", "False"),
    "a reign goes on counting": (learners._crowned, '"judged": 0,', ""),
    "a refusal half way leaves traces": (
        reducer.apply,
        "change.state, result = state, _refusal(state, str(refusal))",
        "result = _refusal(state, str(refusal))",
    ),
    "a repetition is done again": (reducer.apply, "command.sequence <= known", "command.sequence < known"),
    "who asks often is forgotten": (reducer._remembered, " if name != client", ""),
    "a new life keeps the old one's leases": (reducer._join, "body.session,", "0,"),
    "a cluster is founded twice": (reducer._found, "if change.state.cluster_id:", "if False:"),
    "anybody takes a node's name": (members.join, 'known.public_key not in {"", member.public_key}', "False"),
    "a current net is not told": (reducer.Change.learner, "learner.current != before.current", "False"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str, monkeypatch: pytest.MonkeyPatch):
    plant(monkeypatch, *BUGS[bug])
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Commands, settings=HUNT)
