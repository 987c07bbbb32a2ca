"""Agreement of the voters on one sequence of bodies of bytes: PySyncObj without I/O, ticked from outside.

Nothing here interprets a body or a dump. The core (raft.py and what it imports) opens no socket and asks no clock of
its own; time and chance are installed by substitutes.py. Around it: the raft process (process.py, links.py, channel.py)
and the consensus that it feeds in the control process (raft_consensus.py). Open first: raft.py, effects.py,
raft_consensus.py.
"""

import _socket
import socket
import sys
from types import ModuleType

# This part of PySyncObj, which nothing here uses, puts a function for Windows in the place of `socket.inet_ntop`,
# wherever it is imported: everything that shows an IPv6 address would break.
sys.modules.setdefault("pysyncobj.win_inet_pton", ModuleType("pysyncobj.win_inet_pton"))
socket.inet_ntop = _socket.inet_ntop
