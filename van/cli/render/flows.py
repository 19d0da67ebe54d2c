"""Live flows, and how the last ones ended, as tables."""

from collections.abc import Sequence
from typing import Final

import attrs

from van.cli.render.humanize import format_bytes, format_duration
from van.cli.render.status import flows_section
from van.cli.render.tables import BAD, PLAIN, WARN, Cell, Section, numeric
from van.control.values.flows import FlowEnding
from van.control.values.status import FlowStatus

_TONES: Final = {"refused": BAD, "reset": WARN}


def live_section(flows: Sequence[FlowStatus], total: int) -> Section:
    """Return the flows that are live, of which there may be more than are known here."""
    section = flows_section(flows, total, most=len(flows))
    return section if flows else attrs.evolve(section, empty="no flow begins or ends here now")


def endings_section(endings: Sequence[FlowEnding]) -> Section:
    """Return how flows ended, the last one at the end."""
    return Section(
        "Ended flows",
        (
            *("AT", "ENDING", "ADDRESS", "PROTOCOL", "ROLE", "PEER SITE", "LOCAL"),
            *("LASTED", "IN", "OUT", "WHY"),
        ),
        [
            (
                Cell(each.at[11:19]),
                Cell(each.ending, _TONES.get(each.ending, PLAIN)),
                Cell(each.address),
                Cell(each.protocol),
                Cell(each.role),
                Cell(each.peer_site),
                Cell(each.local),
                numeric(format_duration(each.lasted)),
                numeric(format_bytes(each.bytes_in)),
                numeric(format_bytes(each.bytes_out)),
                Cell(each.detail),
            )
            for each in endings
        ],
        "no flow has ended here since the router started",
        folds=("PROTOCOL", "LASTED", "LOCAL", "ROLE", "AT"),
    )
