"""The shell of the raft process: one `Raft`, its connections, its log, and the pipe to the control process.

One thread. The disk is waited for right here: a voter that has not written has nothing to say. Everything that arrives
is followed by a tick as soon as all that has arrived with it is in, so what comes during an fsync shares the next one.
"""

import asyncio
import errno
import logging
import secrets
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import assert_never

from managers.state.log_files import DiskFiles, InUseError
from p2p.consensus.channel import Party
from p2p.consensus.effects import Applied, DumpWanted, Effect, Installed, Refused, Send, Standing
from p2p.consensus.links import Links
from p2p.consensus.pipe import (
    TO_RAFT,
    Alive,
    Answered,
    BasePart,
    Begin,
    Change,
    DumpPart,
    Failed,
    Frames,
    InstalledPart,
    Listening,
    NoDump,
    Parts,
    Peers,
    PipeError,
    Propose,
    Said,
    Stop,
    ToControl,
    ToRaft,
    Wish,
    applied_parts,
    encode,
    parts,
)
from p2p.consensus.raft import LAN, WAN, Raft
from p2p.consensus.store import RaftStore
from p2p.consensus.substitutes import install
from p2p.consensus.wire import WireError
from p2p.identity.node_key import FILE_BYTES_MAX, NodeKey, decode_key
from p2p.identity.private_file import read_private
from ringrift_core.errors import RingriftError, RulesError, StorageError

TICK_S = 0.02  # without anything arriving
ALIVE_S = 0.5
READ_BYTES = 1 << 18
UNREAD_BYTES_MAX = 64 << 20  # by the control process; then it is told anew once it reads again
UNREAD_BYTES_FEW = 1 << 20  # lines and signs of life are left out beyond
LAST_WORDS_S = 2.0  # for the control process to read them

logger = logging.getLogger(__name__)


class BlockedError(RingriftError):
    """Another process has what this one needs, perhaps not for long."""


class ControlPipe:
    """The end of the socketpair that is ours."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def unread_bytes(self) -> int:
        """What the control process has not taken from us."""
        return self._writer.transport.get_write_buffer_size()

    async def messages(self) -> AsyncGenerator[ToRaft, None]:
        """What we are told, until the other end is closed; PipeError when it is nothing that can be said."""
        frames = Frames(TO_RAFT)
        while content := await self._reader.read(READ_BYTES):
            for message in frames.feed(content):
                yield message

    def say(self, message: ToControl) -> None:
        """Say something; never waits."""
        if not self._writer.is_closing():
            self._writer.write(encode(message))

    async def close(self) -> None:
        """Let the control process read what is unread, but not for long."""
        self._writer.close()
        with suppress(OSError):  # TimeoutError is one
            async with asyncio.timeout(LAST_WORDS_S):
                await self._writer.wait_closed()


class PipeLog(logging.Handler):
    """Lines of this process go into the log of the control process."""

    def __init__(self, pipe: ControlPipe) -> None:
        super().__init__(logging.INFO)
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a line over, unless too much is unread."""
        if self._pipe.unread_bytes < UNREAD_BYTES_FEW:
            self._pipe.say(Said(record.levelno, self.format(record)[:4000]))


class Shell:
    """One voter at work."""

    def __init__(self, raft: Raft, pipe: ControlPipe) -> None:
        self.links: Links
        self._raft = raft
        self._pipe = pipe
        self._due = asyncio.Event()
        self._dump = Parts()
        self._standing: Standing | None = None
        self._behind = False  # the control process does not read, and is told nothing

    # ---- what the links tell ----

    def connected(self, peer: str) -> None:
        """A connection to a peer is there."""
        self._raft.connected(peer)
        self._due.set()
        self._tell_alive()

    def disconnected(self, peer: str) -> None:
        """It has gone."""
        self._raft.disconnected(peer)
        self._due.set()
        self._tell_alive()

    def received(self, peer: str, frame: bytes) -> None:
        """A frame of a peer."""
        try:
            self._raft.receive(peer, frame)
        except WireError as error:
            self.links.drop(peer, str(error))
        self._due.set()

    # ---- what the control process says ----

    def take(self, message: ToRaft) -> None:
        """Do what the control process says."""
        match message:
            case Propose(number, body):
                self._raft.propose(number, body)
            case Change():
                self._pipe.say(Answered(message.number, self._change(message)))
            case DumpPart(version):
                if (whole := self._dump.feed(message)) is not None:
                    self._raft.dumped(version, whole)
            case NoDump(version):
                self._raft.dumped(version, None)
            case Peers(peers):
                self.links.set_peers(peers)
            case Begin() | BasePart() | Stop():
                raise PipeError(f"{type(message).__name__} at the wrong time")
            case _:
                assert_never(message)
        self._due.set()

    def _change(self, change: Change) -> str:
        """Why it cannot be; "" when it was taken."""
        try:
            if change.wish is Wish.TRANSFER:
                self._raft.transfer(change.node)
            elif change.node is None:
                return "no node was named"
            elif change.wish is Wish.ADD:
                self._raft.add_voter(change.node)
            else:
                self._raft.remove_voter(change.node)
        except RulesError as error:
            return str(error)
        return ""

    # ---- time ----

    async def tick(self) -> None:
        """Tick whenever something has arrived, for ever; StorageError when the disk refuses."""
        while True:
            await self._due.wait()
            self._due.clear()
            for effect in self._raft.tick():
                self._carry_out(effect)
            if self._behind and not self._pipe.unread_bytes:
                self._tell_anew()

    async def beat(self) -> None:
        """Let time arrive, for ever."""
        while True:
            for _ in range(round(ALIVE_S / TICK_S)):
                self._due.set()
                await asyncio.sleep(TICK_S)
            self._tell_alive()

    def _tell_alive(self) -> None:
        if self._pipe.unread_bytes < UNREAD_BYTES_FEW:
            self._pipe.say(Alive(self.links.connected))

    # ---- effects ----

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, Send):
            self.links.send(effect.peer, effect.frame)
            return
        if isinstance(effect, Standing):
            self._standing = effect
        self._behind = self._behind or self._pipe.unread_bytes > UNREAD_BYTES_MAX
        if not self._behind:
            self._tell(effect)

    def _tell(self, effect: Applied | Installed | DumpWanted | Refused | Standing) -> None:
        if isinstance(effect, Applied):
            for part in applied_parts(effect):
                self._pipe.say(part)
        elif isinstance(effect, Installed):
            for whole in parts(InstalledPart, effect.version, effect.dump):
                self._pipe.say(whole)
        else:
            self._pipe.say(effect)

    def _tell_anew(self) -> None:
        """The control process reads again: tell it all, it knows what is news to it."""
        self._behind = False
        logger.warning("the control process had stopped reading; it is told everything anew")
        for effect in self._raft.retell():
            if not isinstance(effect, Send):
                self._tell(effect)
        if self._standing is not None:
            self._tell(self._standing)


