"""The replicated state: what the whole cluster agrees on, and the durable log that carries it on one node.

No sockets here. The log knows nothing of what its records mean. Open first: `local_consensus.py`.
"""

from managers.state.durable_log import DurableLog
from managers.state.local_consensus import LocalConsensus, LogSettings, Machine
from managers.state.log_files import DiskFiles

__all__ = ["DiskFiles", "DurableLog", "LocalConsensus", "LogSettings", "Machine"]
