"""What runs long and what is told: the Supervisor, periodic loops, events and their router. Open first: supervisor.py.

Knows nothing of jobs, nets or peers; managers and nodes are built on it. No sockets, no files, no clocks of its own:
waiting is on the running loop's time, the wall clock is an argument.
"""

from managers.runtime.bounded_queue import BoundedQueue, Overflow
from managers.runtime.event import DataEventType, Event, GameEvent
from managers.runtime.event_router import CoordinatorStats, EventRouter, Published, RouterSettings, Subscription
from managers.runtime.events import EVENTS, make_event
from managers.runtime.every import every
from managers.runtime.service import Beat, Restart, RestartBudget, Service, ServiceStatus, State
from managers.runtime.service_events import ServiceEvents
from managers.runtime.subscriber import DeadLetter, SubscriberSettings, SubscriberStatus
from managers.runtime.supervisor import ServiceFailedError, Supervisor

__all__ = [
    "EVENTS", "Beat", "BoundedQueue", "CoordinatorStats", "DataEventType", "DeadLetter", "Event", "EventRouter",
    "GameEvent", "Overflow", "Published", "Restart", "RestartBudget", "RouterSettings", "Service", "ServiceEvents",
    "ServiceFailedError", "ServiceStatus", "State", "SubscriberSettings", "SubscriberStatus", "Subscription",
    "Supervisor", "every", "make_event",
]  # fmt: skip
