"""Whether a flow is allowed, as a table."""

from van.cli.render.tables import BAD, GOOD, Cell, Section
from van.control.values.policy import PolicyCheck


def check_section(found: PolicyCheck) -> Section:
    """Return what each site that serves the address makes of it."""
    if found.tags is None:
        known = "not known here, so that its tags do not count"
    else:
        known = f"tags {', '.join(found.tags)}" if found.tags else "no tags"
    return Section(
        f"{found.source} to {found.address}",
        ("SERVED AT", "PROTOCOL", "ALLOWED", "WHY"),
        [
            (
                Cell(each.site or "nowhere yet"),
                Cell(each.protocol),
                Cell("yes", GOOD) if each.is_allowed else Cell("no", BAD),
                Cell(each.reason),
            )
            for each in found.verdicts
        ],
        note=f"{found.source}: {known}",
        folds=("PROTOCOL",),
    )
