"""Runs of the shipped log on a faulty disk, with a ledger of what it has promised."""

import errno
import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from managers.state.durable_log import DurableLog, Recovered
from ringrift_core.errors import StorageError
from tests.sim.faulty_files import Disk, Faults, FaultyFiles, PowerCutError

CODES = (errno.ENOSPC, errno.EIO, errno.EMFILE)


@dataclass
class Ledger:
    """What was acknowledged, what may be there or not, and what must never be there."""

    acknowledged: list[bytes] = field(default_factory=list)
    in_flight: list[bytes] = field(default_factory=list)
    refused: set[bytes] = field(default_factory=set)
    made: int = 0

    def bodies(self, rng: random.Random) -> list[bytes]:
        """Records as nobody has made them before."""
        self.made += 1
        return [b"%d.%d " % (self.made, i) + rng.randbytes(rng.choice((0, 3, 90))) for i in range(rng.randrange(1, 5))]

    def compare(self, found: Recovered, disk: Disk) -> None:
        """Assert that the log kept its promises; what it has given back is a promise from now on."""
        history = [*load(found.snapshot or b""), *found.records]
        assert len(history) == found.number + len(found.records)
        known = len(self.acknowledged)
        assert history[:known] == self.acknowledged, "an acknowledged record is lost, changed or out of order"
        rest = history[known:]
        assert rest == self.in_flight[: len(rest)], "a record was invented"
        assert not self.refused & set(history), "a record that was refused has come back"
        assert not found.damaged or disk.struck(), "a crash has left a damaged snapshot"
        self.acknowledged, self.in_flight = history, []


def dump(history: list[bytes]) -> bytes:
    """The state of the runs, their whole history, as bytes."""
    return b"".join(len(body).to_bytes(2) + body for body in history)


def load(content: bytes) -> list[bytes]:
    """The history of these bytes."""
    history = []
    while content:
        size = int.from_bytes(content[:2])
        history.append(content[2 : 2 + size])
        content = content[2 + size :]
    return history


def live(disk: Disk, ledger: Ledger, rng: random.Random, turns: int) -> None:
    """One process: recover, compare, append and compact, close or be killed; PowerCutError when the disk goes off."""
    log = DurableLog(FaultyFiles(disk), rng.randbytes)
    try:
        found = log.recover()
    except StorageError as error:
        if disk.struck():
            return
        raise AssertionError(f"a sound log was refused: {error}") from error
    ledger.compare(found, disk)
    for _ in range(turns):
        if rng.random() < 0.2 and log.wants_compaction(1, 1):
            compact(log, ledger, rng)
        elif not append(log, ledger, rng):
            return
    if rng.random() < 0.5:
        log.close()


def append(log: DurableLog, ledger: Ledger, rng: random.Random) -> bool:
    """Append new records and write down what came of it; False when the log takes nothing more."""
    if log._refusal:
        try:
            log.append([b"more"])
        except StorageError:
            return False
        raise AssertionError("a log with an unknown end took another record")
    bodies = ledger.bodies(rng)
    ledger.in_flight = bodies
    try:
        log.append(bodies)
    except StorageError:
        if log._refusal:
            return False
        ledger.refused.update(bodies)
    else:
        ledger.acknowledged += bodies
    ledger.in_flight = []
    return True


def compact(log: DurableLog, ledger: Ledger, rng: random.Random) -> None:
    """Make a snapshot, sometimes with records appended between its steps."""
    state = dump(ledger.acknowledged)
    with closing(log.compaction(log.last, lambda: state)) as steps:
        try:
            for _ in steps:
                if rng.random() < 0.3 and not append(log, ledger, rng):
                    return
        except StorageError:
            return


def cut_everywhere(seed: int, skipped: Callable[[str, str], bool] = lambda call, name: False) -> int:
    """The same run once per call of the file layer, with the power cut there; how many runs that were."""
    count = 0
    cut_at = -1
    while True:
        rng, disk, ledger = random.Random(seed), Disk(), Ledger()
        disk.faults = Faults(random.Random(seed * 10_007 + cut_at), None if cut_at < 0 else cut_at, {}, skipped)
        try:
            live(disk, ledger, rng, turns=14)
        except PowerCutError:
            count += 1
            disk.power_up(Faults(skipped=skipped))
            live(disk, ledger, rng, turns=3)
            disk.restart(Faults())
            live(disk, ledger, rng, turns=0)
        else:
            if cut_at >= 0:
                return count
        cut_at += 1


def many_lives(seed: int, lives: int = 6) -> int:
    """Processes one after the other, with power cuts, kills and failing calls at random; the number of faults."""
    rng, disk, ledger = random.Random(seed), Disk(), Ledger()
    struck = 0
    for _ in range(lives):
        fail_at = {rng.randrange(80): rng.choice(CODES) for _ in range(rng.randrange(4))}
        cut_at = rng.randrange(100) if rng.random() < 0.7 else None
        faults = Faults(random.Random(rng.random()), cut_at, fail_at)
        disk.restart(faults)
        try:
            live(disk, ledger, rng, turns=10)
        except PowerCutError:
            struck += 1
        struck += disk.struck()
        if disk.off or rng.random() < 0.3:
            disk.off = True
            disk.power_up(Faults())
    disk.restart(Faults())
    live(disk, ledger, rng, turns=1)
    return struck
