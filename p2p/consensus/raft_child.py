"""A raft process as its control process sees it: started, told, heard, ended. Nothing here blocks the event loop."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Self

from config.environment import SECRETS, process_environment
from p2p.consensus.pipe import TO_CONTROL, Frames, Stop, ToControl, ToRaft, encode
from ringrift_core.errors import StorageError

COMMAND = (sys.executable, "-P", "-m", "p2p.consensus")  # before the number of its socket
READ_BYTES = 1 << 18
UNREAD_BYTES_MAX = 64 << 20  # by the raft process
END_S = 5.0  # between asking for the end, SIGKILL, and giving up


class RaftChild:
    """One raft process; it ends when its socket is closed, whatever becomes of us."""

    def __init__(
        self, popen: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._popen = popen
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls) -> Self:
        """Start one; StorageError when the machine cannot."""
        mine, theirs = socket.socketpair()
        try:
            popen = await asyncio.to_thread(_spawn, theirs.fileno())
        except OSError as error:
            mine.close()
            raise StorageError(f"no raft process can be started: {error.strerror}; free some memory") from error
        finally:
            theirs.close()
        return cls(popen, *await asyncio.open_unix_connection(sock=mine))

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._popen.pid

    def say(self, message: ToRaft) -> bool:
        """Say something; False where it has gone, or does not read. Never waits."""
        transport = self._writer.transport
        if transport.is_closing() or transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            return False
        self._writer.write(encode(message))
        return True

    async def say_large(self, message: ToRaft) -> None:
        """Say something and wait until most of it is read."""
        self._writer.write(encode(message))
        with suppress(ConnectionError):  # it has gone, which is noticed where it is listened to
            await self._writer.drain()

    async def messages(self) -> AsyncGenerator[ToControl, None]:
        """What it says, until it ends; PipeError when it says what it cannot say."""
        frames = Frames(TO_CONTROL)
        with suppress(ConnectionError):
            while content := await self._reader.read(READ_BYTES):
                for message in frames.feed(content):
                    yield message

    async def end(self) -> None:
        """End it: in good order, or by SIGKILL. Returns when it is reaped, or END_S after SIGKILL."""
        self.say(Stop())
        self._writer.close()
        for last in (False, True):
            try:
                await asyncio.to_thread(self._popen.wait, END_S)
            except subprocess.TimeoutExpired:
                if not last:
                    self._popen.kill()
            else:
                return


def _spawn(number: int) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in process_environment().items() if name not in SECRETS}
    return subprocess.Popen(  # noqa: S603 - our own module
        [*COMMAND, str(number)],
        env=environment,
        pass_fds=(number,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
