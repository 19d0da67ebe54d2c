"""`van router`: the router runs in the foreground."""

import os

from van.cli.options import Site
from van.cli.process import router_command
from van.paths import choose_site


def router(site: Site = None) -> None:
    """Run the router in the foreground, as containers do."""
    command = router_command(choose_site(site))
    os.execv(command[0], command)
