"""The loop in virtual time: the shipped deciders and the shipped reducer, fake nodes, faults drawn by seed.

    sim = Loop(Plan(seed=7, settings=settings, nodes={"a": 4}, faults=Faults(until_s=1800)))
    sim.run(3600)

Commands travel as bytes, each of a client with running numbers, and are asked again until there is an answer; what was
decided is carried out while the state goes on. After every command tests/sim/loop_checks.py looks at it. One seed
replays everything.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np

from config.schema import Settings
from managers.decision import Decision, Wait
from managers.dispatcher import Dispatcher
from managers.feedback_loop_controller import FeedbackLoopController
from managers.job_reaper import JobReaper
from managers.promotion_controller import PromotionController
from managers.queue_populator import QueuePopulator
from managers.rollback_manager import RollbackManager
from managers.selfplay_scheduler import SelfplayScheduler
from managers.shadow_tournament import ShadowTournament
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import AddNet, Body, Cancel, Command, HaltAll, Promote, ResumeAll, decode, encode
from managers.state.learners import NetStatus
from managers.state.machine import StateMachine
from managers.training_coordinator import TrainingCoordinator
from tests.sim.hidden_strengths import Strengths
from tests.sim.loop_checks import Checks
from tests.sim.loop_node import FakeNode

BEGAN_AT = 1.7e9  # unix seconds at virtual time 0
LOOK_S = 30.0  # between two looks of a decider that nobody wakes
WAKE_S = 6.0  # within which a decider looks after something has changed
REST_S = 120.0  # between two looks of the rollback at a configuration without new games: they cost milliseconds
MEDDLED_MAX = 5  # reigns, after which people leave a configuration alone
Decide = Callable[[ClusterState, float], Decision]
Told = Callable[[ClusterState, ClusterState, Result], None]


@dataclass(frozen=True, slots=True)
class Faults:
    """How much goes wrong, until when."""

    until_s: float = 0.0
    every_s: float = 120.0  # mean time between faults of nodes, of who decides, of clocks
    lost_share: float = 0.05  # of commands, on the way there or back; as many come twice
    failing_share: float = 0.15  # of attempts that fail or hang


def nobody(_before: ClusterState, _after: ClusterState, _result: Result) -> None:
    """Who listens where nobody does."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated."""

    seed: int
    settings: Settings
    nodes: Mapping[str, int] = field(default_factory=lambda: {"a": 4})  # cores by name
    faults: Faults = Faults()
    without: frozenset[str] = frozenset()  # parts that are left out
    wakes: bool = True  # False: nobody is told that something has changed
    told: Told = nobody  # of every command, as a node tells its events


