"""`van expose` and `van bind`, and their opposites: connectors and listeners."""

from typing import Annotated

import typer

from van.api import ConnectorSpec, ListenerSpec
from van.cli import circles
from van.cli.completion import complete_address, complete_bound, complete_exposed
from van.cli.options import Protocol, Site, open_client, print_outcome
from van.config import check_protocol
from van.names import Address, Endpoint

_ADDRESS = "NAME:PORT of a running process, such as db:5432."


def expose(
    protocol: Protocol,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help=_ADDRESS)],
    target: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where the process listens; the address's port on this machine unless told.",
        ),
    ] = None,
    site: Site = None,
) -> None:
    """Attach a local server to an address.

    Every site of the network then reaches it by that name.
    """
    spec = ConnectorSpec(
        protocol=check_protocol(protocol),
        address=str(Address.parse(address)),
        target=_endpoint(target or str(Address.parse(address).port)),
    )
    client = open_client(site)
    circles.check_target(client.site, spec)
    created = client.add_connector(spec)
    print_outcome(f"{spec.protocol} {spec.address} leads to {spec.target}", created)


def unexpose(
    protocol: Protocol,
    address: Annotated[
        str,
        typer.Argument(metavar="ADDRESS", help=_ADDRESS, autocompletion=complete_exposed),
    ],
    target: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Detach this target only.")
    ] = None,
    site: Site = None,
) -> None:
    """Detach local servers from an address.

    Flows that are live go on.
    """
    spec = ConnectorSpec(
        protocol=check_protocol(protocol),
        address=str(Address.parse(address)),
        target=_endpoint(target),
    )
    removed = open_client(site).delete_connector(spec)
    print_outcome(f"{spec.protocol} {spec.address} at {spec.target or 'every target'}", removed)


def bind(
    protocol: Protocol,
    address: Annotated[
        str,
        typer.Argument(metavar="ADDRESS", help=_ADDRESS, autocompletion=complete_address),
    ],
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Where programs connect; the address's port on loopback unless told.",
        ),
    ] = None,
    site: Site = None,
) -> None:
    """Open a local port to an address."""
    spec = ListenerSpec(
        protocol=check_protocol(protocol),
        address=str(Address.parse(address)),
        listen=_endpoint(listen or str(Address.parse(address).port)),
    )
    client = open_client(site)
    circles.check_listen(client.site, spec)
    created = client.add_listener(spec)
    print_outcome(f"{spec.listen} leads to {spec.protocol} {spec.address}", created)


def unbind(
    protocol: Protocol,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help=_ADDRESS, autocompletion=complete_bound)
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


def _endpoint(text: str | None) -> str | None:
    """Return an endpoint in full: `8080` is `127.0.0.1:8080`."""
    return None if text is None else str(Endpoint.parse(text))
