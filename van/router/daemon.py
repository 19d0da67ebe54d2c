"""A router with its control API: what a site runs."""

from functools import partial

import trio

from van.router.management.http import serve_http
from van.router.management.operations import Operations
from van.router.router import Router, RouterOptions, run_router
from van.router.site.state import SiteState


async def serve_site(
    site: SiteState,
    options: RouterOptions | None = None,
    *,
    task_status: trio.TaskStatus[Router] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a site's router and its control API until the router has stopped.

    Started, with the router, means that every port is open and the API answers. It answers to the
    last, so that whoever asked for the stop can see it come about.
    """
    async with trio.open_nursery() as nursery:

        async def run(*, task_status: trio.TaskStatus[Router]) -> None:
            await run_router(site, options, task_status=task_status)
            nursery.cancel_scope.cancel()

        router: Router = await nursery.start(run)
        handlers = Operations(router).handlers()
        await nursery.start(
            partial(serve_http, site.paths.control_socket, handlers, router.defects)
        )
        task_status.started(router)
