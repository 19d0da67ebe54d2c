"""What a link that comes and goes ten times a second costs the routers of a VAN.

`python -m benchmarks.routing.flapping` takes the processor time of a ring of routers for a minute
each: at rest; while the connections of one link are closed again and again, which its dialling
side answers with ever longer pauses; and while a peer with a valid certificate links up with one
router, says what it has to say, and leaves, again and again.
"""

import argparse
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from benchmarks.common.reporting import emit, note
from lab.cables import Cables
from lab.fleet import Fleet
from lab.origins import PaperSite
from lab.peers import link_up
from lab.ports import free_port
from lab.processes import wait_for
from lab.usage import cpu_seconds
from van.config import LinkConfig, SiteConfig
from van.errors import RemoteError
from van.names import Endpoint
from van.wire.link import Advertisements

FLAPPER = "mallory"
SETTLE = 2.0
"""Seconds before each measurement, for what came before to be over."""
PATIENCE = 2.0
"""Seconds that a flapping peer waits for a router to link up; one may decline to for a while."""


@attrs.define
class Ring:
    """Routers in a ring, of which the first is the one that the flapping link ends at."""

    fleet: Fleet
    cables: Cables
    names: list[str]
    ports: dict[str, Endpoint]

    @property
    def victim(self) -> str:
        """Return the router at the link that flaps."""
        return self.names[0]

    def cpu(self) -> dict[str, float]:
        """Return the processor time of each router so far."""
        return {name: cpu_seconds(self.fleet.pid(name)) for name in self.names}

    def is_right(self) -> bool:
        """Tell whether each router reaches each."""
        found = [self.fleet.look(name) for name in self.names]
        return all(
            status and sum(each.cost is not None for each in status.sites) >= len(self.names)
            for status in found
        )


@contextmanager
def ring(count: int) -> Iterator[Ring]:
    """Lend a ring of routers; the link between the first and the second runs through a cable."""
    with Cables() as cables, Fleet() as fleet:
        names = [f"site-{number}" for number in range(1, count + 1)]
        ports = {name: Endpoint("127.0.0.1", free_port()) for name in names}
        near = Endpoint("127.0.0.1", cables.lay("flapping", ports[names[0]].port))
        for index, name in enumerate(names):
            previous = names[index - 1]
            endpoint = near if index == 1 else ports[previous]
            fleet.make(name, SiteConfig(ports[name], links=(LinkConfig(previous, (endpoint,)),)))
        fleet.run_all(names)
        made = Ring(fleet, cables, names, ports)
        wait_for(made.is_right, "each router reaches each")
        yield made


async def rest(_ring: Ring, seconds: float, _rate: float) -> int:
    """Do nothing."""
    await trio.sleep(seconds)
    return 0


async def snip(ring: Ring, seconds: float, rate: float) -> int:
    """Close all connections of a link, so many times a second."""
    return await repeat(seconds, rate, partial(snip_once, ring))


async def snip_once(ring: Ring) -> bool:
    """Close the connections that there are."""
    ring.cables.snip("flapping")
    return True


async def link_and_leave(ring: Ring, seconds: float, rate: float) -> int:
    """Link up as a site and leave, so many times a second."""
    credentials = ring.fleet.issue(FLAPPER)
    site = PaperSite(credentials, (ring.victim,), ("flapping.example:7",))
    says = Advertisements(tuple(site.advertise()))

    async def once() -> bool:
        try:
            with trio.fail_after(PATIENCE):
                conversation = await link_up(ring.ports[ring.victim], credentials, peer=ring.victim)
        except (RemoteError, OSError, trio.TooSlowError):
            return False
        try:
            await conversation.send(says)
            await trio.sleep(0.5 / rate)
        except RemoteError:
            return False
        finally:
            conversation.close()
        return True

    return await repeat(seconds, rate, once)


async def repeat(seconds: float, rate: float, once: Callable[[], Awaitable[bool]]) -> int:
    """Do something so many times a second, if it is quick enough; return how often it worked."""
    began = time.monotonic()
    worked = turn = 0
    while time.monotonic() - began < seconds:
        worked += await once()
        turn += 1
        await trio.sleep(max(0.0, began + turn / rate - time.monotonic()))
    return worked


CASES: dict[str, Callable[[Ring, float, float], Awaitable[int]]] = {
    "at rest": rest,
    "a link's connections closed": snip,
    "a peer links up and leaves": link_and_leave,
}


def main() -> None:
    """Let a link flap in two ways and print what that cost each router."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long in each way")
    parser.add_argument("--rate", type=float, default=10.0, help="times a second")
    parser.add_argument("--sites", type=int, default=5, help="routers in the ring")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = measure(options.sites, options.seconds, options.rate)
    emit(
        f"Processor time while a link flaps {options.rate:g} times a second for "
        f"{options.seconds:g} s, of one core",
        ("what", "times", "the router at the link", "others, mean", "others, most"),
        [describe(case, figures) for case, figures in result.items()],
    )
    print("To reach: the others below 10 %.")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


def measure(sites: int, seconds: float, rate: float) -> dict[str, Any]:
    """Return the share of a core that each router took in each case."""
    result: dict[str, Any] = {}
    with ring(sites) as made:
        for case, act in CASES.items():
            time.sleep(SETTLE)
            note(case)
            before, began = made.cpu(), time.monotonic()
            times = trio.run(act, made, seconds, rate)
            elapsed = time.monotonic() - began
            after = made.cpu()
            shares = {name: (after[name] - before[name]) / elapsed for name in made.names}
            victims = [made.victim, *([made.names[1]] if act is snip else [])]
            result[case] = {"times": times, "shares": shares, "victims": victims}
        made.cables.mend("flapping")
        wait_for(made.is_right, "each router reaches each in the end", timeout=120.0)
    return result


def describe(case: str, figures: dict[str, Any]) -> tuple[str, ...]:
    """Return a line of the table."""
    shares, victims = figures["shares"], figures["victims"]
    others = [share for name, share in shares.items() if name not in victims]
    shown = (max(shares[name] for name in victims), sum(others) / len(others), max(others))
    return (case, str(figures["times"] or "-"), *(f"{100 * share:.1f} %" for share in shown))


if __name__ == "__main__":
    main()
