"""`van events`: what happens to links and routes, as it happens."""

import time
from collections.abc import Iterator
from typing import Annotated, Final, Protocol

import attrs
import msgspec
import typer

from van.cli.options import Site, open_client
from van.cli.render.humanize import format_count, printable
from van.cli.render.printing import is_terminal, tint
from van.cli.render.tables import BAD, GOOD, WARN
from van.control.values.events import Event, Events
from van.errors import HostError, RouterDown

SHOWN: Final = 10
"""Events of the past that are shown, unless told."""
RETRY: Final = 0.5
"""Seconds between two looks for a router that is away."""
KIND_WIDTH: Final = len("advertisement-dropped")

_TONES: Final = {
    "router-started": GOOD,
    "port-open": GOOD,
    "port-failed": BAD,
    "link-up": GOOD,
    "link-released": GOOD,
    "site-reached": GOOD,
    "address-served": GOOD,
    "link-down": BAD,
    "link-failed": BAD,
    "peer-refused": BAD,
    "site-lost": BAD,
    "path-well": GOOD,
    "path-failed": BAD,
    "site-silent": BAD,
    "address-lost": BAD,
    "advertisement-dropped": BAD,
    "clocks-differ": WARN,
    "identity-shared": BAD,
    "name-contested": BAD,
    "site-key-changed": WARN,
}


class EventSource(Protocol):
    """What is asked for events: a `ControlClient`."""

    def events(self, after: int) -> Events:
        """Return the events after a number, at once or when there are some."""


@attrs.frozen
class Notice:
    """What is to be said of the events rather than by one of them."""

    text: str


def events(
    last: Annotated[
        int, typer.Option(metavar="N", min=0, help="Show so many events of the past first.")
    ] = SHOWN,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow/--no-follow", "-f", help="Go on, until Ctrl-C, or show those and end."
        ),
    ] = True,
    json: Annotated[
        bool, typer.Option("--json", help="Print each event as JSON, on a line of its own.")
    ] = False,
    site: Site = None,
) -> None:
    """Follow changes of links and routes as they happen."""
    client = open_client(site)
    for each in stream(client, last=last, follow=follow):
        if isinstance(each, Notice):
            typer.echo(printable(each.text), err=True)
        else:
            typer.echo(_json_line(each) if json else _line(each))


def stream(client: EventSource, *, last: int, follow: bool) -> Iterator[Event | Notice]:
    """Yield the last events and then, to follow, each one as it happens.

    Goes on when the router is started anew. Raises `RouterDown` if it does not run at first.
    """
    known = client.events(0)
    yield from known.events[len(known.events) - min(last, len(known.events)) :]
    after = known.events[-1].number if known.events else 0
    router, is_away = known.router, False
    while follow:
        try:
            found = client.events(after)
        except (RouterDown, HostError):
            if not is_away:
                yield Notice("the router does not answer: waiting for it")
            is_away = True
            time.sleep(RETRY)
            continue
        is_away = False
        if found.router != router:
            yield Notice("the router was started anew")
            router, after = found.router, 0
            continue
        if found.lost:
            yield Notice(f"{format_count(found.lost, 'event')} went by too fast to be kept")
        yield from found.events
        after = found.events[-1].number if found.events else after


def _json_line(event: Event) -> str:
    return msgspec.json.encode(event).decode()


def _line(event: Event) -> str:
    kind = event.kind.ljust(KIND_WIDTH)
    if is_terminal():
        kind = tint(kind, _TONES.get(event.kind, WARN))
    subject = f"{event.subject}: " if event.subject else ""
    return f"{event.at}  {kind}  {printable(subject + event.text)}"
