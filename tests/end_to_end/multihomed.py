"""A host with several addresses, whose listeners are open at all of them.

`python -m tests.end_to_end.multihomed` tells the story within user and network namespaces, where it
may give addresses to the loopback interface. Each client has an address of its own, so that the
kernel, left to itself, would answer it from another one than it asked. It prints as one line of
JSON where the answers came from.
"""

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import trio

from lab.network import Network, Site, network, wait_until
from lab.ports import free_port
from tests.router.flow.test_datagrams import echo, serve_until_closed
from van.control import endpoints as api
from van.control.values.attachments import ListenerSpec

ADDRESSES = {
    socket.AF_INET: ("10.77.0.1", "10.77.0.2", "10.77.0.3"),
    socket.AF_INET6: ("fd77::1", "fd77::2", "fd77::3"),
}
"""The first is that of the clients."""
ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "[::]"}
PLACES = ("here", "there", "at all")
"""Where the target is: at the listener's site, at another one, or at both."""
PATIENCE = 20.0


def add_addresses() -> None:
    """Give the loopback interface all addresses."""
    commands = [["ip", "link", "set", "lo", "up"]]
    for addresses in ADDRESSES.values():
        commands += [["ip", "address", "add", each, "dev", "lo"] for each in addresses]
    for command in commands:
        subprocess.run(command, check=True)


@contextlib.asynccontextmanager
async def target(nursery: trio.Nursery) -> AsyncIterator[int]:
    """Lend the port of a target that sends back what it gets."""
    with trio.socket.socket(type=socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))
        nursery.start_soon(serve_until_closed, echo, sock)
        yield sock.getsockname()[1]


async def listen(site: Site, address: str, host: str) -> int:
    """Open a port at all of a family's addresses, and return it once it is open."""
    port = free_port(is_udp=True)
    spec = ListenerSpec(address=address, listen=f"{host}:{port}", protocol="udp")
    created = await site.ask(api.BIND, spec)
    listeners = site.router.data.ingress.listeners
    await wait_until(lambda: listeners[-1].is_open, f"{created} is open")
    return port


async def hear(family: socket.AddressFamily, host: str, port: int) -> str:
    """Ask at an address; return the one that the answer came from."""
    with trio.socket.socket(family, socket.SOCK_DGRAM) as client:
        await client.bind((ADDRESSES[family][0], 0))
        with trio.fail_after(PATIENCE):
            await client.sendto(b"who", (host, port))
            _, address = await client.recvfrom(100)
    assert address[1] == port
    return str(address[0])


async def expose_all(net: Network, port: int) -> Site:
    """Serve an address of every kind at two sites, and return the one with the listeners."""
    west, east = await net.line("west", "east")
    await west.expose("here:7", port, protocol="udp")
    await east.expose("there:7", port, protocol="udp")
    for site in (west, east):
        await site.expose("at-all:7", port, protocol="udp", distribution="multicast")
    return west


async def tell() -> None:
    """Ask at every address, and print who answered."""
    answers = {}
    async with network() as net, trio.open_nursery() as nursery, target(nursery) as served:
        site = await expose_all(net, served)
        for family, addresses in ADDRESSES.items():
            for place in PLACES:
                port = await listen(site, f"{place.replace(' ', '-')}:7", ANY[family])
                found = [await hear(family, host, port) for host in addresses * 2]
                answers[f"{family.name} {place}"] = [list(addresses * 2), found]
        nursery.cancel_scope.cancel()
    print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    add_addresses()
    trio.run(tell)
    sys.exit()
