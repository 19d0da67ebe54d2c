"""The UDP socket of a listener: whom a datagram came from, and how that client is answered.

A client takes an answer only from where it had sent to. A socket of all addresses of a host is told
by the kernel which of them that was (RFC 3542, section 6), and answers from there; the same client
is another one at each of them.
"""

import socket
import struct
import sys
from typing import Any, Final, Protocol

from van.router.reactor.sockets import dropped_by_kernel

Address = tuple[Any, ...]
"""As the socket module has it; its form is the family's."""
Client = tuple[Any, ...]
"""What tells clients of one socket apart."""
_IP_PKTINFO: Final[int | None] = {"linux": 8, "darwin": 26}.get(sys.platform)
_IPV4_INFO: Final = struct.Struct("=i4s4s")
"""Interface, local address, destination: `in_pktinfo`."""
_IPV6_INFO: Final = struct.Struct("=16sI")
"""Address and interface: `in6_pktinfo`."""
_ROOM: Final = socket.CMSG_SPACE(_IPV6_INFO.size)
_LINK_LOCAL: Final = b"\xfe\x80"
_MULTICAST: Final = 0xFF


class ClientSocket(Protocol):
    """A listener's socket; `close` is its owner's."""

    def receive(self, buffer: memoryview) -> tuple[int, Client]:
        """Read a datagram, and return its size and whose it is; raise `OSError`."""

    def reply(self, client: Client, data: memoryview) -> None:
        """Send a datagram to a client; raise `OSError`."""

    def address(self, client: Client) -> Address:
        """Return where a client is."""

    def new_drops(self) -> int:
        """Return how many datagrams the kernel has dropped since the last call."""


def client_socket(sock: socket.socket) -> ClientSocket:
    """Return what serves the clients of a socket that has been bound."""
    host = sock.getsockname()[0]
    if sock.family == socket.AF_INET6 and host == "::" and hasattr(socket, "IPV6_RECVPKTINFO"):
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        return _AllAddresses(sock)
    if sock.family == socket.AF_INET and host == "0.0.0.0" and _IP_PKTINFO is not None:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        return _AllAddresses(sock)
    return _OneAddress(sock)


class _OneAddress:
    """A socket of one address: clients are told apart by theirs alone."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._drops = 0

    def receive(self, buffer: memoryview) -> tuple[int, Client]:
        """Read a datagram, and return its size and whose it is; raise `OSError`."""
        return self.sock.recvfrom_into(buffer)

    def reply(self, client: Client, data: memoryview) -> None:
        """Send a datagram to a client; raise `OSError`."""
        self.sock.sendto(data, client)

    def address(self, client: Client) -> Address:
        """Return where a client is."""
        return client

    def new_drops(self) -> int:
        """Return how many datagrams the kernel has dropped since the last call."""
        before, self._drops = self._drops, dropped_by_kernel(self.sock)
        return (self._drops - before) & 0xFFFFFFFF


class _AllAddresses(_OneAddress):
    """A socket of all addresses: a client is an address, and what answers it from the right one."""

    def receive(self, buffer: memoryview) -> tuple[int, Client]:
        """Read a datagram, and return its size and whose it is; raise `OSError`."""
        count, ancillary, _, address = self.sock.recvmsg_into([buffer], _ROOM)
        return count, (address, _source(ancillary))

    def reply(self, client: Client, data: memoryview) -> None:
        """Send a datagram to a client; raise `OSError`."""
        address, source = client
        self.sock.sendmsg([data], source, 0, address)

    def address(self, client: Client) -> Address:
        """Return where a client is."""
        found: Address = client[0]
        return found


def _source(received: list[tuple[int, int, bytes]]) -> tuple[tuple[int, int, bytes], ...]:
    """Return what makes an answer come from where a datagram was sent to."""
    for level, kind, data in received:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            _, local, _ = _IPV4_INFO.unpack_from(data)
            # No interface: which one an answer leaves by, routing says.
            return ((level, kind, _IPV4_INFO.pack(0, local, bytes(4))),)
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            local, interface = _IPV6_INFO.unpack_from(data)
            if local[0] == _MULTICAST:
                return ()  # what was sent to many is answered by one, whose address the kernel has
            scope = interface if local.startswith(_LINK_LOCAL) else 0
            return ((level, kind, _IPV6_INFO.pack(local, scope)),)
    return ()
