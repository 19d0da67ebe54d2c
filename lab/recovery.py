"""How long a service is away when a router of its path is killed and started again."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from lab.processes import WAIT_TIMEOUT, Lab, wait_for
from lab.servers import ReconnectingClient

SITES = ("west", "hub", "east")
ADDRESS = "steady:7"
STEADY = 30
"""So many answers in a row mean that the service is back."""


class Recovery(NamedTuple):
    """Seconds until the service was back for good, and what part of them starting took."""

    after_kill: float
    start_took: float
    """Seconds from the kill until `van up` returned, when the router answers."""


@contextmanager
def client_through(lab: Lab) -> Iterator[ReconnectingClient]:
    """Let a client at west reconnect to a server at east all the time."""
    with lab.service(ADDRESS) as port, ReconnectingClient(port) as client:
        wait_until_served(client, time.monotonic(), "the service works at first")
        yield client


def wait_until_served(client: ReconnectingClient, since: float, what: str) -> float:
    """Wait until a client is served without a failure, and return since when it is."""
    found: list[float] = []

    def is_served() -> bool:
        moment = client.served_since(since, in_a_row=STEADY)
        found.extend([] if moment is None else [moment])
        return moment is not None

    wait_for(is_served, what, timeout=3 * WAIT_TIMEOUT)
    return found[-1]


def kill_and_start(lab: Lab, client: ReconnectingClient, site: str) -> Recovery:
    """Kill a site's router, start it again, and wait for the service."""
    killed = time.monotonic()
    lab.kill(site)
    gone = time.monotonic()
    lab.van("--site", site, "up")  # in a process of its own, as its time is part of the outcome
    started = time.monotonic()
    back = wait_until_served(client, gone, f"the service is back after {site} was killed")
    return Recovery(back - killed, started - killed)
