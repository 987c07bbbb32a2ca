"""Forgetting an adopted cluster id, by hand, in the folder of a node that does not run. Touches the disk."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from managers.node_folder import NodeFolder
from managers.state_manager import StateManager
from p2p.adoption import FACT
from p2p.http.node_socket import read_record
from p2p.membership.bootstrap import Adoption
from p2p.membership.kept import forget_id
from ringrift_core.errors import RingriftError


def forget(root: Path, monotonic: Callable[[], float] = time.monotonic) -> Adoption | None:
    """What the node of a data folder had adopted, and has not any more; RingriftError where that must not be."""
    folder = NodeFolder(root)
    if not folder.node_state.exists():
        raise RingriftError(f"{root}: no node has worked in this folder; say its --data-dir")
    if read_record(root) is not None:
        raise RingriftError(f"a node works in {root}: end it first")
    has_log = folder.log.exists() and any(folder.log.iterdir())

    async def work() -> Adoption | None:
        async with StateManager(folder.node_state, monotonic) as facts:
            begun = has_log or FACT in await facts.load_state()
            return await forget_id(facts, folder, has_log=begun)

    return asyncio.run(work())
