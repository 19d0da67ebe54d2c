"""Who holds what authority in the VAN, as tables."""

from datetime import UTC
from typing import Final

from van.cli.render.tables import GOOD, MUTED, WARN, Cell, Section, numeric
from van.control.values.authority import Authorities, AuthorityInfo

HOLDS: Final = {"root": "the root", "granted": "second to it", "intermediate": "an authority"}


def authority_sections(found: Authorities) -> list[Section]:
    """Return what this site holds, and all that it knows of."""
    return [
        Section(
            "Authorities",
            ("SITE", "HOLDS", "REACHED", "UNTIL", "GIVEN BY", "SITES", "KEY"),
            [_row(each) for each in found.known],
            note=_note(found),
            folds=("KEY", "GIVEN BY", "SITES"),
        )
    ]


def _row(each: AuthorityInfo) -> tuple[Cell, ...]:
    is_root = each.kind == "root"
    return (
        Cell(each.site or "(nobody known)"),
        Cell(HOLDS.get(each.kind, each.kind), "" if each.kind == "intermediate" else GOOD),
        Cell("yes" if each.is_reachable else "no", "" if each.is_reachable else WARN),
        Cell(f"{each.expires_at.astimezone(UTC):%F %H:%MZ}"),
        Cell("" if is_root else each.issued_by or "the root"),
        numeric(each.sites),
        Cell(each.key, MUTED),
    )


def _note(found: Authorities) -> str:
    if found.roll is not None:
        done, left = len(found.roll.renewed), found.roll.pending
        waiting = f"; not yet: {', '.join(left)}" if left else ""
        return f"the root is being replaced: {done} of {done + len(left)} have followed{waiting}"
    holders = [each.site for each in found.known if each.kind == "root" and each.is_reachable]
    if not holders:
        return (
            "no site that can be reached holds the root: certificates of sites that it has let in "
            "can't be renewed without; 'van authority restore FILE' brings it back from a back-up"
        )
    if holders == [found.site] and not any(each.kind == "granted" for each in found.known):
        return (
            "no other site that is known here holds the root: 'van authority back-up FILE' keeps "
            "it from loss, and 'van authority grant SITE' lets the network outlive this machine"
        )
    return ""
