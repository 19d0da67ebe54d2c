"""What a site has done with its authority, as a table."""

from collections.abc import Sequence

from van.cli.render.tables import Cell, Section, numeric
from van.control.values.audit import AuditRecordInfo


def audit_section(records: Sequence[AuditRecordInfo]) -> Section:
    """Return the records, the oldest first."""
    return Section(
        "Audit trail",
        ("NUMBER", "AT", "WHAT", "WHOM", "DETAIL"),
        [
            (
                numeric(each.number),
                Cell(f"{each.at:%F %TZ}"),
                Cell(each.kind),
                Cell(each.subject),
                Cell(each.text),
            )
            for each in records
        ],
        "nothing yet: whom this site lets in, expels, or refuses is recorded here",
        folds=("NUMBER",),
    )
