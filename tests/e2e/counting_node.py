"""A node as `python -m p2p` whose jobs also leave what they have done in files, of which each life has its own.

`python -m tests.e2e.counting_node OPTIONS`, with RINGRIFT_COUNTS as the folder of the files; `--job SPEC` is one of its
jobs. What a node says of its jobs ends with them, and games end in waves: the files hold decisions and stay.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from managers.launcher.local_launcher import LocalLauncher
from p2p.cli.node import main as node_main
from ringrift_core.jobs import __main__ as job
from ringrift_core.jobs.stop import Stop

COUNTS = "RINGRIFT_COUNTS"
JOB = "--job"
COUNTED = ("games", "decisions")


class Counting(Stop):
    """The reports of a job, the latest counts in a file."""

    def emit(self, report: dict[str, object]) -> None:
        """Write the counts, then the report."""
        if report["event"] in {"progress", "done"}:
            path = Path(os.environ[COUNTS]) / f"{os.getpid()}.json"
            unfinished = path.with_suffix(".unfinished")
            unfinished.write_text(json.dumps({name: report[name] for name in COUNTED}))
            unfinished.replace(path)
        super().emit(report)


def counts_in(folder: Path) -> Mapping[str, Mapping[str, int]]:
    """What each job that ever ran has done, by its file."""
    return {path.name: json.loads(path.read_bytes()) for path in folder.glob("*.json")}


if __name__ == "__main__":
    if sys.argv[1] == JOB:
        del sys.argv[1]
        setattr(job, "Stop", Counting)  # noqa: B010 - mypy refuses to assign to a type
        sys.exit(job.main())
    defaults = LocalLauncher.__init__.__kwdefaults__ or {}
    command = (sys.executable, "-m", "tests.e2e.counting_node", JOB)
    setattr(LocalLauncher.__init__, "__kwdefaults__", {**defaults, "command": command})  # noqa: B010
    node_main()
