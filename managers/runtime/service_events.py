"""What the Supervisor says of its services, as events."""

from managers.runtime.event_router import EventRouter
from managers.runtime.events import DaemonStarted, DaemonStatusChanged, DaemonStopped
from managers.runtime.service import ServiceStatus, State

PASSING = {State.WAITING, State.STARTING, State.STOPPING}  # what follows says more


class ServiceEvents:
    """A Supervisor's `on_change` that publishes DAEMON_STARTED, DAEMON_STOPPED and DAEMON_STATUS_CHANGED."""

    def __init__(self, router: EventRouter, node_id: str) -> None:
        self._router = router
        self._node_id = node_id
        self._last: dict[str, State] = {}  # one entry per service

    def __call__(self, status: ServiceStatus) -> None:
        """Publish where the service stands now."""
        before, self._last[status.name] = self._last.get(status.name), status.state
        if status.state in PASSING:
            return
        payload: dict[str, object] = {"daemon": status.name, "node_id": self._node_id}
        if status.state is State.RUNNING and before is not State.RUNNING:
            self._router.publish(DaemonStarted, {**payload, "restarts": status.restarts})
        elif status.state in {State.STOPPED, State.DONE}:
            self._router.publish(DaemonStopped, {**payload, "reason": status.state.value})
        else:
            reason = None if status.state is State.RUNNING else status.last_error
            more = {"status": status.state.value, "stalled": status.stalled, "reason": reason}
            self._router.publish(DaemonStatusChanged, {**payload, **more})
