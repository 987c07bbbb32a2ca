"""One voter: PySyncObj behind a seam without I/O (core.py), one thread, ticked from outside (docs/design/consensus.md).

A call from outside changes things in memory; `tick` lets the library work, makes everything durable by one fsync, and
only then hands out what may be seen: frames, what is agreed on, what failed. substitutes.install comes first.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from pysyncobj.config import FAIL_REASON

from p2p.consensus import substitutes
from p2p.consensus.codec import bodies_of, pack
from p2p.consensus.core import Core, Told
from p2p.consensus.dumps import Dumps
from p2p.consensus.effects import Applied, DumpWanted, Effect, Installed, Refused, Role, Send, Standing
from p2p.consensus.pre_vote import PreElection
from p2p.consensus.proposals import Proposals
from p2p.consensus.store import RaftStore
from p2p.consensus.timing import LAN, RaftTiming
from p2p.consensus.wire import (
    TAIL_BYTES_MAX,
    AppendEntries,
    Command,
    CommandAnswer,
    DumpPart,
    Message,
    NextIndex,
    PreVote,
    PreVoteAnswer,
    RequestVote,
    Vote,
    WireError,
    decode,
    encode,
)
from ringrift_core.errors import RulesError

ROUNDS = 1 << 48  # a life numbers its rounds from a random number on
FORWARDED_BYTES_MAX = 8 << 20  # of commands from other voters, in one tick
JOURNAL_BYTES_MAX = TAIL_BYTES_MAX - (24 << 20)  # then nothing new is taken: a follower gets all of it in one message
FULL = "the log is full because no dump of the state has come; see the log of the control process"


@dataclass(frozen=True, slots=True)
class RaftLimits:
    """When a dump is asked for: after so many entries, or bytes of them, since the last one."""

    compact_entries: int = 10_000
    compact_bytes: int = 16 << 20


class Raft:
    """One voter. Whatever is called, nothing leaves before the next `tick` has made it durable."""

    def __init__(
        self,
        node: str,
        voters: Collection[str],
        store: RaftStore,
        timing: RaftTiming = LAN,
        limits: RaftLimits | None = None,
    ) -> None:
        """`store` is open; `voters` are those of the group, itself included, ignored where the store knows them."""
        self._node = node
        self._store = store
        self._timing = timing
        self._limits = limits or RaftLimits()
        self._effects: list[Effect] = []
        self._bodies: list[bytes] = []  # applied since the last effect
        self._version = 0
        self._applied_entries = self._applied_bytes = 0  # since the last dump
        self._granted: set[str] = set()  # who voted for this node in its present term
        self._granted_term = 0
        self._forwarded = 0  # bytes of commands of other voters since the last tick
        self._agrees = False  # whether the message of a leader that is being read fitted the log
        self._changing = False  # a change of the membership waits for the next tick
        self._from_the_start = False
        self._standing: Standing | None = None
        self._proposals = Proposals(self._effects.append, self._why_no_leader)
        self._dumps = Dumps(store, lambda: self._version, self._want_dump)
        told = Told(self._send, self._apply)
        self._core = Core(node, voters, store, self._dumps, timing, told)
        now = substitutes.now()
        # Whoever heard of a leader within the shortest timeout, less two signs of life, votes for nobody else.
        patience = timing.timeout_min_s - 2 * timing.period_s
        self._election = PreElection(node, int(substitutes.chance() * ROUNDS), now, patience)
        drawn = self._core.take_deadline()
        self._due = now if drawn is None or self._core.voters == (node,) else drawn  # alone it need not wait
        self._summoned = False  # the leader wishes this node to lead
        if store.base is not None:
            self._note_base()

    def connected(self, peer: str) -> None:
        """A connection to a peer is there."""
        self._core.link(peer)

    def disconnected(self, peer: str) -> None:
        """The connection to a peer has gone."""
        self._dumps.forget_peer(peer)
        self._core.unlink(peer)

    def receive(self, peer: str, frame: bytes) -> None:
        """A frame of a connected peer; WireError for what is no message: drop the connection."""
        if not self._core.linked(peer):
            return
        message = decode(frame)
        match message:
            case PreVote():
                self._answer_pre_vote(peer, message)
            case PreVoteAnswer():
                if peer in self._core.voters:
                    self._election.take(peer, message)
            case AppendEntries() | DumpPart():
                self._follow(peer, message)
            case NextIndex():
                self._take_answer(peer, message)
            case _ if not self._store.mute and self._wanted(peer, message):
                self._deliver(peer, message)

    def propose(self, number: int, body: bytes) -> None:
        """Ask for a body to be agreed on; RulesError for one of more than BODY_BYTES_MAX bytes."""
        self._proposals.add(number, body)

    def add_voter(self, node: str) -> None:
        """Let a connected node vote; RulesError where that cannot be now: not the leader, another change under way."""
        self._check_changeable()
        if node in self._core.voters:
            raise RulesError(f"{node} is a voter already")
        if not self._core.linked(node):
            raise RulesError(f"{node} is not connected; a group must not wait for a voter that is not there")
        self._change("add", node)

    def remove_voter(self, node: str) -> None:
        """Let a node vote no more; RulesError as in `add_voter`."""
        self._check_changeable()
        if node not in self._core.voters:
            raise RulesError(f"{node} is no voter")
        if node == self._node:
            raise RulesError("the leader does not remove itself; transfer the leadership first")
        self._change("rem", node)

    def transfer(self, node: str | None) -> None:
        """Ask a voter, or the one that is closest, to lead; RulesError where that cannot be now."""
        errors: list[int] = []
        self._core.transfer_to(node, lambda _, error: errors.append(error))
        if errors == [FAIL_REASON.NOT_LEADER]:
            raise RulesError("only the leader can ask another voter to lead")
        if errors != [FAIL_REASON.SUCCESS]:
            raise RulesError("no voter that could lead is connected and has all entries; try again")

    def dumped(self, version: int, content: bytes | None) -> None:
        """The answer to DumpWanted, None where nobody has that state any more: a later one will be wanted then.

        One to an earlier wish is ignored; RulesError when it is too large.
        """
        self._dumps.dumped(version, content)

    def retell(self) -> list[Effect]:
        """As `tick`, but Installed and Applied lead from nothing to what is applied."""
        self._from_the_start = True
        return self.tick()

    def tick(self) -> list[Effect]:
        """Let time pass and do what is due; StorageError when the disk refuses: the voter must be made anew."""
        if self._store.size_bytes > JOURNAL_BYTES_MAX:
            self._proposals.refuse_new(FULL)
        self._proposals.place(lambda command, answer: self._core.place(command[1:], answer))
        self._elect()
        if self._wants_dump():
            self._core.forceLogCompaction()
        self._step()
        if len(self._core.voters) == 1 and self._core.role is Role.LEADER:
            self._step()  # nobody has to answer: what has come is committed at once, and made durable below
        self._changing, self._forwarded = False, 0
        self._flush()
        self._tell_standing()
        self._store.sync()
        return self._take_effects()

    def _wants_dump(self) -> bool:
        limits = self._limits
        due = self._applied_entries >= limits.compact_entries or self._applied_bytes >= limits.compact_bytes
        return due and not self._dumps.busy

    def _step(self) -> None:
        led = self._core.role is Role.LEADER
        self._core.step()
        self._note_deadline()
        if led and self._core.role is not Role.LEADER:
            self._due = self._draw()

    def _follow(self, peer: str, message: AppendEntries | DumpPart) -> None:
        """What a leader sends. Whoever leads in a term was elected by a majority that this node may not know yet."""
        core = self._core
        if message.term < core.term:  # the library is silent, and a leader of an old term would go on for ever
            self._send(peer, NextIndex(core.term, core.end.index + 1, reset=False, success=False))
            return
        self._agrees = False
        self._deliver(peer, core.unknown_part(message) if isinstance(message, AppendEntries) else message)
        if self._agrees and isinstance(message, AppendEntries) and self._store.mute:
            self._store.set_mute(mute=False)  # a leader sends all that it has, and it is here
        if core.leader == peer and message.term == core.term:
            self._election.heard(substitutes.now())
        if self._dumps.installed:
            self._dumps.installed = False
            core.note_installed()
            self._note_base()
        elif isinstance(message, DumpPart):
            self._send(peer, NextIndex(core.term, core.end.index + 1, reset=False, success=False))

    def _deliver(self, peer: str, message: Message) -> None:
        try:
            self._core.deliver(peer, message)
        except ValueError as error:
            raise WireError(f"a dump that is none: {error}") from error
        finally:
            self._note_deadline()

    def _wanted(self, peer: str, message: Message) -> bool:
        """Whether a message may count; the library counts whatever it is given."""
        core = self._core
        match message:
            case RequestVote() | CommandAnswer():
                return True
            case Command(number):
                self._forwarded += len(message.command)
                if self._store.size_bytes > JOURNAL_BYTES_MAX or self._forwarded > FORWARDED_BYTES_MAX:
                    self._send(peer, CommandAnswer(number, FAIL_REASON.QUEUE_FULL, 0, 0))
                    return False
            case Vote(term):
                if peer not in core.voters or term != core.term:
                    return False
                if self._granted_term != term:
                    self._granted, self._granted_term = set(), term
                again = peer in self._granted
                self._granted.add(peer)
                return not again
        return peer in core.voters

    def _take_answer(self, peer: str, message: NextIndex) -> None:
        """What a follower says, if it is one; a later term ends this one, an earlier one says nothing.

        Of a follower whose log is longer it is to be found out where the logs differ.
        """
        core = self._core
        following = core.end.index + 1
        if peer not in core.voters:
            return
        if message.term > core.term:
            core.reach_term(message.term)
        elif message.term == core.term and (message.next_index <= following or not message.success):
            self._deliver(peer, replace(message, next_index=min(message.next_index, following)))

    def _answer_pre_vote(self, peer: str, asked: PreVote) -> None:
        if self._store.mute:
            return
        core = self._core
        leads = core.role is Role.LEADER
        self._send(peer, self._election.answer(asked, core.end, core.term, leads=leads, now=substitutes.now()))

    def _elect(self) -> None:
        """Ask who would vote for this node when no leader was heard of for too long; campaign when a majority would."""
        core, now = self._core, substitutes.now()
        if core.role is Role.LEADER or self._store.mute or self._node not in core.voters:
            core.cancel_transfer()
            self._summoned = False
            return
        if self._summoned:
            self._summoned = False
            core.campaign()
            return
        if now >= self._due:
            self._due = self._draw()
            core.forget_leader()
            asked = self._election.ask(core.end)
            for voter in core.voters:
                if voter != self._node:
                    self._send(voter, asked)
        term = self._election.won(core.voters)
        if term is not None:
            core.reach_term(term)
            core.campaign()

    def _note_deadline(self) -> None:
        """The library has put off its next election, or was asked by its leader to hold one."""
        deadline = self._core.take_deadline()
        if deadline == 0.0:
            self._summoned = True
        elif deadline is not None and deadline > 0.0:
            self._due = deadline
        elif deadline is not None:
            self._core.cancel_transfer()  # it was told to campaign and did not: nobody is connected
            self._due = self._draw()

    def _draw(self) -> float:
        timing = self._timing
        spread_s = timing.timeout_max_s - timing.timeout_min_s
        return substitutes.now() + timing.timeout_min_s + spread_s * substitutes.chance()

    def _check_changeable(self) -> None:
        """The library would take any number of changes at once, of which each may be undone."""
        if self._core.role is not Role.LEADER:
            raise RulesError("only the leader changes who votes")
        if self._changing or not self._core.settled or self._store.change_after(self._core.applied_index):
            raise RulesError("an earlier change of the voters is not agreed on yet; try again")

    def _change(self, kind: str, node: str) -> None:
        self._changing = True
        self._core.place(pack([kind, node]), lambda _result, _error: None, membership=True)

    def _send(self, peer: str, message: Message) -> None:
        if isinstance(message, NextIndex) and message.success:
            self._agrees = True
        if self._core.linked(peer):
            self._effects.append(Send(peer, encode(message)))

    def _apply(self, command: bytes) -> None:
        bodies = bodies_of(command)
        self._bodies += bodies
        self._version += len(bodies)
        self._applied_entries += 1
        self._applied_bytes += len(command)

    def _want_dump(self, version: int) -> None:
        self._flush()
        self._effects.append(DumpWanted(version))
        self._applied_entries = self._applied_bytes = 0

    def _note_base(self) -> None:
        base = self._store.base
        assert base is not None
        self._flush()
        self._version = base.version
        self._effects.append(Installed(base.version, base.dump))
        self._applied_entries = self._applied_bytes = 0

    def _flush(self) -> None:
        if self._bodies:
            self._effects.append(Applied(self._version - len(self._bodies) + 1, tuple(self._bodies)))
            self._bodies.clear()

    def _tell_standing(self) -> None:
        core = self._core
        missing = core.missing
        standing = Standing(
            role=core.role,
            leader=core.leader,
            term=core.term,
            quorum=len(core.voters) - len(missing) > len(core.voters) / 2,
            voters=core.voters,
            applied_version=self._version,
        )
        told = self._standing
        if told is None or standing != replace(told, applied_version=self._version):
            self._effects.append(standing)
        self._standing = standing

    def _take_effects(self) -> list[Effect]:
        """What has come together: news in their order, then frames, by peer."""
        sends = [it for it in self._effects if isinstance(it, Send) and self._core.linked(it.peer)]
        news: list[Effect] = [it for it in self._effects if not isinstance(it, Send)]
        self._effects.clear()
        if self._from_the_start:
            self._from_the_start = False
            news = self._story() + [it for it in news if isinstance(it, Refused | Standing)]
        sends.sort(key=lambda it: it.peer)
        return [*news, *sends]

    def _story(self) -> list[Effect]:
        """What leads from nothing to what is applied."""
        base = self._store.base
        if base is None:
            return []
        bodies = [
            body
            for command, index, _ in self._store[:]
            if base.last[1] < index <= self._core.applied_index
            for body in bodies_of(command)
        ]
        story: list[Effect] = [Installed(base.version, base.dump)]
        first, wanted = base.version + 1, self._dumps.wanted
        if wanted is not None:
            before, bodies = bodies[: wanted - base.version], bodies[wanted - base.version :]
            story += [Applied(first, tuple(before))] if before else []
            story.append(DumpWanted(wanted))
            first = wanted + 1
        return story + ([Applied(first, tuple(bodies))] if bodies else [])

    def _why_no_leader(self) -> str:
        core = self._core
        missing, voters = core.missing, core.voters
        if self._store.blank:
            return "this node has not got the state of its group yet"
        if len(voters) - len(missing) <= len(voters) / 2:
            return f"no leader: of the voters {', '.join(voters)} there is no connection to {', '.join(missing)}"
        return "no leader is elected yet; try again"
