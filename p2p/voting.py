"""Voting: a node runs what the voters of the state ask of it, and the leader brings the group in line with them.

Level-triggered, like everything that decides: the voters stand in the replicated state, and whatever is otherwise is
changed at the next look. A cluster of one that is told to be a voter founds a group from its state; everybody else who
is told comes with an empty log and is let in by the leader; who is no voter any more follows.
"""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from managers.node_folder import NodeFolder
from managers.state.cluster_state import ClusterState, Result
from managers.state.local_consensus import LocalConsensus
from p2p.consensus.effects import Standing
from p2p.consensus.pipe import Peer
from p2p.consensus.raft_consensus import RaftConsensus
from p2p.consensus.seat import Engine, Seat
from p2p.identity.node_key import bytes_of
from p2p.membership.removal import Removal
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.storage import sync_folder

ClusterEngine = Engine[ClusterState, Result]

logger = logging.getLogger(__name__)


class Engines(Protocol):
    """What a node can run its state over."""

    def founder(self, version: int, state: ClusterState) -> ClusterEngine:
        """A group of this node alone, from what a cluster of one has."""

    def joiner(self, version: int, state: ClusterState) -> ClusterEngine:
        """A voter with an empty log, which the leader lets in."""

    def follower(self, version: int, state: ClusterState) -> ClusterEngine:
        """Whoever is no voter."""


class Voting:
    """Keeps the seat of a node and the group it leads as the state wants them; `look` often."""

    def __init__(
        self,
        seat: Seat[ClusterState, Result],
        node: str,
        engines: Engines,
        folder: NodeFolder,
        leads: Callable[[], bool],
        follows: Callable[[], Awaitable[None]],
        removal: Removal,
    ) -> None:
        """`leads` says whether this node holds the office; `follows` keeps that it follows, for its next life."""
        self._seat = seat
        self._node = node
        self._engines = engines
        self._folder = folder
        self._leads = leads
        self._follows = follows
        self._removal = removal
        self._told: tuple[Peer, ...] = ()
        self._waits = ""

    async def look(self) -> None:
        """Compare, and change one thing."""
        state, engine = self._seat.state, self._seat.engine
        chosen = self._node in state.voters
        if isinstance(engine, RaftConsensus):
            self._introduce(engine, state)
            standing = engine.standing
            left_out = not chosen and standing is not None and self._node not in standing.voters
            if left_out or await self._removed(standing, state):
                await self._follow()
            elif self._leads():
                await self._change_group(engine, state)
        elif chosen and isinstance(engine, LocalConsensus):
            await self._found()
        elif chosen:
            await self._join()

    async def _removed(self, standing: Standing | None, state: ClusterState) -> bool:
        """Whether the others have gone on without this voter while it was away."""
        removed = await self._removal.look(state, lonely=standing is not None and standing.leader is None)
        self._seat.remark = self._removal.remark
        return removed

    def _introduce(self, engine: RaftConsensus[ClusterState, Result], state: ClusterState) -> None:
        """Tell the raft process who else votes or should, and where they are."""
        known = () if engine.standing is None else engine.standing.voters
        peers = peers_of(state, {*known, *state.voters} - {self._node})
        if peers != self._told:
            engine.peers(peers)
            self._told = peers

    async def _change_group(self, engine: RaftConsensus[ClusterState, Result], state: ClusterState) -> None:
        """Let in or leave out one voter; the next one when that is done."""
        if engine.standing is None:
            return
        present = engine.standing.voters
        missing = [node for node in state.voters if node not in present]
        extra = [node for node in present if node not in state.voters]
        try:
            if ready := [node for node in missing if node in engine.connected]:
                await engine.add_voter(ready[0])
                logger.info("voters: %s is let in", ready[0])
            elif extra and not missing:
                await self._leave_out(engine, extra)
            self._waits = ""
        except (RulesError, StorageError) as error:  # one change at a time, none before the leader's own entry
            if str(error) != self._waits:
                logger.info("voters: %s; it is tried again", error)
            self._waits = str(error)

    async def _leave_out(self, engine: RaftConsensus[ClusterState, Result], extra: list[str]) -> None:
        others = [node for node in extra if node != self._node]
        if others:
            await engine.remove_voter(others[0])
            logger.info("voters: %s is left out", others[0])
        else:
            await engine.transfer()  # nobody leaves itself out; the next leader does

    async def _found(self) -> None:
        await asyncio.to_thread(remove_group, self._folder)
        await self._seat.change(self._engines.founder, self._forget_log)
        self._told = ()
        logger.info("voters: this cluster of one goes on over Raft")

    async def _join(self) -> None:
        await asyncio.to_thread(remove_group, self._folder)
        await self._seat.change(self._engines.joiner, self._forget_log)
        self._told = ()
        logger.info("voters: this node comes with an empty log and waits for the leader")

    async def _follow(self) -> None:
        async def ready() -> None:
            await self._follows()
            await asyncio.to_thread(remove_group, self._folder)

        await self._seat.change(self._engines.follower, ready)
        self._seat.remark = ""
        logger.info("voters: this node votes no more and follows")

    async def _forget_log(self) -> None:
        """The log of a cluster of one must not come back: its id would stand for two states."""
        await asyncio.to_thread(remove_local_log, self._folder)


def peers_of(state: ClusterState, nodes: set[str]) -> tuple[Peer, ...]:
    """The voters among some nodes as the raft process must know them."""
    found = (state.members[node] for node in sorted(nodes) if node in state.members)
    peers = []
    for member in found:
        host, _, port = member.raft_address.rpartition(":")
        if host and member.public_key:
            peers.append(Peer(member.node, host.strip("[]"), int(port), bytes_of(member.public_key)))
    return tuple(peers)


def remove_group(folder: NodeFolder) -> None:
    """Remove the log of a group that this node is in no more, or never was."""
    if folder.group.exists():
        gone = folder.group.with_name("group.gone")
        shutil.rmtree(gone, ignore_errors=True)
        folder.group.rename(gone)  # at once, whatever becomes of the rest
        sync_folder(folder.log)
        shutil.rmtree(gone, ignore_errors=True)


def remove_local_log(folder: NodeFolder) -> None:
    """Remove the log of a cluster of one, newest files first, so that what is left is never a log that looks whole."""
    if not folder.log.exists():
        return
    files: list[Path] = sorted((path for path in folder.log.iterdir() if path.is_file()), reverse=True)
    for path in files:
        path.unlink(missing_ok=True)
    sync_folder(folder.log)
