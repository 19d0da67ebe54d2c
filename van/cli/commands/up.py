"""`van up`, `van down`, `van router`: the router starts, stops, or runs in the foreground."""

import os
from typing import Annotated

import typer

from van.cli.options import Site
from van.cli.process import (
    START_TIMEOUT,
    STOP_TIMEOUT,
    router_command,
    start_router,
    stop_router,
)
from van.control.client import ControlClient
from van.control.values import RouterStatus
from van.errors import RouterDown
from van.paths import choose_site


def up(
    site: Site = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="How long to wait for the router.")
    ] = START_TIMEOUT,
) -> None:
    """Start the router in the background."""
    name = choose_site(site)
    try:
        status = ControlClient(name).status()
        said = "is running already"
    except RouterDown:
        status = start_router(name, timeout=timeout)
        said = "is running"
    typer.echo(f"router of site {name!r} {said}: {describe_router(status.router)}")


def down(
    site: Site = None,
    timeout: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0.1, help="How long to wait for the router to end."),
    ] = STOP_TIMEOUT,
    force: Annotated[
        bool, typer.Option("--force", help="Kill the router if it does not end in time.")
    ] = False,
) -> None:
    """Stop the router."""
    name = choose_site(site)
    was_running = stop_router(name, timeout=timeout, force=force)
    typer.echo(f"router of site {name!r} {'has stopped' if was_running else 'is not running'}")


def router(site: Site = None) -> None:
    """Run the router in the foreground, as containers do."""
    command = router_command(choose_site(site))
    os.execv(command[0], command)


def describe_router(router: RouterStatus) -> str:
    """Return in a few words how a router can be reached."""
    if router.listen is None:
        return f"pid {router.pid}, dials out only"
    return f"pid {router.pid}, link port {router.listen}"
