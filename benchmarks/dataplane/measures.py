"""The measures of the data plane: which loads there are, and the server that each needs."""

from functools import partial
from typing import Final

import attrs

from benchmarks.common.programs import Programs
from benchmarks.dataplane.beside import beside_bulk
from benchmarks.dataplane.crowd import crowd
from benchmarks.dataplane.loads import (
    HTTP_CONNECTIONS,
    STREAMS,
    Load,
    bulk,
    fairness,
    http,
    idle_flows,
    new_connections,
    round_trips,
)
from benchmarks.dataplane.proxies import http_server
from benchmarks.dataplane.system_calls import system_calls
from lab.ports import free_port


@attrs.frozen
class Measure:
    """Loads that need the same server."""

    server: str
    loads: tuple[Load, ...]
    is_fresh: bool = False
    """Whether it needs processes that have done nothing yet; it is then run only once."""
    is_on_one_core: bool = False
    """Whether all programs, those at both ends too, are to share one processor."""


MEASURES: Final = {
    "bulk": Measure("source", tuple(partial(bulk, streams=count) for count in STREAMS)),
    "rtt": Measure("echo", (round_trips,)),
    "one-core": Measure(
        "echo", (partial(round_trips, name="round trip on one core"),), is_on_one_core=True
    ),
    "http": Measure("http", tuple(partial(http, connections=n) for n in HTTP_CONNECTIONS)),
    "system-calls": Measure("http", (system_calls,)),
    "connections": Measure("http", (new_connections,)),
    "beside": Measure("keep", tuple(partial(beside_bulk, streams=count) for count in STREAMS)),
    "fairness": Measure("keep", (fairness,)),
    "memory": Measure("keep", (idle_flows,), is_fresh=True),
    "crowd": Measure("keep", (crowd,), is_fresh=True),
}


def start_server(programs: Programs, kind: str) -> int:
    """Start the server of a load, and return its port."""
    if kind != "http":
        return programs.start_server(kind)
    port = free_port()
    programs.start_proxy(*http_server(port, programs.directory / "http.conf"), port=port)
    return port
