"""`van audit`: what sites have done with their authority."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final, Protocol

import msgspec
import typer

from van.cli.commands.logs import parse_since
from van.cli.options import Json, Site, open_client, print_json
from van.cli.render.audit import audit_section, copies_section
from van.cli.render.humanize import printable
from van.cli.render.printing import print_sections
from van.control.values.audit import AuditInfo, AuditRecordInfo
from van.errors import HostError, LocalError, RouterDown

INTERVAL: Final = 1.0
"""Seconds between two looks for further records."""


class AuditSource(Protocol):
    """What is asked for the trails: a `ControlClient`."""

    def audit(self) -> AuditInfo:
        """Return all that there is."""


def audit(
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only what is not older than that, such as 7d or 2026-11-29T08:00.",
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only what that site has done and signed.")
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Go on with what is done from now on, until Ctrl-C."),
    ] = False,
    json: Json = False,
    site: Site = None,
) -> None:
    """Show what sites have done with their authority.

    Whom they let in, refused, and expelled; tokens, grants, and policies. An authority has copies
    of other authorities' trails too. Each record is signed by who did it, and rests on the one
    before; every one is verified, and the command fails if any was changed or removed.
    """
    client = open_client(site)
    begin = parse_since(since, now=time.time()) if since is not None else 0.0
    if follow:
        for each in stream(client, begin=begin, by=by):
            typer.echo(msgspec.json.encode(each).decode() if json else _line(each))
    found = client.audit()
    left = tuple(each for each in found.records if _is_asked(each, begin, by))
    found = msgspec.structs.replace(found, records=left)
    if json:
        print_json(found)
    else:
        print_sections([audit_section(found.records), *copies_section(found.copies)])
    check(found)


def stream(client: AuditSource, *, begin: float, by: str | None) -> Iterator[AuditRecordInfo]:
    """Yield what was recorded, and then what is, for ever.

    Goes on when the router is started anew. Raises `RouterDown` if it does not run at first, and
    `LocalError` once a trail was tampered with.
    """
    found, seen = client.audit(), set[tuple[str, int, datetime]]()
    is_away = False
    while True:
        present = {(each.site, each.number, each.at) for each in found.records}
        for each in found.records:
            is_new = (each.site, each.number, each.at) not in seen
            if is_new and _is_asked(each, begin, by):
                yield each
        seen = present
        check(found)
        time.sleep(INTERVAL)
        try:
            found, is_away = client.audit(), False
        except (RouterDown, HostError) as exc:
            if not is_away:
                typer.echo(printable(f"{exc}: waiting for it"), err=True)
            is_away = True


def check(found: AuditInfo) -> None:
    """Raise `LocalError` if a trail was tampered with."""
    if found.troubles:
        raise LocalError(f"the audit trail was tampered with: {'; '.join(found.troubles)}")


def _is_asked(record: AuditRecordInfo, begin: float, by: str | None) -> bool:
    return record.at.timestamp() >= begin and by in {None, record.site}


def _line(record: AuditRecordInfo) -> str:
    whom = f"{record.subject}: " if record.subject else ""
    return printable(
        f"{record.at:%F %TZ}  {record.site} {record.number}  {record.kind}  {whom}{record.text}"
    )
