"""Announced: which shards that were made here lie on enough nodes, once and for all; one line each in a file.

Data that was counted must go on to be counted after a restart, when the others may have made room by then. A node that
had been alone has no file: what it holds when the first other node comes has been counted already. For one thread at a
time, not the event loop's. What a kill cuts off at the end is found anew.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from ringrift_core.errors import StorageError
from ringrift_core.selfplay.manifest import STEM
from ringrift_core.storage import make_folder, write_whole

BYTES_MAX = 1 << 26  # millions of shards


class Announced:
    """`<game> <stem>` per line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stems: dict[str, frozenset[str]] = {}
        self._read = False

    @property
    def begun(self) -> bool:
        """Whether there is a file."""
        return self._path.exists()

    def of(self, game: str) -> frozenset[str]:
        """The stems of a configuration; does not read the disk."""
        return self._stems.get(game, frozenset())

    def add(self, found: Mapping[str, Iterable[str]]) -> None:
        """Stems by configuration that are announced now; StorageError when that cannot be kept."""
        self.load()
        new = {game: frozenset(stems) - self.of(game) for game, stems in found.items()}
        lines = "".join(f"{game} {stem}\n" for game, stems in new.items() for stem in sorted(stems))
        if not lines and self.begun:
            return
        make_folder(self._path.parent)
        try:
            with self._path.open("a", encoding="ascii") as file:
                file.write(lines)
        except OSError as error:
            raise StorageError(f"{self._path}: cannot be written: {error.strerror}") from error
        for game, stems in new.items():
            self._stems[game] = self.of(game) | stems

    def load(self) -> None:
        """Read the file, the first time; a line that was cut is taken out."""
        if self._read:
            return
        try:
            content = self._path.read_bytes()[:BYTES_MAX] if self.begun else b""
        except OSError as error:
            raise StorageError(f"{self._path}: cannot be read: {error.strerror}") from error
        whole = [line.split(" ") for line in content.decode("ascii", "replace").split("\n")]
        good = [(line[0], line[1]) for line in whole if len(line) == 2 and STEM.fullmatch(line[1])]
        for game in {game for game, _ in good}:
            self._stems[game] = frozenset(stem for name, stem in good if name == game)
        if content and not content.endswith(b"\n"):
            write_whole(self._path, "".join(f"{game} {stem}\n" for game, stem in good).encode())
        self._read = True
