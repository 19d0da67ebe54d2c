"""One socket's registration with an event loop, and what may move from one loop to another."""

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from van.router.reactor.poller import Poller

Loop = TypeVar("Loop", bound="WatchOwner")
Loop_contra = TypeVar("Loop_contra", contravariant=True)

Handler = Callable[[int], None]
Fail = Callable[[str], object]
"""Ends what a handler was for."""


class Movable(Protocol[Loop_contra]):
    """What can be moved by another loop, sockets and all."""

    seen: tuple[float, int] | None
    """When somebody looked last whether it should be, and how many bytes had passed by then."""

    def bytes_passed(self) -> int:
        """Return how many bytes have passed so far, in both directions."""

    def move_to(self, loop: Loop_contra) -> None:
        """Hand everything to another loop, unless now is not the time."""


def leave(reason: str) -> None:
    """Leave it to whoever owns the watch."""


class WatchOwner(Protocol):
    """What a watch needs of its loop."""

    poller: Poller
    watches: dict[int, Any]
    """The watch of each descriptor."""
    has_epoll: bool


def _ignore(mask: int) -> None:
    """Handle nothing any more."""


class Watch(Generic[Loop]):
    """One socket's registration with the loop.

    A socket that is watched for nothing still reports errors and hang-ups; `suspend` silences
    these too, until the mask is set again.
    """

    __slots__ = ("_is_registered", "_loop", "_mask", "fail", "fd", "handler", "part_of")

    def __init__(self, loop: Loop, fd: int, mask: int | None, handler: Handler, fail: Fail) -> None:
        self._loop = loop
        self._mask = 0
        self._is_registered = False
        self.fd = fd
        self.handler = handler
        self.fail = fail
        self.part_of: Movable[Loop] | None = None
        """What may go to another loop when it is busy."""
        loop.watches[fd] = self
        if mask is not None:
            self.set(mask)

    def set(self, mask: int) -> None:
        """Watch for exactly these events from now on."""
        if not self._is_registered:
            self._loop.poller.register(self.fd, mask)
            self._is_registered = True
        elif mask != self._mask:
            self._loop.poller.modify(self.fd, mask)
        self._mask = mask

    def suspend(self) -> None:
        """Report nothing at all until `set` is called."""
        if self._is_registered:
            self._loop.poller.unregister(self.fd)
            self._is_registered = False

    def close(self, *, is_last: bool = False) -> None:
        """End the registration; call it before the socket is closed or handed on.

        A second call does nothing: by then the descriptor may be another socket's. If it is
        the last before the socket is closed, epoll need not be told.
        """
        if is_last and self._loop.has_epoll:
            self._is_registered = False
        else:
            self.suspend()
        if self._loop.watches.get(self.fd) is self:
            del self._loop.watches[self.fd]

    def forget(self) -> None:
        """Let go of whoever is called, after `close` and when there is nothing left to be told.

        Whoever is called holds the watch: without this only a search for cycles would free both.
        """
        self.handler, self.fail, self.part_of = _ignore, leave, None
