"""`python -m tests.e2e.late_voter FD`: a raft process with a planted bug: what it says is on the disk a write later."""

import sys

from p2p.consensus.__main__ import main
from tests.e2e.loop_process import plant

if __name__ == "__main__":
    plant(["early"])
    sys.exit(main())
