"""What services do, as events."""

import asyncio

import numpy as np

from managers.runtime.event_router import EventRouter
from managers.runtime.service import Beat, RestartBudget, Service
from managers.runtime.service_events import ServiceEvents
from managers.runtime.supervisor import Supervisor
from tests.virtual_time import run_virtual


def test_starts_failures_stalls_and_stops_of_services_are_events():
    async def fails_once(beat: Beat) -> None:
        if not failed:
            failed.append(1)
            raise ValueError("no luck")
        await asyncio.sleep(40)
        beat()
        await asyncio.sleep(20)

    failed: list[int] = []

    async def main() -> list[tuple[str, dict[str, object]]]:
        router = EventRouter("a", "b1", lambda: 1.0)
        service = Service("REAPER", fails_once, progress_s=10, budget=RestartBudget(first_s=1, jitter=0))
        async with Supervisor([service], np.random.default_rng(1), on_change=ServiceEvents(router, "a")):
            await asyncio.sleep(50)
        return [(event.type.value, event.payload) for event in router.get_recent_events()]

    about = {"daemon": "REAPER", "node_id": "a"}
    failure = {"reason": "ValueError: no luck"}
    assert run_virtual(main()) == [
        ("DAEMON_STARTED", {**about, "restarts": 0}),
        ("DAEMON_STATUS_CHANGED", {**about, "status": "backoff", "stalled": False, **failure}),
        ("DAEMON_STARTED", {**about, "restarts": 1}),
        ("DAEMON_STATUS_CHANGED", {**about, "status": "running", "stalled": True}),
        ("DAEMON_STATUS_CHANGED", {**about, "status": "running", "stalled": False}),
        ("DAEMON_STOPPED", {**about, "reason": "stopped"}),
    ]
