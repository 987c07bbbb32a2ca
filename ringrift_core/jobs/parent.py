"""A job ends with the process that started it.

Linux sends SIGTERM when the thread that started a job ends, so a job is started from a thread that lives as long as it
is wanted. Elsewhere the job notices at its next report that nobody reads it.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_parent(ask: Callable[[], None]) -> bool:
    """Have the kernel send SIGTERM when the parent ends; False where it cannot. Calls `ask` if it just has ended."""
    if sys.platform != "linux":
        return False
    parent = os.getppid()
    try:
        refused = ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    except (OSError, AttributeError):  # no such library, or one without the call
        return False
    if os.getppid() != parent:  # it ended in between: nobody will send anything
        ask()
    return int(refused) == 0
