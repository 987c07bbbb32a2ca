"""Voters in virtual time: the shipped `Raft` on faulty disks, a network that delays, stalls and breaks, one seed.

A connection delivers in order and never again after it broke. The ledger stands outside and compares at every step.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import combinations

from p2p.consensus import substitutes
from p2p.consensus.effects import Applied, DumpWanted, Effect, Installed, Refused, Role, Send, Standing
from p2p.consensus.raft import Raft, RaftLimits
from p2p.consensus.store import RaftStore
from ringrift_core.errors import RulesError, StorageError
from tests.sim.faulty_files import Disk, Faults, FaultyFiles, PowerCutError
from tests.sim.log_runs import dump, load

TICK_S = 0.05  # besides the tick at every arrival
LIMITS = RaftLimits(compact_entries=12)


@dataclass
class Ledger:
    """What the cluster has said to anybody."""

    history: list[bytes] = field(default_factory=list)  # applied anywhere, by version - 1
    acknowledged: set[bytes] = field(default_factory=set)
    refused: set[bytes] = field(default_factory=set)  # for good
    made: int = 0

    def applied(self, version: int, body: bytes) -> None:
        assert version <= len(self.history) + 1, "a version was left out"
        if version == len(self.history) + 1:
            assert body not in self.refused, "a body that was refused for good was applied"
            self.history.append(body)
        assert self.history[version - 1] == body, "two nodes applied different bodies at one version"

    def installed(self, version: int, state: list[bytes]) -> None:
        assert state == self.history[:version], "a dump is not what was applied"


class Voter:
    """One node: a disk, a raft in its present life, and the state that its bodies lead to."""

    def __init__(self, name: str, world: "World") -> None:
        self.name, self.world = name, world
        self.disk = Disk()
        self.raft: Raft | None = None
        self.store: RaftStore | None = None
        self.state: list[bytes] = []
        self.standing: Standing | None = None
        self.life = 0
        self.asked: dict[int, bytes] = {}
        self.slow_dumps = False

    def start(self, *, lost: bool = False, base: list[bytes] | None = None) -> None:
        """Begin a life: from the disk as a crash (or, where `lost`, a power cut) left it."""
        assert self.raft is None
        self.life += 1
        self.state, self.asked = [], {}
        faults = self.world.new_faults()
        faults.skipped = self.world.skipped
        if lost or self.disk.off:
            self.disk.off = True
            self.disk.power_up(faults)
        else:
            self.disk.restart(faults)
        try:
            self._open(base)
        except StorageError as error:
            if not self.disk.struck():
                raise AssertionError(f"a sound log was refused: {error}") from error
            self.world.died(self)
            return
        except PowerCutError:
            self.world.died(self)
            return
        for other in self.world.voters.values():
            if other is not self and other.raft is not None:
                self.world.dial(self, other)
        self.world.tick_later(self, self.life)

    def _open(self, base: list[bytes] | None) -> None:
        self.store = RaftStore(FaultyFiles(self.disk), self.world.rng.randbytes)
        self.store.open()
        if base is not None:
            self.world.ledger.history[:] = base
            self.store.found(len(base), dump(base), [self.name])
        self.raft = Raft(self.name, self.world.group, self.store, limits=LIMITS)

    def propose(self) -> None:
        """Ask for a body that nobody has asked for before."""
        if self.raft is None:
            return
        ledger = self.world.ledger
        ledger.made += 1
        body = b"%s.%d" % (self.name.encode(), ledger.made)
        self.asked[ledger.made] = body
        self.raft.propose(ledger.made, body)
        self.tick()

    def tick(self) -> None:
        """One tick and all that it hands out; the power may go."""
        if self.raft is None:
            return
        try:
            effects = self.raft.tick()
        except (PowerCutError, StorageError):
            self.world.died(self)
            return
        for effect in effects:
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        ledger = self.world.ledger
        match effect:
            case Send(peer, frame):
                self.world.send(self, self.world.voters[peer], frame)
            case Installed(version, content):
                self.state = load(content)
                assert len(self.state) == version
                ledger.installed(version, self.state)
            case Applied(version, bodies):
                assert version == len(self.state) + 1, "bodies were applied twice or left out"
                for place, body in enumerate(bodies):
                    ledger.applied(version + place, body)
                    self.state.append(body)
                mine = {body: number for number, body in self.asked.items()}
                for body in mine.keys() & set(bodies):
                    ledger.acknowledged.add(body)
                    del self.asked[mine[body]]
            case DumpWanted(version):
                assert version == len(self.state), "a dump of another state is wanted"
                self._dump_later(version, dump(self.state), self.life)
            case Refused(number, _, maybe):
                if (body := self.asked.pop(number, b"")) and not maybe:
                    assert body not in ledger.history, "a body that was applied was refused"
                    ledger.refused.add(body)
            case Standing():
                self.standing = effect

    def _dump_later(self, version: int, content: bytes, life: int) -> None:
        def answer() -> None:
            if self.raft is not None and self.life == life:
                self.raft.dumped(version, content)

        self.world.after(self.world.rng.uniform(1, 3) if self.slow_dumps else 0.01, answer)

    @property
    def leads(self) -> bool:
        """Whether it takes itself for the leader."""
        return self.raft is not None and self.standing is not None and self.standing.role is Role.LEADER


@dataclass
class Connection:
    """One life of a link; frames under way are lost when it breaks."""

    ends: frozenset[str]
    up: bool = True
    stalled: set[str] = field(default_factory=set)  # nothing from these ends arrives for now
    waiting: dict[str, list[bytes]] = field(default_factory=dict)  # by sender
    free_at: dict[str, float] = field(default_factory=dict)


class World:
    """Clock, network and voters; everything is drawn from one seed."""

    def __init__(self, seed: int, names: Iterable[str]) -> None:
        self.rng = random.Random(seed)
        self.now = 1000.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self.ledger = Ledger()
        self.voters = {name: Voter(name, self) for name in names}
        self.connections: dict[frozenset[str], Connection] = {}
        self.cut: set[frozenset[str]] = set()  # pairs that cannot connect
        self.deaths: Counter[str] = Counter()  # by the call of the file layer
        self.delay_s = (0.001, 0.02)
        self.skipped: Callable[[str, str], bool] = lambda call, name: False  # a planted bug of the file layer
        self.new_faults: Callable[[], Faults] = Faults  # of each life
        self.group = set(self.voters)  # who should vote at the end
        substitutes.install(lambda: self.now, self.rng)

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Do something later."""
        self._count += 1
        heapq.heappush(self._queue, (self.now + delay_s, self._count, action))

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Let time pass, until something holds where that is given; whether it did."""
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, _, action = heapq.heappop(self._queue)
            action()
            if until is not None and until():
                return True
        self.now = end
        return until is not None and until()

    def tick_later(self, voter: Voter, life: int) -> None:
        """Tick regularly for one life."""

        def tick() -> None:
            if voter.raft is not None and voter.life == life:
                voter.tick()
                self.after(TICK_S, tick)

        self.after(self.rng.uniform(0, TICK_S), tick)

    def dial(self, one: Voter, other: Voter) -> None:
        """Connect two after a while, and again whenever the connection breaks."""

        def connect() -> None:
            pair = frozenset((one.name, other.name))
            old = self.connections.get(pair)
            if one.raft is None or other.raft is None or (old is not None and old.up):
                return
            if pair in self.cut:
                self.dial(one, other)
                return
            self.connections[pair] = Connection(pair)
            one.raft.connected(other.name)
            other.raft.connected(one.name)

        self.after(self.rng.uniform(0.05, 0.3), connect)

    def hang_up(self, pair: frozenset[str]) -> None:
        """Break a connection, of which each end hears; it will be dialled again."""
        found = self.connections.pop(pair, None)
        if found is None or not found.up:
            return
        found.up = False
        one, other = (self.voters[name] for name in sorted(pair))
        for end, peer in ((one, other), (other, one)):
            if end.raft is not None:
                end.raft.disconnected(peer.name)
                end.tick()
        if one.raft is not None and other.raft is not None:
            self.dial(one, other)

    def send(self, sender: Voter, receiver: Voter, frame: bytes) -> None:
        """Put a frame on its way."""
        found = self.connections.get(frozenset((sender.name, receiver.name)))
        if found is None:
            return
        if sender.name in found.stalled:
            found.waiting.setdefault(sender.name, []).append(frame)
            return
        arrival = max(self.now + self.rng.uniform(*self.delay_s), found.free_at.get(sender.name, 0.0))
        found.free_at[sender.name] = arrival

        def arrive() -> None:
            if not found.up or receiver.raft is None:
                return
            if sender.name in found.stalled:
                found.waiting.setdefault(sender.name, []).append(frame)
                return
            receiver.raft.receive(sender.name, frame)
            receiver.tick()

        self.after(arrival - self.now, arrive)

    def stall(self, sender: str, receiver: str) -> None:
        """Nothing arrives in one direction any more, and nobody is told."""
        if found := self.connections.get(frozenset((sender, receiver))):
            found.stalled.add(sender)

    def kill(self, voter: Voter) -> None:
        """kill -9."""
        if voter.raft is not None:
            self.died(voter)

    def died(self, voter: Voter) -> None:
        """The process is gone; the others hear of it."""
        if voter.disk.off and voter.disk.calls:
            self.deaths[voter.disk.calls[-1].rstrip("0123456789")] += 1
        voter.raft, voter.store, voter.standing = None, None, None
        for pair in [pair for pair in self.connections if voter.name in pair]:
            self.hang_up(pair)

    def part(self, group: Iterable[str]) -> None:
        """Cut a group off from all others."""
        inside = set(group)
        for pair in combinations(sorted(self.voters), 2):
            if len(inside & set(pair)) == 1:
                self.cut.add(frozenset(pair))
                self.hang_up(frozenset(pair))

    def heal(self) -> None:
        """All that live can reach each other again; what was stalled arrives late or breaks."""
        self.cut.clear()
        for pair, found in list(self.connections.items()):
            if found.stalled and self.rng.random() < 0.5:
                self.hang_up(pair)
            found.stalled.clear()
            late, found.waiting = found.waiting, {}
            for sender in sorted(late):
                (receiver,) = pair - {sender}
                for frame in late[sender]:
                    self.send(self.voters[sender], self.voters[receiver], frame)

    def alive(self) -> list[Voter]:
        """Those that run."""
        return [voter for voter in self.voters.values() if voter.raft is not None]

    def leader(self) -> Voter | None:
        """The one that leads and is followed by a majority of those that run, if there is one."""
        for voter in self.alive():
            if voter.leads and voter.standing is not None:
                term = voter.standing.term
                followers = [
                    it
                    for it in self.alive()
                    if it.standing and (it.standing.leader, it.standing.term) == (voter.name, term)
                ]
                if len(followers) > len(voter.standing.voters) / 2:
                    return voter
        return None

    def members(self) -> list[Voter]:
        """Those who should vote."""
        return [self.voters[name] for name in sorted(self.group)]

    def settled(self) -> bool:
        """Whether one leads, all have everything, and everybody's proposals have an answer."""
        everyone = self.members()
        leaders = [voter for voter in everyone if voter.leads]
        return (
            len(leaders) == 1
            and all(voter.raft is not None and len(voter.state) == len(self.ledger.history) for voter in everyone)
            and all(it.standing is not None and it.standing.leader == leaders[0].name for it in everyone)
        )

    def restore(self) -> None:
        """No faults from now on; whoever is down is started."""
        self.heal()
        self.new_faults = Faults
        for voter in self.voters.values():
            voter.disk.faults.cut_at, voter.disk.faults.fail_at = None, {}
            if voter.raft is None:
                voter.start()

    def finish(self, seconds: float = 12.0) -> None:
        """Hold that the cluster comes to rest after all faults, with everything that it has promised."""
        self.restore()
        assert self.run(seconds, self.settled), f"no agreement {seconds} s after the last fault: {self.view()}"
        proposer = self.members()[0]
        proposer.propose()
        assert self.run(seconds, lambda: not proposer.asked and self.settled()), (
            f"nothing can be written: {self.view()}"
        )
        history = self.ledger.history
        assert self.ledger.acknowledged <= set(history), "an acknowledged body is lost"
        assert len(history) == len(set(history)), "a body was applied twice"
        assert not self.ledger.refused & set(history), "a body that was refused for good was applied"
        for voter in self.members():
            assert voter.state == history
            assert voter.standing is not None
            assert set(voter.standing.voters) == self.group

    def view(self) -> dict[str, object]:
        """For messages."""
        return {name: (len(voter.state), voter.standing) for name, voter in self.voters.items()}


def grown(seed: int, count: int) -> World:
    """A cluster that began with one node and a history, and grew to so many voters."""
    names = [f"n{i + 1}" for i in range(count)]
    world = World(seed, names)
    first = world.voters["n1"]
    first.start(base=[b"old.1", b"old.2"])
    assert world.run(3, lambda: first.leads)
    for name in names[1:]:
        world.voters[name].start()
        join(world, name)
    world.run(0.5)
    return world


def join(world: World, name: str, seconds: float = 6.0) -> None:
    """Let a running node vote; wait until it does and has everything."""
    newcomer = world.voters[name]

    def ask() -> None:
        leader = world.leader()
        if leader is not None and leader.raft is not None and leader.standing is not None:
            if name not in leader.standing.voters:
                try:
                    leader.raft.add_voter(name)
                    leader.tick()
                except RulesError:
                    pass
            elif newcomer.standing is not None and name in newcomer.standing.voters:
                return
        world.after(0.1, ask)

    ask()

    def there() -> bool:
        leader = world.leader()
        both = (leader, newcomer)
        return all(it is not None and it.standing is not None and name in it.standing.voters for it in both) and (
            leader is not None and newcomer.state == leader.state
        )

    assert world.run(seconds, there), f"{name} did not join: {world.view()}"
