"""The control process' side of consensus over Raft, with a raft process that says what the test wants."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from managers.ports import BusyError
from managers.state.log_format import RECORD_BYTES_MAX
from p2p.consensus import raft_consensus, requests
from p2p.consensus.effects import Applied, DumpWanted, Refused, Role, Standing
from p2p.consensus.pipe import (
    Alive,
    Answered,
    BasePart,
    Begin,
    Change,
    DumpPart,
    Failed,
    InstalledPart,
    Listening,
    NoDump,
    Peer,
    Peers,
    Propose,
    ToControl,
    ToRaft,
    Wish,
)
from p2p.consensus.raft_consensus import RaftConsensus, Voter
from p2p.consensus.requests import TAG_BYTES
from ringrift_core.errors import RulesError, StorageError

State = tuple[bytes, ...]
WAIT_S = 20.0
TAG = bytes(TAG_BYTES)
VOTERS = ("a", "b", "c")
LEADS = Standing(Role.LEADER, "a", 1, quorum=True, voters=VOTERS, applied_version=0)
ALONE = Standing(Role.FOLLOWER, None, 1, quorum=False, voters=VOTERS, applied_version=0)
HEADLESS = Standing(Role.FOLLOWER, None, 2, quorum=True, voters=VOTERS, applied_version=0)


class History:
    """The state is every body; the result is how many came before."""

    def initial(self) -> State:
        return ()

    def apply(self, state: State, body: bytes) -> tuple[State, int]:
        return (*state, body), len(state)

    def dump(self, state: State) -> bytes:
        return b"\n".join(state)

    def load(self, content: bytes) -> State:
        if content == b"broken":
            raise StorageError("no state")
        return tuple(content.split(b"\n"))


class FakeChild:
    """A raft process in memory."""

    pid = 4711

    def __init__(self) -> None:
        self.told: list[ToRaft] = []
        self.says: asyncio.Queue[ToControl | None] = asyncio.Queue()
        self.reads = True
        self.ended = False

    def say(self, message: ToRaft) -> bool:
        if self.reads:
            self.told.append(message)
        return self.reads

    async def say_large(self, message: ToRaft) -> None:
        self.told.append(message)

    async def messages(self) -> AsyncGenerator[ToControl, None]:
        while (message := await self.says.get()) is not None:
            yield message

    async def end(self) -> None:
        self.ended = True
        self.says.put_nowait(None)

    def tell(self, *messages: ToControl | None) -> None:
        for message in messages:
            self.says.put_nowait(message)

    async def asked(self, kind: type, count: int = 1) -> Any:
        """The latest thing of a kind that it was told, once there are so many."""
        async with asyncio.timeout(WAIT_S):
            while len(found := [it for it in self.told if isinstance(it, kind)]) < count:  # noqa: ASYNC110
                await asyncio.sleep(0)
        return found[-1]


class Children:
    """All raft processes, in the order in which they are started; each says first what `greeting` holds."""

    def __init__(self) -> None:
        self.all: list[FakeChild] = []
        self.greeting: list[ToControl | None] = [Listening(8771), LEADS]

    async def start(self) -> FakeChild:
        child = FakeChild()
        child.tell(*self.greeting)
        self.all.append(child)
        return child

    async def next(self, number: int) -> FakeChild:
        async with asyncio.timeout(WAIT_S):
            while len(self.all) < number:  # noqa: ASYNC110
                await asyncio.sleep(0)
        return self.all[number - 1]


@pytest.fixture
def children(monkeypatch) -> Children:
    found = Children()
    monkeypatch.setattr(raft_consensus, "RaftChild", found)
    monkeypatch.setattr(raft_consensus, "RESTART_MIN_S", 0.0)
    return found


def consensus(**given: Any) -> RaftConsensus[State, int]:
    voter = Voter("c-1", "a", Path("/k/node.key"), Path("/s/raft"), "127.0.0.1", 8771, VOTERS)
    return RaftConsensus(History(), voter, **given)


def run(what: Callable[[RaftConsensus[State, int], FakeChild], Coroutine[Any, Any, None]], children: Children) -> None:
    """Run it with a consensus that is open and its first raft process."""

    async def live() -> None:
        async with consensus() as served:
            await what(served, children.all[0])
        assert children.all[-1].ended

    asyncio.run(live())


async def settled() -> None:
    """Everything that was said has been heard."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_raft_process_is_told_who_it_is_and_nothing_secret(children):
    async def live() -> None:
        peers = (Peer("b", "10.0.0.2", 8771, bytes(32)),)
        made_in: list[threading.Thread] = []

        def dump() -> bytes:
            made_in.append(threading.current_thread())
            return b"x" * (1 << 20) + b"y"

        served = consensus(base=(7, dump))
        served.peers(peers)
        async with served:
            begin, *base, told = children.all[0].told
            assert begin == Begin("c-1", "a", "/k/node.key", "/s/raft", "127.0.0.1", 8771, VOTERS, "lan", founded=True)
            assert base == [BasePart(7, b"x" * (1 << 20), last=False), BasePart(7, b"y", last=True)]
            assert told == Peers(peers)
            assert served.port == 8771
            assert made_in != [threading.main_thread()], "the loop does not wait for it"

    asyncio.run(live())


