"""The folder of a node that does not run: kept from every other process while a person has something done to it."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from managers.node_folder import NodeFolder
from managers.node_store import Json
from managers.state.log_files import DiskFiles
from managers.state_manager import StateManager
from ringrift_core.errors import RingriftError
from ringrift_core.storage import sync_folder

NAME_FACT = "node_id"  # under which the name of the node is kept
FOLLOWS_FACT = "follows"  # that the node has followed voters: it has no log of its own then, and must not begin one


@contextmanager
def resting(root: Path) -> Iterator[NodeFolder]:
    """A node's folder until the block ends; InUseError while a process of it lives, RingriftError where none is."""
    folder = NodeFolder(root)
    if not folder.node_state.exists():
        raise RingriftError(f"{root}: no node has worked in this folder; say its --data-dir")
    with ExitStack() as stack:
        for place in (folder.owner, folder.group):  # a raft process may outlive its node for a moment
            if place.exists():
                files = DiskFiles(place)
                files.lock()
                stack.callback(files.unlock)
        yield folder


def facts_of(folder: NodeFolder, monotonic: Callable[[], float] = time.monotonic) -> dict[str, Json]:
    """What the node keeps beside the state."""

    async def read() -> dict[str, Json]:
        async with StateManager(folder.node_state, monotonic) as kept:
            return await kept.load_state()

    return asyncio.run(read())


def keep_facts(folder: NodeFolder, facts: Mapping[str, Json], monotonic: Callable[[], float] = time.monotonic) -> None:
    """Keep some; None forgets one. On the disk when this returns."""

    async def write() -> None:
        async with StateManager(folder.node_state, monotonic) as kept:
            await kept.save_state(facts)

    asyncio.run(write())


def set_aside(path: Path, word: str, at: datetime) -> Path:
    """Give a folder a dated name beside its own, durably; the new path."""
    kept = path.with_name(f"{path.name}.{word}-{at:%Y%m%dT%H%M%SZ}")
    path.rename(kept)
    sync_folder(path.parent)
    return kept
