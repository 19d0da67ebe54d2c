"""The UDP socket of a listener: whom a datagram came from, and how that client is answered.

A client takes an answer only from where it had sent to. A socket of all addresses of a host is told
by the kernel which of them that was (RFC 3542, section 6), and answers from there; the same client
is another one at each of them.
"""

import socket
import struct
import sys
from typing import TYPE_CHECKING, Any, Final

from van.router.flow.datagram_socket import note_failed_send
from van.router.flow.drops import DropCause, Drops
from van.router.reactor.bursts import Ancillary, cut_into
from van.router.reactor.sockets import dropped_by_kernel

if TYPE_CHECKING:
    from collections.abc import Callable

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


def client_socket(sock: socket.socket, drops: Drops) -> "ClientSocket":
    """Return what serves the clients of a socket that has been bound."""
    host = sock.getsockname()[0]
    if sock.family == socket.AF_INET6 and host == "::" and hasattr(socket, "IPV6_RECVPKTINFO"):
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        return _OfAllAddresses(sock, drops)
    if sock.family == socket.AF_INET and host == "0.0.0.0" and _IP_PKTINFO is not None:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        return _OfAllAddresses(sock, drops)
    return ClientSocket(sock, drops)


class ClientSocket:
    """A listener's socket, which its owner closes. Clients are told apart by their addresses."""

    def __init__(self, sock: socket.socket, drops: Drops) -> None:
        self.receive: Callable[[memoryview], tuple[int, Client]] = sock.recvfrom_into
        """Reads a datagram, and returns its size and whose it is; raises `OSError`."""
        self.reply: Callable[[memoryview, Client], object] = sock.sendto
        """Sends a datagram to a client; raises `OSError`, for `not_taken`."""
        self._sock = sock
        self._drops = drops
        self._dropped = 0

    def reply_burst(self, datagrams: list[memoryview], client: Client) -> None:
        """Send datagrams of one size to a client, or drop and count them."""
        try:
            self._send_burst(datagrams, client, cut_into(len(datagrams[0])))
        except OSError:  # what it is about, each of them tells
            for each in datagrams:
                try:
                    self.reply(each, client)
                except OSError as exc:
                    self.not_taken(exc)

    def _send_burst(self, datagrams: list[memoryview], client: Client, cut: Ancillary) -> None:
        self._sock.sendmsg(datagrams, (cut,), 0, client)

    def not_taken(self, exc: OSError) -> None:
        """Count a reply that was not sent."""
        if not note_failed_send(exc, self._drops):
            # What an earlier one met, or a client that can't be reached: it may be again.
            self._drops[DropCause.LOCAL_BLOCKED] += 1

    def address(self, client: Client) -> Address:
        """Return where a client is."""
        return client

    def count_drops(self) -> None:
        """Count what the kernel had no room for since the last call."""
        before, self._dropped = self._dropped, dropped_by_kernel(self._sock)
        if dropped := (self._dropped - before) & 0xFFFFFFFF:
            self._drops[DropCause.SOCKET_FULL] += dropped


class _OfAllAddresses(ClientSocket):
    """A socket of all addresses: a client is an address, and what answers it from the right one."""

    def __init__(self, sock: socket.socket, drops: Drops) -> None:
        super().__init__(sock, drops)
        self.receive = self._receive
        self.reply = self._reply

    def _receive(self, buffer: memoryview) -> tuple[int, Client]:
        count, ancillary, _, address = self._sock.recvmsg_into([buffer], _ROOM)
        return count, (address, _source(ancillary))

    def _reply(self, data: memoryview, client: Client) -> None:
        address, source = client
        self._sock.sendmsg([data], source, 0, address)

    def _send_burst(self, datagrams: list[memoryview], client: Client, cut: Ancillary) -> None:
        address, source = client
        self._sock.sendmsg(datagrams, (*source, cut), 0, address)

    def address(self, client: Client) -> Address:
        """Return where a client is."""
        found: Address = client[0]
        return found


def _source(received: list[Ancillary]) -> tuple[Ancillary, ...]:
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
