"""The log of one job: what it writes that is no report. Bounded, and never a reason for the job to stop.

Everything here touches the disk: it runs in a writer thread.
"""

import logging
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)


class JobLog:
    """`<name>.log` in a folder; when it is full it becomes `<name>.log.1`, in place of the one before."""

    def __init__(self, path: Path, bytes_max: int) -> None:
        """`bytes_max`: of both files together, give or take one write."""
        self._path = path
        self._part_bytes_max = bytes_max // 2
        self._lost_bytes = 0

    def write(self, content: bytes) -> None:
        """Append; what cannot be written is dropped, which is said once."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                size = file.tell()
                if self._lost_bytes:
                    file.write(f"[{self._lost_bytes} bytes could not be written here]\n".encode())
                file.write(content)
        except OSError as error:
            if not self._lost_bytes:
                log.warning("%s: %s; the job goes on, its log has a gap", self._path, error.strerror)
            self._lost_bytes += len(content)
            return
        self._lost_bytes = 0
        if size + len(content) >= self._part_bytes_max:
            with suppress(OSError):
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))


def prune(folder: Path, logs_max: int) -> None:
    """Remove the oldest logs until so many are left."""
    with suppress(OSError):
        dated = sorted(_dated(folder.glob("*.log*")), reverse=True)
        for _, path in dated[logs_max:]:
            path.unlink(missing_ok=True)


def _dated(paths: Iterable[Path]) -> Iterable[tuple[float, Path]]:
    for path in paths:
        with suppress(OSError):
            yield path.lstat().st_mtime, path