async def run(sock: socket.socket) -> int:
    """The raft process' life on its end of a socketpair; the exit code."""
    pipe = ControlPipe(*await asyncio.open_unix_connection(sock=sock))
    logging.basicConfig(level=logging.INFO, handlers=[PipeLog(pipe)], format="%(name)s: %(message)s")
    failed: Failed | None = None
    try:
        async with aclosing(pipe.messages()) as messages:
            await _serve(pipe, messages)
    except* ConnectionError:
        pass  # the control process has gone
    except* RingriftError as group:
        error = first_of(group)
        failed = Failed(str(error), isinstance(error, BlockedError | InUseError))
    except* Exception as group:
        logger.exception("the raft process ends")
        failed = Failed(f"{type(first_of(group)).__name__}: {first_of(group)}"[:1000], passing=False)
    if failed is not None:
        pipe.say(failed)
    await pipe.close()
    return 0 if failed is None else 1


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first plain error in groups of groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _serve(pipe: ControlPipe, messages: AsyncGenerator[ToRaft, None]) -> None:
    """From the first message to the last; RingriftError says why it could not go on."""
    begun = await _begun(messages)
    if begun is None:
        return
    begin, base = begun
    install(time.monotonic, secrets.SystemRandom())
    me = Party(begin.cluster_id, begin.node, _key(begin))
    store = RaftStore(DiskFiles(Path(begin.store)))
    store.open()
    try:
        if base is not None and store.blank:
            store.found(base[0], base[1], begin.voters)
        raft = Raft(begin.node, begin.voters, store, WAN if begin.profile == "wan" else LAN)
        shell = Shell(raft, pipe)
        async with Links(me, shell, secrets.token_bytes) as shell.links, asyncio.TaskGroup() as tasks:
            pipe.say(Listening(await _listening(shell.links, begin)))
            work = [tasks.create_task(shell.tick()), tasks.create_task(shell.beat())]
            async for message in messages:
                if isinstance(message, Stop):
                    break
                shell.take(message)
            for task in work:
                task.cancel()
    finally:
        store.close()


async def _begun(messages: AsyncGenerator[ToRaft, None]) -> tuple[Begin, tuple[int, bytes] | None] | None:
    """What to begin with, and from which base; None where the control process has gone before it said."""
    begin = await anext(messages, None)
    if begin is None:
        return None
    if not isinstance(begin, Begin):
        raise PipeError(f"{type(begin).__name__} before Begin")
    if not begin.founded:
        return begin, None
    together = Parts()
    async for part in messages:
        if not isinstance(part, BasePart):
            raise PipeError(f"{type(part).__name__} in the place of a base")
        if (whole := together.feed(part)) is not None:
            return begin, (part.version, whole)
    return None


def _key(begin: Begin) -> NodeKey:
    try:
        return decode_key(read_private(Path(begin.key_path), FILE_BYTES_MAX))
    except ValueError:
        raise StorageError(f"{begin.key_path}: is damaged; bring it back from a copy") from None


async def _listening(links: Links, begin: Begin) -> int:
    try:
        return await links.listen(begin.host, begin.port)
    except OSError as error:
        where = f"{begin.host}:{begin.port} cannot be listened on: {error.strerror}"
        if error.errno == errno.EADDRINUSE:
            raise BlockedError(f"{where}; stop what uses it, or choose another port") from None
        raise StorageError(f"{where}; check the address") from None
