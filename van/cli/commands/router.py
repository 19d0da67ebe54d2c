"""`van router`: the router runs in the foreground."""

import os

from van.cli.options import LogFormat, LogLevel, Site
from van.cli.process import LogOptions, router_command
from van.paths import choose_site


def router(site: Site = None, log_level: LogLevel = None, log_format: LogFormat = None) -> None:
    """Run the router in the foreground, as containers do; it logs to standard error."""
    command = router_command(choose_site(site), LogOptions(log_level, log_format))
    os.execv(command[0], command)
