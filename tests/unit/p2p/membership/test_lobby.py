"""The lobby around the decisions: what is kept before it is told, and how a member lets a node in."""

import asyncio
from dataclasses import dataclass, field

import pytest

from managers.state.cluster_state import Result
from managers.state.commands import Body, Found, Join
from managers.versions import PRESENT, PROTOCOL
from p2p.identity.node_key import NodeKey
from p2p.identity.refusal import Refusal
from p2p.membership.admission import Admission, AdmissionRefused, Admitted, Host, JoinForm
from p2p.membership.bootstrap import Adoption, Bootstrap, BootstrapTiming, Card, Contact, Entry, EntryKind, Wish
from p2p.membership.lobby import HINDERED_S, Lobby, Newcomer
from p2p.membership.peer_calls import PeerError
from ringrift_core.errors import StorageError
from tests.commanded import Commanded
from tests.mesh_nodes import key_of
from tests.virtual_time import run_virtual

WALL = 1_700_000_000.0
TIMING = BootstrapTiming(round_s=0.5)
FAR_S = 600.0


@dataclass
class Net:
    """Lobbies and members by address, asked without a network."""

    lobbies: dict[str, Lobby] = field(default_factory=dict)
    members: dict[str, Admission] = field(default_factory=dict)
    disks: dict[str, Adoption] = field(default_factory=dict)
    admitted: dict[str, tuple[tuple[Contact, ...], int]] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)  # that the next wishes get
    said: list[str] = field(default_factory=list)
    full: set[str] = field(default_factory=set)  # nodes whose disk refuses

    async def who(self, address: str) -> Card:
        await asyncio.sleep(0.01)
        if address in self.members:
            return self.members[address].card()
        if address not in self.lobbies:
            raise PeerError(f"{address} is down")
        return self.lobbies[address]._core.card

    async def adopt(self, address: str, adoption: Adoption) -> Card:
        if address not in self.lobbies:
            return await self.who(address)
        return await self.lobbies[address].proposed(adoption)

    async def join(self, address: str, form: JoinForm) -> Admitted:
        if address not in self.members:
            raise PeerError(f"{address} is down")
        if self.refusals:
            raise refused(address, self.refusals.pop(0))
        try:
            return await self.members[address].admit(form, "10.0.0.1")
        except AdmissionRefused as error:
            raise refused(address, error.refusal) from None

    def member(self, name: str) -> Commanded:
        """A member of a cluster, at its address."""
        cluster = Commanded()
        cluster.do(Found(cluster_id="c" * 32))
        cluster.do(Join(node=name, session=1, cores=1, public_key=key_of(name).text, addresses=(f"{name}:1",)))

        async def propose(body: Body) -> Result:
            return cluster.ask(body)

        host = Host(name, "f" * 16, lambda: cluster.state, lambda: 3, propose, lambda: True, lambda: WALL, lambda: 0.0)
        self.members[f"{name}:1"] = Admission(host)
        return cluster

    async def enter(self, name: str, *peers: str, expect: int = 2, session: int = 1, hindered: str = "") -> Entry:
        """One node until it is in."""
        key: NodeKey = key_of(name)

        async def record(number: int) -> Join:
            return Join(node=name, session=number, cores=1, public_key=key.text, protocol=PROTOCOL, rules=PRESENT.rules)

        async def keep(adoption: Adoption) -> None:
            await asyncio.sleep(0.05)
            if name in self.full:
                raise StorageError("the disk is full")
            self.disks[name] = adoption

        async def admitted(contacts: tuple[Contact, ...], number: int) -> None:
            self.admitted[name] = contacts, number

        nonces = iter(range(1, 1000))
        newcomer = Newcomer(
            key=key,
            record=record,
            session=session,
            keep=keep,
            admitted=admitted,
            wall=lambda: WALL,
            nonce=lambda: next(nonces).to_bytes(12, "big"),
            waits=self.said.append,
        )
        wish = Wish(name, name[:1].encode().hex() * 8, peers, expect, name[:1].encode().hex() * 16, 0.0)
        lobby = Lobby(Bootstrap(wish, self.disks.get(name), TIMING), self, newcomer, hindered)
        self.lobbies[f"{name}:1"] = lobby
        try:
            async with asyncio.timeout(FAR_S):
                return await lobby.run()
        finally:
            del self.lobbies[f"{name}:1"]


def refused(address: str, refusal: Refusal) -> PeerError:
    return PeerError(f"{address}: {refusal.message}", refusal.code, dict(refusal.details))


