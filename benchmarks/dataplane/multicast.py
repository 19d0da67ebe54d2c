"""What each link carries when one client sends to twenty instances at five sites.

`python -m benchmarks.dataplane.multicast` sends datagrams at a site in front of a hub, behind
which there are five sites with four instances each. A proxy on every link counts what passes, both
what routing and heartbeats take and what the datagrams do, so that nothing is believed of what a
router says.
"""

import argparse
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import Final

import attrs
import trio

from benchmarks.common.reporting import emit, note
from lab.fleet import Fleet
from lab.ports import free_port
from lab.processes import wait_for
from van.config import ConnectorConfig, LinkConfig, ListenerConfig, SiteConfig
from van.names import Address, Endpoint
from van.wire.lsa import Distribution

LOOPBACK: Final = "127.0.0.1"
ADDRESS: Final = Address("bench", 1)
SITES: Final = 5
INSTANCES: Final = 4
PACE: Final = 0.002
"""Seconds between two datagrams: slow enough that none is dropped."""
SETTLE: Final = 2.0


@attrs.define(eq=False)
class Meter:
    """A proxy on a link that counts the bytes toward the instances."""

    name: str
    toward: Endpoint
    is_dialled_by_source: bool
    port: int = 0
    count: int = 0

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Pass connections on until cancelled."""
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, self._pass, 0, host=LOOPBACK))
            self.port = listeners[0].socket.getsockname()[1]
            task_status.started()

    async def _pass(self, dialer: trio.SocketStream) -> None:
        try:
            other = await trio.open_tcp_stream(self.toward.host, self.toward.port)
        except OSError:
            await dialer.aclose()  # the router is not up yet, and is dialled again
            return
        async with dialer, other, trio.open_nursery() as nursery:
            nursery.start_soon(self._copy, dialer, other, self.is_dialled_by_source)
            nursery.start_soon(self._copy, other, dialer, not self.is_dialled_by_source)

    async def _copy(
        self,
        source: trio.SocketStream,
        to: trio.SocketStream,
        counts: bool,  # noqa: FBT001  # a task takes no keywords
    ) -> None:
        try:
            async for data in source:
                self.count += len(data) if counts else 0
                await to.send_all(data)
            await to.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # the other end has gone, as its other direction shows


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dataplane.multicast", description=__doc__
    )
    parser.add_argument("--datagrams", type=int, default=2000)
    parser.add_argument("--size", type=int, default=1000)
    options = parser.parse_args()
    with Fleet() as fleet:
        trio.run(measure, fleet, options.datagrams, options.size)


def instances() -> Iterator[socket.socket]:
    """Yield sockets that datagrams can be sent to."""
    for _ in range(SITES * INSTANCES):
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind((LOOPBACK, 0))
        sock.setblocking(False)
        yield sock


async def measure(fleet: Fleet, datagrams: int, size: int) -> None:
    """Send, count, and print."""
    hub = Endpoint(LOOPBACK, free_port())
    entry = Endpoint(LOOPBACK, free_port())
    meters = [Meter("source to hub", hub, is_dialled_by_source=True)]
    meters += [Meter(f"hub to s{place}", hub, is_dialled_by_source=False) for place in range(SITES)]
    with ExitStack() as stack:
        async with trio.open_nursery() as nursery:
            for meter in meters:
                await nursery.start(meter.run)
            socks = [stack.enter_context(closing(sock)) for sock in instances()]
            await trio.to_thread.run_sync(start, fleet, hub, entry, meters, socks)
            client = stack.enter_context(closing(socket.socket(type=socket.SOCK_DGRAM)))
            client.connect((LOOPBACK, entry.port))
            client.send(bytes(size))
            await trio.sleep(SETTLE)
            heard = [drain(sock) for sock in socks]
            assert all(heard), heard
            await send(meters, socks, client, datagrams, size)
            nursery.cancel_scope.cancel()


def start(
    fleet: Fleet, hub: Endpoint, entry: Endpoint, meters: list[Meter], socks: list[socket.socket]
) -> None:
    """Start the routers."""
    ways = [LinkConfig("hub", (Endpoint(LOOPBACK, meter.port),)) for meter in meters]
    fleet.make("hub", SiteConfig(hub))
    listener = ListenerConfig("udp", ADDRESS, entry)
    fleet.make("source", SiteConfig(links=(ways[0],), listeners=(listener,)))
    for place in range(SITES):
        of_site = socks[place * INSTANCES : (place + 1) * INSTANCES]
        targets = [Endpoint(LOOPBACK, sock.getsockname()[1]) for sock in of_site]
        connectors = tuple(
            ConnectorConfig("udp", ADDRESS, target, Distribution.MULTICAST) for target in targets
        )
        fleet.make(f"s{place}", SiteConfig(links=(ways[1 + place],), connectors=connectors))
    sites = [f"s{place}" for place in range(SITES)]
    fleet.run_all(("hub", "source", *sites))
    wait_for(lambda: knows_all(fleet), "the source knows all sites", timeout=60.0)


def knows_all(fleet: Fleet) -> bool:
    """Tell whether the source knows where the address is served."""
    status = fleet.look("source")
    return status is not None and any(len(each.served_at) == SITES for each in status.addresses)


async def send(
    meters: list[Meter],
    socks: list[socket.socket],
    client: socket.socket,
    datagrams: int,
    size: int,
) -> None:
    """Send all, and print what each link carried for it."""
    heard = [0] * len(socks)
    before = [meter.count for meter in meters]
    for number in range(datagrams):
        client.send(bytes(size))
        await trio.sleep(PACE)
        if number % 50 == 0:
            heard = [count + drain(sock) for count, sock in zip(heard, socks, strict=True)]
    await trio.sleep(SETTLE)
    heard = [count + drain(sock) for count, sock in zip(heard, socks, strict=True)]
    note(f"{min(heard)} to {max(heard)} of {datagrams} datagrams at each instance")
    rows = []
    for meter, count in zip(meters, before, strict=True):
        passed = meter.count - count
        rows.append((meter.name, f"{passed:,}", f"{passed / (datagrams * size):.3f}"))
    emit(
        f"{datagrams} datagrams of {size} bytes to {len(socks)} instances",
        ("link", "bytes", "by one copy of the datagrams"),
        rows,
    )
    emit("They came", ("least at an instance", "most"), [(str(min(heard)), str(max(heard)))])


def drain(sock: socket.socket) -> int:
    """Return how many datagrams have come."""
    count = 0
    while True:
        try:
            sock.recv(65536)
        except BlockingIOError:
            return count
        count += 1


if __name__ == "__main__":
    main()
