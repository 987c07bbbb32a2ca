"""A process that ends with the one that started it: `python -m p2p.local_cluster.tether SECONDS MODULE ARGUMENTS...`.

It runs a module as `python -m` does. Its standard input is a pipe whose only other end its starter holds and never
writes to: however the starter ends, kill -9 included, the kernel closes that end. Then the process gets SIGTERM, as
from a person, and SIGKILL after so many seconds more. That works on every system, and does not depend on which thread
of the starter lives, as the parent-death signal of Linux does.
"""

import os
import runpy
import signal
import sys
import threading
import time

STDIN = 0


def main(arguments: list[str]) -> None:
    """Run the module of the arguments in this process."""
    grace_s, module = float(arguments[0]), arguments[1]
    pipe = os.dup(STDIN)  # which no child inherits
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, STDIN)
    os.close(nothing)
    threading.Thread(target=end_with, args=(pipe, grace_s), daemon=True, name="tether").start()
    sys.argv[1:] = arguments[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def end_with(pipe: int, grace_s: float) -> None:
    """Wait until the other end of a pipe is closed, then end this process."""
    while os.read(pipe, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
