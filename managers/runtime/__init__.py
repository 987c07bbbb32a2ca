"""What runs long and what is told: the Supervisor, periodic loops, events and their router. Open first: supervisor.py.

Knows nothing of jobs, nets or peers; managers and nodes are built on it. No sockets, no files, no clocks of its own:
waiting is on the running loop's time, the wall clock is an argument.
"""

from managers.runtime.bounded_queue import BoundedQueue, Overflow
from managers.runtime.every import every
from managers.runtime.service import Restart, RestartBudget, Service, ServiceStatus, State
from managers.runtime.supervisor import ServiceFailedError, Supervisor

__all__ = [
    "BoundedQueue",
    "Overflow",
    "Restart",
    "RestartBudget",
    "Service",
    "ServiceFailedError",
    "ServiceStatus",
    "State",
    "Supervisor",
    "every",
]
