"""`van status`: the router's state, once or again and again."""

import time
from typing import Annotated, Final

import typer

from van.cli.options import Json, Site, open_client, print_json
from van.cli.render.printing import is_terminal, print_sections, screen_width
from van.cli.render.tables import BAD, Cell, Section
from van.control.client import ControlClient
from van.control.values.status import Status
from van.errors import VanError

REFRESH: Final = 1.0
"""Seconds between two looks, unless told."""


def status(
    seconds: Annotated[
        float | None,
        typer.Argument(
            metavar="SECONDS", min=0.05, help="With --watch: how often.", show_default=False
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Keep showing, until q or Ctrl-C.")
    ] = False,
    json: Json = False,
    site: Site = None,
) -> None:
    """Show what is wrong, then the links, the network, and the flows.

    Bundles are the connections that flows to and from a site share. RESENT is what share of its
    packets had to be sent again; BULK counts flows that have moved to a channel of their own.
    A bundle is stalled while what was sent is not acknowledged in time, and recovering while
    something lost is sent again.

    The first line says in few words how the site is. What does not fit the screen is left out, and
    a line below the table names it; with --watch, the arrow keys scroll.
    """
    if seconds is not None and not watch:
        raise typer.BadParameter(f"{seconds:g} is for --watch: van status --watch {seconds:g}")
    if watch and json:
        raise typer.BadParameter("--json shows the state once: leave out --watch")
    client = open_client(site)
    if watch:
        _watch(client, seconds or REFRESH)
    elif json:
        print_json(client.status())
    else:
        print_sections(_sections(client.status()))


def _watch(client: ControlClient, interval: float) -> None:
    """Show the state until interrupted, also while the router is down or starts anew."""
    from van.cli.render.layout import lay_out, plain_text

    if is_terminal():
        from van.cli.screen import watch

        watch(lambda width: lay_out(_look(client), width), interval)
        return
    while True:
        typer.echo(plain_text(_look(client), screen_width()) + "\n")
        time.sleep(interval)


def _look(client: ControlClient) -> list[Section]:
    try:
        state: Status = client.status()
    except VanError as exc:
        return [Section(f"Site {client.site}", (), [(Cell("router"), Cell(str(exc), BAD))])]
    return _sections(state)


def _sections(state: Status) -> list[Section]:
    from van.cli.render.status import status_sections

    return status_sections(state)
