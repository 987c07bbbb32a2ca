"""What a training run writes about itself: one JSON object per line, and the same curves for TensorBoard."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from ringrift_core.errors import StorageError
from ringrift_core.storage import read_bounded, write_whole

JOURNAL_BYTES_MAX = 1 << 28


class Journal:
    """The journal of one run folder; a resumed run goes on where its state stands."""

    def __init__(self, folder: Path, step: int) -> None:
        """Forget what was written after `step`: the run makes these steps again."""
        self._path = folder / "train.jsonl"
        if self._path.exists():
            write_whole(self._path, b"".join(kept_lines(read_bounded(self._path, JOURNAL_BYTES_MAX), step)))
        with self._said():
            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        """Add a line; `kind` says what the values are of, such as train or validation."""
        line = json.dumps({"step": step, "kind": kind, **{name: round(value, 6) for name, value in values.items()}})
        with self._said():
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)
            self._board.flush()

    def close(self) -> None:
        """Close the files."""
        with self._said():
            self._board.close()

    @contextmanager
    def _said(self) -> Iterator[None]:
        """A disk that refuses is a StorageError."""
        try:
            yield
        except OSError as error:
            raise StorageError(f"{self._path}: cannot be written ({error.strerror}); check the disk") from error


def kept_lines(content: bytes, step: int) -> list[bytes]:
    """The whole lines of a journal up to a state of a step; a killed writer may have left half a line.

    The validation at that step comes after the state and will be made again.
    """
    kept = []
    for line in content.splitlines(keepends=True):
        try:
            entry = json.loads(line)
            again = entry["step"] > step or (entry["step"] == step and entry.get("kind") == "validation")
            if not again and line.endswith(b"\n"):
                kept.append(line)
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
    return kept
