"""The seam: every touch of PySyncObj's inside stands here, and what the library does is corrected here.

It runs without threads, sockets, files and a clock of its own (substitutes.py). Its private names are those of version
0.3.17; tests/unit/p2p/consensus/test_library.py holds that they exist.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from pysyncobj.config import FAIL_REASON, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.syncobj import SyncObj
from pysyncobj.transport import Transport

from p2p.consensus import library_messages, substitutes
from p2p.consensus.dumps import PART_BYTES, Dumps
from p2p.consensus.effects import Role
from p2p.consensus.pre_vote import LogEnd
from p2p.consensus.store import RaftStore
from p2p.consensus.timing import RaftTiming
from p2p.consensus.wire import TAIL_BYTES_MAX, AppendEntries, Message
from ringrift_core.errors import InvariantError

COMMANDS_MAX = 128  # that wait for the next tick; each is one entry
REQUEST_NUMBERS = 1 << 48  # a life's numbers begin at random: answers to an earlier one count for nothing
NEVER = math.inf
FOLLOWER = 0  # as in pysyncobj.syncobj._RAFT_STATE
BODIES_TYPE, MEMBERSHIP_TYPE = 0, 2  # as in pysyncobj.syncobj._COMMAND_TYPE
ROLES = (Role.FOLLOWER, Role.CANDIDATE, Role.LEADER)  # by pysyncobj.syncobj._RAFT_STATE
Answer = Callable[[object, int], None]  # result, FAIL_REASON


@dataclass(frozen=True, slots=True)
class Told:
    """Whom the library tells what."""

    send: Callable[[str, Message], None]
    applied: Callable[[bytes], None]  # the command of an entry that is committed


class Core(SyncObj):  # type: ignore[misc]  # the library has no types
    """PySyncObj for one voter."""

    def __init__(
        self, node: str, voters: Collection[str], store: RaftStore, dumps: Dumps, timing: RaftTiming, told: Told
    ) -> None:
        substitutes.check_installed()
        self._SyncObj__raftElectionDeadline: float
        self._told = told
        self._store = store
        self._links = _Links(self)
        others = [Node(voter) for voter in sorted(voters) if voter != node]
        super().__init__(Node(node), others, _conf(store, dumps, timing), nodeClass=Node, transport=self._links)
        self._poller = _Silence()
        self._SyncObj__needLoadDumpFile = False  # it would look for a file
        self._SyncObj__commandsLocalCounter = int(substitutes.chance() * REQUEST_NUMBERS)
        if store.base is not None:
            self._SyncObj__loadDumpFile(False)  # noqa: FBT003 - clearJournal: the entries behind it stay
            self._check_loaded()
            self.follow_configuration()

    @property
    def role(self) -> Role:
        """What the voter is."""
        return ROLES[self._SyncObj__raftState]

    @property
    def leader(self) -> str | None:
        """Whom it follows, itself where it leads."""
        leader = self._getLeader()
        return None if leader is None else str(leader.id)

    @property
    def term(self) -> int:
        """The term."""
        return int(self.raftCurrentTerm)

    @property
    def applied_index(self) -> int:
        """Of the last entry that was applied."""
        return int(self.raftLastApplied)

    @property
    def end(self) -> LogEnd:
        """How far the log reaches."""
        _, index, term = self._store[-1]
        return LogEnd(term, index)

    @property
    def settled(self) -> bool:
        """Whether a leader has applied an entry of its own term: before, it must not change the membership."""
        first = self._SyncObj__noopIDx
        return first is not None and self.applied_index >= first

    @property
    def voters(self) -> tuple[str, ...]:
        """Who votes, itself included, sorted."""
        return self._store.voters or tuple(sorted({str(node.id) for node in self.otherNodes | {self.selfNode}}))

    @property
    def missing(self) -> tuple[str, ...]:
        """Voters that are not connected."""
        there = {str(node.id) for node in self._SyncObj__connectedNodes} | {str(self.selfNode.id)}
        return tuple(voter for voter in self.voters if voter not in there)

    def linked(self, peer: str) -> bool:
        """Whether a peer is connected."""
        return bool(self.isNodeConnected(Node(peer)))

    def link(self, peer: str) -> None:
        """A peer is connected."""
        self._links._onNodeConnected(Node(peer))  # noqa: SLF001 - for transports to call

    def unlink(self, peer: str) -> None:
        """A peer is not. What was asked of it as the leader may have been done or not."""
        self._links._onNodeDisconnected(Node(peer))  # noqa: SLF001
        if self.leader == peer:
            self.forget_leader()

    def deliver(self, peer: str, message: Message) -> None:
        """A message that may be given to the library, of a connected peer."""
        self._links._onMessageReceived(Node(peer), library_messages.to_library(message))  # noqa: SLF001
        self.follow_configuration()

    def unknown_part(self, message: AppendEntries) -> AppendEntries:
        """The entries from the first on that is not in the log here.

        The library would remove and add again all that a leader repeats.
        """
        first = self._store[0][1]
        index, term, new = message.previous_index, message.previous_term, message.entries
        known = 0
        for _, at, of in new:
            if not (first <= at < first + len(self._store) and self._store[at - first][2] == of):
                break
            index, term, known = at, of, known + 1
        return AppendEntries(message.term, message.commit_index, index, term, new[known:])

    def step(self) -> None:
        """Let the library do what is due."""
        self.doTick(0.0)
        self.follow_configuration()

    def place(self, command: bytes, answer: Answer, *, membership: bool = False) -> None:
        """Queue a command, without its first byte; `answer` is told what became of it."""
        self._applyCommand(command, answer, MEMBERSHIP_TYPE if membership else BODIES_TYPE)

    def take_deadline(self) -> float | None:
        """When the library would next campaign, if it has fixed that anew; it never does by itself.

        0.0 means at once: the leader wishes it.
        """
        deadline = self._SyncObj__raftElectionDeadline
        self._SyncObj__raftElectionDeadline = NEVER
        return None if deadline == NEVER else deadline

    def campaign(self) -> None:
        """Ask for votes in the next step."""
        self._SyncObj__raftElectionDeadline = -NEVER

    def cancel_transfer(self) -> None:
        """Follow again whom it was asked to replace."""
        self._SyncObj__transferInProgress = False

    def reach_term(self, term: int) -> None:
        """Take over a higher term and follow nobody, as any message of that term would have it."""
        if term > self.term:
            self._SyncObj__setCurrentTerm(term, None)
            self._SyncObj__setState(FOLLOWER)
            self.forget_leader()

    def forget_leader(self) -> None:
        """Follow nobody: it was silent for too long. What it was asked for may have been done or not."""
        self._SyncObj__raftLeader = None
        self._SyncObj__onLeaderChanged()

    def transfer_to(self, node: str | None, answer: Answer) -> None:
        """Ask a voter to lead; `answer` is told at once."""
        self.transferLeadership(None if node is None else Node(node), answer)

    def note_installed(self) -> None:
        """A base was installed: all up to it is agreed on. What became of which entry was not seen here."""
        self._check_loaded()
        self._SyncObj__raftCommitIndex = max(self.raftCommitIndex, self.applied_index)
        self._store.setRaftCommitIndex(self._SyncObj__raftCommitIndex)
        waiting = self._SyncObj__commandsWaitingCommit
        for index in [index for index in waiting if index <= self.applied_index]:
            for _, answer in waiting.pop(index):
                answer(None, FAIL_REASON.UNKNOWN_OUTCOME)

    def follow_configuration(self) -> None:
        """Let those vote who do by the latest entry of the log.

        The library forgets entries that it has not applied when it starts, and applies entries again that later ones
        have undone.
        """
        voters = self._store.voters
        if voters is None:
            return
        others = {Node(voter) for voter in voters} - {self.selfNode}
        if others != self.otherNodes:
            self._SyncObj__updateClusterConfiguration(others)
        for node in others:
            self._SyncObj__lastResponseTime.setdefault(node, substitutes.now())

    def _check_loaded(self) -> None:
        """The library logs what goes wrong with a dump and goes on without it."""
        base = self._store.base
        if base is None or self.applied_index != base.last[1]:
            raise InvariantError("pysyncobj did not load the dump")

    def _SyncObj__doApplyCommand(self, command: bytes) -> None:  # noqa: N802 - takes the place of the library's
        """A committed entry; changes of the membership have their effect from where they stand in the log on."""
        self._told.applied(command)

    def pass_on(self, peer: str, message: dict[str, object]) -> None:
        """What the library sends."""
        found = library_messages.from_library(message, self.term, self._corrected(message))
        self._told.send(peer, found)

    def _corrected(self, message: dict[str, object]) -> int:
        """Which entry a follower asks for: where the terms differ, the first that is not surely the same.

        The library goes back by one entry at a time.
        """
        wanted = message.get("next_node_idx")
        if not isinstance(wanted, int):
            return 0
        differs = message["reset"] and wanted <= self.end.index
        return min(wanted, int(self.raftCommitIndex) + 1) if differs else wanted


class _Links(Transport):  # type: ignore[misc]
    """What the library takes for its network."""

    def __init__(self, core: Core) -> None:
        super().__init__(None, None, ())
        self._core = core

    def send(self, node: Node, message: dict[str, object]) -> bool:
        """Give a message out."""
        self._core.pass_on(str(node.id), message)
        return True


class _Silence:
    """A poller without anything to poll."""

    def poll(self, _timeout: float) -> None:
        """Return at once."""


def _conf(store: RaftStore, dumps: Dumps, timing: RaftTiming) -> SyncObjConf:
    return SyncObjConf(
        autoTick=False,
        commandsQueueSize=COMMANDS_MAX,
        raftMinTimeout=timing.timeout_min_s,
        raftMaxTimeout=timing.timeout_max_s,
        appendEntriesPeriod=timing.period_s,
        leaderFallbackTimeout=timing.fallback_s,
        connectionTimeout=2 * timing.timeout_max_s,
        appendEntriesUseBatch=False,
        # A leader sends all that it has behind a place: what a follower cuts off, it gets back in the same message.
        appendEntriesBatchSizeBytes=TAIL_BYTES_MAX,
        logCompactionMinEntries=1 << 62,  # `Raft` says when
        logCompactionMinTime=NEVER,
        logCompactionBatchSize=PART_BYTES,
        commandsWaitLeader=False,
        dynamicMembershipChange=True,
        journalFile=store,
        fullDumpFile="none",  # never looked at; the library insists on a name
        serializer=dumps,
        deserializer=dumps,
        useFork=False,
        pollerType="select",
    )
