"""Runs of voters under faults that are drawn from a seed; each ends in rest and a comparison with the ledger."""

from collections.abc import Callable
from contextlib import suppress

from ringrift_core.errors import RulesError
from tests.sim.faulty_files import Disk, Faults
from tests.sim.log_runs import CODES
from tests.sim.raft_cluster import Voter, World, grown

Fault = Callable[[World, Voter], None]


def kill(world: World, voter: Voter) -> None:
    world.kill(voter)
    restart_later(world, voter, lost=world.rng.random() < 0.7)


def kill_all(world: World, _: Voter) -> None:
    for voter in world.alive():
        world.kill(voter)
        restart_later(world, voter, lost=True)


def restart_later(world: World, voter: Voter, *, lost: bool = False) -> None:
    def restart() -> None:
        if voter.raft is None:
            voter.start(lost=lost)

    world.after(world.rng.choice((0.1, 0.5, 3.0)), restart)


def isolate(world: World, voter: Voter) -> None:
    world.part([voter.name])
    world.after(world.rng.uniform(0.2, 4), world.heal)


def split(world: World, _: Voter) -> None:
    names = sorted(world.voters)
    world.part(world.rng.sample(names, len(names) // 2))
    world.after(world.rng.uniform(0.2, 4), world.heal)


def break_link(world: World, voter: Voter) -> None:
    pairs = [pair for pair in world.connections if voter.name in pair]
    if pairs:
        world.hang_up(world.rng.choice(sorted(pairs, key=sorted)))


def stall(world: World, voter: Voter) -> None:
    """Nothing that the voter sends, or nothing that is sent to it, arrives; then the connections break."""
    outwards = world.rng.random() < 0.5
    for other in world.voters.values():
        if other is not voter:
            world.stall(*((voter.name, other.name) if outwards else (other.name, voter.name)))
    world.after(world.rng.uniform(0.2, 3), world.heal)


def transfer(world: World, _: Voter) -> None:
    leader = world.leader()
    if leader is not None and leader.raft is not None:
        with suppress(RulesError):
            leader.raft.transfer(None)
            leader.tick()


def slow_dumps(world: World, voter: Voter) -> None:
    voter.slow_dumps = not voter.slow_dumps


def power_cut(world: World, voter: Voter) -> None:
    """In one of the next calls of the file layer."""
    if voter.raft is not None:
        voter.disk.faults.cut_at = len(voter.disk.calls) + world.rng.randrange(30)
        restart_when_down(world, voter)


def failing_disk(world: World, voter: Voter) -> None:
    """One of the next calls of the file layer fails; a voter whose disk refuses ends."""
    if voter.raft is not None:
        number = len(voter.disk.calls) + world.rng.randrange(20)
        voter.disk.faults.fail_at[number] = world.rng.choice(CODES)
        restart_when_down(world, voter)


def empty_disk(world: World, voter: Voter) -> None:
    """The node comes back without anything. One at a time: what only two had would be gone."""
    if all(it.store is not None and not it.store.mute for it in world.voters.values()):
        world.kill(voter)
        voter.disk = Disk()
        restart_later(world, voter)


def restart_when_down(world: World, voter: Voter) -> None:
    def look() -> None:
        if voter.raft is not None:
            world.after(0.2, look)
        else:
            voter.start()

    world.after(0.2, look)


FAULTS: tuple[Fault, ...] = (
    kill, kill, kill_all, isolate, isolate, split, break_link, break_link, stall, stall, transfer, slow_dumps,
    power_cut, power_cut, failing_disk, empty_disk,
)  # fmt: skip


def propose_always(world: World, every_s: float = 0.08) -> None:
    """Somebody proposes something, again and again."""

    def propose() -> None:
        voter = world.rng.choice(sorted(world.voters.values(), key=lambda it: it.name))
        for _ in range(world.rng.choice((1, 1, 3))):
            voter.propose()
        world.after(every_s, propose)

    propose()


def chaos(seed: int, count: int, seconds: float) -> World:
    """A cluster that grew under no fault, then faults of every kind, then rest."""
    world = grown(seed, count)
    propose_always(world)
    end = world.now + seconds
    while world.now < end:
        world.run(world.rng.uniform(0.1, 1.2))
        fault = world.rng.choice(FAULTS)
        fault(world, world.rng.choice(sorted(world.voters.values(), key=lambda it: it.name)))
    world.finish()
    return world


def cut_everywhere(seed: int, deaths: int, count: int = 3) -> World:
    """Voters of which each loses its power again and again, in any call of the file layer, until so many times.

    The first calls of a life read the log back; compactions come every few entries.
    """
    world = grown(seed, count)
    world.new_faults = lambda: Faults(world.rng, world.rng.randrange(70))
    propose_always(world, 0.03)
    for voter in world.voters.values():
        world.kill(voter)
        always_restart(world, voter)
    assert world.run(deaths * 2, lambda: world.deaths.total() >= deaths)
    world.finish()
    return world


def always_restart(world: World, voter: Voter) -> None:
    def look() -> None:
        if voter.raft is None:
            voter.start()
        world.after(world.rng.uniform(0.1, 0.4), look)

    look()


def keep_changing(world: World, spare: str, end: float) -> None:
    """One node joins and is removed, again and again."""

    def change() -> None:
        if world.now > end:
            return
        leader = world.leader()
        if leader is not None and leader.raft is not None and leader.standing is not None:
            with suppress(RulesError):
                if spare in leader.standing.voters:
                    leader.raft.remove_voter(spare)
                else:
                    leader.raft.add_voter(spare)
                leader.tick()
        world.after(world.rng.uniform(0.3, 1.5), change)

    change()


def changing(seed: int, seconds: float) -> World:
    """Chaos while one of four nodes joins and leaves; it may be a member at the end or not."""
    world = grown(seed, 4)
    propose_always(world)
    end = world.now + seconds
    keep_changing(world, "n4", end)
    while world.now < end:
        world.run(world.rng.uniform(0.1, 1.2))
        fault = world.rng.choice(FAULTS)
        fault(world, world.voters[world.rng.choice(("n1", "n2", "n3", "n4"))])
    world.restore()
    assert world.run(12, lambda: world.leader() is not None), f"nobody leads: {world.view()}"
    world.run(2)
    leader = world.leader()
    assert leader is not None
    assert leader.standing is not None
    world.group = set(leader.standing.voters)
    world.finish()
    return world
