"""The files of a training run's folder, by name (docs/formats/training.md)."""

import json
from pathlib import Path

from ringrift_core.errors import StorageError
from ringrift_core.storage import read_bounded

RUN, WINDOW, STATE, CANDIDATE = "run.json", "window.json", "state.pt", "candidate.pth"
RUN_BYTES_MAX = 1 << 20


def begun_seed(path: Path) -> int | None:
    """The seed of the run whose `run.json` this is, None where none was begun; StorageError when it is damaged."""
    if not path.exists():
        return None
    try:
        seed = json.loads(read_bounded(path, RUN_BYTES_MAX))["spec"]["seed"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise StorageError(f"{path}: damaged; choose another folder") from None
    return seed if type(seed) is int else None
