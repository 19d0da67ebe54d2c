"""`van audit`: what the site has done with its authority."""

import time
from typing import Annotated

import msgspec
import typer

from van.cli.commands.logs import parse_since
from van.cli.options import Json, Site, open_client, print_json
from van.cli.render.printing import print_sections
from van.errors import LocalError


def audit(
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only what is not older than that, such as 7d or 2026-11-29T08:00.",
        ),
    ] = None,
    json: Json = False,
    site: Site = None,
) -> None:
    """Show what the site has done with its authority.

    Whom it let in, refused, and expelled; tokens, grants, and policies. Each record is signed by
    the site, and rests on the one before; every one is verified, and the command fails if any was
    changed or removed.
    """
    found = open_client(site).audit()
    if since is not None:
        begin = parse_since(since, now=time.time())
        left = tuple(each for each in found.records if each.at.timestamp() >= begin)
        found = msgspec.structs.replace(found, records=left)
    if json:
        print_json(found)
    else:
        from van.cli.render.audit import audit_section

        print_sections([audit_section(found.records)])
    if found.troubles:
        raise LocalError(f"the audit trail was tampered with: {'; '.join(found.troubles)}")
