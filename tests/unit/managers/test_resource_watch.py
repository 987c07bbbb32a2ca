"""Whether a machine is fit for work."""

import shutil
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from managers.resource_watch import ResourceWatch, memory_refusal
from tests.unit.managers.deciding import settings_of

Disk = namedtuple("Disk", "total used free")
Memory = namedtuple("Memory", "total available")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    def of(disk_free: float, memory_free: float) -> ResourceWatch:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(100e9, 0, disk_free))
        monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(64e9, memory_free))
        return ResourceWatch(settings_of(node={"disk_floor_gb": 2.0}), Path())

    return of


@pytest.mark.parametrize(
    ("disk_free", "memory_free", "unfit", "low"),
    [
        (2e9, 32e9, "", False),
        (1.99e9, 32e9, "disk: 2.0 GB are free, node.disk_floor_gb wants 2: free some space", True),
        (0, 32e9, "disk: 0.0 GB are free, node.disk_floor_gb wants 2: free some space", True),
        (50e9, 1e9, "memory: 1.0 of 64.0 GB are free", False),
        (0, 0, "disk: 0.0 GB are free, node.disk_floor_gb wants 2: free some space", True),
    ],
)
def test_a_machine_without_disk_or_memory_is_unfit_and_says_why(machine, disk_free, memory_free, unfit, low):
    found = machine(disk_free, memory_free).look()
    assert (found.unfit, found.disk_low) == (unfit, low)
    assert (found.disk_free_bytes, found.memory_free_bytes) == (disk_free, memory_free)


def test_it_looks_at_the_disk_of_the_data_folder(tmp_path: Path):
    found = ResourceWatch(settings_of(node={"disk_floor_gb": 0.0}), tmp_path).look()
    assert 0 < found.disk_free_bytes <= found.disk_bytes
    assert not found.disk_low


@pytest.mark.parametrize(
    ("wanted", "memory", "disabled", "refused"),
    [(0, 1e9, False, False), (64, 64e9, False, False), (64, 63e9, False, True), (64, 63e9, True, False)],
)
def test_too_little_memory_is_refused_with_what_to_do(wanted, memory, disabled, refused):
    settings = settings_of(safety={"min_memory_gb": wanted}, node={"disable_local_tasks": disabled})
    reason = memory_refusal(settings, int(memory))
    assert (reason is not None) is refused
    if reason:
        assert reason.startswith("this machine has 63 GB of memory, the profile local wants 64: use the profile local")
