"""The state of a training run as a file: what makes a resumed run the same as one that was never stopped."""

import io
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import torch

from ringrift_core.errors import StorageError
from ringrift_core.nn.checkpoint import SIZE_MAX, parse_container
from ringrift_core.storage import read_bounded, sync_folder, write_whole
from ringrift_core.training.stream import Cursor

FORMAT = "ringrift.train-state/1"


@dataclass(frozen=True, slots=True)
class TrainState:
    """Where a run stands after a step."""

    run: str  # digest of what the run is: spec, parent, window
    cursor: Cursor
    trainer: dict[str, Any]  # as Trainer.state gives it


def write_state(path: Path, state: TrainState) -> None:
    """Replace the state file, completely or not at all."""
    content = io.BytesIO()
    torch.save({"format": FORMAT, "run": state.run, "cursor": asdict(state.cursor), "trainer": state.trainer}, content)
    write_whole(path, content.getvalue())
    sync_folder(path.parent)


def read_state(path: Path) -> TrainState:
    """Read a state file; StorageError when it is damaged or none."""
    form = parse_container(path, read_bounded(path, 4 * SIZE_MAX), FORMAT)
    try:
        state = TrainState(str(form["run"]), Cursor(**form["cursor"]), dict(form["trainer"]))
    except (KeyError, TypeError, ValueError):
        raise StorageError(f"{path}: no state of a training run") from None
    if any(type(number) is not int or number < 0 for number in astuple(state.cursor)):
        raise StorageError(f"{path}: no state of a training run: its cursor is none")
    return state
