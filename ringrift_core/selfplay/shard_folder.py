"""Which files of a folder are shards, and which are what killed writers have left; nothing is read."""

from pathlib import Path

from ringrift_core.errors import StorageError
from ringrift_core.selfplay.manifest import ARRAYS, MANIFEST, STEM
from ringrift_core.storage import TEMPORARY

LEFTOVER_AGE_S = 3600.0  # an unfinished file this old has no writer any more


def shards_in(folder: Path) -> list[Path]:
    """The `.npz` path of every manifest in a folder, sorted; StorageError when it cannot be listed.

    Other people's JSON is none: a manifest is named like a shard or has arrays beside it.
    """
    return sorted(
        path.with_suffix(ARRAYS)
        for path in _files(folder)
        if path.suffix == MANIFEST and (STEM.fullmatch(path.stem) or path.with_suffix(ARRAYS).exists())
    )


def leftovers(folder: Path, now_s: float) -> list[Path]:
    """Files of killed writers: unfinished ones, and arrays without a manifest, that have not changed for an hour."""
    files = _files(folder)
    return [path for path in files if _is_unfinished(path) and _age_s(path, now_s) >= LEFTOVER_AGE_S]


def _is_unfinished(path: Path) -> bool:
    return path.name.startswith(TEMPORARY) or (path.suffix == ARRAYS and not path.with_suffix(MANIFEST).exists())


def _age_s(path: Path, now_s: float) -> float:
    try:
        return now_s - path.stat().st_mtime
    except OSError:  # renamed by its writer in the meantime
        return 0.0


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise StorageError(f"{folder}: cannot be listed: {error.strerror}") from error
