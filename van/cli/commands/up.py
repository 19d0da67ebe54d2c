"""`van up` and `van down`: the router starts in the background, and stops."""

from typing import Annotated

import typer

from van.cli.options import Site
from van.cli.process import START_TIMEOUT, STOP_TIMEOUT, start_router, stop_router
from van.control.client import ControlClient
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
    from van.cli.render.status import router_line

    typer.echo(f"router of site {name!r} {said}: {router_line(status.router)}")


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
