"""`van explain`: where a flow to an address would go now, and why the others would not get it."""

from typing import Annotated

import typer

from van.cli.completion import complete_address
from van.cli.options import Json, ProtocolOption, Site, open_client, print_json
from van.cli.render.printing import print_sections
from van.config import check_protocol
from van.control.values.paths import ExplainSpec
from van.names import Address


def explain(
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS",
            help="An address, such as db:5432.",
            autocompletion=complete_address,
        ),
    ],
    protocol: ProtocolOption = None,
    json: Json = False,
    site: Site = None,
) -> None:
    """Show where a flow to an address would go now, and why.

    Every site that serves it is scored: by the round trip of the path, and by how long a request
    is expected to wait there. The least score gets the flow.
    """
    asked = None if protocol is None else check_protocol(protocol)
    spec = ExplainSpec(address=str(Address.parse(address)), protocol=asked)
    found = open_client(site).explain(spec)
    if json:
        print_json(found)
    else:
        from van.cli.render.explain import explain_sections

        print_sections(explain_sections(found))
