"""Channels that are being set up, by the link they need, to be given up as soon as it is lost.

Without that, what waits for an answer over a link whose other side fell silent would wait for all
of its own timeout, and with it the flows that it was for, though another path is there already.
"""

from types import TracebackType

import attrs
import trio

from van.errors import LinkLost


class PendingSetups:
    """What is under way over each link."""

    def __init__(self) -> None:
        self._scopes: dict[str, set[trio.CancelScope]] = {}

    def over(self, neighbor: str) -> "_Setup":
        """Do something that needs the link to a neighbour; raises `LinkLost` when that is lost."""
        return _Setup(self._scopes, neighbor)

    def link_lost(self, neighbor: str) -> None:
        """Give up everything that is under way over a link."""
        for scope in self._scopes.pop(neighbor, ()):
            scope.cancel()


@attrs.frozen
class _Setup:
    """One setup, for a `with`.

    It is no generator: one that swallows what cancelled it and raises something else leaves, from
    Python 3.13 on, a cycle of that exception and its frames, and with them the link.
    """

    _scopes: dict[str, set[trio.CancelScope]]
    _neighbor: str
    _scope: trio.CancelScope = attrs.field(init=False, factory=trio.CancelScope)

    def __enter__(self) -> None:
        self._scope.__enter__()
        self._scopes.setdefault(self._neighbor, set()).add(self._scope)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        scopes = self._scopes.get(self._neighbor, set())
        scopes.discard(self._scope)
        if not scopes:
            self._scopes.pop(self._neighbor, None)
        self._scope.__exit__(kind, error, traceback)
        if self._scope.cancelled_caught:
            raise LinkLost(f"the link to site {self._neighbor!r} was lost")
