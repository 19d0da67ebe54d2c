"""The addresses of the network, and how busy they are, as a table."""

from collections.abc import Sequence

from van.cli.render.humanize import format_round_trip
from van.cli.render.tables import WARN, Cell, Section, numeric
from van.control.values.status import AddressStatus


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
        folds=("DISTRIBUTION", "IN FLIGHT", "BOUND AT", "FLOWS", "DELAY"),
    )


def _row(each: AddressStatus) -> tuple[Cell, ...]:
    details = (
        ("exposed otherwise at", each.dissenters),
        ("not for this site at", each.not_allowed_at),
    )
    detail = "; ".join(f"{what} {', '.join(sites)}" for what, sites in details if sites)
    delay = each.expected_delay_ms
    return (
        Cell(each.address),
        Cell(each.protocol),
        Cell(each.distribution if each.served_at else ""),
        Cell(", ".join(each.served_at)) if each.served_at else Cell("nowhere", WARN),
        Cell(", ".join(each.bound_at)),
        numeric(each.flows),
        numeric("" if each.in_flight is None else f"{each.in_flight:g}"),
        numeric("" if delay is None else format_round_trip(delay)),
        Cell(detail, WARN),
    )
