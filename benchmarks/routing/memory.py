"""The memory of one real router: at rest alone, and after it has learned a large VAN.

`python -m benchmarks.routing.memory` starts a router and links a peer to it, which floods what a
thousand sites with ten addresses each would advertise, signed with real certificates.
"""

import argparse
import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

from benchmarks.common.reporting import emit, note
from lab.fleet import Fleet
from lab.origins import PaperSite, batches, random_graph
from lab.peers import heartbeat, link_up, read_and_forget
from lab.ports import free_port
from lab.processes import wait_for
from lab.usage import cpu_seconds, resident_bytes
from van.config import SiteConfig
from van.names import Endpoint
from van.router.links.link import HEARTBEAT_INTERVAL
from van.router.reactor.message_stream import MessageStream
from van.wire.link import Advertisements

ROUTER = "router"
QUIET = 1.0
"""Seconds almost without processor time after which a router has done what it had to."""
SEED = 7


def main() -> None:
    """Measure one router before and after it has learned of many sites."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--addresses", type=int, default=10, help="addresses of each site")
    parser.add_argument("--links", type=int, help="links among the sites; two per site by default")
    parser.add_argument("--breakdown", action="store_true", help="tell what the memory went to")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = measure(
        options.sites,
        options.addresses,
        options.links or 2 * options.sites,
        is_traced=options.breakdown,
    )
    breakdown = result.pop("breakdown", None)
    emit(
        f"Memory of one router that learned {options.sites:,} sites with "
        f"{options.sites * options.addresses:,} addresses",
        ("", "MB"),
        [
            ("idle", f"{result['idle_bytes'] / 1e6:.1f}"),
            ("all learned", f"{result['learned_bytes'] / 1e6:.1f}"),
            ("growth (to reach: < 60)", f"{result['growth_bytes'] / 1e6:.1f}"),
            ("after a first `van status`", f"{result['after_status_bytes'] / 1e6:.1f}"),
        ],
    )
    print(
        f"Learned in {result['learning_seconds']:.1f} s, with "
        f"{result['cpu_seconds']:.1f} s of processor time."
    )
    if breakdown:
        print(f"\n```\n{breakdown}```")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


def measure(sites: int, addresses: int, links: int, *, is_traced: bool) -> dict[str, Any]:
    """Return the figures; with tracing, the router's memory includes that of the tracing."""
    with Fleet() as fleet:
        note(f"making {sites} sites on paper")
        paper = make_paper(fleet, sites, addresses, links)
        messages = list(batches([lsa for site in paper for lsa in site.advertise()]))
        port = Endpoint("127.0.0.1", free_port())
        fleet.make(ROUTER, SiteConfig(listen=port))
        breakdown = fleet.directory / "breakdown.txt"
        fleet.environment["VAN_BREAKDOWN"] = str(breakdown)
        module = "benchmarks.routing.traced_router" if is_traced else "van.router"
        fleet.launch(ROUTER, command=("-m", module))
        fleet.wait_answer(ROUTER)
        pid = fleet.pid(ROUTER)
        wait_quiet(pid)
        result: dict[str, Any] = {"sites": sites, "addresses": sites * addresses, "links": links}
        result["idle_bytes"] = resident_bytes(pid)
        note("flooding")
        began, cpu = time.monotonic(), cpu_seconds(pid)

        def look() -> None:
            wait_quiet(pid)  # to ask the router would take memory for its answer
            result["learning_seconds"] = time.monotonic() - began - QUIET
            result["cpu_seconds"] = cpu_seconds(pid) - cpu
            result["learned_bytes"] = resident_bytes(pid)
            if is_traced:
                os.kill(pid, signal.SIGUSR1)
                wait_for(breakdown.exists, "the breakdown is written", timeout=120.0)
                result["breakdown"] = breakdown.read_text()
            check_learned(fleet, sites, sites * addresses)
            result["after_status_bytes"] = resident_bytes(pid)

        trio.run(feed, port, paper[0], messages, look)
        result["growth_bytes"] = result["learned_bytes"] - result["idle_bytes"]
        return result


def check_learned(fleet: Fleet, sites: int, addresses: int) -> None:
    """See that the router reaches every site and knows every address."""
    status = fleet.look(ROUTER)
    assert status is not None, "the router does not answer"
    reached = sum(site.cost is not None for site in status.sites)
    assert reached == sites + 1, f"{reached} of {sites + 1} sites are reached"
    assert len(status.addresses) == addresses, f"{len(status.addresses)} of {addresses} addresses"


def make_paper(fleet: Fleet, sites: int, addresses: int, links: int) -> list[PaperSite]:
    """Return sites on paper, of which the first is a neighbour of the router."""
    names = [f"site-{number:04}" for number in range(sites)]
    graph = random_graph(names, edges=links, rng=random.Random(SEED))
    graph[names[0]].add(ROUTER)
    return [
        PaperSite(
            fleet.issue(name),
            tuple(graph[name]),
            tuple(
                f"service-{number}.{name}.example:{8000 + number}" for number in range(addresses)
            ),
        )
        for name in names
    ]


async def feed(
    port: Endpoint, site: PaperSite, messages: list[Advertisements], look: Callable[[], None]
) -> None:
    """Link up as a site, flood all messages, and keep the link up while a function looks."""
    conversation = await link_up(port, site.credentials, peer=ROUTER)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_and_forget, conversation)
        for message in messages:
            await conversation.send(message)
        nursery.start_soon(keep_alive, conversation)
        await trio.to_thread.run_sync(look)
        nursery.cancel_scope.cancel()
    conversation.close()


async def keep_alive(conversation: MessageStream) -> None:
    """Send heartbeats until cancelled."""
    while True:
        await conversation.send(heartbeat())
        await trio.sleep(HEARTBEAT_INTERVAL)


def wait_quiet(pid: int) -> None:
    """Wait until a process has used next to no processor time for a while."""
    while True:
        before = cpu_seconds(pid)
        time.sleep(QUIET)
        if cpu_seconds(pid) - before < 0.05 * QUIET:
            return


if __name__ == "__main__":
    main()
