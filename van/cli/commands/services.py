"""`van services`: every address of the network, who serves it, and how busy it is."""

from collections.abc import Sequence

from van.cli.options import Json, Site, open_client, print_json
from van.cli.render.humanize import format_round_trip
from van.cli.render.printing import print_sections
from van.cli.render.tables import WARN, Cell, Section
from van.control.values import AddressStatus


def list_services(json: Json = False, site: Site = None) -> None:
    """List every address, its kind, its instances, and how busy they are.

    Load and delay are what this site knows: it learns them with the flows that begin here.
    """
    addresses = open_client(site).status().addresses
    if json:
        print_json(addresses)
    else:
        print_sections([services_section(addresses)])


def services_section(addresses: Sequence[AddressStatus]) -> Section:
    """Return the addresses of the network."""
    return Section(
        "Services",
        (
            *("ADDRESS", "PROTOCOL", "DISTRIBUTION", "SERVED AT", "BOUND AT", "FLOWS"),
            *("IN FLIGHT", "DELAY", "DETAIL"),
        ),
        [_row(each) for each in addresses],
        "no addresses: 'van expose tcp NAME:PORT' where a server runs",
    )


def _row(each: AddressStatus) -> tuple[Cell, ...]:
    dissent = ", ".join(each.dissenters)
    delay = each.expected_delay_ms
    return (
        Cell(each.address),
        Cell(each.protocol),
        Cell(each.distribution if each.served_at else ""),
        Cell(", ".join(each.served_at)) if each.served_at else Cell("nowhere", WARN),
        Cell(", ".join(each.bound_at)),
        Cell(str(each.flows), is_number=True),
        Cell("" if each.in_flight is None else f"{each.in_flight:g}", is_number=True),
        Cell("" if delay is None else format_round_trip(delay), is_number=True),
        Cell(f"exposed otherwise at {dissent}" if dissent else "", WARN),
    )
