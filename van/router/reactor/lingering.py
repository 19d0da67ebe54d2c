"""Resets a connection behind what was sent on it, so that the program there reads that first.

A reset makes the kernel drop what it has not sent yet. What the other end of a flow wrote before it
was reset has arrived at this site, and would have arrived at the program had the two been connected
directly: so it goes ahead of the reset, at the pace at which the program takes it.
"""

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from van.router.reactor.poller import ERROR, HANGUP, WRITE
from van.router.reactor.sockets import close_with_reset, unacknowledged

if TYPE_CHECKING:
    from van.router.reactor.loop import EventLoop

FIRST_LOOK: Final = 0.002
"""Seconds until it is looked again whether all has arrived; each time twice as many, up to …"""
LAST_LOOK: Final = 0.1


def reset_behind(
    loop: "EventLoop",
    sock: socket.socket,
    unsent: bytes = b"",
    *,
    send: Callable[[bytes], int] | None = None,
) -> None:
    """Close a socket with a reset as soon as its peer has what was sent, and `unsent` behind that,
    which `send` sends, or the socket itself.

    At once if it has. A peer that takes nothing for `Limits.stall_timeout` is reset without it,
    and so is one for which there is no room in the loop's `lingering`. The socket belongs to this
    call, nobody else watches it; for the thread of the loop.
    """
    has_arrived = not unsent and not unacknowledged(sock)
    if has_arrived or len(loop.lingering) >= loop.limits.max_lingering:
        close_with_reset(sock)
    else:
        _Lingering(loop, sock, unsent, send or sock.send)


class _Lingering:
    """One socket that is to be reset, until it is."""

    def __init__(
        self,
        loop: "EventLoop",
        sock: socket.socket,
        unsent: bytes,
        send: Callable[[bytes], int],
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._send_some = send
        self._unsent = unsent
        self._left = -1
        """How many bytes were left at the last look."""
        self._stalled = 0.0
        self._pause = FIRST_LOOK
        self._is_over = False
        loop.lingering[self] = None
        mask = WRITE if unsent else 0
        self._watch = loop.watch(sock.fileno(), mask, self._handle, self._fail)
        self._look_later()
        if unsent:
            self._send()

    def close(self) -> None:
        """Reset it now."""
        if not self._is_over:
            self._is_over = True
            self._watch.close()
            self._watch.forget()
            close_with_reset(self._sock)
            self._loop.lingering.pop(self, None)

    def _fail(self, _reason: str) -> None:
        self.close()

    def _handle(self, mask: int) -> None:
        if mask & ERROR:
            self.close()
        elif mask & WRITE:
            self._send()
        elif mask & HANGUP:  # it would be reported for ever; what is on its way still gets there
            self._watch.suspend()

    def _send(self) -> None:
        try:
            sent = self._send_some(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._watch.set(0)

    def _look_later(self) -> None:
        self._loop.call_later(self._pause, self._look_in_loop)

    def _look_in_loop(self) -> None:
        self._loop.call(self._look)

    def _look(self) -> None:
        if self._is_over:
            return
        left = len(self._unsent) + unacknowledged(self._sock)
        self._stalled = self._stalled + self._pause if left == self._left else 0.0
        if not left or self._stalled >= self._loop.limits.stall_timeout:
            self.close()
            return
        self._left = left
        self._pause = min(2 * self._pause, LAST_LOOK)
        self._look_later()
