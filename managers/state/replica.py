"""What every consensus keeps of the replicated state: the state itself, its version, who listens and who waits.

One thread, the event loop's. Whoever brings the bodies into their order (local_consensus.py; over Raft in p2p) hands
them over here.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from ringrift_core.errors import RulesError

S = TypeVar("S")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Listener = Callable[[S, S, R], None]
RecordListener = Callable[[int, bytes], None]
JumpListener = Callable[[int, S, S], None]
LISTENERS_MAX = 16  # they run on the loop's thread after every record


class Machine(Protocol[S, R_co]):
    """What the records mean. States are values that nobody changes, so another thread may read them."""

    def initial(self) -> S:
        """The state before the first record."""

    def apply(self, state: S, body: bytes) -> tuple[S, R_co]:
        """The next state and the result; total: whatever the bytes are, it does not raise."""

    def dump(self, state: S) -> bytes:
        """A state as bytes."""

    def load(self, content: bytes) -> S:
        """The state of these bytes; StorageError when they are none."""


class Replica(Generic[S, R]):
    """The latest state of a machine, and what a consensus shows of it."""

    def __init__(self, machine: Machine[S, R]) -> None:
        self._machine = machine
        self._state = machine.initial()
        self._version = 0
        self._listeners: list[Listener[S, R]] = []
        self._record_listeners: list[RecordListener] = []
        self._jump_listeners: list[JumpListener[S]] = []
        self._step = asyncio.Event()  # set, and replaced, whenever the version has gone up

    @property
    def state(self) -> S:
        """The latest state that was applied."""
        return self._state

    @property
    def version(self) -> int:
        """The number of the last record that was applied."""
        return self._version

    def on_applied(self, listener: Listener[S, R]) -> None:
        """Call it with the states before and after and the result, after each record applied from now on.

        Listeners are called in the order in which they came and must not raise. Records read back at the start are no
        news to anybody and are told to `read_back` alone.
        """
        if len(self._listeners) >= LISTENERS_MAX:
            raise RulesError(f"{LISTENERS_MAX} listeners are the most")
        self._listeners.append(listener)

    def on_record(self, listener: RecordListener) -> None:
        """Call it with the version and the body of each record that is applied from now on, read back or not.

        A state that is installed as it is leaves a gap in the versions, and nobody is told. It must not raise.
        """
        if len(self._record_listeners) >= LISTENERS_MAX:
            raise RulesError(f"{LISTENERS_MAX} listeners are the most")
        self._record_listeners.append(listener)

    def on_jump(self, listener: JumpListener[S]) -> None:
        """Call it when a state takes the place of an earlier one, with that one's version and both states.

        What happened in between is told to nobody. It must not raise.
        """
        if len(self._jump_listeners) >= LISTENERS_MAX:
            raise RulesError(f"{LISTENERS_MAX} listeners are the most")
        self._jump_listeners.append(listener)

    async def changed(self, version: int, timeout_s: float) -> int:
        """Wait until the version is past the given one, at most so long; the version then, past it or not."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._version <= version:
                    await self._step.wait()
        return self._version

    def _install(self, state: S, version: int) -> None:
        """Take a state as it is, at the beginning; no listener is told."""
        self._state, self._version = state, version

    def _jump(self, state: S, version: int) -> None:
        """Take a state as it is in the place of the present one, and tell that."""
        version_before, before = self._version, self._state
        self._install(state, version)
        for listener in self._jump_listeners:
            listener(version_before, before, state)

    def _apply(self, body: bytes, told: Sequence[Listener[S, R]] | None = None) -> R:
        """Apply the next record and tell the listeners, or those given in their place; its result."""
        before = self._state
        self._state, result = self._machine.apply(before, body)
        self._version += 1
        for record_listener in self._record_listeners:
            record_listener(self._version, body)
        for listener in self._listeners if told is None else told:
            listener(before, self._state, result)
        return result

    def _wake(self) -> None:
        """Let those who wait for a version look again."""
        self._step.set()
        self._step = asyncio.Event()
