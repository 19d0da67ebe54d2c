"""Why a flow goes where it goes, as a table."""

from van.cli.render.humanize import format_duration, format_round_trip
from van.cli.render.tables import GOOD, WARN, Cell, Section, numeric
from van.control.values.paths import CandidateExplanation, Explain


def explain_sections(found: Explain) -> list[Section]:
    """Return the candidates, the best first."""
    dissent = ", ".join(found.dissenters)
    notes = [f"exposed otherwise at {dissent}: the oldest counts"] if dissent else []
    notes += [f"not for this site at {each.site}: {each.reason}" for each in found.not_allowed]
    return [
        Section(
            f"{found.protocol} {found.address}, {found.distribution}",
            (
                *("SITE", "SCORE", "PATH RTT", "DELAY", "FLOWS", "IN FLIGHT", "REPORTED"),
                *("WEIGHT", "PRECEDENCE", "PATH", "WHY"),
            ),
            [_row(number, each) for number, each in enumerate(found.candidates)],
            note="\n".join(notes),
            folds=(
                *("PRECEDENCE", "WEIGHT", "REPORTED", "IN FLIGHT", "PATH RTT"),
                *("PATH", "FLOWS", "DELAY", "SCORE"),
            ),
        )
    ]


def _row(number: int, each: CandidateExplanation) -> tuple[Cell, ...]:
    age = "never" if each.report_age is None else f"{format_duration(each.report_age)} ago"
    is_amiss = each.ejected_for > 0 or each.overdue > 0
    return (
        Cell(each.site),
        numeric(format_round_trip(each.score_ms)),
        numeric(format_round_trip(each.round_trip_ms)),
        numeric(format_round_trip(each.expected_delay_ms)),
        numeric(each.flows),
        numeric("" if each.in_flight is None else f"{each.in_flight:g}"),
        numeric(age),
        numeric(each.weight),
        numeric(each.precedence),
        Cell(" > ".join(each.path)),
        Cell(each.reason, WARN if is_amiss else "" if number else GOOD),
    )
