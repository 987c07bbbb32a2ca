"""One client of the consensus: its numbers, its patience, its turns."""

import asyncio
import logging
from collections.abc import Callable
from itertools import pairwise

import pytest

from managers.ports import BusyError
from managers.proposer import PAUSE_FIRST_S, PAUSE_MAX_S, PROPOSE_S, Proposer
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import Command, HaltAll, ResumeAll, decode
from managers.state.machine import StateMachine
from ringrift_core.errors import RulesError, StorageError
from tests.virtual_time import run_virtual

HALT = HaltAll(by="me", reason="smoke")
RESUME = ResumeAll(by="me")
FULL = StorageError("the disk is full")
Trouble = Exception | None


class Disk:
    """A consensus that fails as it is told to, before or after it has applied a command."""

    def __init__(self, *troubles: Trouble, applies_first: bool = False, delay_s: float = 0.0) -> None:
        self.machine = StateMachine()
        self.state: ClusterState = self.machine.initial()
        self.troubles = list(troubles)
        self.applies_first = applies_first
        self.delay_s = delay_s
        self.asked: list[tuple[float, bytes]] = []  # when, and what
        self.under_way = 0

    @property
    def version(self) -> int:
        return len(self.asked)

    async def propose(self, body: bytes, timeout_s: float) -> Result:
        assert timeout_s == PROPOSE_S
        self.under_way += 1
        assert self.under_way == 1, "one command after the other"
        try:
            self.asked.append((asyncio.get_running_loop().time(), body))
            await asyncio.sleep(self.delay_s)
            trouble = self.troubles.pop(0) if self.troubles else None
            if trouble is not None and not self.applies_first:
                raise trouble
            self.state, result = self.machine.apply(self.state, body)
            if trouble is not None:
                raise trouble
            return result
        finally:
            self.under_way -= 1

    async def changed(self, version: int, timeout_s: float) -> int:
        raise NotImplementedError

    @property
    def commands(self) -> list[Command]:
        return [decode(body) for _, body in self.asked]

    @property
    def pauses_s(self) -> list[float]:
        times = [at for at, _ in self.asked]
        return [later - earlier for earlier, later in pairwise(times)]


def proposer(disk: Disk, clock: Callable[[], float] = lambda: 7.0) -> Proposer:
    return Proposer(disk, "n1/1/LOOP", clock)


# ---- commands ----


def test_commands_bear_the_clients_name_its_running_number_and_its_clock():
    disk, times = Disk(), iter([5.0, 6.0])

    async def main() -> list[Result]:
        asks = proposer(disk, lambda: next(times))
        return [await asks.propose(HALT), await asks.propose_once(RESUME)]

    assert [result.seq for result in run_virtual(main())] == [1, 2]
    assert [(it.client, it.sequence, it.at, it.body) for it in disk.commands] == [
        ("n1/1/LOOP", 1, 5.0, HALT),
        ("n1/1/LOOP", 2, 6.0, RESUME),
    ]


def test_a_refusal_is_an_answer():
    disk = Disk()
    result = run_virtual(proposer(disk).propose(RESUME))
    assert (result.accepted, result.reason, len(disk.asked)) == (False, "nothing is halted", 1)


# ---- propose ----


@pytest.mark.parametrize("trouble", [FULL, BusyError("too many wait"), TimeoutError()])
def test_a_command_is_asked_again_with_its_number_until_there_is_an_answer(trouble):
    disk = Disk(trouble, trouble, trouble)
    assert run_virtual(proposer(disk).propose(HALT)).accepted
    assert len(disk.asked) == 4
    assert len({body for _, body in disk.asked}) == 1


def test_the_pauses_double_up_to_a_limit():
    disk = Disk(*[FULL] * 8)
    run_virtual(proposer(disk).propose(HALT))
    assert disk.pauses_s == [0.5, 1, 2, 4, 8, 15, 15, 15]
    assert (PAUSE_FIRST_S, PAUSE_MAX_S) == (0.5, 15)


def test_a_write_that_was_lost_on_the_way_back_has_no_second_effect():
    disk = Disk(TimeoutError(), applies_first=True)
    result = run_virtual(proposer(disk).propose(HALT))
    assert (result.accepted, result.seq, disk.state.seq) == (True, 1, 1)


def test_trouble_is_logged_once_per_command_in_words(caplog: pytest.LogCaptureFixture):
    disk = Disk(TimeoutError(), FULL, FULL)
    with caplog.at_level(logging.WARNING):
        run_virtual(proposer(disk).propose(HALT))
    (record,) = caplog.records
    assert "halt of n1/1/LOOP cannot be written: no answer in 30 s" in record.getMessage()


def test_a_command_that_is_too_large_is_not_asked_again():
    disk = Disk(RulesError("a body of 2 MB"))
    with pytest.raises(RulesError):
        run_virtual(proposer(disk).propose(HALT))
    assert len(disk.asked) == 1


# ---- propose_once ----


@pytest.mark.parametrize(
    ("trouble", "said"),
    [(FULL, "the disk is full"), (BusyError("too many wait"), "too many wait"), (TimeoutError(), "no answer in 30 s")],
)
def test_one_try_ends_in_a_storage_error_in_words(trouble, said):
    disk = Disk(trouble)
    with pytest.raises(StorageError, match=said):
        run_virtual(proposer(disk).propose_once(HALT))
    assert len(disk.asked) == 1


def test_after_a_try_that_failed_the_next_command_has_the_next_number():
    """The first one may still come to be applied; the second must not be taken for it."""
    disk = Disk(FULL)

    async def main() -> Result:
        asks = proposer(disk)
        with pytest.raises(StorageError):
            await asks.propose_once(HALT)
        return await asks.propose_once(HALT)

    assert run_virtual(main()).accepted
    assert [command.sequence for command in disk.commands] == [1, 2]


# ---- turns ----


def test_commands_go_one_after_the_other_in_the_order_in_which_they_were_asked():
    disk = Disk(FULL, delay_s=1.0)

    async def main() -> list[Result]:
        asks = proposer(disk)
        return list(await asyncio.gather(asks.propose(HALT), asks.propose(RESUME), asks.propose_once(HALT)))

    assert [result.seq for result in run_virtual(main())] == [1, 2, 3]
    assert [command.sequence for command in disk.commands] == [1, 1, 2, 3]


def test_who_gives_up_waiting_lets_the_next_one_go():
    disk = Disk(*[FULL] * 3)

    async def main() -> Result:
        asks = proposer(disk)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.0):
                await asks.propose(HALT)
        return await asks.propose(HALT)

    assert run_virtual(main()).accepted
    assert [command.sequence for command in disk.commands] == [1, 1, 1, 2]
