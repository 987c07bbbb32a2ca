"""Nodes that do not vote: they have the voters' state to the byte, and write through them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

import pytest

from managers.ports import BusyError
from managers.state import LocalConsensus
from managers.state.cluster_state import ClusterState, Result
from managers.state.commands import Body, Command, Found, HaltAll, Join, ResumeAll, SetVoters, TakeRole, encode
from managers.state.machine import StateMachine
from managers.state.members import LEADER
from p2p.consensus.following import FollowingConsensus, FollowTiming, NoVoterError, Proposed
from p2p.consensus.watch import FeedSettings, Wanted, WatchFeed
from p2p.consensus.watch_form import DumpPiece, Records, decode
from p2p.consensus.watch_form import encode as form_of
from p2p.http.node_calls import CallRefused, Unreachable
from ringrift_core.errors import StorageError

SOON_S = 10.0
TIMING = FollowTiming(wait_s=2.0, least_s=0.0, pause_min_s=0.001, pause_max_s=0.01, begin_s=SOON_S, behind_s=0.05)
SMALL = FeedSettings(records_max=5, answer_bytes_max=300)


@dataclass
class Voters:
    """Voters that share one state, and are asked without a network."""

    consensus: LocalConsensus[ClusterState, Result]
    feeds: dict[str, WatchFeed[ClusterState]]
    down: set[str] = field(default_factory=set)
    refuse: dict[str, CallRefused] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    at_once: int = 0
    at_once_max: int = 0
    sequence: int = 0
    lost: int = 0  # answers to proposals that are lost

    async def ask(
        self, node: str, method: str, path: str, body: bytes = b"", *, timeout_s: float, bytes_max: int
    ) -> bytes:
        self.asked.append(f"{node} {path.partition('?')[0]}")
        if node in self.down or node not in self.feeds:
            raise Unreachable(node, "it is down")
        if node in self.refuse:
            raise self.refuse[node]
        if method == "POST":
            result = await self.consensus.propose(body, timeout_s)
            if self.lost:
                self.lost -= 1
                raise Unreachable(node, "the connection broke off")
            return Proposed(result=result, version=self.consensus.version).model_dump_json().encode()
        said = {name: int(values[0]) for name, values in parse_qs(urlsplit(path).query).items()}
        dump = (said["dump"], said["offset"]) if "dump" in said else None
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        try:
            answer = await self.feeds[node].answer(Wanted(said["since"], said["wait"], dump))
        finally:
            self.at_once -= 1
        assert len(answer) <= bytes_max
        return answer

    async def do(self, body: Body, client: str = "a") -> Result:
        self.sequence += 1
        command = Command(client=client, sequence=self.sequence, at=1000.0, body=body)
        result = await self.consensus.propose(encode(command), SOON_S)
        assert result.accepted, result.reason
        return result


@asynccontextmanager
async def voters(*names: str, settings: FeedSettings | None = None) -> AsyncIterator[Voters]:
    machine = StateMachine()
    async with LocalConsensus(machine, None) as consensus:
        feeds = {name: WatchFeed(consensus, machine.dump, settings) for name in names}
        found = Voters(consensus, feeds)
        await found.do(Found(cluster_id="c" * 32))
        yield found


def following(found: Voters, timing: FollowTiming = TIMING, *, node: str = "w", chance: float = 0.0):
    return FollowingConsensus(StateMachine(), found, tuple(found.feeds), node, lambda: chance, timing)


async def caught_up(follower: FollowingConsensus, found: Voters) -> None:
    while follower.version < found.consensus.version:
        assert await follower.changed(follower.version, SOON_S) > 0
    machine = StateMachine()
    assert machine.dump(follower.state) == machine.dump(found.consensus.state)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came")


def joining(number: int) -> Join:
    return Join(node=f"n{number}", session=1, cores=1, raft_address=f"n{number}:8771")


def command(body: Body, sequence: int = 1) -> bytes:
    return encode(Command(client="w/1/X", sequence=sequence, at=1000.0, body=body))


def test_a_follower_has_the_state_of_the_voters_to_the_byte():
    async def run() -> None:
        async with voters("v1") as found:
            for number in range(20):
                await found.do(joining(number))
            told: list[Result] = []
            async with following(found) as follower:
                assert follower.term_led is None
                follower.on_applied(lambda _before, _after, result: told.append(result))
                await caught_up(follower, found)
                for number in range(20, 40):
                    await found.do(joining(number))
                await caught_up(follower, found)
            assert [it.seq for it in told] == list(range(22, 42))
            assert found.at_once_max == 1

    asyncio.run(run())


def test_a_dump_comes_in_parts_and_records_in_answers_that_fit():
    async def run() -> None:
        async with voters("v1", settings=SMALL) as found:
            for number in range(30):
                await found.do(joining(number))
            async with following(found) as follower:
                await caught_up(follower, found)
                assert len([it for it in found.asked if "watch" in it]) > 10
                for number in range(30, 34):  # more than one answer
                    await found.do(joining(number))
                await caught_up(follower, found)

    asyncio.run(run())


def test_who_has_fallen_behind_what_is_kept_gets_a_dump():
    async def run() -> None:
        async with voters("v1", settings=SMALL) as found:
            since = found.consensus.version
            for number in range(SMALL.records_max):
                await found.do(joining(number))
            feed = found.feeds["v1"]
            assert isinstance(decode(await feed.answer(Wanted(since))), Records)
            assert isinstance(decode(await feed.answer(Wanted(since - 1))), DumpPiece)
            assert isinstance(decode(await feed.answer(Wanted(0))), DumpPiece)
            assert isinstance(decode(await feed.answer(Wanted(found.consensus.version + 9))), DumpPiece)

    asyncio.run(run())


def test_the_same_bytes_serve_all_who_wait_for_a_version_and_too_many_are_refused():
    async def run() -> None:
        async with voters("v1", settings=FeedSettings(waiters_max=3)) as found:
            feed, version = found.feeds["v1"], found.consensus.version
            tasks = [asyncio.ensure_future(feed.answer(Wanted(version, SOON_S))) for _ in range(3)]
            await until(lambda: feed.waiters == 3)
            with pytest.raises(BusyError):
                await feed.answer(Wanted(version, SOON_S))
            await found.do(joining(1))
            answers = await asyncio.gather(*tasks)
            assert all(it is answers[0] for it in answers)
            assert feed.waiters == 0

    asyncio.run(run())


def test_an_answer_is_made_anew_for_a_new_version_and_holds_what_fits():
    async def run() -> None:
        async with voters("v1", settings=FeedSettings(answer_bytes_max=700)) as found:
            feed, version, counts = found.feeds["v1"], found.consensus.version, []
            for number in range(5):
                await found.do(joining(number))
                news = decode(await feed.answer(Wanted(version)))
                assert isinstance(news, Records)
                counts.append(len(news.bodies))
            assert counts[:2] == [1, 2]
            assert counts[-1] < 5

    asyncio.run(run())


def test_a_state_that_was_installed_ends_what_was_kept():
    async def run() -> None:
        async with voters("v1") as found:
            feed, version = found.feeds["v1"], found.consensus.version
            found.consensus._install(found.consensus.state, version + 100)
            assert isinstance(decode(await feed.answer(Wanted(version))), DumpPiece)
            assert isinstance(decode(await feed.answer(Wanted(version + 50))), DumpPiece)
            await found.do(joining(1))
            assert isinstance(decode(await feed.answer(Wanted(version + 99))), DumpPiece)
            news = decode(await feed.answer(Wanted(version + 100)))
            assert isinstance(news, Records)
            assert (news.first, len(news.bodies)) == (version + 101, 1)

    asyncio.run(run())


def test_where_one_voter_fails_the_next_one_is_watched():
    async def run() -> None:
        async with voters("v1", "v2") as found, following(found) as follower:
            await caught_up(follower, found)
            found.down = {"v1"}
            await found.do(joining(1))
            await caught_up(follower, found)
            found.down = {"v2"}
            await found.do(joining(2))
            await caught_up(follower, found)
            assert follower.trouble == ""
            assert found.at_once_max == 1

    asyncio.run(run())


def test_the_voters_of_the_state_are_asked_then_the_leader_then_the_contacts():
    async def run() -> None:
        async with voters("v1") as found, following(found) as follower:
            assert follower.voters == ("v1",)
            await found.do(joining(1))
            await found.do(TakeRole(role=LEADER, node="n1", session=1, lease_s=60.0))
            await caught_up(follower, found)
            assert follower.voters == ("n1",)
            found.feeds["n1"] = found.feeds["v1"]
            await found.do(joining(2))
            await found.do(SetVoters(voters=("n1", "n2")))
            await caught_up(follower, found)
            assert follower.voters == ("n1", "n2")

    asyncio.run(run())


def test_what_is_proposed_is_answered_when_it_is_applied_here():
    async def run() -> None:
        async with voters("v1") as found, following(found) as follower:
            result = await follower.propose(command(joining(7)), SOON_S)
            assert result.accepted
            assert "n7" in follower.state.members
            refused = await follower.propose(command(ResumeAll(by="x"), 2), SOON_S)
            assert not refused.accepted

    asyncio.run(run())


def test_a_proposal_whose_answer_is_lost_takes_effect_once():
    async def run() -> None:
        async with voters("v1", "v2") as found, following(found) as follower:
            found.lost = 1
            seq = found.consensus.state.seq
            assert (await follower.propose(command(HaltAll(by="x", reason="r")), SOON_S)).accepted
            assert found.consensus.state.seq == seq + 1

    asyncio.run(run())


def test_a_command_without_the_right_to_it_comes_back_refused():
    async def run() -> None:
        async with voters("v1") as found, following(found) as follower:
            found.refuse["v1"] = CallRefused("v1", 403, "not_allowed", "w may not halt", {})
            result = await follower.propose(command(HaltAll(by="x", reason="r")), SOON_S)
            assert (result.accepted, "may not halt" in result.reason) == (False, True)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (CallRefused("v1", 503, "busy", "too many", {}), BusyError),
        (CallRefused("v1", 503, "unavailable", "no majority of the voters", {}), StorageError),
        (Unreachable("v1", "it is down"), StorageError),
    ],
)
def test_what_no_voter_takes_is_said_with_the_reason(refused: CallRefused, error: type[Exception]):
    async def run() -> None:
        async with voters("v1") as found, following(found) as follower:
            found.refuse["v1"] = refused
            with pytest.raises(error, match=str(refused).partition(":")[2].strip().partition(" (")[0]):
                await follower.propose(command(joining(1)), SOON_S)

    asyncio.run(run())


def test_trouble_names_the_voters_that_were_not_reached_and_for_how_long(monkeypatch: pytest.MonkeyPatch):
    async def run() -> None:
        monkeypatch.setattr("p2p.consensus.following.SILENT_S", 0.0)
        async with voters("v1", "v2") as found, following(found) as follower:
            found.down = {"v1", "v2"}
            await found.do(joining(1))  # ends the poll that is on its way
            await until(lambda: len(follower._reach.missed) == 2)
            assert follower.trouble.startswith("no voter has answered for 0 s: v")
            assert "v1 (v1: it is down)" in follower.trouble

    asyncio.run(run())


def test_a_cluster_in_which_nothing_happens_is_no_trouble(monkeypatch: pytest.MonkeyPatch):
    """A question without news is answered later than silence would be trouble."""

    async def run() -> None:
        monkeypatch.setattr("p2p.consensus.following.SILENT_S", 0.0)
        async with voters("v1") as found, following(found) as follower:
            await caught_up(follower, found)
            assert follower.trouble == ""

    asyncio.run(run())


def test_without_a_voter_a_node_does_not_begin():
    async def run() -> None:
        async with voters("v1") as found:
            found.down = {"v1"}
            with pytest.raises(NoVoterError, match="v1: v1: it is down"):
                async with following(found, FollowTiming(begin_s=0.05, pause_min_s=0.001)):
                    pass

    asyncio.run(run())


def test_a_voter_that_is_behind_takes_nothing_back_unless_all_are_for_long():
    async def run() -> None:
        async with voters("v1") as ahead, voters("v2") as behind:
            await ahead.do(joining(1))
            await ahead.do(joining(2))
            calls = Voters(ahead.consensus, {**ahead.feeds, **behind.feeds})
            timing = FollowTiming(wait_s=0.0, least_s=0.0, pause_min_s=0.001, pause_max_s=0.002, behind_s=1e9)
            async with following(calls, timing) as follower:
                version = follower.version
                calls.down = {"v1"}
                await until(lambda: "v2" in follower._reach.missed)
                assert "behind" in follower._reach.missed["v2"]
                assert follower.version == version
                follower._timing = replace(timing, behind_s=0.01)
                await until(lambda: follower.version != version)
                assert follower.version == behind.consensus.version

    asyncio.run(run())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda version: form_of(Records(version + 2, (b"x",))),
        lambda version: form_of(DumpPiece(version + 5, 10, 3, b"abc")),
        lambda version: form_of(DumpPiece(version + 5, 3, 0, b"{}}")),
        lambda _: b"\xc1",
        lambda _: b"",
    ],
)
def test_an_answer_that_does_not_fit_changes_nothing_and_the_next_voter_is_asked(wrong: Callable[[int], bytes]):
    class Liar:
        def __init__(self, version: int) -> None:
            self.content = wrong(version)

        async def answer(self, _wanted: Wanted) -> bytes:
            return self.content

    async def run() -> None:
        async with voters("v1") as found, following(found) as follower:
            found.feeds["v2"] = Liar(follower.version)  # type: ignore[assignment]
            follower._contacts = ("v2", "v1")
            follower._reach.turn = 0
            await found.do(joining(1))
            await caught_up(follower, found)

    asyncio.run(run())


def test_a_dump_that_comes_later_is_told_as_a_jump():
    async def run() -> None:
        async with voters("v1", settings=SMALL) as found, following(found) as follower:
            jumps: list[tuple[int, int, int]] = []
            follower.on_jump(lambda version, before, after: jumps.append((version, before.seq, after.seq)))
            version = follower.version
            found.down = {"v1"}
            for number in range(SMALL.records_max + 2):
                await found.do(joining(number))
            found.down = set()
            await caught_up(follower, found)
            assert jumps == [(version, 1, 1 + SMALL.records_max + 2)]

    asyncio.run(run())
