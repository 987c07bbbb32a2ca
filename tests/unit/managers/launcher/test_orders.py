"""Orders, the environment of a job, who belongs to it."""

from pathlib import Path

import pytest

from managers.launcher.job_environment import job_environment
from managers.launcher.process_group import MARK, members
from managers.ports import Order
from ringrift_core.errors import RulesError


def order(name: str = "j1", kind: str = "selfplay", *, cores: int = 1, gpu: int | None = None) -> Order:
    return Order(name, 1, kind, b"{}", Path("jobs") / name[:50], cores=cores, gpu=gpu)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "-x", "a b", "x" * 101, "ü"])
def test_a_name_that_is_no_file_name_is_refused(name):
    with pytest.raises(RulesError, match="is no name of a job"):
        order(name)


def test_numbers_out_of_range_are_refused():
    with pytest.raises(RulesError, match="out of range"):
        order(cores=0)
    with pytest.raises(RulesError, match="out of range"):
        order(gpu=-1)


def test_a_job_has_one_thread_and_training_as_many_as_it_was_granted():
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        assert job_environment({name: "8"}, order(cores=4), "m")[name] == "1"
        assert job_environment({}, order(kind="training", cores=4), "m")[name] == "4"


@pytest.mark.parametrize(
    ("inherited", "gpu", "device"),
    [
        ({}, None, ""),
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, None, ""),
        ({}, 1, "1"),
        ({"CUDA_VISIBLE_DEVICES": "4, GPU-7a"}, 1, "GPU-7a"),
    ],
)
def test_a_job_sees_the_one_gpu_that_it_was_granted(inherited, gpu, device):
    assert job_environment(inherited, order(gpu=gpu), "m")["CUDA_VISIBLE_DEVICES"] == device


def test_a_gpu_that_the_node_does_not_see_is_refused():
    with pytest.raises(RulesError, match="wants GPU 1, but this node sees 1"):
        job_environment({"CUDA_VISIBLE_DEVICES": "0"}, order(gpu=1), "m")


def test_a_job_gets_the_mark_and_what_the_node_has_but_no_tokens():
    inherited = {"PATH": "/bin", "RINGRIFT_ADMIN_TOKEN": "a", "RINGRIFT_CLUSTER_AUTH_TOKEN": "b", MARK: "of another"}
    environment = job_environment(inherited, order(), "mine")
    assert environment["PATH"] == "/bin"
    assert environment[MARK] == "mine"
    assert not {name for name in environment if name.endswith("_TOKEN")}


def test_the_group_and_all_its_descendants_belong_to_a_job():
    rows = [
        (10, 1, 10),  # the first process
        (11, 10, 10),
        (12, 11, 12),  # a rank in a group of its own
        (13, 12, 12),
        (14, 1, 10),  # whose parent has ended
        (15, 14, 15),
        (20, 1, 20),  # somebody else
        (21, 20, 20),
    ]
    assert members(10, rows) == {10, 11, 12, 13, 14, 15}
    assert members(99, rows) == {99}
