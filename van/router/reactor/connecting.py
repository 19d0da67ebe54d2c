"""Async steps that make connections between sites: to another one, and by who dials this one.

The data plane keeps standard-library sockets throughout, so that a connection can pass from a trio
task, which sets it up, to the loop, which moves its bytes, without a copy or a wrapper.
"""

import socket
from typing import Final

import trio

from van.errors import PortInUse, Unreachable
from van.names import Endpoint
from van.router.reactor.binding import bind_all
from van.router.reactor.sockets import describe, set_flow_options

CONNECT_TIMEOUT: Final = 5.0
"""Seconds for a TCP connection to another site, every address of its name together."""
BACKLOG: Final = 1024
"""Connections that may wait to be accepted."""


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


async def look_up(endpoint: Endpoint, kind: socket.SocketKind) -> list[Endpoint]:
    """Return where the host of an endpoint is, each address once; raise `OSError`.

    Addresses of a family that this machine has no way out by are left out, if there are others.
    """
    flags = socket.AI_ADDRCONFIG
    try:
        found = await trio.socket.getaddrinfo(endpoint.host, endpoint.port, type=kind, flags=flags)
    except socket.gaierror:
        # That also leaves out the machine's own name, where its address is a loopback's.
        found = await trio.socket.getaddrinfo(endpoint.host, endpoint.port, type=kind)
    return list(dict.fromkeys(Endpoint(str(each[0]), int(each[1])) for *_, each in found))


async def open_listeners(endpoint: Endpoint) -> list[socket.socket]:
    """Open non-blocking listening sockets for every address of an endpoint; raise `PortInUse`.

    Port 0 picks a free one.
    """
    listening: list[socket.socket] = []
    try:
        listening = await bind_all(endpoint, socket.SOCK_STREAM)
        for sock in listening:
            sock.listen(BACKLOG)
            set_flow_options(sock)  # what it accepts has them too
    except OSError as exc:
        for sock in listening:
            sock.close()
        raise PortInUse(
            f"can't open port {endpoint}: {describe(exc)}; choose another port, "
            "or see what uses it with 'ss -ltnp'"
        ) from exc
    return listening
