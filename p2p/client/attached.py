"""The node that runs in this process, where one does: the composition root attaches it.

It is the one thing here that a process has once, because the documented accessors take no arguments.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ringrift_core.errors import RulesError

if TYPE_CHECKING:
    from managers.pipeline import Pipeline

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attached:
    """A running node, and the loop and thread that it runs on."""

    node: "Pipeline"
    loop: asyncio.AbstractEventLoop
    thread: int

    @property
    def here(self) -> bool:
        """Whether this is the node's own thread, which nothing may block."""
        return threading.get_ident() == self.thread

    def wait(self, work: Callable[[], Coroutine[Any, Any, T]], timeout_s: float) -> T:
        """Let the node do it and wait for it; RulesError on its own thread, TimeoutError when it takes longer."""
        self.refuse_here()
        return asyncio.run_coroutine_threadsafe(work(), self.loop).result(timeout_s)

    async def do(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Let the node do it, from whatever loop."""
        if self.here:
            return await work()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), self.loop))

    def refuse_here(self) -> None:
        """RulesError on the node's own thread: waiting there would stop the node."""
        if self.here:
            raise RulesError("this waits, and would stop the node whose thread it is; call it by asyncio.to_thread")


_nodes: list[Attached] = []


def attach(node: "Pipeline") -> None:
    """Say on its loop's thread that a node runs in this process; the latest one is spoken to."""
    _nodes.append(Attached(node, asyncio.get_running_loop(), threading.get_ident()))


def detach(node: "Pipeline") -> None:
    """It runs no more."""
    _nodes[:] = [it for it in _nodes if it.node is not node]


def attached() -> Attached | None:
    """The node of this process; None: accessors speak to a node over HTTP."""
    return _nodes[-1] if _nodes else None
