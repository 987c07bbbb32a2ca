"""Each check of the machine can be ok, and can fail."""

from typing import Any

import pytest

from p2p.doctor.facts import ClockFacts, DiskFacts, FileLimitFacts, GpuFacts, LearnerFacts, MemoryFacts
from p2p.doctor.finding import Level
from p2p.doctor.machine_checks import (
    check_clock,
    check_disk,
    check_files,
    check_gpus,
    check_kernels,
    check_memory,
    check_python,
    check_torch,
    version_of,
)

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL
GB = 10**9
LEARNER = LearnerFacts(
    python=(3, 12, 1), ringrift="0.1.0", torch="2.6.0", numba="0.62.0", kernels_kept=True, kernels_compiled=True
)
DISK = DiskFacts(folder="/node", exists=True, free_bytes=50 * GB, floor_bytes=2 * GB, inodes=1000, inodes_free=900)
MEMORY = MemoryFacts(total_bytes=100 * GB, free_bytes=50 * GB)


def changed(facts: Any, change: dict[str, object]) -> Any:
    return type(facts).model_validate(facts.model_dump() | change)


@pytest.mark.parametrize(
    ("facts", "level"),
    [
        ({"synchronised": True}, OK),
        ({"synchronised": None}, OK),
        ({"synchronised": False}, WARN),
        ({"synchronised": True, "ahead_of_node_s": -4.9}, OK),
        ({"synchronised": True, "ahead_of_node_s": 5.0}, WARN),
        ({"synchronised": True, "ahead_of_node_s": -61.0}, FAIL),
    ],
)
def test_the_clock_is_kept_and_is_that_of_the_node(facts: dict[str, object], level: Level):
    assert check_clock(ClockFacts.model_validate(facts)).level is level


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({}, OK, "50.0 GB free"),
        ({"exists": False}, OK, "will be made"),
        ({"write_trouble": "/node: cannot be written"}, FAIL, "cannot be written"),
        ({"free_bytes": 2 * GB - 1}, FAIL, "no job is started below 2"),
        ({"free_bytes": 3 * GB}, WARN, "no job is started below 2"),
        ({"inodes_free": 9}, FAIL, "9 inodes"),
        ({"inodes_free": 40}, WARN, "40 inodes"),
        ({"inodes": 0, "inodes_free": 0}, OK, "free"),
        ({"sync_ms": 3.2}, OK, "durable in 3 ms"),
        ({"sync_ms": 101.0}, WARN, "takes 101 ms"),
    ],
)
def test_the_disk_has_room_and_is_quick(change: dict[str, object], level: Level, words: str):
    found = check_disk(changed(DISK, change))
    assert (found.level, words in found.text) == (level, True), found


@pytest.mark.parametrize(
    ("change", "level"),
    [
        ({}, OK),
        ({"free_bytes": 9 * GB}, WARN),
        ({"free_bytes": 2 * GB}, FAIL),
        ({"refusal": "this machine has 100 GB of memory, the profile wants 128"}, FAIL),
        ({"total_bytes": 0, "free_bytes": 0}, FAIL),
    ],
)
def test_memory_is_free_for_jobs(change: dict[str, object], level: Level):
    assert check_memory(changed(MEMORY, change)).level is level


def test_memory_of_a_container_is_said_to_be_one():
    assert "in this container" in check_memory(changed(MEMORY, {"limited": True})).text


@pytest.mark.parametrize(("soft", "level"), [(1024, OK), (1023, WARN), (255, FAIL)])
def test_a_process_may_have_enough_files_open(soft: int, level: Level):
    assert check_files(FileLimitFacts(soft=soft, hard=4096)).level is level


@pytest.mark.parametrize(
    ("change", "level"),
    [({}, OK), ({"python": (3, 11, 0)}, OK), ({"python": (3, 10, 9)}, FAIL), ({"trouble": "does not start"}, FAIL)],
)
def test_python_is_new_enough_and_starts(change: dict[str, object], level: Level):
    assert check_python(changed(LEARNER, change)).level is level


@pytest.mark.parametrize(
    ("torch", "level"),
    [
        ("2.6.0", OK),
        ("2.13.0+cpu", OK),
        ("3.0", OK),
        ("2.5.1", FAIL),
        ("1.13.1", FAIL),
        ("nightly", FAIL),
        (None, FAIL),
    ],
)
def test_torch_can_be_loaded_and_is_new_enough(torch: str | None, level: Level):
    assert check_torch(changed(LEARNER, {"torch": torch})).level is level


def test_versions_are_compared_as_numbers():
    assert version_of("2.13.0+cpu") > version_of("2.6.0")
    assert version_of("x") == version_of("2") == (0, 0)


@pytest.mark.parametrize(
    ("change", "level"),
    [
        ({}, OK),
        ({"kernels_compiled": False}, WARN),
        ({"kernels_kept": False}, WARN),
        ({"numba": None, "numba_trouble": "ImportError: no"}, FAIL),
    ],
)
def test_kernels_are_compiled_and_kept(change: dict[str, object], level: Level):
    assert check_kernels(changed(LEARNER, change)).level is level


@pytest.mark.parametrize(
    ("gpus", "cuda", "level"),
    [
        ({}, False, OK),
        ({"driver": True, "devices": ("H100",)}, True, OK),
        ({"driver": True, "devices": ("H100",)}, False, WARN),
        ({"driver": True}, True, WARN),
        ({"driver": True, "trouble": "does not answer"}, True, WARN),
    ],
)
def test_torch_can_use_the_gpus_that_there_are(gpus: dict[str, object], cuda: bool, level: Level):
    assert check_gpus(GpuFacts.model_validate(gpus), changed(LEARNER, {"cuda": cuda})).level is level
