"""How kernels are compiled: two decorators, a cache folder that knows the rules' source, and the uncompiled form.

`@kernel` marks a scalar function that other kernels call; `@entry` one that Python calls, which is cached on
disk with all it calls. Kernels stand in the rules and in folders named `kernels`, which import the rules and themselves
only. A cache folder's name is a digest of the rules, of the folder that defines the entry, of the numba version and
of the CPU, so an edited rule or another machine never runs old code, and two copies of the same source share what was
compiled. With NUMBA_DISABLE_JIT=1 the same source runs as plain Python; `for_kernel` then hands out memoryviews, whose
items are exact Python ints (a value that would not fit the array raises instead of wrapping).
"""

import hashlib
import os
import platform
from collections.abc import Callable, MutableSequence, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite
import llvmlite.binding
import numba
import numpy.typing as npt
from numba import config as numba_config
from numba import types
from numba.core.caching import UserProvidedCacheLocator

from config.environment import cache_dir

# what kernels see: arrays when compiled, memoryviews of them when not
Table = Sequence[int]
Words = MutableSequence[int]
Rows = Sequence[MutableSequence[int]]

F = TypeVar("F", bound=Callable[..., Any])

ARGUMENTS = {
    "g": types.Array(types.int32, 1, "C", readonly=True),
    "s": types.Array(types.int16, 1, "C"),  # a state, or scratch
    "ids": types.Array(types.uint16, 1, "C"),
    "longs": types.Array(types.int64, 1, "C"),
    "int": types.int64,
    "states": types.Array(types.int16, 2, "C"),  # or scratch rows
    "lists": types.Array(types.uint16, 2, "C"),
    "bytes": types.Array(types.int8, 2, "C"),
    "flags": types.Array(types.int8, 1, "C"),
    "ints": types.Array(types.int32, 1, "C"),
    "floats": types.Array(types.float32, 1, "C"),
    "float": types.float64,
    "ints_rows": types.Array(types.int32, 2, "C"),
    "longs_rows": types.Array(types.int64, 2, "C"),
    "floats_rows": types.Array(types.float32, 2, "C"),
    "states_of": types.Array(types.int16, 3, "C"),  # [games, nodes, words]
}
RULES = Path(__file__).parent
COMPILED = not numba_config.DISABLE_JIT


@dataclass(frozen=True, slots=True)
class Entry:
    """What `ringrift warmup` needs to know of a function that Python calls."""

    compiled: Any
    arguments: tuple[Any, ...]  # numba types
    folder: Path  # of the file that defines it


class Locator(UserProvidedCacheLocator):  # type: ignore[misc] # numba has no types
    """Where numba keeps an entry within our cache folder: wherever the source lies, which its name stands for."""

    @classmethod
    def get_suitable_cache_subpath(cls, py_file: str) -> str:
        """The same for every copy of the source."""
        return Path(py_file).parent.name


ENTRIES: dict[str, Entry] = {}  # by name
LOCATOR = f"{Locator.__module__}.{Locator.__name__}"


def sources_digest(folder: Path) -> str:
    """SHA-256 (hex) over the names and contents of the Python files in `folder`, sorted by name."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def cache_folder(folder: Path) -> Path:
    """Where the compiled form of the entries of one kernel folder lives."""
    cpu = f"{llvmlite.binding.get_host_cpu_name()} {llvmlite.binding.get_host_cpu_features().flatten()}"
    parts = (
        sources_digest(RULES),
        sources_digest(folder),
        numba.__version__,
        platform.python_version(),
        cpu,
        str(numba_config.BOUNDSCHECK),
    )
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    room = folder.parent.name if folder.name == "kernels" else folder.name
    return cache_dir() / "kernels" / room / key


@cache
def can_cache(folder: Path) -> bool:
    """True when the cache folder is there; without it numba would fall back to one that does not know the sources."""
    if not COMPILED:
        return False
    try:
        cache_folder(folder).mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(cache_folder(folder), os.W_OK)


def kernel(function: F) -> F:
    """Compile a scalar function that only kernels call (not cached by itself)."""
    return cast("F", numba.njit(nogil=True, error_model="numpy")(function))


def entry(signature: str, *, parallel: bool = False) -> Callable[[F], F]:
    """Compile a function that Python calls, cached on disk and listed for `ringrift warmup`.

    `signature` names the type of each argument (ARGUMENTS), so that it can be compiled ahead of the first call.
    """

    def wrap(function: F) -> F:
        folder = Path(function.__code__.co_filename).parent
        cached = can_cache(folder)
        before = numba_config.CACHE_DIR, numba_config.CACHE_LOCATOR_CLASSES
        if cached:
            numba_config.CACHE_DIR, numba_config.CACHE_LOCATOR_CLASSES = str(cache_folder(folder)), LOCATOR
        try:
            compiled = numba.njit(nogil=True, error_model="numpy", cache=cached, parallel=parallel)(function)
        finally:
            numba_config.CACHE_DIR, numba_config.CACHE_LOCATOR_CLASSES = before
        ENTRIES[function.__name__] = Entry(compiled, tuple(ARGUMENTS[name] for name in signature.split()), folder)
        return cast("F", compiled)

    return wrap


def for_kernel(array: npt.NDArray[Any]) -> Any:  # noqa: ANN401 - a different type in each mode
    """The form in which a kernel takes this array: itself, or memoryviews (one per row) when uncompiled."""
    if COMPILED:
        return array
    if array.ndim == 1:
        return memoryview(array.data)
    return [memoryview(row.data) for row in array]
