"""The environment variables of RingRift, one table; nothing else in the project reads the environment."""

import os
from pathlib import Path

VARIABLES = {
    "RINGRIFT_CACHE_DIR": "folder for compiled kernels (default: ringrift in the user's cache folder)",
}


def cache_dir() -> Path:
    """Folder for what can be rebuilt at any time."""
    chosen = os.environ.get("RINGRIFT_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ringrift"
