"""`logs/coordination.log`: what the control process did, one line per event, for grep.

    2026-01-31T12:00:00.000Z error managers.pipeline gauntlet-hex8_2p-17 failed: ...

A thread of its own writes; whoever logs never waits for a disk. What does not fit into the queue or on the disk is lost
and counted. The file is bounded: a full one becomes `coordination.log.1`, and so on.
"""

import logging
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path

from ringrift_core.errors import StorageError
from ringrift_core.storage import prepare_folder

NAME = "coordination.log"
BYTES_MAX = 5 << 20  # of one file
FILES_MAX = 4  # older ones
WAITING_MAX = 10_000  # lines
END_S = 5.0  # for the last lines
LINE_CHARS_MAX = 8_000  # a traceback is one line
NOISY = ("asyncio", "aiohttp")  # below warnings they say nothing of the loop


@contextmanager
def logging_to(folder: Path, *, debug: bool) -> Iterator[None]:
    """Write everything that is logged to the file, until the block ends; StorageError when that cannot be."""
    prepare_folder(folder)
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(WAITING_MAX)
    try:
        handler, file = BoundedHandler(waiting), FileHandler(folder / NAME)
    except OSError as error:
        raise StorageError(f"{folder / NAME}: cannot be written ({error.strerror}); move it away") from error
    file.setFormatter(LineFormatter())
    listener = QueueListener(waiting, file)
    root, level = logging.getLogger(), logging.DEBUG if debug else logging.INFO
    before = root.level
    root.setLevel(level)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    root.addHandler(handler)
    listener.start()
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        handler.make_room()
        stopping = threading.Thread(target=listener.stop, daemon=True, name="end of the log")
        stopping.start()
        stopping.join(END_S)
        if not stopping.is_alive():
            file.close()


class LineFormatter(logging.Formatter):
    """Time, level, logger and text, in one line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record; the traceback too."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = record.getMessage()
        if record.exc_text:
            text = f"{text}\n{record.exc_text}"
        line = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")[:LINE_CHARS_MAX]
        return f"{at} {record.levelname.lower()} {record.name} {line}"


class BoundedHandler(QueueHandler):
    """Puts records into the queue; one that does not fit is counted, and told of by the next that does."""

    def __init__(self, waiting: "queue.Queue[logging.LogRecord]") -> None:
        super().__init__(waiting)
        self._waiting = waiting
        self.lost = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record as another thread may read it, its traceback as text."""
        plain = copy(record)
        if record.exc_info and not record.exc_text:
            plain.exc_text = logging.Formatter().formatException(record.exc_info)
        plain.msg, plain.args, plain.exc_info = record.getMessage(), None, None
        return plain

    def enqueue(self, record: logging.LogRecord) -> None:
        """Never waits."""
        if self.lost:
            record.msg = f"{record.msg} [{self.lost} lines before this one are lost]"
        try:
            self._waiting.put_nowait(record)
        except queue.Full:
            self.lost += 1
        else:
            self.lost = 0

    def make_room(self) -> None:
        """So that the listener can be told to end even if its disk hangs."""
        if self._waiting.full():
            self._waiting.get_nowait()


class FileHandler(RotatingFileHandler):
    """Writes lines; a disk that refuses costs lines and nothing else."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=BYTES_MAX, backupCount=FILES_MAX, encoding="utf-8", errors="backslashreplace")
        self.lost = 0

    def handleError(self, _record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Lost."""
        self.lost += 1
