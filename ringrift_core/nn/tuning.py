"""Precision and batch of a net on this host: a short measurement, kept for the next time.

bf16 is about twice as fast on CPUs that have it and slower on others, so it is tried, not assumed.
"""

import json
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numba
import numpy as np
import torch

from config.environment import cache_dir
from ringrift_core.errors import StorageError
from ringrift_core.game import GameBatch
from ringrift_core.nn.net import Net
from ringrift_core.nn.net_evaluator import NetEvaluator, split
from ringrift_core.search.evaluator import Positions
from ringrift_core.storage import make_folder, write_whole

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
CPU_BATCHES = (64, 128, 256)
CUDA_BATCHES = (256, 512, 1024, 2048)
PASSES = 3
BATCH_LIMIT_S = 1.0  # a batch that takes longer holds up every game in it
GAIN = 1.03  # a larger batch must be so much faster
PLIES = 30  # of the random games whose positions are judged


@dataclass(frozen=True, slots=True)
class Choice:
    """How a net is run."""

    precision: str
    batch: int
    positions_per_s: float  # 0 when it was not measured


DETERMINISTIC = Choice("fp32", 256, 0.0)


def tuned(net: Net, device: torch.device) -> Choice:
    """The fastest way to run a net of this size on this host; measured once, then read from the cache folder."""
    path = cache_dir() / "tuning" / f"{_host(device)}.json"
    name = f"{net.key} {net.arch.name} torch {torch.__version__} threads {torch.get_num_threads()}"
    known = _read(path)
    if name in known:
        return known[name]
    choice = measure(net, device)
    try:
        make_folder(path.parent)
        form = {key: [value.precision, value.batch, value.positions_per_s] for key, value in known.items()}
        form[name] = [choice.precision, choice.batch, choice.positions_per_s]
        write_whole(path, json.dumps(form, indent=1).encode())
    except StorageError:
        pass  # it is measured again next time
    return choice


def measure(net: Net, device: torch.device) -> Choice:
    """Time each precision at the smallest batch, then larger batches of the faster one."""
    batches = CUDA_BATCHES if device.type == "cuda" else CPU_BATCHES
    positions = random_positions(net, batches[-1])
    best = max(
        (_time(net, device, positions, name, batches[0]) for name in PRECISIONS), key=lambda it: it.positions_per_s
    )
    for batch in batches[1:]:
        if batch / best.positions_per_s > BATCH_LIMIT_S:
            break
        larger = _time(net, device, positions, best.precision, batch)
        if larger.positions_per_s > GAIN * best.positions_per_s:
            best = larger
    return best


def random_positions(net: Net, count: int) -> Positions:
    """Positions from the middle of random games, with their ragged legal lists."""
    batch = GameBatch.start(net.key, 2 * count)
    batch.play_random(np.arange(1, 2 * count + 1) * 104729, PLIES)
    batch.advance()
    batch = batch.copy(np.flatnonzero(~batch.over)[:count])
    states = batch.states.copy()
    return Positions(batch.board, batch.variant.players, states, np.arange(len(states)), batch.legal())


def choose_device(name: str) -> torch.device:
    """The device of a name, `auto` being CUDA where there is one; StorageError when it is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if re.fullmatch(r"cpu|cuda(:[0-9]+)?", name) is None:
        raise StorageError(f"there is no device {name!r}; say auto, cpu, cuda or cuda:0")
    number = int(name.partition(":")[2] or 0)
    if name != "cpu" and number >= torch.cuda.device_count():
        raise StorageError(f"this machine has no device {name} that PyTorch can use; say --device cpu")
    return torch.device(name)


def make_evaluator(net: Net, device: torch.device, *, deterministic: bool = False) -> NetEvaluator:
    """The evaluator of a net, tuned or, if `deterministic`, fixed; one thread, because processes fill the cores.

    numba is held to one thread too, and first: both use one OpenMP runtime, and where numba starts its threads later,
    torch has as many from then on.
    """
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    choice = DETERMINISTIC if deterministic else tuned(net, device)
    return NetEvaluator(net, device, PRECISIONS[choice.precision], choice.batch)


def _time(net: Net, device: torch.device, positions: Positions, precision: str, batch: int) -> Choice:
    evaluator = NetEvaluator(net, device, PRECISIONS[precision], batch)
    part = split(positions, batch)[0]
    evaluator.evaluate(part)
    times = []
    for _ in range(PASSES):
        started = perf_counter()
        evaluator.evaluate(part)
        times.append(perf_counter() - started)
    return Choice(precision, batch, len(part) / median(times))


def _host(device: torch.device) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return "".join(letter if letter.isalnum() else "-" for letter in f"{platform.node()}-{device.type}-{name}")


def _read(path: Path) -> dict[str, Choice]:
    """What is known, without anything that is no choice."""
    try:
        form = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return {name: Choice(*kept) for name, kept in form.items() if _is_choice(kept)} if isinstance(form, dict) else {}


def _is_choice(form: object) -> bool:
    match form:
        case [str(precision), int(batch), float()]:
            return precision in PRECISIONS and batch > 0
    return False
