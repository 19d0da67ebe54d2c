"""`van flows`: the flows that are live at this site, and how the last ones ended."""

from typing import Annotated

import typer

from van.cli.options import Json, Site, open_client, print_json
from van.cli.render.printing import print_sections


def flows(
    ended: Annotated[
        bool,
        typer.Option(
            "--ended", help="Those that ended last, and why: a hundred that failed, and others."
        ),
    ] = False,
    json: Json = False,
    site: Site = None,
) -> None:
    """List the flows that begin or end here.

    With --ended, those that ended last: refused (no target took it), reset (a program, or the path,
    broke it off), or finished.
    """
    client = open_client(site)
    if ended:
        endings = client.ended_flows()
        if json:
            print_json(endings)
        else:
            from van.cli.render.flows import endings_section

            print_sections([endings_section(endings)])
        return
    status = client.status()
    if json:
        print_json(status.flows)
    else:
        from van.cli.render.flows import live_section

        print_sections([live_section(status.flows, status.flows_total)])
