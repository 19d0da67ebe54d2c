"""Who is told of what happens in another part of the router.

A part that is built first does not know those that are built on it: they subscribe, in the order
in which they are built, and are told in that order.
"""

from collections.abc import Callable
from typing import Generic, ParamSpec

P = ParamSpec("P")


class Subscribers(Generic[P]):
    """Whom to tell of one kind of event. A subscriber that raises ends the telling."""

    def __init__(self) -> None:
        self._handlers: list[Callable[P, object]] = []

    def subscribe(self, handler: Callable[P, object]) -> None:
        """Have a function called whenever it happens, after those that subscribed before."""
        self._handlers.append(handler)

    def tell(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call all of them with what has happened, before this returns."""
        for handler in self._handlers:
            handler(*args, **kwargs)
