"""Channels that are being set up, by the link they need, to be given up as soon as it is lost.

Without that, what waits for an answer over a link whose other side fell silent would wait for all
of its own timeout, and with it the flows that it was for, though another path is there already.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from van.errors import LinkLost


class PendingSetups:
    """What is under way over each link."""

    def __init__(self) -> None:
        self._scopes: dict[str, set[trio.CancelScope]] = {}

    @contextmanager
    def over(self, neighbor: str) -> Iterator[None]:
        """Do something that needs the link to a neighbour; raises `LinkLost` when that is lost."""
        scopes = self._scopes.setdefault(neighbor, set())
        with trio.CancelScope() as scope:
            scopes.add(scope)
            try:
                yield
            finally:
                scopes.discard(scope)
                if not scopes and self._scopes.get(neighbor) is scopes:
                    del self._scopes[neighbor]
        if scope.cancelled_caught:
            raise LinkLost(f"the link to site {neighbor!r} was lost")

    def link_lost(self, neighbor: str) -> None:
        """Give up everything that is under way over a link."""
        for scope in self._scopes.pop(neighbor, ()):
            scope.cancel()
