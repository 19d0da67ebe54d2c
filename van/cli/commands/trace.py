"""`van trace`: the path that a flow takes now, hop by hop."""

from typing import Annotated

import typer

from van.cli.completion import complete_target
from van.cli.options import Json, ProtocolOption, Site, open_client, print_json
from van.cli.render.printing import print_sections
from van.config import check_protocol
from van.control.values.paths import TraceSpec
from van.errors import Unreachable
from van.names import Address, check_site_name


def trace(
    target: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS|SITE",
            help="An address, such as db:5432, or the name of a site.",
            autocompletion=complete_target,
        ),
    ],
    protocol: ProtocolOption = None,
    json: Json = False,
    site: Site = None,
) -> None:
    """Show the path that a flow takes now, hop by hop.

    For an address, it leads to the site where a flow that begins now would go. Ends with exit
    code 1 when the site at the end does not answer.
    """
    spec = _read(target, protocol)
    found = open_client(site).trace(spec)
    if json:
        print_json(found)
    else:
        from van.cli.render.trace import trace_sections

        print_sections(trace_sections(found))
    if not found.has_arrived:
        raise Unreachable(found.detail)


def _read(target: str, protocol: str | None) -> TraceSpec:
    asked = None if protocol is None else check_protocol(protocol)
    if ":" in target:
        return TraceSpec(target=str(Address.parse(target)), protocol=asked)
    if asked is not None:
        raise typer.BadParameter(f"--protocol is for addresses: {target!r} is the name of a site")
    return TraceSpec(target=check_site_name(target))
