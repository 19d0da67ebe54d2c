"""`van trace`: the path that a flow takes now, hop by hop."""

from typing import Annotated

import typer

from van.cli.completion import complete_target
from van.cli.options import Json, Site, open_client, print_json
from van.cli.render.humanize import format_count, format_round_trip
from van.cli.render.printing import print_sections
from van.cli.render.tables import WARN, Cell, Section
from van.control.values import Trace, TraceHop, TraceSpec
from van.errors import Unreachable
from van.names import Address, check_site_name


def trace(
    target: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS|SITE",
            help="An address, such as db:5432, or the name of a site.",
            autocompletion=complete_target,
        ),
    ],
    json: Json = False,
    site: Site = None,
) -> None:
    """Show the path that a flow takes now, hop by hop.

    For an address, it leads to the site where a flow that begins now would go. Ends with exit
    code 1 when the site at the end does not answer.
    """
    spec = TraceSpec(
        target=str(Address.parse(target)) if ":" in target else check_site_name(target)
    )
    found = open_client(site).trace(spec)
    if json:
        print_json(found)
    else:
        print_sections(trace_sections(found))
    if not found.has_arrived:
        raise Unreachable(found.detail)


def trace_sections(trace: Trace) -> list[Section]:
    """Return the path, and where else the address is served."""
    sections = [
        Section(
            f"Path to {trace.target}",
            ("HOP", "SITE", "RTT", "DETAIL"),
            [_hop_row(number, hop, trace) for number, hop in enumerate(trace.hops, start=1)],
            _nearness(trace),
        )
    ]
    if len(trace.candidates) > 1:
        sections.append(_others_section(trace))
    return sections


def _hop_row(number: int, hop: TraceHop, trace: Trace) -> tuple[Cell, ...]:
    serves = f"serves {trace.target}" if trace.candidates and hop.site == trace.site else ""
    is_silent = hop.round_trip_ms is None
    return (
        Cell(str(number), is_number=True),
        Cell(hop.site),
        Cell(
            "*" if hop.round_trip_ms is None else format_round_trip(hop.round_trip_ms),
            WARN if is_silent else "",
            is_number=True,
        ),
        Cell(serves),
    )


def _nearness(trace: Trace) -> str:
    if trace.candidates:
        return f"no hop: site {trace.site}, this one, serves it"
    return f"no hop: {trace.site} is this site"


def _others_section(trace: Trace) -> Section:
    return Section(
        "Also served at",
        ("SITE", "COST", "FLOWS FROM HERE"),
        [
            (
                Cell(each.site),
                Cell(str(each.cost), is_number=True),
                Cell(str(each.flows), is_number=True),
            )
            for each in trace.candidates
            if each.site != trace.site
        ],
        note=f"{format_count(trace.candidates[0].flows, 'flow')} under way to {trace.site}",
    )