class Loop:
    """One simulated cluster; virtual time begins at 0."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.settings = plan.settings
        self.rng = np.random.default_rng(plan.seed)
        self.machine = StateMachine()
        self.state = self.machine.initial()
        self.world = Strengths(plan.seed)
        self.checks = Checks(plan.settings, self.world)
        self.t = 0.0
        self.waits: dict[str, tuple[Wait, ...]] = {}
        self.history: list[tuple[float, Command, Result]] = []
        self._ahead_s = 0.0  # of the loop's clock, after jumps
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self.nodes = {name: FakeNode(self, name, cores) for name, cores in plan.nodes.items()}
        self.people = Client(self, "people")
        self.control = Control(self)
        for node in self.nodes.values():
            node.begin()
        if plan.faults.until_s:
            self.after(float(self.rng.exponential(plan.faults.every_s)), self._fault)

    # ---- time ----

    def now(self) -> float:
        """The loop's clock: unix seconds that never fall."""
        return BEGAN_AT + self.t + self._ahead_s

    def after(self, delay_s: float, what: Callable[[], None]) -> None:
        """Do something later."""
        self._count += 1
        heappush(self._events, (self.t + delay_s, self._count, what))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Go on for so long, or until something holds; whether it does."""
        end = self.t + seconds
        while self._events and self._events[0][0] <= end:
            self.t, _, what = heappop(self._events)
            what()
            if until():
                return True
        self.t = end
        return until()

    # ---- the state ----

    @property
    def faulty(self) -> bool:
        """Whether things still go wrong."""
        return self.t < self.plan.faults.until_s

    def apply(self, content: bytes) -> Result:
        """Bring a command to the state, as the log does."""
        command, before = decode(content), self.state
        self.state, result = self.machine.apply(before, content)
        self.checks.applied(before, command, self.state, result)
        self.history.append((self.t, command, result))
        self.plan.told(before, self.state, result)
        if result.accepted and self.plan.wakes:
            self.control.wake()
            for node in self.nodes.values():
                node.wake()
        return result

    def force(self, game: str, elo: float) -> str:
        """A person brings a net and makes it champion at once."""
        name = self.world.brought(f"{game}/{self.t}", elo)
        self.people.propose(AddNet(game=game, sha256=name, size_bytes=1, version=99, parent=None))
        champion = self.state.learner(game).champion
        self.people.propose(Promote(game=game, candidate=name, expected=champion, how="manual", reason="a person"))
        return name

    def cancel(self, job: str) -> None:
        """A person ends a job."""
        self.people.propose(Cancel(job=job, reason="a person"))

    def halt(self) -> None:
        """A person stops everything."""
        self.people.propose(HaltAll(by="people", reason="a look"))

    def resume(self) -> None:
        """A person lets it go on."""
        self.people.propose(ResumeAll(by="people"))

    # ---- faults ----

    def _fault(self) -> None:
        if not self.faulty:
            return
        node = self.nodes[str(self.rng.choice(list(self.nodes)))]
        down_s = float(self.rng.choice([3.0, 30.0, 200.0]))
        for game in self.settings.games:
            self._usurp(game)
        match int(self.rng.integers(7)):
            case 0 | 1:
                node.crash(down_s)
            case 2 | 3:
                node.cut(down_s)
            case 4:
                self.control.restart()
            case 5:
                self._meddle(str(self.rng.choice(self.settings.games)))
            case _:  # the machine's clock is put forward; whoever decides next goes on from the latest known time
                self._ahead_s += float(self.rng.choice([5.0, 600.0, 36_000.0]))
                self.control.restart()
        self.after(float(self.rng.exponential(self.plan.faults.every_s)), self._fault)

    def _usurp(self, game: str) -> None:
        """Somebody who decided long ago, or wrongly, promotes any net in the place of any other."""
        learner = self.state.learner(game)
        if not learner.nets:
            return
        one, other = (learner.nets[str(name)] for name in self.rng.choice(list(learner.nets), 2))
        for expected in (learner.champion, other.sha256):
            body = Promote(
                game=game, candidate=one.sha256, expected=expected, how="gate", evidence=one.gauntlet, reason="late"
            )
            self.people.propose(body)

    def _meddle(self, game: str) -> None:
        """A person makes another champion, just when a candidate has passed against the old one if there is one."""
        learner = self.state.learner(game)
        if learner.champion is None or len(learner.reigns) > MEDDLED_MAX or not self.faulty:
            return
        if any(net.status is NetStatus.PASSED for net in learner.nets.values()):
            self.force(game, self.world.elo[learner.champion] + float(self.rng.normal(0, 50)))
        else:
            self.after(float(self.rng.uniform(0.5, 2.0)), lambda: self._meddle(game))


class Client:
    """Asks for one command after the other, each until there is an answer, as managers/proposer.py does."""

    def __init__(self, sim: Loop, name: str, reachable: Callable[[], bool] = lambda: True) -> None:
        self._sim = sim
        self._name = name
        self._reachable = reachable
        self._sequence = 0
        self._queue: list[tuple[Body, Callable[[Result], None]]] = []
        self._asking = False
        self.ended = False  # nobody asks any more; what was sent may still arrive

    @property
    def busy(self) -> bool:
        """Whether something is asked that has no answer yet."""
        return bool(self._queue)

    def propose(self, body: Body, then: Callable[[Result], None] = lambda _: None) -> None:
        """Ask, and go on with the answer."""
        self._queue.append((body, then))
        if not self._asking:
            self._next()

    def _next(self) -> None:
        self._asking = bool(self._queue)
        if not self._queue:
            return
        self._sequence += 1
        command = Command(client=self._name, sequence=self._sequence, at=self._sim.now(), body=self._queue[0][0])
        content = encode(command)
        self._sim.after(float(self._sim.rng.uniform(0.01, 0.3)), lambda: self._arrive(content))

    def _arrive(self, content: bytes) -> None:
        sim, rng = self._sim, self._sim.rng
        lost = rng.random() if sim.faulty else 1.0
        share = sim.plan.faults.lost_share
        if not self._reachable() or lost < share / 2:  # on the way there
            self._again(content)
            return
        result = sim.apply(content)
        if sim.faulty and rng.random() < share:  # comes once more, much later
            sim.after(float(rng.uniform(1, 300)), lambda: void(sim.apply(content)))
        if lost < share:  # on the way back
            self._again(content)
        elif not self.ended:
            _, then = self._queue.pop(0)
            then(result)
            self._next()

    def _again(self, content: bytes) -> None:
        if not self.ended:
            self._sim.after(float(self._sim.rng.uniform(0.5, 15)), lambda: self._arrive(content))


class Control:
    """Whoever decides: the deciders, each looking at its own pace, and what they want carried out."""

    def __init__(self, sim: Loop) -> None:
        self._sim = sim
        self._life = 0
        self._due: dict[str, float] = {}
        self._settled: dict[str, tuple[object, float]] = {}
        self.restart()

    def restart(self) -> None:
        """All that it remembers is gone; what was asked for may or may not arrive."""
        sim, settings = self._sim, self._sim.settings
        self._life += 1
        for client in getattr(self, "_clients", {}).values():
            client.ended = True
        scheduler = SelfplayScheduler(settings)
        self._reaper = JobReaper(settings)
        self._dispatcher = Dispatcher(settings, scheduler)
        self._rollback = RollbackManager(settings)
        self._deciders: dict[str, Decide] = {
            "QUEUE_POPULATOR": QueuePopulator(settings, scheduler).decide,
            "TRAINING_COORDINATOR": TrainingCoordinator(settings).decide,
            "FEEDBACK_LOOP": FeedbackLoopController(settings).decide,
            "SHADOW_TOURNAMENT": ShadowTournament(settings).decide,
            "AUTO_PROMOTION": PromotionController(settings, lambda _, stem: sim.world.results[stem]).decide,
            "ROLLBACK": self._roll_back,
            "DISPATCHER": self._dispatch,
            "JOB_REAPER": self._reap,
        }
        for name in sim.plan.without:
            self._deciders.pop(name, None)
        self._clients = {name: Client(sim, f"{name}/{self._life}") for name in self._deciders}
        for name in self._deciders:
            self._look_by(name, self._life, float(sim.rng.uniform(0, WAKE_S)))

    def wake(self) -> None:
        """Something has changed: everybody looks soon, at a pace of its own."""
        for name in self._deciders:
            if self._due[name] > self._sim.t + WAKE_S:
                self._look_by(name, self._life, float(self._sim.rng.uniform(0.05, WAKE_S)))

    def _look_by(self, name: str, life: int, delay_s: float) -> None:
        due = self._due[name] = self._sim.t + delay_s
        self._sim.after(delay_s, lambda: self._look(name, life, due))

    def _look(self, name: str, life: int, due: float) -> None:
        if life != self._life or self._due[name] != due:
            return  # another life, or another look comes sooner
        self._look_by(name, life, LOOK_S)
        if self._clients[name].busy:
            return
        decision = self._deciders[name](self._sim.state, self._sim.now())
        self._sim.waits[name] = decision.waits
        for body in decision.bodies:
            self._clients[name].propose(body)

    def _dispatch(self, state: ClusterState, now: float) -> Decision:
        return self._dispatcher.decide(state, now, self._reaper.silent(state, self._sim.t))

    def _reap(self, state: ClusterState, _now: float) -> Decision:
        for node in self._sim.nodes.values():
            if node.reachable:
                self._reaper.heard(node.name, node.session, self._sim.t)
        return self._reaper.decide(state, self._sim.t)

    def _roll_back(self, state: ClusterState, now: float) -> Decision:
        """As the shipped decider, but only those of whom something was seen, and the others after a while."""
        due = {}
        for game, learner in state.learners.items():
            seen = (learner.reigns, learner.seen, learner.job_games, learner.held)
            known, at = self._settled.get(game, ((), 0.0))
            if seen != known or self._sim.t - at >= REST_S:
                self._settled[game] = seen, self._sim.t
                due[game] = learner
        return self._rollback.decide(state.model_copy(update={"learners": due}), now)


def void(_result: Result) -> None:
    """Nobody listens to this answer."""
