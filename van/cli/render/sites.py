"""The sites of this machine as a table."""

from collections.abc import Sequence
from typing import Final

from van.cli.render.tables import GOOD, MUTED, Cell, Section
from van.control.values.base import Value
from van.control.values.expulsions import ExpulsionInfo

OUTCOMES: Final = {
    "mutual": "both are out, each by the other",
    "overruled": "counts for those below BY alone, which was expelled",
}


class LocalSite(Value, frozen=True):
    """A site of this machine. Router is `running`, `down`, or `no answer`; only a running one knows
    its VAN."""

    site: str
    router: str
    van: str | None
    config: str


def local_sites_section(sites: Sequence[LocalSite]) -> Section:
    """Return the sites of this machine."""
    return Section(
        "Sites",
        ("SITE", "ROUTER", "VAN", "CONFIGURATION"),
        [
            (
                Cell(site.site),
                Cell(site.router, GOOD if site.router == "running" else MUTED),
                Cell(site.van or ""),
                Cell(site.config),
            )
            for site in sites
        ],
        "no sites: 'van init NAME'",
        folds=("CONFIGURATION", "VAN"),
    )


def expulsions_section(expulsions: Sequence[ExpulsionInfo]) -> Section:
    """Return the sites that were put out of the VAN, or whose keys were lost."""
    return Section(
        "Expelled sites",
        ("SITE", "SINCE", "BY", "REASON", "KEY"),
        [
            (
                Cell(each.site),
                Cell(f"{each.at.astimezone():%F %T}"),
                Cell(each.by or "the VAN's authority"),
                Cell(_reason(each)),
                Cell(each.key, MUTED),
            )
            for each in expulsions
        ],
        "nobody was expelled",
        folds=("KEY", "BY"),
    )


def _reason(each: ExpulsionInfo) -> str:
    """Return why a site is out, and what became of that."""
    if each.is_forgotten:
        return "its key was lost"
    return "; ".join(filter(None, (OUTCOMES.get(each.state), each.reason)))
