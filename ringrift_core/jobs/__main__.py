"""`python -m ringrift_core.jobs SPEC`: run one job in this process, reporting one JSON object per line.

SIGTERM and SIGINT end it in good order: what is finished is written. So does the death of the process that reads the
reports.
"""

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType

import numba

from ringrift_core.errors import RingriftError
from ringrift_core.jobs.selfplay import run_selfplay
from ringrift_core.jobs.spec import SelfplaySpec, TrainingSpec, read_spec

NICE = 10  # jobs give way to everything else on the machine


class Stop:
    """Says whether the job was asked to end."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        """True when it is time to end."""
        return self.asked

    def ask(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """A signal handler."""
        self.asked = True

    def emit(self, report: dict[str, object]) -> None:
        """Write a report; nobody reads it any more means stop."""
        try:
            print(json.dumps(report), flush=True)  # noqa: T201 - the protocol of a job
        except BrokenPipeError:
            self.asked = True
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the process ends


def main() -> int:
    """Run the job; 0 when it ended in good order, 2 with one line on standard error when it could not."""
    stop = Stop()
    signal.signal(signal.SIGTERM, stop.ask)
    signal.signal(signal.SIGINT, stop.ask)
    os.nice(NICE)
    numba.set_num_threads(1)
    try:
        run(read_spec(Path(sys.argv[1])), stop)
    except RingriftError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except MemoryError:
        print("error: not enough memory; choose fewer slots or a smaller batch", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def run(spec: SelfplaySpec | TrainingSpec, stop: Stop) -> None:
    """Run the job of a spec."""
    if isinstance(spec, SelfplaySpec):
        run_selfplay(spec, stop.emit, stop)
    else:
        from ringrift_core.jobs.training import run_training  # noqa: PLC0415 - torch takes seconds to import

        run_training(spec, stop.emit, stop)


if __name__ == "__main__":
    sys.exit(main())