def test_a_proposal_has_the_result_of_its_own_body(children):
    async def what(served: RaftConsensus[State, int], child: FakeChild) -> None:
        waiting = [asyncio.create_task(served.propose(b"same", WAIT_S)) for _ in range(2)]
        second = await child.asked(Propose, 2)
        first = next(it for it in child.told if isinstance(it, Propose))
        assert first.body != second.body
        assert first.body[TAG_BYTES:] == second.body[TAG_BYTES:] == b"same"
        child.tell(Applied(1, (second.body, TAG + b"of another node", first.body)))
        assert await asyncio.gather(*waiting) == [2, 0]
        assert (served.state, served.version) == ((b"same", b"of another node", b"same"), 3)

    run(what, children)


def test_a_proposal_that_is_in_no_log_is_tried_again_under_the_same_tag(children):
    async def what(served: RaftConsensus[State, int], child: FakeChild) -> None:
        waiting = asyncio.create_task(served.propose(b"x", WAIT_S))
        first = await child.asked(Propose)
        child.tell(Refused(first.number, "no leader", maybe=False))
        second = await child.asked(Propose, 2)
        assert second.body == first.body
        assert second.number != first.number
        child.tell(Refused(first.number, "said late", maybe=True), Applied(1, (second.body,)))
        assert await waiting == 0

    run(what, children)


def test_a_proposal_of_which_nobody_knows_is_told_so_and_not_tried_again(children):
    async def what(served: RaftConsensus[State, int], child: FakeChild) -> None:
        waiting = asyncio.create_task(served.propose(b"x", WAIT_S))
        first = await child.asked(Propose)
        child.tell(Refused(first.number, "the leader has changed", maybe=True))
        with pytest.raises(StorageError, match="the leader has changed; this may have been written or not"):
            await waiting
        child.tell(Applied(1, (first.body,)))
        assert await served.changed(0, WAIT_S) == 1
        assert len([it for it in child.told if isinstance(it, Propose)]) == 1

    run(what, children)


def test_a_timeout_says_what_was_in_the_way(children, monkeypatch):
    async def what(served: RaftConsensus[State, int], child: FakeChild) -> None:
        with pytest.raises(TimeoutError, match=r"no answer in 0\.01 s; this may have been written or not"):
            await served.propose(b"x", 0.01)
        child.tell(Alive(("b",)), ALONE)
        await settled()
        with pytest.raises(TimeoutError, match="no majority of the 3 voters is connected; missing: c"):
            await served.propose(b"x", 0.01)
        child.reads = False
        monkeypatch.setattr(raft_consensus, "SILENT_S", -1.0)
        with pytest.raises(TimeoutError, match="the raft process has not answered for"):
            await served.propose(b"x", 0.01)

    run(what, children)


def test_proposals_have_bounds(children, monkeypatch):
    async def what(served: RaftConsensus[State, int], child: FakeChild) -> None:
        with pytest.raises(RulesError, match="are the most"):
            await served.propose(bytes(RECORD_BYTES_MAX + 1), WAIT_S)
        monkeypatch.setattr(requests, "WAITING_BYTES_MAX", 10)
        monkeypatch.setattr(requests, "WAITING_MAX", 2)
        waiting = [asyncio.create_task(served.propose(b"12345", WAIT_S)) for _ in range(2)]
        last = await child.asked(Propose, 2)
        for body in (b"", b"1"):
            with pytest.raises(BusyError, match="2 commands wait for the voters"):
                await served.propose(body, WAIT_S)
        child.tell(Applied(1, (last.body,)))
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(BusyError):
            await served.propose(b"123456", WAIT_S)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert served._requests._waiting == {}
        assert served._requests._waiting_bytes == 0
        assert served._requests._placed == {}

    run(what, children)


