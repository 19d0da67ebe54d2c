"""One site of the VAN, for people."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from van.cli.render.grants import describe_grants
from van.cli.render.tables import BAD, GOOD, MUTED, WARN, Cell, Section
from van.control.values.sites import SiteCertificate, SiteShown

TONES: Final = {"up": GOOD, "away": WARN, "expelled": BAD, "forgotten": BAD}


def site_sections(shown: SiteShown) -> list[Section]:
    """Return what is known of a site."""
    rows = [(Cell(name), cell) for name, cell in _rows(shown)]
    return [Section(f"Site {shown.site}", (), rows)]


def _rows(shown: SiteShown) -> Iterator[tuple[str, Cell]]:
    seen = f", and was last there {_when(shown.seen)}" if shown.seen is not None else ""
    yield "state", Cell(shown.state + seen, TONES.get(shown.state, ""))
    if shown.version:
        yield "version", Cell(shown.version)
    if shown.key is not None:
        yield "key", Cell(shown.key, MUTED)
    if shown.pinned_since is not None:
        yield "its name since", Cell(_when(shown.pinned_since))
    if shown.certificate is not None:
        yield from _certificate_rows(shown.certificate)
    if shown.tokens:
        yield "let in by token", Cell(", ".join(shown.tokens))
    for each in shown.statements:
        yield "put out", Cell(each, WARN)


def _certificate_rows(said: SiteCertificate) -> Iterator[tuple[str, Cell]]:
    yield "identity", Cell(said.id)
    yield "tags", Cell(", ".join(said.tags) or "none")
    may = describe_grants(
        said.allow_expose,
        said.allow_bind,
        can_invite=said.can_invite,
        may_name=said.may_name,
        may_tag=said.may_tag,
    )
    yield "may", Cell(may)
    above = " below ".join(said.issued_by)
    yield "issued by", Cell(f"the authority of {above}" if above else "the authority of the VAN")
    yield "first issued", Cell(_when(said.first_issued))
    ends = "; it is not renewed" if said.is_ephemeral else ""
    yield "until", Cell(_when(said.expires_at) + ends)


def _when(at: datetime) -> str:
    return f"{at.astimezone():%F %T}"
