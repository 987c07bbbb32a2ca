"""How kernels are compiled: two decorators, a cache folder that knows the rules' source, and the uncompiled form.

`@kernel` marks a scalar function that other kernels call; `@entry` one that Python calls, which is cached on
disk with all it calls. The cache folder's name is a digest of every file in this folder, the numba version
and the CPU, so an edited rule or another machine never runs old code. With NUMBA_DISABLE_JIT=1 the same source
runs as plain Python; `for_kernel` then hands out memoryviews, whose items are exact Python ints
(a value that would not fit the array raises instead of wrapping).
"""

import hashlib
import os
import platform
from collections.abc import Callable, MutableSequence, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite
import llvmlite.binding
import numba
import numpy.typing as npt
from numba import config as numba_config
from numba import types

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
    "ranks": types.Array(types.int64, 2, "C"),
}
ENTRIES: dict[str, tuple[Any, tuple[Any, ...]]] = {}  # name -> compiled function, argument types


def sources_digest(folder: Path) -> str:
    """SHA-256 (hex) over the names and contents of the Python files in `folder`, sorted by name."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _cache_folder() -> Path:
    cpu = f"{llvmlite.binding.get_host_cpu_name()} {llvmlite.binding.get_host_cpu_features().flatten()}"
    parts = (
        sources_digest(Path(__file__).parent),
        numba.__version__,
        platform.python_version(),
        cpu,
        str(numba_config.BOUNDSCHECK),
    )
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return cache_dir() / "kernels" / key


CACHE_FOLDER = _cache_folder()
COMPILED = not numba_config.DISABLE_JIT


def _can_cache() -> bool:
    """True when the cache folder is there; without it numba would fall back to one that does not know the rules."""
    try:
        CACHE_FOLDER.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(CACHE_FOLDER, os.W_OK)


CACHED = COMPILED and _can_cache()


def kernel(function: F) -> F:
    """Compile a scalar function that only kernels call (not cached by itself)."""
    return cast("F", numba.njit(nogil=True, error_model="numpy")(function))


def entry(signature: str, *, parallel: bool = False) -> Callable[[F], F]:
    """Compile a function that Python calls, cached on disk and listed for `ringrift warmup`.

    `signature` names the type of each argument (ARGUMENTS), so that it can be compiled ahead of the first call.
    """

    def wrap(function: F) -> F:
        before = numba_config.CACHE_DIR
        numba_config.CACHE_DIR = str(CACHE_FOLDER)
        try:
            compiled = numba.njit(nogil=True, error_model="numpy", cache=CACHED, parallel=parallel)(function)
        finally:
            numba_config.CACHE_DIR = before
        ENTRIES[function.__name__] = (compiled, tuple(ARGUMENTS[name] for name in signature.split()))
        return cast("F", compiled)

    return wrap


def for_kernel(array: npt.NDArray[Any]) -> Any:  # noqa: ANN401 - a different type in each mode
    """The form in which a kernel takes this array: itself, or memoryviews (one per row) when uncompiled."""
    if COMPILED:
        return array
    if array.ndim == 1:
        return memoryview(array.data)
    return [memoryview(row.data) for row in array]
