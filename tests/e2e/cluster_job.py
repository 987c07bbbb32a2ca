"""`python -m tests.e2e.cluster_job SPEC`: a job of a node of tests/e2e/cluster_node.py, with its easy gate.

Selfplay gives way to the other jobs: cores stay busy, and what comes after it comes soon.
"""

import json
import os
import sys
from pathlib import Path

from ringrift_core.jobs.__main__ import main
from tests.e2e.easy_gate import ease

NICER = 9  # than other jobs: about an eighth of their share

if __name__ == "__main__":
    ease()
    if json.loads(Path(sys.argv[1]).read_bytes())["kind"] == "selfplay":
        os.nice(NICER)
    sys.exit(main())
