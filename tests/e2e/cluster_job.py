"""`python -m tests.e2e.cluster_job SPEC`: a job of a node of tests/e2e/cluster_node.py, with its easy gate."""

import sys

from ringrift_core.jobs.__main__ import main
from tests.e2e.easy_gate import ease

if __name__ == "__main__":
    ease()
    sys.exit(main())
