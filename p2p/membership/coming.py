"""Coming in: a node without a log waits in the lobby on its own port, and leaves with the way into a cluster.

entry = await come_in(arrival, note)    # what is kept of it is on the disk by then
"""

import secrets
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from config.sections import NodeSettings
from managers.state.commands import Join
from p2p.http.access import Access
from p2p.http.request_metrics import RequestMetrics
from p2p.http.server import Answering, listening
from p2p.identity.envelope import NONCE_BYTES
from p2p.identity.node_key import NodeKey
from p2p.membership.addresses import own_addresses, strangers
from p2p.membership.bootstrap import Adoption, Bootstrap, Contact, Entry, EntryKind, Wish, expected
from p2p.membership.kept import Facts, keep_adoption, keep_contacts, kept_adoption, kept_contacts, kept_session
from p2p.membership.lobby import Lobby, Newcomer
from p2p.membership.peer_calls import PeerCalls

LIFE_BYTES = 8
ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Arrival:
    """A node that has no log."""

    node: NodeSettings
    access: Access
    facts: Facts
    key: NodeKey
    record: Callable[[int], Awaitable[Join]]  # its record for a session
    wall: Callable[[], float]  # unix seconds
    tls: ssl.SSLContext | None = None  # with which peers are asked over https
    must_listen: bool = True
    hindered: str = ""  # what it waits for where it was let in in vain before


async def come_in(arrival: Arrival, note: Callable[[str], None]) -> Entry:
    """Wait until the node is in a cluster; `note` hears what for. Errors as those of Lobby.run and `listening`.

    A node without peers, and without contacts of an earlier life, founds a cluster of its own at once.
    """
    node, facts = arrival.node, arrival.facts
    others = strangers(node.peers, own_addresses(node))
    contacts, adopted = await kept_contacts(facts), await kept_adoption(facts)
    wish = Wish(
        node=node.node_id,
        life=secrets.token_hex(LIFE_BYTES),
        peers=tuple(dict.fromkeys([*others, *(it.address for it in contacts if it.node != node.node_id)])),
        expect=expected(len(others), node.bootstrap_expect),
        new_id=secrets.token_hex(ID_BYTES),
        chance=secrets.randbelow(1 << 20) / (1 << 20),
    )
    core = Bootstrap(wish, adopted)

    async def keep(adoption: Adoption) -> None:
        await keep_adoption(facts, adoption)

    async def admitted(found: tuple[Contact, ...], session: int) -> None:
        await keep_contacts(facts, found, session)

    newcomer = Newcomer(
        key=arrival.key,
        record=arrival.record,
        session=max(
            await kept_session(facts) + 1, int(1000 * arrival.wall())
        ),  # its record may be newer than what is kept
        keep=keep,
        admitted=admitted,
        wall=arrival.wall,
        nonce=lambda: secrets.token_bytes(NONCE_BYTES),
        waits=lambda text: note(f"waits {text}"),
    )
    gate = arrival.access.gate(arrival.wall, time.monotonic)
    metrics = RequestMetrics(gate.refusals.counts)
    async with PeerCalls(arrival.access.credentials.cluster, arrival.tls) as peers:
        lobby = Lobby(core, peers, newcomer, arrival.hindered)
        if not wish.peers:
            return await lobby.run()
        answering = Answering(lobby.handlers(), arrival.access, gate, metrics)
        async with listening(answering, node, note, must_listen=arrival.must_listen):
            entry = await lobby.run()
    note(f"{'founds' if entry.kind is EntryKind.FOUNDER else 'is let into'} the cluster {entry.cluster_id}")
    return entry
