"""`python -m p2p.doctor learner` and `... folder DIR`: facts that take what jobs load, found in a process of its own.

A library that is broken enough to kill its process, or a disk that hangs, costs the doctor these facts and no others.
"""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from p2p.doctor.facts import FaultFacts, FolderFacts, LearnerFacts

FAULTS_MAX = 20
TORCH_FAILURES = (ImportError, OSError, RuntimeError, AttributeError, ValueError)  # of a broken installation


def main() -> int:
    """Print the facts as one JSON object."""
    what, *rest = sys.argv[1:]
    facts = learner() if what == "learner" else folder(Path(rest[0]), held=rest[1] == "held")
    print(facts.model_dump_json())  # noqa: T201 - what the parent reads
    return 0


def learner() -> LearnerFacts:
    """What jobs would find here."""
    major, minor, patch = (int(part.rstrip("+")) for part in platform.python_version_tuple())
    facts = LearnerFacts(python=(major, minor, patch), ringrift=own_version())
    return facts.model_copy(update={**torch_found(), **kernels_found()})


def own_version() -> str:
    """The version of RingRift that is installed."""
    try:
        return version("ringrift")
    except PackageNotFoundError:
        return "from a folder"


def torch_found() -> dict[str, object]:
    """Which torch there is, and whether it has a GPU."""
    try:
        import torch  # noqa: PLC0415 - what is tried here

        return {"torch": str(torch.__version__), "cuda": bool(torch.cuda.is_available())}
    except TORCH_FAILURES as error:
        return {"torch_trouble": f"{type(error).__name__}: {error}"}


def kernels_found() -> dict[str, object]:
    """Which numba there is, and whether the kernels are compiled."""
    try:
        import numba  # noqa: PLC0415 - what is tried here

        from ringrift_core import kernel_cache  # noqa: PLC0415
        from ringrift_core.game.rules_digest import RULES_DIGEST  # noqa: PLC0415
    except TORCH_FAILURES as error:
        return {"numba_trouble": f"{type(error).__name__}: {error}"}
    return {
        "numba": str(numba.__version__),
        "rules_digest": RULES_DIGEST,
        "kernels_folder": str(kernel_cache.folders()[0].parents[1]),
        "kernels_kept": kernel_cache.can_cache(),
        "kernels_compiled": kernel_cache.is_compiled(kernel_cache.Part.ALL),
    }


def folder(root: Path, *, held: bool) -> FolderFacts:
    """What stands in a data folder; reads, and changes nothing. The log is not read while a process writes it."""
    from managers.node_folder import NodeFolder  # noqa: PLC0415 - takes seconds to load
    from ringrift_core.errors import StorageError  # noqa: PLC0415

    paths = NodeFolder(root)
    facts = FolderFacts(used=paths.log.exists(), held=held)
    champions: dict[str, str] = {}
    if facts.used and not held:
        try:
            records, damaged, champions = log_found(paths.log)
            facts = facts.model_copy(update={"records": records, "damaged": damaged})
        except (StorageError, OSError) as error:
            facts = facts.model_copy(update={"log_trouble": str(error)})
    if not paths.models.exists():
        return facts
    try:
        faults, installed = models_found(paths.models, held=held)
    except (StorageError, OSError) as error:
        advice = "mend or move away what is named; a node makes its index anew from the nets"
        return facts.model_copy(update={"faults": (FaultFacts(text=str(error), advice=advice, grave=True),)})
    not_installed = [
        f"{game}: the champion is {sha256[:10]}, installed is {installed.get(game, 'none')[:10]}"
        for game, sha256 in champions.items()
        if installed.get(game) != sha256
    ]
    return facts.model_copy(update={"faults": faults, "not_installed": tuple(not_installed)})


def log_found(path: Path) -> tuple[int, tuple[str, ...], dict[str, str]]:
    """Records of the log, snapshots that are damaged, the champions; StorageError when it cannot be read back."""
    from managers.state import DiskFiles  # noqa: PLC0415
    from managers.state.log_recovery import read_back  # noqa: PLC0415
    from managers.state.machine import StateMachine  # noqa: PLC0415

    found = read_back(DiskFiles(path))
    if found is None:
        return 0, (), {}
    machine = StateMachine()
    state = machine.initial() if found.snapshot is None else machine.load(found.snapshot)
    for body in found.records:
        state, _ = machine.apply(state, body)
    champions = {game: it.champion for game, it in state.learners.items() if it.champion is not None}
    return found.number + len(found.records), found.damaged, champions


def models_found(path: Path, *, held: bool) -> tuple[tuple[FaultFacts, ...], dict[str, str]]:
    """What is wrong with the nets of a registry, and what is installed by game; every file is read."""
    from ringrift_core.game.config_key import CONFIG_KEYS  # noqa: PLC0415
    from ringrift_core.registry.model_registry import ModelRegistry  # noqa: PLC0415
    from ringrift_core.registry.model_version import Fault  # noqa: PLC0415

    grave = {Fault.MISSING_BLOB, Fault.DAMAGED_BLOB, Fault.UNEXPECTED_CANONICAL, Fault.DAMAGED_INDEX}
    passing = {Fault.LEFTOVER, Fault.UNFINISHED_INSTALL, Fault.UNKNOWN_BLOB, Fault.MISSING_CANONICAL}
    registry = ModelRegistry(path)
    faults = [
        FaultFacts(text=f"{it.path}: {it.fault.value}", advice=it.message, grave=it.fault in grave)
        for it in registry.check()
        if not (held and it.fault in passing)
    ]
    installed = {str(key): version.sha256 for key in CONFIG_KEYS if (version := registry.production(key)) is not None}
    return tuple(faults[:FAULTS_MAX]), installed


if __name__ == "__main__":
    sys.exit(main())
