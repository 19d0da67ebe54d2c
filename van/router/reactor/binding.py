"""Sockets that are bound to every address which an endpoint stands for."""

import errno
import socket
from typing import Final

import trio

from van.names import Endpoint

NOT_HERE: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
"""A name may have addresses of a family that this machine does not speak, or has switched off."""


async def bind_all(endpoint: Endpoint, kind: socket.SocketKind) -> list[socket.socket]:
    """Return non-blocking sockets that are bound to the addresses of an endpoint.

    Those that this machine does not have are left out, if it has another. Port 0 picks a free one,
    the same for all. Raises `OSError`; nothing is open then.
    """
    found = await trio.socket.getaddrinfo(
        endpoint.host, endpoint.port, type=kind, flags=socket.AI_PASSIVE
    )
    bound: list[socket.socket] = []
    missing: OSError | None = None
    port = endpoint.port
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            try:
                bound.append(_bind(family, kind, (address[0], port, *address[2:])))
            except OSError as exc:
                if exc.errno not in NOT_HERE:
                    raise
                missing = exc
            else:
                port = bound[0].getsockname()[1]
        if not bound:
            raise missing or OSError(errno.EADDRNOTAVAIL, "it has no address")
    except BaseException:
        for sock in bound:
            sock.close()
        raise
    return bound


def _bind(family: int, kind: int, address: tuple[str | int, ...]) -> socket.socket:
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock
