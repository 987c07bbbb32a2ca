"""Leaving a task group from an `__aexit__` of our own."""

import asyncio


async def leave(group: asyncio.TaskGroup, error: BaseException | None) -> None:
    """Wait for the group's tasks. An error of the body stays as it is: only cancelling is passed on to the tasks.

    `asyncio.TaskGroup` would wrap the body's error into an ExceptionGroup; errors of tasks still come out as one.
    """
    cancelled = error if isinstance(error, asyncio.CancelledError) else None
    await group.__aexit__(None if cancelled is None else type(cancelled), cancelled, None)