def test_what_a_raft_process_tells_again_after_a_restart_is_applied_once(children):
    heard: list[bytes] = []

    async def what(served: RaftConsensus[State, int], child: FakeChild) -> None:
        served.on_applied(lambda _before, after, _result: heard.append(after[-1]))
        child.tell(InstalledPart(0, b"", last=True), Applied(1, (TAG + b"1", TAG + b"2")), None)
        again = await children.next(2)
        assert child.ended
        again.tell(InstalledPart(1, b"1", last=True), Applied(2, (TAG + b"2", TAG + b"3")))
        assert await served.changed(2, WAIT_S) == 3
        assert served.state == (b"1", b"2", b"3")
        assert heard == [b"1", b"2", b"3"]

    run(what, children)


def test_what_was_under_way_when_the_raft_process_ended_may_have_been_written(children):
    async def what(served: RaftConsensus[State, int], child: FakeChild) -> None:
        waiting = asyncio.create_task(served.propose(b"x", WAIT_S))
        lost = await child.asked(Propose)
        wish = asyncio.create_task(served.add_voter("d"))
        await child.asked(Change)
        child.tell(None)
        with pytest.raises(StorageError, match="the raft process has ended; this may have been written or not"):
            await waiting
        with pytest.raises(StorageError, match="has ended"):
            await wish
        again = await children.next(2)
        next_one = asyncio.create_task(served.propose(b"y", WAIT_S))
        placed = await again.asked(Propose)
        again.tell(Applied(1, (lost.body, placed.body)))
        assert await next_one == 1

    run(what, children)


def test_a_gap_in_what_is_told_ends_the_raft_process_and_nothing_of_it_is_applied(children):
    async def what(served: RaftConsensus[State, int], child: FakeChild) -> None:
        child.tell(Applied(2, (TAG + b"2",)))
        again = await children.next(2)
        again.tell(Applied(1, (TAG + b"1",)))
        assert await served.changed(0, WAIT_S) == 1
        assert served.state == (b"1",)

    run(what, children)


def test_a_dump_takes_the_place_of_the_state_and_is_told_as_a_jump_alone(children):
    async def what(served: RaftConsensus[State, int], child: FakeChild) -> None:
        served.on_jump(lambda version, before, after: jumps.append((version, len(before), len(after))))
        served.on_applied(lambda _before, after, _result: told.append(after[-1]))
        waiting = asyncio.create_task(served.propose(b"x", WAIT_S))
        await child.asked(Propose)
        child.tell(InstalledPart(5, b"1\n2\n3", last=False), InstalledPart(5, b"\n4\n5", last=True))
        child.tell(Applied(6, (TAG + b"6",)))
        assert await served.changed(5, WAIT_S) == 6
        assert served.state == (b"1", b"2", b"3", b"4", b"5", b"6")
        assert (told, jumps) == ([b"6"], [(0, 0, 5)])
        with pytest.raises(StorageError, match="this may have been written or not"):
            await waiting

    told: list[bytes] = []
    jumps: list[tuple[int, int, int]] = []
    run(what, children)


def test_what_comes_before_the_first_standing_is_told_to_read_back_alone(children):
    children.greeting = [Applied(1, (TAG + b"old",)), LEADS, Applied(2, (TAG + b"new",))]
    told: list[tuple[str, bytes]] = []

    async def live() -> None:
        served = consensus(read_back=lambda _before, after, _result: told.append(("back", after[-1])))
        served.on_applied(lambda _before, after, _result: told.append(("news", after[-1])))
        async with served:
            assert served.version >= 1
            await served.changed(1, WAIT_S)

    asyncio.run(live())
    assert told == [("back", b"old"), ("news", b"new")]


def test_a_dump_is_given_of_the_version_that_is_wanted_and_of_no_other(children):
    async def what(served: RaftConsensus[State, int], child: FakeChild) -> None:
        child.tell(Applied(1, (TAG + b"1",)), DumpWanted(1))
        assert await child.asked(DumpPart) == DumpPart(1, b"1", last=True)
        child.tell(Applied(2, (TAG + b"2", TAG + b"3")), DumpWanted(2))
        assert await child.asked(NoDump) == NoDump(2)

    run(what, children)


