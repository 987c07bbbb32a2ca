"""The shell of the raft process, with a voter, connections and a pipe in memory."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from p2p.consensus import process
from p2p.consensus.effects import Applied, DumpWanted, Effect, Installed, Refused, Role, Send, Standing
from p2p.consensus.pipe import (
    Alive,
    Answered,
    Begin,
    Change,
    DumpPart,
    InstalledPart,
    NoDump,
    Peer,
    Peers,
    PipeError,
    Propose,
    Stop,
    ToControl,
    Wish,
)
from p2p.consensus.process import Shell, first_of
from p2p.consensus.wire import WireError
from ringrift_core.errors import RulesError

LEADS = Standing(Role.LEADER, "a", 1, quorum=True, voters=("a",), applied_version=0)


class FakeRaft:
    """A voter that writes down what is done to it and hands out what it is given."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.effects: list[Effect] = []
        self.story: list[Effect] = []
        self.error: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        def called(*given: object) -> None:
            self.done.append((name, *given))
            if self.error is not None:
                raise self.error

        return called

    def tick(self) -> list[Effect]:
        found, self.effects = self.effects, []
        return found

    def retell(self) -> list[Effect]:
        return self.story


class FakePipe:
    """The pipe, with as much unread as the test says."""

    def __init__(self) -> None:
        self.said: list[ToControl] = []
        self.unread_bytes = 0

    def say(self, message: ToControl) -> None:
        self.said.append(message)


class FakeLinks:
    """Connections that write down what they are told."""

    connected = ("b",)

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *given: self.told.append((name, *given))


class Parts:
    """A shell and what is around it."""

    def __init__(self) -> None:
        self.raft, self.pipe, self.links = FakeRaft(), FakePipe(), FakeLinks()
        self.shell = Shell(cast("Any", self.raft), cast("Any", self.pipe))
        self.shell.links = cast("Any", self.links)

    def tick(self, *effects: Effect) -> Sequence[ToControl]:
        """One tick with these effects; what the control process is told."""
        self.raft.effects = list(effects)
        self.pipe.said.clear()

        async def once() -> None:
            ticking = asyncio.create_task(self.shell.tick())
            self.shell._due.set()
            for _ in range(3):
                await asyncio.sleep(0)
            ticking.cancel()

        asyncio.run(once())
        return list(self.pipe.said)


def test_effects_go_where_they_belong_in_their_order():
    it = Parts()
    installed, applied = Installed(1, b"dump"), Applied(2, (b"x",))
    said = it.tick(installed, applied, DumpWanted(2), LEADS, Refused(1, "no", maybe=False), Send("b", b"frame"))
    assert said == [
        InstalledPart(1, b"dump", last=True),
        applied,
        DumpWanted(2),
        LEADS,
        Refused(1, "no", maybe=False),
    ]
    assert it.links.told == [("send", "b", b"frame")]


def test_what_the_control_process_says_is_done():
    it = Parts()
    peers = (Peer("b", "h", 1, bytes(32)),)
    for message in (
        Propose(1, b"x"),
        Peers(peers),
        DumpPart(5, b"du", last=False),
        DumpPart(5, b"mp", last=True),
        NoDump(6),
        Change(7, Wish.ADD, "c"),
        Change(8, Wish.REMOVE, "c"),
        Change(9, Wish.TRANSFER, None),
    ):
        it.shell.take(message)
    assert it.raft.done == [
        ("propose", 1, b"x"),
        ("dumped", 5, b"dump"),
        ("dumped", 6, None),
        ("add_voter", "c"),
        ("remove_voter", "c"),
        ("transfer", None),
    ]
    assert it.links.told == [("set_peers", peers)]
    assert it.pipe.said == [Answered(7, ""), Answered(8, ""), Answered(9, "")]
    assert it.shell._due.is_set()


def test_what_cannot_be_is_answered_with_a_reason():
    it = Parts()
    it.raft.error = RulesError("not the leader")
    it.shell.take(Change(7, Wish.ADD, "c"))
    it.shell.take(Propose(8, b"x"))
    assert it.pipe.said == [Answered(7, "not the leader"), Refused(8, "not the leader", maybe=False)]
    it.shell.take(Change(9, Wish.ADD, None))
    assert it.pipe.said[-1] == Answered(9, "no node was named")


@pytest.mark.parametrize("message", [Stop(), Begin("c", "a", "k", "s", "h", 1, (), "lan", founded=False)])
def test_what_comes_at_the_wrong_time_is_refused(message):
    with pytest.raises(PipeError, match="at the wrong time"):
        Parts().shell.take(message)


def test_a_frame_that_is_no_message_ends_its_connection_and_nothing_else():
    it = Parts()
    it.raft.error = WireError("no message")
    it.shell.received("b", b"garbage")
    assert it.links.told == [("drop", "b", "no message")]


def test_connections_are_told_to_the_voter_and_to_the_control_process():
    it = Parts()
    it.shell.connected("b")
    it.shell.disconnected("c")
    assert it.raft.done == [("connected", "b"), ("disconnected", "c")]
    assert it.pipe.said == [Alive(("b",)), Alive(("b",))]


def test_a_control_process_that_does_not_read_is_told_nothing_more_and_then_everything_anew():
    it = Parts()
    it.pipe.unread_bytes = process.UNREAD_BYTES_MAX + 1
    assert it.tick(Applied(1, (b"1",)), LEADS, Send("b", b"frame")) == []
    assert it.links.told == [("send", "b", b"frame")]
    it.shell.connected("c")
    assert it.pipe.said == []  # no signs of life pile up either
    it.pipe.unread_bytes = 1
    assert it.tick(Applied(2, (b"2",))) == []
    it.pipe.unread_bytes = 0
    again = Applied(1, (b"1", b"2"))
    it.raft.story = [Installed(0, b""), again, Send("b", b"later")]
    assert it.tick() == [InstalledPart(0, b"", last=True), again, LEADS]
    assert it.links.told[-1] == ("send", "b", b"later")
    assert it.tick(Applied(3, (b"3",))) == [Applied(3, (b"3",))]


def test_of_groups_of_errors_the_first_is_told():
    inner = ValueError("x")
    assert first_of(ExceptionGroup("", [ExceptionGroup("", [inner]), OSError()])) is inner
