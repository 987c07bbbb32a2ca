"""Files named on a command line."""

from pathlib import Path

from ringrift_core.errors import StorageError


def files_below(paths: list[Path], suffixes: tuple[str, ...]) -> list[Path]:
    """The files themselves, and those with one of the suffixes below each folder, sorted by name."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(file for file in path.rglob("*") if file.name.endswith(suffixes))
        elif path.exists():
            found.append(path)
        else:
            raise StorageError(f"{path}: there is no such file or folder")
    if not found:
        raise StorageError(f"no files ending in {' or '.join(suffixes)} below {', '.join(map(str, paths))}")
    return found