def test_wishes_have_an_answer_or_a_reason(children, monkeypatch):
    async def what(served: RaftConsensus[State, int], child: FakeChild) -> None:
        for count, (call, wish, node, reason) in enumerate(
            (
                (lambda: served.add_voter("d"), Wish.ADD, "d", ""),
                (lambda: served.remove_voter("b"), Wish.REMOVE, "b", "not the leader"),
                (served.transfer, Wish.TRANSFER, None, ""),
            ),
            1,
        ):
            task = asyncio.create_task(call())
            asked = await child.asked(Change, count)
            assert (asked.wish, asked.node) == (wish, node)
            child.tell(Answered(asked.number, reason))
            if reason:
                with pytest.raises(RulesError, match=reason):
                    await task
            else:
                await task
        monkeypatch.setattr(requests, "WISH_S", 0.0)
        with pytest.raises(StorageError, match="no answer in 0 s"):
            await served.transfer("b")

    run(what, children)


def test_trouble_says_why_nothing_can_be_written(children, monkeypatch):
    async def what(served: RaftConsensus[State, int], child: FakeChild) -> None:
        assert served.trouble == ""
        child.tell(HEADLESS)
        await settled()
        assert served.trouble == ""  # an election takes its time
        monkeypatch.setattr(raft_consensus, "LEADERLESS_S", -1.0)
        assert "no leader for 0 s" in served.trouble
        child.tell(LEADS)
        await settled()
        assert served.trouble == ""
        children.greeting = []
        child.tell(Failed("the disk is full", passing=False), None)
        await children.next(2)
        await settled()
        assert served.trouble == "the raft process cannot work: the disk is full"  # until the next one has begun
        monkeypatch.setattr(raft_consensus, "RESTART_MIN_S", WAIT_S)
        served_again = await children.next(2)
        monkeypatch.setattr(raft_consensus, "SOUND_S", -1.0)
        served_again.tell(Failed("the disk is full", passing=False), None)
        await settled()
        assert served.trouble == "the raft process cannot work: the disk is full"

    run(what, children)


def test_standings_are_told_and_the_end_of_a_raft_process_too(children):
    heard: list[Standing | None] = []

    async def what(served: RaftConsensus[State, int], child: FakeChild) -> None:
        served.on_standing(heard.append)
        child.tell(HEADLESS, None)
        await children.next(2)
        await settled()
        assert heard == [HEADLESS, None, LEADS]
        assert served.standing == LEADS

    run(what, children)


def test_a_raft_process_that_cannot_work_here_lets_nobody_enter(children):
    children.greeting = [Failed("the log is damaged", passing=False), None]

    async def live() -> None:
        with pytest.raises(StorageError, match="the raft process cannot work: the log is damaged"):
            async with consensus():
                pass

    asyncio.run(live())
    assert [it.ended for it in children.all] == [True]


def test_one_whose_folder_is_about_to_be_given_up_is_tried_again(children):
    async def live() -> None:
        children.greeting = [Failed("process 1 keeps its log there", passing=True), None]
        entering = asyncio.create_task(consensus().__aenter__())
        await children.next(2)
        children.greeting = [LEADS]
        served = await entering
        await served.__aexit__(None, None, None)

    asyncio.run(live())


def test_a_dump_that_cannot_be_read_is_no_state(children):
    async def what(served: RaftConsensus[State, int], child: FakeChild) -> None:
        child.tell(Applied(1, (TAG + b"1",)), InstalledPart(5, b"broken", last=True))
        await children.next(2)
        assert served.state == (b"1",)

    run(what, children)


def test_a_listener_that_raises_ends_the_service(children):
    def raising(_before: State, _after: State, _result: int) -> None:
        raise ZeroDivisionError

    async def live() -> None:
        async with consensus() as served:
            served.on_applied(raising)
            children.all[0].tell(Applied(1, (TAG + b"1",)))
            await served.changed(5, WAIT_S)

    with pytest.raises(BaseExceptionGroup) as caught:
        asyncio.run(live())
    assert caught.group_contains(ZeroDivisionError)


def test_once_closed_it_takes_nothing(children):
    async def live() -> None:
        async with consensus() as served:
            waiting = asyncio.create_task(served.propose(b"x", WAIT_S))
            await children.all[0].asked(Propose)
        with pytest.raises(StorageError, match="the log was closed; this may have been written or not"):
            await waiting
        with pytest.raises(StorageError, match="the log is closed"):
            await served.propose(b"x", WAIT_S)

    asyncio.run(live())


def test_a_body_that_is_shorter_than_a_tag_is_applied_like_any_other(children):
    async def what(served: RaftConsensus[State, int], child: FakeChild) -> None:
        child.tell(Applied(1, (b"", b"abc")))
        assert await served.changed(1, WAIT_S) == 2
        assert served.state == (b"", b"")

    run(what, children)
