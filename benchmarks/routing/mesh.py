"""A full mesh of real routers on this machine, from the first start to all tables right.

`python -m benchmarks.routing.mesh` starts 30 routers with 435 links at once, and waits until each
of them reaches every other one over the link between them.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.common.reporting import emit, note, percentile
from lab.fleet import Fleet
from lab.ports import free_port
from lab.usage import cpu_seconds, resident_bytes
from van.config import LinkConfig, SiteConfig
from van.names import Endpoint

TIMEOUT = 600.0
POLL = 0.2
REST = 5.0
"""Seconds over which the processor time at rest is taken."""


def main() -> None:
    """Start a mesh and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=30)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = measure(options.sites)
    megabytes = [each / 1e6 for each in result["resident_bytes"]]
    emit(
        f"Full mesh of {options.sites} routers, {result['links']} links",
        ("", "value"),
        [
            ("all control sockets answer, s", f"{result['answering_seconds']:.1f}"),
            ("all tables right (to reach: < 60), s", f"{result['right_seconds']:.1f}"),
            ("processor time of all routers until then, s", f"{result['cpu_seconds']:.1f}"),
            ("of one router, median, s", f"{percentile(result['cpu_each'], 50):.2f}"),
            ("memory of one router, median, MB", f"{percentile(megabytes, 50):.1f}"),
            ("memory of one router, most, MB", f"{max(megabytes):.1f}"),
            ("all routers at rest, share of a core", f"{100 * result['rest_share']:.0f} %"),
        ],
    )
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


def measure(count: int) -> dict[str, Any]:
    """Return the figures of a mesh of so many sites."""
    names = [f"site-{number:02}" for number in range(count)]
    with Fleet() as fleet:
        note(f"writing the files of {count} sites")
        configure(fleet, names)
        note("starting the routers")
        began = time.monotonic()
        for name in names:
            fleet.launch(name)
        for name in names:
            fleet.wait_answer(name)
        answering = time.monotonic() - began
        note(f"all answer after {answering:.1f} s")
        await_right(fleet, names)
        right = time.monotonic() - began
        note(f"all tables are right after {right:.1f} s")
        cpu = [cpu_seconds(fleet.pid(name)) for name in names]
        resident = [resident_bytes(fleet.pid(name)) for name in names]
        time.sleep(REST)
        rest = sum(cpu_seconds(fleet.pid(name)) for name in names) - sum(cpu)
    return {
        "sites": count,
        "links": count * (count - 1) // 2,
        "answering_seconds": answering,
        "right_seconds": right,
        "cpu_seconds": sum(cpu),
        "cpu_each": cpu,
        "resident_bytes": resident,
        "rest_share": rest / REST,
    }


def configure(fleet: Fleet, names: list[str]) -> None:
    """Write every site's files; of two sites, the one whose name sorts first dials."""
    ports = {name: Endpoint("127.0.0.1", free_port()) for name in names}
    for index, name in enumerate(names):
        links = tuple(LinkConfig(other, (ports[other],)) for other in names[index + 1 :])
        fleet.make(name, SiteConfig(ports[name], links=links))


def await_right(fleet: Fleet, names: list[str]) -> None:
    """Wait until every router reaches every other over one link.

    Each is asked until it is right, and all once more in the end: a table may have changed again.
    """
    deadline = time.monotonic() + TIMEOUT
    wrong = names
    while wrong:
        assert time.monotonic() < deadline, f"after {TIMEOUT:.0f} s not right: {', '.join(wrong)}"
        time.sleep(POLL)  # to answer costs the routers time as well
        wrong = [name for name in wrong if not is_right(fleet, name, names)]
        wrong = wrong or [name for name in names if not is_right(fleet, name, names)]


def is_right(fleet: Fleet, name: str, names: list[str]) -> bool:
    """Tell whether a router's table is that of the whole mesh."""
    status = fleet.look(name)
    costs = {} if status is None else {each.site: each.cost for each in status.sites}
    return costs == {other: int(other != name) for other in names}


if __name__ == "__main__":
    main()
