"""NetIntake: nets that people bring to this node come into its registry, read by a child process.

A request names a file below the node's `models/`, never anything else of the machine.
"""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from managers.node_folder import NodeFolder
from ringrift_core.errors import RulesError, StorageError
from ringrift_core.game.config_key import ConfigKey
from ringrift_core.registry.admission import AdmittedNet, admitted

COMMAND = (sys.executable, "-P", "-m", "ringrift_core.registry")
READ_S = 180.0  # for one net; importing torch takes most of it on a busy machine
SAID_CHARS_MAX = 500


class NetIntake:
    """Admits nets to the registry of a node."""

    def __init__(self, folder: NodeFolder, clock: Callable[[], float], command: Sequence[str] = COMMAND) -> None:
        """`clock` gives unix seconds; `command` stands before what the child is told."""
        self._folder = folder
        self._clock = clock
        self._command = tuple(command)
        self._turn = asyncio.Lock()

    async def admit(self, model_path: str, key: ConfigKey) -> AdmittedNet:
        """The net of a file below `models/`, registered. RulesError or StorageError when it is none of this game.

        One after the other: a reader takes a thread, hundreds of megabytes and seconds, and the loop needs its own.
        """
        async with self._turn:
            return await asyncio.to_thread(self._admit, model_path, key)

    def _admit(self, model_path: str, key: ConfigKey) -> AdmittedNet:
        path = resolved(self._folder, model_path)
        known = admitted(self._folder.models, path, key)
        if known is not None:
            return known
        now = datetime.fromtimestamp(self._clock(), UTC)
        told = (str(self._folder.models), str(path), str(key), now.isoformat())
        try:
            child = subprocess.run(  # noqa: S603 - our own module
                [*self._command, *told], capture_output=True, text=True, check=False, timeout=READ_S
            )
        except subprocess.TimeoutExpired:
            raise StorageError(f"{path}: reading it took more than {READ_S:g} s; try again") from None
        except OSError as error:
            raise StorageError(f"{path}: no process could be started to read it: {error.strerror}") from error
        if child.returncode != 0:
            lines = child.stderr.strip().splitlines() or [f"its reader ended with exit code {child.returncode}"]
            raise StorageError(lines[-1].removeprefix("error: ")[:SAID_CHARS_MAX])
        try:
            return AdmittedNet.model_validate_json(child.stdout)
        except ValidationError:
            raise StorageError(f"{path}: its reader said nothing that makes sense") from None


def resolved(folder: NodeFolder, model_path: str) -> Path:
    """The file that a request means: `models/x.pth`, `x.pth` or a whole path; RulesError when not below `models/`."""
    if not model_path.strip() or "\0" in model_path:
        raise RulesError("model_path is empty; write a file below models/")
    models = folder.models.resolve()
    asked = Path(model_path)
    if not asked.is_absolute():
        asked = (folder.root if asked.parts[:1] == (folder.models.name,) else folder.models) / asked
    try:
        path = asked.resolve()
        is_file = path.is_file()
    except (OSError, RuntimeError, ValueError):  # too long, a circle of links, no name at all
        raise RulesError(f"{model_path[:SAID_CHARS_MAX]!r} leads nowhere") from None
    if models not in path.parents:
        raise RulesError(f"{model_path!r} does not lie below {folder.models}; copy the net there")
    if not is_file:
        raise StorageError(f"{path}: there is no such file")
    return path
