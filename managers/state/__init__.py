"""The replicated state: what the whole cluster knows and agrees on, and the log that a cluster of one keeps it in.

The state is one pure, total reducer: one file per noun, no I/O, no clocks, no randomness, all of that comes in
commands. Open first: machine.py (the door), then jobs.py and learners.py. The log below it knows bodies of bytes only:
local_consensus.py, durable_log.py.
"""

from managers.state.durable_log import DurableLog
from managers.state.local_consensus import LocalConsensus, LogSettings
from managers.state.log_files import DiskFiles
from managers.state.replica import Machine

__all__ = ["DiskFiles", "DurableLog", "LocalConsensus", "LogSettings", "Machine"]
