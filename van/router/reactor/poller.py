"""Readiness of many sockets behind one descriptor: epoll, or what the platform has instead.

`select.epoll` has the interface already; the fallback gives the same few calls over `selectors`.
The descriptor itself becomes readable when any socket is ready, so that a trio task can wait for
all of them at once.
"""

import select
import selectors
from typing import Final, Protocol

READ: Final = 0x001
WRITE: Final = 0x004
ERROR: Final = 0x008
HANGUP: Final = 0x010
END: Final = 0x2000
"""The peer sends no more; told only where it is asked for, and only by epoll.

The values are those that Linux gives to EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, and EPOLLRDHUP.
"""


class Poller(Protocol):
    """The part of `select.epoll` that the loop uses, level-triggered."""

    def register(self, fd: int, eventmask: int, /) -> None:
        """Begin to watch a descriptor."""

    def modify(self, fd: int, eventmask: int, /) -> None:
        """Change what a descriptor is watched for."""

    def unregister(self, fd: int, /) -> None:
        """Stop watching a descriptor."""

    def poll(self, timeout: float, maxevents: int) -> list[tuple[int, int]]:
        """Return ready descriptors with their events."""

    def fileno(self) -> int:
        """Return the descriptor that is readable when `poll` has something to return."""

    def close(self) -> None:
        """Release the descriptor."""


class SelectorPoller:
    """The same over `selectors`; hang-ups and errors show as readable and writable."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def register(self, fd: int, eventmask: int) -> None:
        """Begin to watch a descriptor; one that is watched for nothing is left out for now."""
        if events := _to_selector(eventmask):
            self._selector.register(fd, events)

    def modify(self, fd: int, eventmask: int) -> None:
        """Change what a descriptor is watched for."""
        self.unregister(fd)
        self.register(fd, eventmask)

    def unregister(self, fd: int) -> None:
        """Stop watching a descriptor."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def poll(self, timeout: float, maxevents: int) -> list[tuple[int, int]]:
        """Return ready descriptors with their events."""
        ready = self._selector.select(timeout)[:maxevents]
        return [(key.fd, _from_selector(events)) for key, events in ready]

    def fileno(self) -> int:
        """Return the selector's own descriptor; epoll and kqueue have one."""
        return self._selector.fileno()

    def close(self) -> None:
        """Release the descriptor."""
        self._selector.close()


def _to_selector(mask: int) -> int:
    reading = selectors.EVENT_READ if mask & READ else 0
    return reading | (selectors.EVENT_WRITE if mask & WRITE else 0)


def _from_selector(events: int) -> int:
    reading = READ if events & selectors.EVENT_READ else 0
    return reading | (WRITE if events & selectors.EVENT_WRITE else 0)


def open_poller() -> Poller:
    """Return the best poller that this platform has."""
    return select.epoll() if hasattr(select, "epoll") else SelectorPoller()
