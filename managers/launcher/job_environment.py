"""The environment of a job's processes; pure."""

from collections.abc import Mapping

from config.environment import SECRETS
from managers.launcher.process_group import MARK
from managers.ports import Order
from ringrift_core.errors import RulesError

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS")
DEVICES = "CUDA_VISIBLE_DEVICES"
MANY_THREADS = frozenset({"training"})  # the kinds that use all their cores in one process


def job_environment(inherited: Mapping[str, str], order: Order, mark: str) -> dict[str, str]:
    """What a job finds in its environment: as many threads and the one GPU that it was granted, no tokens.

    The number of a GPU counts among those that the node itself sees; RulesError when it sees fewer.
    """
    environment = {name: value for name, value in inherited.items() if name not in SECRETS}
    threads = order.cores if order.kind in MANY_THREADS else 1
    return environment | dict.fromkeys(THREADS, str(threads)) | {DEVICES: _device(inherited, order), MARK: mark}


def _device(inherited: Mapping[str, str], order: Order) -> str:
    if order.gpu is None:
        return ""
    if DEVICES not in inherited:
        return str(order.gpu)
    seen = [device.strip() for device in inherited[DEVICES].split(",") if device.strip()]
    if order.gpu >= len(seen):
        raise RulesError(f"job {order.name}: wants GPU {order.gpu}, but this node sees {len(seen)} ({DEVICES})")
    return seen[order.gpu]
