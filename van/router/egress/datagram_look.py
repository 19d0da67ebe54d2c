"""Looks whether anybody takes datagrams at an instance that refused some, at no client's cost.

UDP has no connection that could be tried. On this machine the kernel says which ports are open, and
nothing has to be sent. Elsewhere an empty datagram shows it: where nobody is, the host says so, and
where nothing is said there may be somebody.
"""

import errno
import os
import socket
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final

import trio

from van.names import Endpoint
from van.router.egress.instance import ALL_WELL, Finding, Instance, judge
from van.router.flow.datagram_socket import connect_target
from van.router.reactor.limits import Limits

TABLES: Final = (Path("/proc/self/net/udp"), Path("/proc/self/net/udp6"))
"""The UDP sockets of this machine, where the system tells of them."""
UNREACHABLE_QUIET: Final = 3.5
"""Seconds of silence that speak for a host which could not be reached: the kernel asks for its
link-layer address three times, a second apart, before it gives up."""
_UNREACHABLE: Final = frozenset(
    os.strerror(code).lower() for code in (errno.EHOSTUNREACH, errno.ENETUNREACH)
)


async def look_for_datagrams(instance: Instance, limits: Limits) -> Finding:
    """Return what a look at an instance of UDP finds."""
    place = instance.place
    if isinstance(place, Endpoint) and await trio.to_thread.run_sync(is_bound, place):
        return ALL_WELL
    quiet = limits.answer_timeout
    if instance.why in _UNREACHABLE:
        quiet = max(quiet, UNREACHABLE_QUIET)
    try:
        with connect_target(place) as sock:
            sock.send(b"")
            with trio.move_on_after(quiet):
                await trio.lowlevel.wait_readable(sock)
                sock.recv(1)  # any answer will do, and any error is raised
    except BlockingIOError:
        return ALL_WELL  # it was readable for a moment, which says as little as silence
    except OSError as exc:
        return judge(exc)
    return ALL_WELL


def is_bound(place: Endpoint, tables: Iterable[Path] = TABLES) -> bool:
    """Tell whether a program of this machine is known to take datagrams at a place."""
    if not _is_here(place.host):
        return False
    for table in tables:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue  # another system, or one without IPv6
        if any(_takes(line.split(), place) for line in lines):
            return True
    return False


def _is_here(host: str) -> bool:
    """Tell whether an address is one of this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
    except OSError:
        return False
    return True


def _takes(fields: list[str], place: Endpoint) -> bool:
    """Tell whether a line of a table is a socket that takes datagrams from anybody at a place."""
    host, _, port = fields[1].partition(":")
    if int(port, 16) != place.port or int(fields[2].rpartition(":")[2], 16):
        return False
    words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
    bound = ip_address(b"".join(words))
    if isinstance(bound, IPv6Address):
        bound = bound.ipv4_mapped or bound
    wanted = ip_address(place.host.partition("%")[0])
    # A socket of all of IPv6 takes IPv4 too, unless it was told not to.
    return bound == wanted or (bound.is_unspecified and bound.version >= wanted.version)
