"""`van up`, `van down`, and `van restart`: the router starts in the background, and stops."""

import contextlib
from typing import Annotated

import typer

from van.cli.options import LogFormat, LogLevel, Site
from van.cli.process import (
    START_TIMEOUT,
    STOP_TIMEOUT,
    LogOptions,
    await_end,
    start_router,
    stop_router,
)
from van.cli.render.humanize import format_count, parse_duration, parse_seconds
from van.control.client import ControlClient
from van.control.values.maintenance import MAX_GRACE
from van.control.values.status import Status
from van.errors import LocalError, RouterDown
from van.paths import choose_site


def up(
    site: Site = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="How long to wait for the router.")
    ] = START_TIMEOUT,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Start the router in the background."""
    name = choose_site(site)
    said = "is running already"
    status = _look(name, timeout)
    if status is None:
        status = start_router(name, timeout=timeout, log=LogOptions(log_level, log_format))
        said = "is running"
    from van.cli.render.status import router_line

    typer.echo(f"router of site {name!r} {said}: {router_line(status.router)}")


def _look(site: str, timeout: float) -> Status | None:
    """Return the state of a router that runs; wait for the end of one that is stopping."""
    try:
        status = ControlClient(site).status()
    except RouterDown:
        return None
    if not status.router.is_stopping:
        return status
    await_end(site, timeout, _say_what_is_waited_for)
    return None


def parse_grace(text: str) -> float:
    """Return a time of grace in seconds; raise `typer.BadParameter`."""
    with contextlib.suppress(LocalError):
        seconds = parse_seconds(text) if text[-1:].isdigit() else parse_duration(text)
        if 0 <= seconds <= MAX_GRACE:
            return seconds
    raise typer.BadParameter(f"grace {text!r} is not valid: use 0, or up to 24h, such as 30s or 5m")


Grace = Annotated[
    float | None,
    typer.Option(
        metavar="TIME",
        parser=parse_grace,
        help="How long flows may go on, those in transit too, such as 30s or 5m; 5s unless told.",
    ),
]


def down(
    site: Site = None,
    timeout: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0.1, help="How long to wait for the router to end."),
    ] = STOP_TIMEOUT,
    force: Annotated[
        bool, typer.Option("--force", help="Kill the router if it does not end in time.")
    ] = False,
    grace: Grace = None,
) -> None:
    """Stop the router.

    It takes no new flows, and lets those that are live end, for a while. A second 'van down' cuts
    that short.
    """
    name = choose_site(site)
    was_running = stop_router(
        name, timeout=timeout, force=force, grace=grace, on_waiting=_say_what_is_waited_for
    )
    typer.echo(f"router of site {name!r} {'has stopped' if was_running else 'is not running'}")


def restart(
    site: Site = None,
    timeout: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0.1, help="How long to wait for it to end, or start."),
    ] = STOP_TIMEOUT,
    force: Annotated[
        bool, typer.Option("--force", help="Kill the router if it does not end in time.")
    ] = False,
    grace: Grace = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
) -> None:
    """Stop the router if it runs, and start it.

    It reads its configuration anew, and is of the version of this command then.
    """
    down(site, timeout, force, grace)
    up(site, timeout, log_level, log_format)


def _say_what_is_waited_for(flows: int, in_transit: int) -> None:
    """Say how many flows the router waits for."""
    found = [format_count(flows, "flow")] if flows else []
    if in_transit:
        found.append(f"{format_count(in_transit, 'flow')} in transit")
    typer.echo(f"waiting for {' and '.join(found)} to end", err=True)
