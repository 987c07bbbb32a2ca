"""A node as `ringrift-p2p` that writes what a net's games report to standard output, all else to standard error.

`python -m benchmarks.selfplay_node OPTIONS`, for mesh_selfplay.py.
"""

import os
from functools import wraps
from typing import Any

from benchmarks.selfplay_sides import told
from managers.pipeline import Pipeline
from managers.ports import Report
from managers.state.jobs import Job
from p2p.cli.node import main


def listen(output: int) -> None:
    """Let every pipeline of this process write its reports there."""
    begin: Any = Pipeline.__init__

    @wraps(begin)
    def begun(self: Pipeline, *arguments: object, **named: object) -> None:
        begin(self, *arguments, **named)
        self.report_listeners.append(write)

    def write(job: Job, report: Report) -> None:
        if (line := told(job, report)) is not None:
            os.write(output, line)

    setattr(Pipeline, "__init__", begun)  # noqa: B010 - mypy refuses to assign to a function


if __name__ == "__main__":
    reports = os.dup(1)
    os.dup2(2, 1)
    listen(reports)
    main()
