"""Tasks that belong to one part of the router, and end with it."""

from collections.abc import Awaitable, Callable

import trio


class Tasks:
    """Starts tasks for whoever has them, while `run` runs."""

    def __init__(self) -> None:
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Own the tasks until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    def start(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task; raise `RuntimeError` before `run` does."""
        if self._nursery is None:
            raise RuntimeError("tasks can't be started yet")
        self._nursery.start_soon(function, *args)
