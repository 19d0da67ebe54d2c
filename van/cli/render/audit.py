"""What sites have done with their authority, as tables."""

from collections.abc import Sequence

from van.cli.render.tables import BAD, PLAIN, Cell, Section, numeric
from van.control.values.audit import AuditCopyInfo, AuditRecordInfo


def audit_section(records: Sequence[AuditRecordInfo]) -> Section:
    """Return the records, the oldest first."""
    return Section(
        "Audit trail",
        ("NUMBER", "AT", "BY", "WHAT", "WHOM", "DETAIL"),
        [
            (
                numeric(each.number),
                Cell(f"{each.at:%F %TZ}"),
                Cell(each.site),
                Cell(each.kind),
                Cell(each.subject),
                Cell(each.text),
            )
            for each in records
        ],
        "nothing yet: whom a site lets in, expels, or refuses is recorded here",
        folds=("NUMBER",),
    )


def copies_section(copies: Sequence[AuditCopyInfo]) -> list[Section]:
    """Return where this site's own trail is copied to, if there is anywhere."""
    if not copies:
        return []
    rows = [
        (
            Cell(each.site),
            numeric(each.number or "none yet"),
            Cell(each.error, BAD if each.error else PLAIN),
        )
        for each in copies
    ]
    return [Section("Copies of this site's trail", ("AT SITE", "UP TO", "WHY NO MORE"), rows)]