PEERS = ("a:1", "b:1", "c:1")


def test_three_nodes_agree_on_one_id_and_the_first_one_founds():
    async def run() -> None:
        net = Net()
        others = [asyncio.ensure_future(net.enter(name, *PEERS)) for name in ("b", "c")]
        entry = await net.enter("a", *PEERS)
        assert (entry.kind, entry.cluster_id) == (EntryKind.FOUNDER, "61" * 16)
        assert net.disks["a"].cluster_id == entry.cluster_id
        assert any(net.disks[name].cluster_id == entry.cluster_id for name in ("b", "c") if name in net.disks)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    run_virtual(run())


def test_a_node_is_let_in_by_the_cluster_that_it_finds():
    async def run() -> None:
        net = Net()
        cluster = net.member("m")
        entry = await net.enter("a", "m:1", "x:1")
        contact = Contact(node="m", address="m:1")
        assert entry == Entry(EntryKind.FOLLOWER, "c" * 32, (contact,), 1)
        assert net.disks["a"].cluster_id == "c" * 32
        assert net.admitted["a"] == ((contact,), 1)
        assert cluster.state.members["a"].public_key == key_of("a").text

    run_virtual(run())


def test_a_session_that_is_over_is_replaced_by_the_next_one():
    async def run() -> None:
        net = Net()
        cluster = net.member("m")
        cluster.do(Join(node="a", session=41, cores=1, public_key=key_of("a").text))
        assert (await net.enter("a", "m:1")).session == 42
        assert cluster.state.members["a"].session == 42

    run_virtual(run())


def test_what_passes_is_waited_for_and_what_does_not_ends_the_node_with_the_reason():
    async def run() -> None:
        net = Net()
        net.member("m")
        net.refusals = [Refusal("too_many_wishes", 503, "try again later"), Refusal("clock_off", 401, "60 s apart")]
        assert (await net.enter("a", "m:1")).kind is EntryKind.FOLLOWER
        assert "for a member to let it in: m:1: try again later" in net.said
        net.refusals = [Refusal("other_key", 409, "another node is called b: --node-id")]
        with pytest.raises(PeerError, match="--node-id"):
            await net.enter("b", "m:1")

    run_virtual(run())


def test_an_id_that_cannot_be_kept_ends_the_node():
    async def run() -> None:
        net = Net(full={"a"})
        with pytest.raises(StorageError, match="disk is full"):
            await net.enter("a", expect=1)
        assert net.disks == {}

    run_virtual(run())


def test_a_proposal_is_answered_when_it_is_on_the_disk():
    async def run() -> None:
        net = Net()
        waiting = asyncio.ensure_future(net.enter("b", "a:1"))
        await asyncio.sleep(1.0)
        adoption = Adoption(cluster_id="d" * 32, proposer="a")
        assert "b" not in net.disks
        card = await net.lobbies["b:1"].proposed(adoption)
        assert card.adopted == net.disks["b"] == adoption
        other = await net.lobbies["b:1"].proposed(Adoption(cluster_id="e" * 32, proposer="c"))
        assert other.adopted == adoption
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    run_virtual(run())


def test_a_namesake_is_told():
    async def run() -> None:
        net = Net()
        first = asyncio.ensure_future(net.enter("a", "b:1"))
        await asyncio.sleep(1.0)
        net.lobbies["other:1"] = Lobby(
            Bootstrap(Wish("a", "9" * 16, (), 2, "9" * 32, 0.0), None), net, net.lobbies["a:1"]._newcomer
        )
        second = asyncio.ensure_future(net.enter("c", "b:1"))
        net.lobbies["a:1"]._core._peers["b:1"].card = net.lobbies["other:1"]._core.card
        await asyncio.sleep(2.0)
        assert any("another node at b:1 is called a, too" in text for text in net.said)
        for task in (first, second):
            task.cancel()
        await asyncio.gather(first, second, return_exceptions=True)

    run_virtual(run())


def test_who_was_let_in_in_vain_says_why_and_waits_before_it_asks_again():
    async def run() -> None:
        net = Net()
        net.member("m")
        entering = asyncio.ensure_future(net.enter("n", "m:1", hindered="no voter tells the state: m: down"))
        await asyncio.sleep(HINDERED_S / 2)
        assert net.said == [net.lobbies["n:1"].waits_for] == ["no voter tells the state: m: down"]
        assert net.admitted == {}
        assert (await entering).kind is EntryKind.FOLLOWER

    run_virtual(run())
