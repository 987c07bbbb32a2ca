"""What is said of a job's end; pure."""

import signal
from collections import deque

from managers.launcher.reports import Lines
from managers.ports import Cause, Ending

ERROR = b"error: "  # how the one line begins with which a job says why it could not go on
LINE_BYTES_MAX = 2000
LINES_KEPT = 20  # of standard error, where there is no such line: the end of a traceback
CRASHES = frozenset({"SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS", "SIGTRAP"})
GIB = 1 << 30


class ErrorTail:
    """The standard error of a job, as much of it as says why the job ended."""

    def __init__(self) -> None:
        self._lines = Lines(LINE_BYTES_MAX)
        self._last: deque[bytes] = deque(maxlen=LINES_KEPT)
        self._error = b""

    def feed(self, chunk: bytes) -> None:
        """The next bytes; none at the end."""
        for line in self._lines.feed(chunk) if chunk else self._lines.end():
            if line.text.startswith(ERROR) and not self._error:
                self._error = line.text
            if line.text.strip():
                self._last.append(line.text)

    def text(self) -> str:
        """The first `error: ` line, without that word, else the last lines; printable."""
        said = self._error.removeprefix(ERROR) or b"\n".join(self._last)
        text = said.decode("utf-8", errors="replace")
        return "".join(char if char.isprintable() or char == "\n" else "?" for char in text.expandtabs(4)).strip()


def ending_of(status: int, cpu_s: float, asked: tuple[Cause, str] | None, tail: ErrorTail) -> Ending:
    """The ending of a process; `status` is its exit code, or minus the signal that ended it.

    `asked` is why we ended it, and the words for that, where we did. A job that answers with an error of its own has
    failed all the same.
    """
    code, number = (status, None) if status >= 0 else (None, -status)
    if asked is not None and asked[0] is not Cause.STOPPED:
        cause, error = asked
    elif asked is not None and (code == 0 or number in {signal.SIGTERM, signal.SIGKILL}):
        cause, error = Cause.STOPPED, ""
    elif code == 0:
        cause, error = Cause.DONE, ""
    else:
        cause, error = _unasked(code, number, tail.text())
    return Ending(cause, code, number, error, cpu_s)


def _unasked(code: int | None, number: int | None, said: str) -> tuple[Cause, str]:
    if number is None:
        return Cause.FAILED, said or f"the process ended with exit code {code}"
    name = signal_name(number)
    if name in CRASHES:
        return Cause.FAILED, f"the process crashed ({name}){f': {said}' if said else ''}"
    advice = "; the system may be short of memory" if number == signal.SIGKILL else ""
    return Cause.KILLED, f"somebody ended the process with {name}{advice}"


def signal_name(number: int) -> str:
    """SIGTERM and so on."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def too_large(kind: str, used_bytes: int, max_bytes: int) -> str:
    """Why a job was ended for its memory."""
    return (
        f"the job used {used_bytes / GIB:.2f} GB of memory, more than the {max_bytes / GIB:.2f} GB that "
        f"jobs.memory_gb_max.{kind} allows: raise it, or choose fewer slots or a smaller batch"
    )


def too_silent(hang_s: float) -> str:
    """Why a job was ended for its silence."""
    return f"the job showed no sign of work for {hang_s:.0f} seconds (jobs.hang_seconds)"
