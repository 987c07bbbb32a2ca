"""`python -m ringrift_core.jobs SPEC`: run one job in this process, reporting one JSON object per line.

SIGTERM and SIGINT end it in good order: what is finished is written. So does the death of the process that reads the
reports, and of the one that started it.
"""

import os
import signal
import sys
from pathlib import Path

import numba

from ringrift_core.errors import RingriftError
from ringrift_core.jobs.parent import end_with_parent
from ringrift_core.jobs.selfplay import run_selfplay
from ringrift_core.jobs.spec import AnySpec, CanarySpec, GauntletSpec, PartSpec, SelfplaySpec, read_spec
from ringrift_core.jobs.stop import Stop
from ringrift_core.kernel_cache import Part, ensure

NICE = 10  # jobs give way to everything else on the machine
WITHOUT_NET = frozenset({"heuristic", "random"})  # judges
NO_MEMORY = "not enough memory; choose fewer slots or a smaller batch"
NO_TORCH = "torch is not installed; install it, or play with random and heuristic, which need no net"


def main() -> int:
    """Run the job; 0 when it ended in good order, 2 with one line on standard error when it could not."""
    stop = Stop()
    signal.signal(signal.SIGTERM, stop.ask)
    signal.signal(signal.SIGINT, stop.ask)
    end_with_parent(stop.ask)
    os.nice(NICE)
    numba.set_num_threads(1)
    try:
        run(read_spec(Path(sys.argv[1])), stop)
    except RingriftError as error:
        return refused(str(error))
    except MemoryError:
        return refused(NO_MEMORY)
    except RuntimeError as error:
        if not is_memory(error):
            raise
        return refused(NO_MEMORY)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "torch":
            raise
        return refused(NO_TORCH)
    return 0


def run(spec: AnySpec, stop: Stop) -> None:
    """Run the job of a spec, once the kernels that it needs are compiled."""
    ensure(part_of(spec), lambda _line: None, stop)
    if isinstance(spec, SelfplaySpec):
        run_selfplay(spec, stop.emit, stop)
    elif isinstance(spec, GauntletSpec):
        from ringrift_core.jobs.gauntlet import run_gauntlet  # noqa: PLC0415 - statistics take a second to import

        run_gauntlet(spec, stop.emit, stop)
    elif isinstance(spec, PartSpec):
        from ringrift_core.jobs.part import run_part  # noqa: PLC0415

        run_part(spec, stop.emit, stop)
    elif isinstance(spec, CanarySpec):
        from ringrift_core.jobs.canary import run_canary  # noqa: PLC0415

        run_canary(spec, stop.emit, stop)
    else:
        from ringrift_core.jobs.training import run_training  # noqa: PLC0415 - torch takes seconds to import

        run_training(spec, stop.emit, stop)


def part_of(spec: AnySpec) -> Part:
    """The kernels that a job needs: games in which no net takes part do with the first ones."""
    models = [spec.model, *(it.model for it in spec.opponents)] if isinstance(spec, SelfplaySpec) else []
    return Part.FIRST if models and WITHOUT_NET.issuperset(models) else Part.ALL


def refused(reason: str) -> int:
    """Say why there is no job, in one line; the exit code."""
    print(f"error: {reason}", file=sys.stderr)  # noqa: T201
    return 2


def is_memory(error: RuntimeError) -> bool:
    """True when torch found no memory: on a CPU it says so in a RuntimeError of no type of its own."""
    return any(words in str(error) for words in ("out of memory", "can't allocate memory"))


if __name__ == "__main__":
    sys.exit(main())
