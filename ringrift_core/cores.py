"""How many cores there are for this process."""

import os


def usable_cores() -> int:
    """Cores that this process may use: fewer than the machine has where somebody has bound it to some of them."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
