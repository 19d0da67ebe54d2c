"""`van explain`: where a flow to an address would go now, and why the others would not get it."""

from typing import Annotated

import typer

from van.cli.completion import complete_address
from van.cli.options import Json, ProtocolOption, Site, open_client, print_json
from van.cli.render.humanize import format_duration, format_round_trip
from van.cli.render.printing import print_sections
from van.cli.render.tables import GOOD, WARN, Cell, Section
from van.config import check_protocol
from van.control.values import CandidateExplanation, Explain, ExplainSpec
from van.names import Address


def explain(
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS",
            help="An address, such as db:5432.",
            autocompletion=complete_address,
        ),
    ],
    protocol: ProtocolOption = "tcp",
    json: Json = False,
    site: Site = None,
) -> None:
    """Show where a flow to an address would go now, and why.

    Every site that serves it is scored: by the round trip of the path, and by how long a request
    is expected to wait there. The least score gets the flow.
    """
    spec = ExplainSpec(address=str(Address.parse(address)), protocol=check_protocol(protocol))
    found = open_client(site).explain(spec)
    if json:
        print_json(found)
    else:
        print_sections(explain_sections(found))


def explain_sections(found: Explain) -> list[Section]:
    """Return the candidates, the best first."""
    dissent = ", ".join(found.dissenters)
    return [
        Section(
            f"{found.protocol} {found.address}, {found.distribution}",
            (
                *("SITE", "SCORE", "PATH RTT", "DELAY", "FLOWS", "IN FLIGHT", "REPORTED"),
                *("WEIGHT", "PRECEDENCE", "PATH", "WHY"),
            ),
            [_row(number, each) for number, each in enumerate(found.candidates)],
            note=f"exposed otherwise at {dissent}: the oldest counts" if dissent else "",
        )
    ]


def _row(number: int, each: CandidateExplanation) -> tuple[Cell, ...]:
    age = "never" if each.report_age is None else f"{format_duration(each.report_age)} ago"
    is_amiss = each.ejected_for > 0 or each.overdue > 0
    return (
        Cell(each.site),
        Cell(format_round_trip(each.score_ms), is_number=True),
        Cell(format_round_trip(each.round_trip_ms), is_number=True),
        Cell(format_round_trip(each.expected_delay_ms), is_number=True),
        Cell(str(each.flows), is_number=True),
        Cell("" if each.in_flight is None else f"{each.in_flight:g}", is_number=True),
        Cell(age, is_number=True),
        Cell(str(each.weight), is_number=True),
        Cell(str(each.precedence), is_number=True),
        Cell(" > ".join(each.path)),
        Cell(each.reason, WARN if is_amiss else "" if number else GOOD),
    )
