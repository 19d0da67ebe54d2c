"""A path, hop by hop, as tables."""

from van.cli.render.humanize import format_count, format_round_trip
from van.cli.render.tables import WARN, Cell, Section, numeric
from van.control.values.paths import Trace, TraceHop


def trace_sections(trace: Trace) -> list[Section]:
    """Return the path, and where else the address is served."""
    sections = [
        Section(
            f"Path to {'udp ' if trace.protocol == 'udp' else ''}{trace.target}",
            ("HOP", "SITE", "RTT", "DETAIL"),
            [_hop_row(number, hop, trace) for number, hop in enumerate(trace.hops, start=1)],
            _nearness(trace),
            folds=("RTT",),
        )
    ]
    if len(trace.candidates) > 1:
        sections.append(_others_section(trace))
    return sections


def _hop_row(number: int, hop: TraceHop, trace: Trace) -> tuple[Cell, ...]:
    serves = f"serves {trace.target}" if trace.candidates and hop.site == trace.site else ""
    is_silent = hop.round_trip_ms is None
    return (
        numeric(number),
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
                numeric(each.cost),
                numeric(each.flows),
            )
            for each in trace.candidates
            if each.site != trace.site
        ],
        note=f"{format_count(trace.candidates[0].flows, 'flow')} under way to {trace.site}",
    )
