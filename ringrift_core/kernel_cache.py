"""The kernel cache: what is compiled once per machine and version, by one process at a time, and who waits for it.

`python -m ringrift_core.kernel_cache` compiles everything: what the first games need as fast as it can, the rest
giving way to every other process. Whoever needs kernels that are not there (`ensure`) compiles them, or waits for who
does: a lock of the kernel says who.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path

from ringrift_core.errors import InvariantError, StorageError
from ringrift_core.game import batch  # noqa: F401 - with the next ones: every module that has entries
from ringrift_core.game.rules import jit
from ringrift_core.jobs.parent import end_with_parent
from ringrift_core.nn.kernels import encode  # noqa: F401
from ringrift_core.players.kernels import heuristic  # noqa: F401
from ringrift_core.search.kernels import simulate  # noqa: F401
from ringrift_core.selfplay.kernels import replay  # noqa: F401

SECOND_PROCESS = (
    "legal_decisions", "legal_many", "map_actions", "map_states", "observe_many",
    "observe_rows", "list_members", "least_choice", "replay_games", "judge_decisions",
)  # fmt: skip
"""Entries compiled by the second process, about half of the work: those that list decisions, and some that do both."""
FIRST_GAMES = (
    ("judge_decisions", "apply_many", "replay_games", "rank_many", "hash_many"),
    ("advance_many", "begin_game", "gather_many", "collect", "feed", "gather_ids", "least_choice", "read_roots"),
)
"""What games of the heuristic need, which come before any net: by process, about half of the work each."""
LOWEST = 19  # of nice
LOOK_S = 0.5  # between two looks of who waits
FOLDERS_KEPT = 4  # compiled versions that stay on disk, the newest first
LOCK = "compiling"
KEPT = "was there"

Write = Callable[[str], None]
Beat = Callable[[], bool]  # called while somebody waits; whether it shall not wait any longer


class Part(StrEnum):
    """What somebody needs; the values name the files that say that it is there."""

    FIRST = "first"
    ALL = "complete"


def unwatched() -> bool:
    """Whoever waits has nothing else to do."""
    return False


def folders() -> list[Path]:
    """The cache folders of all kernel folders."""
    return sorted({jit.cache_folder(entry.folder) for entry in jit.ENTRIES.values()})


def can_cache() -> bool:
    """True when every cache folder can be written to."""
    return all(jit.can_cache(entry.folder) for entry in jit.ENTRIES.values())


def is_compiled(part: Part) -> bool:
    """Whether a part is in the cache."""
    return all((folder / part).exists() or (folder / Part.ALL).exists() for folder in folders())


def ensure(part: Part, write: Write, beat: Beat = unwatched) -> None:
    """Have a part compiled, by this process or by another one that is at it already.

    Returns at once where nothing can be kept: then each process compiles what it uses. `beat` is called in between;
    True ends the wait. InvariantError when compiling fails.
    """
    alone(part, lambda: compile_part(part, write, beat), beat)


def warmup(write: Write) -> None:
    """Compile what is not in the cache, whatever was said of it. StorageError when nothing can be kept."""
    if not jit.COMPILED:
        write("NUMBA_DISABLE_JIT is set: kernels run uncompiled, there is nothing to compile")
        return
    if not can_cache():
        raise StorageError(f"cannot keep compiled kernels in {folders()[0]}; choose another RINGRIFT_CACHE_DIR")
    for folder in folders():
        (folder / Part.ALL).unlink(missing_ok=True)
    ensure(Part.ALL, write)


def compile_everything(write: Write) -> None:
    """What the first games need, then the rest in this process, which gives way to every other."""
    ensure(Part.FIRST, write)
    os.nice(LOWEST)

    def rest() -> None:
        write("kernels: the rest is compiled beside the games")
        compile_entries(list(jit.ENTRIES))
        mark(Part.ALL)

    alone(Part.ALL, rest, unwatched)


def alone(part: Part, work: Callable[[], None], beat: Beat) -> None:
    """Do the work that a part needs, unless another process does it meanwhile."""
    while can_cache() and not is_compiled(part) and not beat():
        with compiling() as ours:
            if ours and not is_compiled(part):
                work()
        if not ours:
            time.sleep(LOOK_S)


@contextmanager
def compiling() -> Iterator[bool]:
    """Whether nobody else compiles; if so nobody does meanwhile."""
    with (folders()[0].parents[1] / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def compile_part(part: Part, write: Write, beat: Beat) -> None:
    """Compile in two processes, because entries share most of their kernels two by two; say so on the disk."""
    started = time.perf_counter()
    second = [name for name in SECOND_PROCESS if name in jit.ENTRIES]
    groups = FIRST_GAMES if part is Part.FIRST else ([name for name in jit.ENTRIES if name not in second], second)
    count = sum(len(group) for group in groups)
    write(f"kernels: {count} in {folders()[0].parents[1]}, compiled once (a minute or two)")
    in_processes(groups, write, beat)
    mark(part)
    write(f"kernels: {count} ready after {time.perf_counter() - started:.1f} s")


def in_processes(groups: Sequence[Sequence[str]], write: Write, beat: Beat) -> None:
    """Compile each group in a process of its own; InvariantError when one fails."""
    command = [sys.executable, "-P", "-m", __spec__.name]
    count, reader, writer = sum(len(group) for group in groups), *os.pipe()
    with ExitStack() as stack:
        lines = stack.enter_context(os.fdopen(reader))
        with os.fdopen(writer) as shared:
            workers = [stack.enter_context(subprocess.Popen([*command, *it], stdout=shared)) for it in groups]  # noqa: S603
        for done, line in enumerate(lines, start=1):
            if not line.endswith(f"{KEPT}\n"):
                write(f"kernels: {done} of {count}, {line.rstrip()}")
            beat()
    for worker in workers:
        if worker.returncode != 0:
            raise InvariantError(f"a compiling process ended with exit code {worker.returncode}; see above")


def mark(part: Part) -> None:
    """A part is compiled: say so, and remove what old versions have left."""
    for folder in folders():
        (folder / part).touch()
        os.utime(folder)
        remove_old_folders(folder.parent)


def remove_old_folders(parent: Path) -> None:
    """Keep the newest compiled versions."""
    ours = [path for path in parent.iterdir() if path.is_dir() and re.fullmatch("[0-9a-f]{16}", path.name)]
    folders = sorted(ours, key=lambda path: path.stat().st_mtime)
    for folder in folders[:-FOLDERS_KEPT]:
        shutil.rmtree(folder, ignore_errors=True)


def compile_entries(names: Sequence[str]) -> None:
    """Load the named entries from the cache, or compile them; a line for each."""
    for name in names:
        started = time.perf_counter()
        entry = jit.ENTRIES[name]
        entry.compiled.compile(entry.arguments)
        kept = bool(entry.compiled.stats.cache_hits)
        say(f"{name} {KEPT if kept else f'in {time.perf_counter() - started:.1f} s'}")


def say(line: str) -> None:
    """To whoever has started this process."""
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    if names := sys.argv[1:]:
        end_with_parent(partial(os._exit, 1))
        compile_entries(names)
    else:
        compile_everything(say)
