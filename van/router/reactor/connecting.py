"""Async steps that make connections between sites: to another one, and by who dials this one.

The data plane keeps standard-library sockets throughout, so that a connection can pass from a trio
task, which sets it up, to the loop, which moves its bytes, without a copy or a wrapper.
"""

import errno
import socket
from collections.abc import Sequence
from functools import partial
from typing import Final

import trio

from van.errors import LinkLost, PortInUse, Unreachable
from van.names import Endpoint
from van.router.reactor import tls_io
from van.router.reactor.binding import bind_all
from van.router.reactor.racing import race
from van.router.reactor.sockets import describe, set_site_options
from van.tls.connection import TlsConnection
from van.tls.contexts import Context
from van.tls.failures import remote_error

CONNECT_TIMEOUT: Final = 5.0
"""Seconds for a TCP connection to another site, every address of its name together."""
HANDSHAKE_TIMEOUT: Final = 5.0
"""Seconds for the TLS handshake on it; the link port there waits for no longer either."""
STAGGER: Final = 0.25
"""Seconds that one address is tried before the next is tried beside it (RFC 8305, section 5)."""
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
    set_site_options(sock)
    return sock


async def secure(
    context: Context, sock: socket.socket, endpoint: Endpoint, *, remedy: str
) -> TlsConnection:
    """Shake hands with the site that was dialled, on a connection that belongs to this call.

    Raises `LinkLost`, or `CertificateError` if one end did not believe the other; the remedy is for
    an endpoint that leads to another VAN.
    """
    try:
        with trio.fail_after(HANDSHAKE_TIMEOUT):
            return await tls_io.handshake(context, sock, server_side=False)
    except trio.TooSlowError as exc:
        raise LinkLost(
            f"{endpoint} did not finish the TLS handshake in {HANDSHAKE_TIMEOUT:.0f} s"
        ) from exc
    except OSError as exc:
        raise remote_error(exc, str(endpoint), remedy=remedy) from exc


async def dial_first(
    endpoints: Sequence[Endpoint], context: Context, *, remedy: str
) -> tuple[Endpoint, TlsConnection]:
    """Connect to a site at the first of its endpoints that answers, and return which that was.

    They are tried one beside the other, those that come first a little earlier; what accepts
    connections and never shakes hands holds nobody up. Raises `AllFailed`, of `RemoteError`; the
    remedy is for an endpoint that leads to another VAN.
    """
    connected: set[int] = set()

    async def reach(number: int, endpoint: Endpoint) -> TlsConnection:
        sock = await dial(endpoint)
        connected.add(number)
        return await secure(context, sock, endpoint, remedy=remedy)

    won = await race(
        [partial(reach, number, endpoint) for number, endpoint in enumerate(endpoints)],
        stagger=STAGGER,
        discard=TlsConnection.close,
        is_promising=connected.__contains__,
    )
    return endpoints[won.number], won.result


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


def _remedy(exc: OSError, endpoint: Endpoint) -> str:
    if exc.errno == errno.EADDRINUSE:
        return "choose another port, or see what uses it with 'ss -ltnp'"
    if exc.errno == errno.EADDRNOTAVAIL or isinstance(exc, socket.gaierror):
        return f"{endpoint.host} is no address of this machine now: see 'ip address'"
    return "choose another port or address"


async def open_listeners(endpoint: Endpoint) -> list[socket.socket]:
    """Open non-blocking listening sockets for every address of an endpoint; raise `PortInUse`.

    Port 0 picks a free one.
    """
    listening: list[socket.socket] = []
    try:
        listening = await bind_all(endpoint, socket.SOCK_STREAM)
        for sock in listening:
            sock.listen(BACKLOG)
            set_site_options(sock)  # what it accepts has them too
    except OSError as exc:
        for sock in listening:
            sock.close()
        raise PortInUse(
            f"can't open port {endpoint}: {describe(exc)}; {_remedy(exc, endpoint)}"
        ) from exc
    return listening
