"""`logs/coordination.log`: what the control process did, one line per event, for grep.

    2026-01-31T12:00:00.000Z logger=p2p.node job_failed job=gauntlet-1: no memory call=run_gauntlet level=error

Time, logger, text, fields (`extra={"fields": {...}}`), level: it comes last, so that `gauntlet.*error` finds what went
wrong with a gauntlet. Whatever is logged stays one line and shows nothing but printable characters. A thread of
its own writes; whoever logs never waits for a disk. What does not fit into the queue or on the disk is lost, counted
and told. The file is bounded: a full one becomes `coordination.log.1`, and so on.
"""

import logging
import queue
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from urllib.parse import quote

from ringrift_core.errors import StorageError
from ringrift_core.storage import prepare_folder

NAME = "coordination.log"
BYTES_MAX = 5 << 20  # of one file
FILES_MAX = 4  # older ones
WAITING_MAX = 10_000  # lines
END_S = 5.0  # for the last lines
LINE_CHARS_MAX = 8_000  # of a text, which may hold a traceback, and of all fields
HIDDEN = "***"
PLAIN = re.compile(r"[^\s=\"]+")  # needs no quotes
NOISY = ("asyncio", "aiohttp")  # below warnings they say nothing of the loop


@contextmanager
def logging_to(folder: Path, *, debug: bool, secrets: Iterable[str] = ()) -> Iterator[None]:
    """Write everything that is logged to the file, until the block ends; StorageError when that cannot be.

    `secrets` are values such as tokens, which no line shows.
    """
    prepare_folder(folder)
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(WAITING_MAX)
    try:
        handler, file = BoundedHandler(waiting), FileHandler(folder / NAME)
    except OSError as error:
        raise StorageError(f"{folder / NAME}: cannot be written ({error.strerror}); move it away") from error
    file.setFormatter(LineFormatter())
    file.addFilter(SecretsFilter(secrets))
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
    """Time, logger, text, fields and level, in one line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record; the traceback too."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = record.getMessage()
        if record.exc_text:
            text = f"{text}\n{record.exc_text}"
        fields = "".join(f" {escaped(name)}={field_text(value)}" for name, value in fields_of(record).items())
        line = f"{escaped(text)[:LINE_CHARS_MAX]}{fields[:LINE_CHARS_MAX]}"
        return f"{at} logger={escaped(record.name)} {line} level={record.levelname.lower()}"


class SecretsFilter(logging.Filter):
    """Puts `***` in the place of secrets, in text, fields and traceback; lets every record pass.

    Secrets as they are, as Python shows them, as they stand in a URL. For records as `BoundedHandler` prepares them:
    text without arguments.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        forms = {form for secret in secrets if secret for form in (secret, repr(secret)[1:-1], quote(secret, safe=""))}
        longest_first = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True."""
        if self._known is not None:
            record.msg, record.args = self._hidden(record.getMessage()), None
            record.exc_text = self._hidden(record.exc_text) if record.exc_text else None
            fields = fields_of(record)
            if fields:
                record.fields = {name: self._hidden(str(value)) for name, value in fields.items()}
        return True

    def _hidden(self, text: str) -> str:
        return text if self._known is None else self._known.sub(HIDDEN, text)


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
        plain.fields = {name: str(value) for name, value in fields_of(record).items()}
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
    """Writes lines; a disk that refuses costs lines, which the next one that is written tells of."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=BYTES_MAX, backupCount=FILES_MAX, encoding="utf-8", errors="backslashreplace")
        self.lost = 0

    def handleError(self, _record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Lost."""
        self.lost += 1

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        lost = self.lost
        if lost:
            record.msg = f"{record.msg} [{lost} lines before this one could not be written]"
        super().emit(record)
        if self.lost == lost:
            self.lost = 0


def fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    """What was logged as `extra={"fields": {...}}`."""
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, Mapping) else {}


def field_text(value: object) -> str:
    """A value of a field, in quotes where it has blanks, quotes or `=`, or nothing."""
    text = escaped(str(value))
    return text if PLAIN.fullmatch(text) else '"' + text.replace('"', '\\"') + '"'


def escaped(text: str) -> str:
    """A text of printable characters only: whoever wrote it begins no line and moves no cursor."""
    text = text.replace("\\", "\\\\")
    if text.isprintable():
        return text
    return "".join(it if it.isprintable() else it.encode("unicode_escape").decode("ascii") for it in text)
