"""`python -m tests.e2e.late_voter FD`: a raft process with a planted bug: what it says is on the disk a write later.

A snapshot is a write, too: what waits for it goes to the disk with it, so that a voter with the bug gets to work.
"""

import sys
from typing import Any

from managers.state.durable_log import DurableLog
from p2p.consensus.__main__ import main
from tests.e2e.loop_process import plant


def flushed(compact: Any, append: Any) -> Any:
    """A snapshot behind everything that waits."""

    def compacted(self: DurableLog, state: bytes) -> None:
        append(self, [])
        compact(self, state)

    return compacted


if __name__ == "__main__":
    plant(["early"])
    setattr(DurableLog, "compact", flushed(DurableLog.compact, DurableLog.append))  # noqa: B010
    sys.exit(main())
