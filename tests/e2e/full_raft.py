"""`python -m tests.e2e.full_raft FD`: a raft process whose disk is full as long as the file FULL_DISK is there."""

import errno
import os
import sys
from pathlib import Path

from managers.state.log_files import DiskFile
from p2p.consensus.__main__ import main

FULL_DISK = "FULL_DISK"


def fill(flag: Path) -> None:
    """Let writes of this process do half of what they should, and fail, while a file is there."""
    write = DiskFile.write

    def failing(file: DiskFile, offset: int, content: bytes) -> None:
        if flag.exists():
            write(file, offset, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(file, offset, content)

    setattr(DiskFile, "write", failing)  # noqa: B010 - mypy refuses to assign to a method


if __name__ == "__main__":
    fill(Path(os.environ[FULL_DISK]))
    sys.exit(main())
