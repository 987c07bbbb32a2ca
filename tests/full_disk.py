"""A disk that is full at one chosen step of a write."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest


def full_disk_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the fsync or rename with this number, counted together from 0, fail with ENOSPC; the others go on."""
    rename, sync, calls = Path.replace, os.fsync, [0]

    def failing(do: Any, *given: Any) -> Any:
        calls[0] += 1
        if calls[0] == step + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return do(*given)

    monkeypatch.setattr(Path, "replace", lambda path, to: failing(rename, path, to))
    monkeypatch.setattr(os, "fsync", lambda handle: failing(sync, handle))
