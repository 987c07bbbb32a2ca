"""`ringrift warmup`: compile every kernel into the cache, in parallel processes."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

from ringrift_core.errors import InvariantError, StorageError
from ringrift_core.game import batch  # noqa: F401 - with the next ones: every module that has entries
from ringrift_core.game.rules import jit
from ringrift_core.nn.kernels import encode  # noqa: F401
from ringrift_core.players.kernels import heuristic  # noqa: F401
from ringrift_core.search.kernels import simulate  # noqa: F401
from ringrift_core.selfplay.kernels import replay  # noqa: F401

SECOND_PROCESS = (
    "legal_decisions", "legal_many", "map_actions", "map_states", "observe_many",
    "observe_rows", "list_members", "least_choice", "replay_games", "judge_decisions",
)  # fmt: skip
"""Entries compiled by the second process, about half of the work: those that list decisions, and some that do both."""
FIRST = (
    ("judge_decisions", "apply_many", "replay_games", "rank_many", "hash_many"),
    ("advance_many", "begin_game", "gather_many", "collect", "feed", "gather_ids", "least_choice", "read_roots"),
)
"""What games of the heuristic need, which come before any net: by process, about half of the work each."""
STAMP = "complete"  # written when everything is compiled
FIRST_STAMP = "first"  # written when FIRST is
REST = "--rest"  # of this module as a process
LOWEST = 19  # of nice
FOLDERS_KEPT = 4  # compiled versions that stay on disk, the newest first


def folders() -> list[Path]:
    """The cache folders of all kernel folders."""
    return sorted({jit.cache_folder(entry.folder) for entry in jit.ENTRIES.values()})


def can_cache() -> bool:
    """True when every cache folder can be written to."""
    return all(jit.can_cache(entry.folder) for entry in jit.ENTRIES.values())


def ensure_compiled(write: Callable[[str], None]) -> None:
    """Run `warmup` where this version has never been compiled, so that nobody waits without a word."""
    if can_cache() and not all((folder / STAMP).exists() for folder in folders()):
        warmup(write)


def warmup(write: Callable[[str], None]) -> None:
    """Compile what is not in the cache yet; two processes, because entries share most of their kernels two by two."""
    if not jit.COMPILED:
        write("NUMBA_DISABLE_JIT is set: kernels run uncompiled, there is nothing to compile")
        return
    if not can_cache():
        raise StorageError(f"cannot keep compiled kernels in {folders()[0]}; choose another RINGRIFT_CACHE_DIR")
    started = perf_counter()
    write(f"kernels: {len(jit.ENTRIES)} in {folders()[0].parents[1]}, compiled once (a minute or two)")
    second = [name for name in SECOND_PROCESS if name in jit.ENTRIES]
    first = [name for name in jit.ENTRIES if name not in second]
    in_processes((first, second), write)
    mark_complete()
    write(f"kernels: ready after {perf_counter() - started:.1f} s")


def ensure_first(write: Callable[[str], None]) -> bool:
    """Compile what the first games need, where that was never done; whether there is a rest (`compile_rest`)."""
    if not can_cache() or all((folder / STAMP).exists() for folder in folders()):
        return False
    if not all((folder / FIRST_STAMP).exists() for folder in folders()):
        started = perf_counter()
        names = sum(len(group) for group in FIRST)
        write(f"kernels: {names} that the first games need, compiled once (a minute or two)")
        in_processes(FIRST, write)
        for folder in folders():
            (folder / FIRST_STAMP).touch()
        write(f"kernels: ready for the first games after {perf_counter() - started:.1f} s")
    return True


def compile_rest() -> None:
    """Compile everything that is not in the cache yet, in this process, which gives way to every other."""
    os.nice(LOWEST)
    compile_entries(list(jit.ENTRIES))
    mark_complete()


def in_processes(groups: Sequence[Sequence[str]], write: Callable[[str], None]) -> None:
    """Compile each group in a process of its own; InvariantError when one fails."""
    command = [sys.executable, "-P", "-m", __name__]
    with ExitStack() as stack:
        workers = [
            stack.enter_context(subprocess.Popen([*command, *group], stdout=subprocess.PIPE, text=True))  # noqa: S603
            for group in groups
        ]
        for worker in workers:
            assert worker.stdout is not None
            for line in worker.stdout:
                write(line.rstrip())
    for worker in workers:
        if worker.returncode != 0:
            raise InvariantError(f"a compiling process ended with exit code {worker.returncode}; see above")


def mark_complete() -> None:
    """Everything is compiled: say so, and remove what old versions have left."""
    for folder in folders():
        (folder / STAMP).touch()
        os.utime(folder)
        remove_old_folders(folder.parent)


def remove_old_folders(parent: Path) -> None:
    """Keep the newest compiled versions."""
    ours = [path for path in parent.iterdir() if path.is_dir() and re.fullmatch("[0-9a-f]{16}", path.name)]
    folders = sorted(ours, key=lambda path: path.stat().st_mtime)
    for folder in folders[:-FOLDERS_KEPT]:
        shutil.rmtree(folder, ignore_errors=True)


def compile_entries(names: list[str]) -> None:
    """Load the named entries from the cache, or compile them."""
    for name in names:
        started = perf_counter()
        entry = jit.ENTRIES[name]
        entry.compiled.compile(entry.arguments)
        if not entry.compiled.stats.cache_hits:
            print(f"  {name}: compiled in {perf_counter() - started:.1f} s", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == [REST]:
        compile_rest()
    else:
        compile_entries(sys.argv[1:])
