"""A registry whose users are killed at every touch of the disk, one after another; a line of JSON for each operation.

`python -m tests.e2e.registry_killer FOLDER OPERATION,.. [PLANTED]`: register, install, first (the first install),
restore, and race, in which three processes register and install at once. Planted bugs are in_place (files are written
where they stand) and backup_again (an install that is done again makes the backup again).

A child is forked, and an audit hook kills it with SIGKILL before its n-th open, rename, link, removal, fsync or SQLite
connection below the folder. Then the state is looked at, and `repair` or the same call again, in turn, must finish it.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from unittest import mock

import torch

from ringrift_core.registry import model_files, model_registry
from ringrift_core.registry.model_files import digest_of
from ringrift_core.registry.model_registry import ModelRegistry
from tests.unit.registry.nets import KEY, NOW, SavedNet, family, saved_net

EVENTS = {"open", "os.rename", "os.symlink", "os.link", "os.remove", "os.mkdir", "sqlite3.connect"}
POINTS_MAX = 200
RACERS, NETS_EACH = 3, 4


OPERATIONS: dict[str, Callable[[ModelRegistry, list[SavedNet]], object]] = {
    "register": lambda registry, nets: registry.register(nets[2].path, NOW),
    "install": lambda registry, _nets: registry.install(KEY, 3, NOW, "third"),
    "first": lambda registry, _nets: registry.install(KEY, 1, NOW, "first"),
    "restore": lambda registry, _nets: registry.restore_backup(KEY, NOW, "worse"),
}


def prepare(root: Path, nets: list[SavedNet], operation: str) -> None:
    """A registry before the operation."""
    registry = ModelRegistry(root)
    for net in nets[: 2 if operation == "register" else 3]:
        registry.register(net.path, NOW)
    if operation != "first":
        registry.install(KEY, 1, NOW, "first")
        registry.install(KEY, 2, NOW, "second")


def die_at(point: int, root: Path, report: int) -> None:
    """From now on the n-th touch of the disk is the last; where it was is written to `report`."""
    left = [point]

    def touched(what: str) -> None:
        left[0] -= 1
        if not left[0]:
            os.write(report, what.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in EVENTS and any(str(root) in str(argument) for argument in arguments):
            touched(event)

    fsync = os.fsync

    def counted_fsync(handle: int) -> None:
        touched("fsync")
        fsync(handle)

    mock.patch.object(os, "fsync", counted_fsync).start()
    sys.addaudithook(hook)


def killed(call: Callable[[], object], point: int, root: Path) -> str | None:
    """Where a child that does `call` was killed; None when it came to its end."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        die_at(point, root, writer)
        call()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as report:
        where = report.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return where
    assert os.WEXITSTATUS(status) == 0, "the operation failed by itself"
    return None


def look(registry: ModelRegistry) -> dict[str, object]:
    """What stands on the disk and in the index."""
    production = registry.production(KEY)
    return {
        "canonical": digest_of(registry.files.canonical(KEY)),
        "backup": digest_of(registry.files.backup(KEY)),
        "production": None if production is None else production.sha256,
        "versions": [version.sha256 for version in registry.versions(KEY)],
        "best": digest_of(registry.files.link(KEY)),
        "faults": [finding.fault.name for finding in registry.check()],
    }


def kill_everywhere(folder: Path, operation: str) -> dict[str, object]:
    """One registry after another, each killed one touch later: beginning, end without a kill, what kills left."""
    nets = family(folder, 3)
    template, wanted, root = folder / "template", folder / "wanted", folder / "models"
    prepare(template, nets, operation)
    shutil.copytree(template, wanted, symlinks=True)
    OPERATIONS[operation](ModelRegistry(wanted), nets)
    end = look(ModelRegistry(wanted))
    kills: list[dict[str, object]] = []
    for point in range(1, POINTS_MAX):
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(template, root, symlinks=True)
        registry = ModelRegistry(root)
        where = killed(lambda: OPERATIONS[operation](registry, nets), point, root)  # noqa: B023 - called at once
        if where is None:
            break
        left = look(registry)
        if point % 2:
            registry.repair(NOW)
        production = registry.production(KEY)
        # a finished restoring is undone by another one; what is installed may be installed again
        if operation != "restore" or production is None or production.sha256 != end["production"]:
            OPERATIONS[operation](registry, nets)
        registry.repair(NOW)  # what is left then is leftovers
        kills.append({"where": where, "left": left, "end": look(registry)})
    return {"begin": look(ModelRegistry(template)), "wanted": end, "kills": kills}


def race(folder: Path) -> dict[str, object]:
    """Three processes register the same and their own nets in one registry that nobody has made yet."""
    own = [[saved_net(folder, 10 + 10 * racer + i) for i in range(NETS_EACH)] for racer in range(RACERS)]
    shared = family(folder, 3)
    children = []
    for racer in range(RACERS):
        child = os.fork()
        if child == 0:
            registry = ModelRegistry(folder / "models")
            for net in [*shared, *own[racer]]:
                registry.install(KEY, registry.register(net.path, NOW).version, NOW, "race")
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * RACERS
    registry = ModelRegistry(folder / "models")
    digests = {net.sha256 for nets in [shared, *own] for net in nets}
    assert {version.sha256 for version in registry.versions(KEY)} == digests
    return {"numbers": [version.version for version in registry.versions(KEY)], **look(registry)}


def write_in_place(path: Path, content: bytes, _sha256: str) -> None:
    """A planted bug: no temporary file."""
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        os.fsync(file.fileno())
        file.write(content[len(content) // 2 :])


PLANTED: dict[str, AbstractContextManager[object]] = {
    "in_place": mock.patch.object(model_files, "write_verified", write_in_place),
    # the canonical file never looks as if it was in place already
    "backup_again": mock.patch.object(model_registry, "digest_of", return_value="another"),
    "": nullcontext(),
}


def main(folder: Path, operations: list[str], planted: str) -> None:
    """All operations in one process: most of the time goes into starting it."""
    torch.set_num_threads(1)
    if planted:
        EVENTS.clear()  # what is left is fsync, which is enough for these bugs
    with PLANTED[planted]:
        for operation in operations:
            (folder / operation).mkdir()
            report = race(folder / operation) if operation == "race" else kill_everywhere(folder / operation, operation)
            print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2].split(","), "".join(sys.argv[3:]))
