"""A UDP socket that is connected to an instance, for one session."""

import errno
import os
import socket
from collections.abc import Callable
from typing import Final

from van.names import Endpoint, Target
from van.router.flow.datagrams import ReadBudget
from van.router.flow.drops import DropCause, Drops
from van.router.reactor.bursts import cut_into
from van.router.reactor.loop import EventLoop
from van.router.reactor.poller import READ
from van.router.reactor.sockets import describe, dropped_by_kernel
from van.wire.channel import MAX_DATAGRAM

READS_PER_TURN: Final = 16
"""Datagrams that one socket may give before the others have their turn."""
_BLOCKED: Final = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM})


def connect_target(place: Target) -> socket.socket:
    """Return a socket that is connected to an instance's place; raise `OSError`.

    No packet is sent: whether anybody is there, an error tells after the first datagram.
    """
    if not isinstance(place, Endpoint):
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect((place.host, place.port))
    except BaseException:
        sock.close()
        raise
    return sock


def note_failed_send(exc: OSError, drops: Drops) -> bool:
    """Count a datagram that a socket did not take; tell whether the socket can go on."""
    if exc.errno in _BLOCKED:
        drops[DropCause.LOCAL_BLOCKED] += 1
    elif exc.errno == errno.EMSGSIZE:
        drops[DropCause.TOO_LARGE] += 1
    else:
        return False
    return True


def unheard(*_: object) -> None:
    """Take what is of no interest any more."""


class DatagramTarget:
    """Sends to an instance, and hears it; `on_failure` is called once at most."""

    __slots__ = (
        "_budget", "_drops", "_is_asked", "_is_open", "_loop", "_on_datagram", "_on_failure",
        "_sock", "_watch",
    )  # fmt: skip

    def __init__(
        self,
        loop: EventLoop,
        sock: socket.socket,
        drops: Drops,
        *,
        on_datagram: Callable[[memoryview], None],
        on_failure: Callable[[str], None],
    ) -> None:
        """Own the socket; what `on_datagram` takes is valid during the call only."""
        self._loop = loop
        self._sock = sock
        self._drops = drops
        self._on_datagram = on_datagram
        self._on_failure = on_failure
        self._budget = ReadBudget(READS_PER_TURN, loop.clock)
        self._is_asked = False
        """Whether it has said nothing since it was sent something."""
        self._is_open = True
        self._watch = loop.watch(sock.fileno(), READ, self._receive, self._fail)

    def send(self, datagram: bytes | memoryview) -> None:
        """Send a datagram, or drop and count it."""
        if not self._is_asked:
            self._asked()
        try:
            self._sock.send(datagram)
        except OSError as exc:
            if not note_failed_send(exc, self._drops):
                self._fail(describe(exc))

    def send_burst(self, datagrams: list[memoryview]) -> None:
        """Send datagrams of one size, as `send` does each."""
        if not self._is_asked:
            self._asked()
        try:
            self._sock.sendmsg(datagrams, (cut_into(len(datagrams[0])),))
        except OSError:  # what it is about, each of them tells
            for each in datagrams:
                self.send(each)

    def error(self) -> str:
        """Return why the instance did not take what was sent, if that is known by now.

        On the same machine it is, since the kernel hands an ICMP error over within `send`.
        """
        if not self._is_open:
            return "closed"
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return os.strerror(code).lower() if code else ""

    def close(self) -> None:
        """Close the socket; a second call does nothing."""
        if self._is_open:
            self._is_open = False
            self._watch.close(is_last=True)
            self._watch.forget()
            if dropped := dropped_by_kernel(self._sock):
                self._drops[DropCause.SOCKET_FULL] += dropped
            self._sock.close()
            # Whoever hears of it holds it.
            self._on_datagram = self._on_failure = unheard

    def _fail(self, reason: str) -> None:
        if self._is_open:
            tell = self._on_failure
            self.close()
            tell(reason)

    def _receive(self, _mask: int) -> None:
        buffer, budget = self._loop.buffer, self._budget
        for taken in range(budget.count):
            try:
                count = self._sock.recv_into(buffer)
            except BlockingIOError:
                budget.took(taken)
                return
            except OSError as exc:
                if exc.errno != errno.EMSGSIZE:
                    self._fail(describe(exc))
                    return
                count = MAX_DATAGRAM + 1  # told of an earlier one: that one is lost
            if count > MAX_DATAGRAM:
                self._drops[DropCause.TOO_LARGE] += 1
                continue
            if self._is_asked:
                self._answered()
            self._on_datagram(buffer[:count])
            if not self._is_open:
                return
        budget.took(taken + 1)

    def _asked(self) -> None:
        """See the first that the instance is sent since it spoke last."""
        self._is_asked = True

    def _answered(self) -> None:
        """See the first that the instance says since it was sent something."""
        self._is_asked = False
