"""`van bind` and `van unbind`: the local ports that lead to addresses."""

from typing import Annotated

import typer

from van.cli.completion import complete_address, complete_bound
from van.cli.options import ADDRESS_HELP, Protocol, Site, open_client, print_outcome
from van.cli.render.humanize import parse_seconds
from van.config import DEFAULT_IDLE, MAX_IDLE, MIN_IDLE, check_protocol
from van.control.values.attachments import ListenerSpec
from van.names import Address, Endpoint


def bind(
    protocol: Protocol,
    address: Annotated[
        str,
        typer.Argument(metavar="ADDRESS", help=ADDRESS_HELP, autocompletion=complete_address),
    ],
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where programs connect; the address's port on loopback unless told.",
        ),
    ] = None,
    idle: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="UDP: how long a session without traffic stays, such as 30s; 1m unless told.",
        ),
    ] = None,
    first_reply: Annotated[
        bool,
        typer.Option(
            "--first-reply",
            help="TCP multicast: pass on what the first server that answers says; it is "
            "discarded unless told.",
        ),
    ] = False,
    site: Site = None,
) -> None:
    """Open a local port to an address."""
    if first_reply and protocol != "tcp":
        raise typer.BadParameter(
            f"--first-reply is for tcp: over {protocol} every reply comes back"
        )
    spec = ListenerSpec(
        protocol=check_protocol(protocol),
        address=str(Address.parse(address)),
        listen=_endpoint(listen or str(Address.parse(address).port)),
        idle=DEFAULT_IDLE if idle is None else _parse_idle(protocol, idle),
        first_reply=first_reply,
    )
    created = open_client(site).add_listener(spec)
    print_outcome(f"{spec.listen} leads to {spec.protocol} {spec.address}", created)


def unbind(
    protocol: Protocol,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help=ADDRESS_HELP, autocompletion=complete_bound)
    ],
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Close this port only.")
    ] = None,
    site: Site = None,
) -> None:
    """Close local ports to an address.

    Flows that are live go on.
    """
    spec = ListenerSpec(
        protocol=check_protocol(protocol),
        address=str(Address.parse(address)),
        listen=_endpoint(listen),
    )
    removed = open_client(site).delete_listener(spec)
    print_outcome(f"{spec.protocol} {spec.address} at {spec.listen or 'every port'}", removed)


def _parse_idle(protocol: str, text: str) -> float:
    if protocol != "udp":
        raise typer.BadParameter("--idle is for udp: a TCP connection ends when its ends close it")
    seconds = parse_seconds(text)
    if not MIN_IDLE <= seconds <= MAX_IDLE:
        raise typer.BadParameter(
            f"idle time {text!r} is not valid: use {MIN_IDLE:g} to {MAX_IDLE:g} seconds"
        )
    return seconds


def _endpoint(text: str | None) -> str | None:
    """Return an endpoint in full: `8080` is `127.0.0.1:8080`."""
    return None if text is None else str(Endpoint.parse(text))
