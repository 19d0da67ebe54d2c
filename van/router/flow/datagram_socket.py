"""A UDP socket that is connected to an instance, for one session."""

import errno
import os
import socket
from collections.abc import Callable
from typing import Final

from van.names import Endpoint, Target
from van.router.flow.datagrams import ReadBudget
from van.router.flow.drops import DropCause, Drops
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


def _unheard(*_: object) -> None:
    """Take what is of no interest any more."""


def _unpaused() -> None:
    """Do nothing."""


class DatagramTarget:
    """Sends to an instance, and hears it; `on_failure` is called once at most."""

    __slots__ = (
        "_budget", "_drops", "_is_open", "_loop", "_on_datagram", "_on_failure", "_on_pause",
        "_sock", "_watch",
    )  # fmt: skip

    def __init__(
        self,
        loop: EventLoop,
        sock: socket.socket,
        drops: Drops,
        *,
        on_datagram: Callable[[int, bool], None],
        on_pause: Callable[[], None],
        on_failure: Callable[[str], None],
    ) -> None:
        """Own the socket; `on_datagram` takes how many bytes there are in the loop's payload, and
        whether `on_pause` is called soon, after others that have come together with this one."""
        self._loop = loop
        self._sock = sock
        self._drops = drops
        self._on_datagram = on_datagram
        self._on_pause = on_pause
        self._on_failure = on_failure
        self._budget = ReadBudget(READS_PER_TURN, loop.clock)
        self._is_open = True
        self._watch = loop.watch(sock.fileno(), READ, self._receive, self._fail)

    def send(self, datagram: bytes | memoryview) -> None:
        """Send a datagram, or drop and count it."""
        try:
            self._sock.send(datagram)
        except OSError as exc:
            if not note_failed_send(exc, self._drops):
                self._fail(describe(exc))

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
            self._on_datagram, self._on_pause, self._on_failure = _unheard, _unpaused, _unheard

    def _fail(self, reason: str) -> None:
        if self._is_open:
            tell = self._on_failure
            self.close()
            tell(reason)

    def _receive(self, _mask: int) -> None:
        are_many = self._budget.count > 1
        taken = 0
        while taken < self._budget.count and self._receive_one(are_many=are_many):
            taken += 1
        self._budget.took(taken)
        if are_many:
            self._on_pause()

    def _receive_one(self, *, are_many: bool) -> bool:
        """Hand a datagram on; tell whether there may be another one."""
        try:
            count = self._sock.recv_into(self._loop.payload)
        except BlockingIOError:
            return False
        except OSError as exc:
            if exc.errno != errno.EMSGSIZE:  # told of an earlier one: that one is lost
                self._fail(describe(exc))
                return False
            count = MAX_DATAGRAM + 1
        if count > MAX_DATAGRAM:
            self._drops[DropCause.TOO_LARGE] += 1
        else:
            self._on_datagram(count, are_many)
        return self._is_open
