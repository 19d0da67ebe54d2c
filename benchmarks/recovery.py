"""How long a service is away when each router of its path is killed and started again.

`python -m benchmarks.recovery [KILLS]` prints a table in seconds. A client at west reconnects every
few milliseconds to a server at east; the hub between them is the only site that can be dialled.
"""

import statistics
import sys
import time
from collections.abc import Sequence

from tests.support.processes import Lab
from tests.support.recovery import SITES, Recovery, client_through, kill_and_start
from tests.support.servers import ReconnectingClient

KILLS = 5
REST = 2.0
"""Seconds before each kill, so that it meets a network at rest."""


def main() -> None:
    """Kill each router in turn, several times, and print how long that was felt."""
    kills = int(sys.argv[1]) if sys.argv[1:] else KILLS
    with Lab() as lab:
        lab.three_sites()
        with client_through(lab) as client:
            found = {
                site: [kill_at_rest(lab, client, site) for _ in range(kills)] for site in SITES
            }
    print(f"{'KILLED':8}{'SERVED AGAIN AFTER SIGKILL':>33}{'VAN UP TOOK':>14}{'THE REST':>11}")
    print(f"{'':8}{'median':>15}{'min':>9}{'max':>9}{'median':>14}{'median':>11}")
    for site, recoveries in found.items():
        print(describe(site, recoveries))


def kill_at_rest(lab: Lab, client: ReconnectingClient, site: str) -> Recovery:
    """Kill a router that has run undisturbed for a while."""
    time.sleep(REST)
    return kill_and_start(lab, client, site)


def describe(site: str, recoveries: Sequence[Recovery]) -> str:
    """Return a line of the table."""
    away = [each.after_kill for each in recoveries]
    start = statistics.median(each.start_took for each in recoveries)
    rest = statistics.median(each.after_kill - each.start_took for each in recoveries)
    median = statistics.median(away)
    return f"{site:8}{median:15.2f}{min(away):9.2f}{max(away):9.2f}{start:14.2f}{rest:11.2f}"


if __name__ == "__main__":
    main()
