"""Async steps that make connections: to a target, to another site, and by who dials this one.

The data plane keeps standard-library sockets throughout, so that a connection can pass from a trio
task, which sets it up, to the loop, which moves its bytes, without a copy or a wrapper.
"""

import contextlib
import errno
import functools
import ipaddress
import os
import socket
from typing import Final

import trio

from van.errors import PortInUse, Unreachable
from van.names import Endpoint, Target, UnixPath
from van.router.reactor.sockets import describe, set_flow_options

CONNECT_TIMEOUT: Final = 5.0
"""Seconds for a TCP connection to another site, every address of its name together."""
BACKLOG: Final = 1024
"""Connections that may wait to be accepted."""
Place = tuple[str, int] | str
"""What `connect` takes: a host and a port, or a path."""


async def dial(endpoint: Endpoint) -> socket.socket:
    """Connect to another site; every address that the host name has now is tried.

    Raises `Unreachable`.
    """
    try:
        with trio.fail_after(CONNECT_TIMEOUT):
            stream = await trio.open_tcp_stream(endpoint.host, endpoint.port)
    except trio.TooSlowError as exc:
        raise Unreachable(f"{endpoint} did not answer in {CONNECT_TIMEOUT:.0f} s") from exc
    except OSError as exc:
        raise Unreachable(f"{endpoint} can't be reached: {describe(exc)}") from exc
    sock = socket.socket(fileno=stream.socket.detach())
    sock.setblocking(False)
    set_flow_options(sock)
    return sock


async def connect(target: Target, *, timeout: float) -> socket.socket:
    """Connect to a target within so many seconds.

    Raises `OSError` when no address of it takes the connection, and `trio.TooSlowError`.
    """
    deadline = trio.current_time() + timeout  # a scope costs more, and is hardly ever needed
    failure: OSError = OSError(errno.EADDRNOTAVAIL, f"{target} has no address")
    for family, address in await _resolve(target, deadline):
        sock, code = _begin_to_connect(family, address)
        try:
            if code == errno.EALREADY:
                with trio.fail_at(deadline):
                    await trio.lowlevel.wait_writable(sock)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code == 0:
                set_flow_options(sock)
                return sock
            failure = OSError(code, os.strerror(code))
        except BaseException:
            sock.close()
            raise
        sock.close()
    raise failure


def connect_at_once(target: Target) -> socket.socket | None:
    """Connect to a target on this machine; return None if that fails or can't be done at once."""
    place = _place_here(target)
    if place is None:
        return None
    sock, code = _begin_to_connect(*place)
    if code:
        sock.close()
        return None
    with contextlib.suppress(OSError):  # it has gone already, which shows on the next read
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _begin_to_connect(family: int, address: Place) -> tuple[socket.socket, int]:
    """Return a socket and how far it is: 0 when it is connected, EALREADY when that is under way,
    or why it can't be."""
    sock = socket.socket(family, socket.SOCK_STREAM | getattr(socket, "SOCK_NONBLOCK", 0))
    sock.setblocking(False)
    code = sock.connect_ex(address)
    if code == errno.EINPROGRESS:
        # On the same machine it takes no longer than to ask once more.
        code = sock.connect_ex(address)
        if code == errno.EISCONN:
            code = 0
        elif code == errno.EINPROGRESS:
            code = errno.EALREADY
    return sock, code


@functools.lru_cache(1024)
def _place_here(target: Target) -> tuple[int, Place] | None:
    """Return the family and address of a target on this machine that needs no looking up."""
    if isinstance(target, UnixPath):
        return (socket.AF_UNIX, target.path)
    try:
        address = ipaddress.ip_address(target.host)
    except ValueError:
        return None
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return (family, (target.host, target.port)) if address.is_loopback else None


async def _resolve(target: Target, deadline: float) -> list[tuple[int, Place]]:
    if isinstance(target, UnixPath):
        return [(socket.AF_UNIX, target.path)]
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):  # not a literal of this family
            socket.inet_pton(family, target.host)
            return [(family, (target.host, target.port))]
    with trio.fail_at(deadline):
        found = await trio.socket.getaddrinfo(
            target.host, target.port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
    return [(family, (str(address[0]), int(address[1]))) for family, *_, address in found]


async def open_listeners(endpoint: Endpoint) -> list[socket.socket]:
    """Open non-blocking listening sockets for every address of an endpoint; raise `PortInUse`.

    Port 0 picks a free one.
    """
    try:
        found = await trio.open_tcp_listeners(endpoint.port, host=endpoint.host, backlog=BACKLOG)
    except OSError as exc:
        raise PortInUse(
            f"can't open port {endpoint}: {describe(exc)}; choose another port, "
            "or see what uses it with 'ss -ltnp'"
        ) from exc
    listening = []
    for listener in found:
        sock = socket.socket(fileno=listener.socket.detach())
        sock.setblocking(False)
        set_flow_options(sock)  # what it accepts has them too
        listening.append(sock)
    return listening
