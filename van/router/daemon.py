"""A router with its control API: what a site runs."""

import trio

from van.router.management.http import serve_http
from van.router.management.operations import Operations
from van.router.router import Router


async def serve_site(
    router: Router, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run a router and its control API until the router has stopped.

    Started means that every port is open and the API answers. It answers to the last, so that
    whoever asked for the stop can see it come about.
    """
    async with trio.open_nursery() as nursery:

        async def run_router(*, task_status: trio.TaskStatus[None]) -> None:
            await router.run(task_status=task_status)
            nursery.cancel_scope.cancel()

        await nursery.start(run_router)
        await nursery.start(serve_http, router.paths.control_socket, Operations(router).handlers())
        task_status.started()
