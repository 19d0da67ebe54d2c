"""Keeps a defect that one flow, peer, or request meets from ending those of the others.

This is the one place where any exception is caught: it is written to the log once, with its
traceback, and counted, and what it was for is ended. Errors that are expected are caught where they
are expected, and never come here.
"""

import logging
import threading
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Final

import trio

logger = logging.getLogger(__name__)

DEFECT: Final = "a defect, see the log"
"""What is told of it to whoever is at the other end."""

Function = Callable[[], object]
End = Callable[[str], object]
"""Ends what met a defect; takes what to tell of it."""


def _leave(detail: str) -> None:
    """Leave it to whoever owns it."""


def _always() -> bool:
    return True


class Defects:
    """Counts the defects that were met; may be used from any thread."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def contain(
        self, what: str, *args: object, end: End = _leave, when: Callable[[], bool] = _always
    ) -> "Containment":
        """Return a context that lets no `Exception` out: it ends what met it, and counts it.

        What that is, is told as in a call to a logger. `when` is asked at a defect whether it is
        one to be contained. A cancellation passes, as does all else that
        is no `Exception`. The context may be entered again and again.
        """
        return Containment(self, what, args, end, when)

    def call(self, function: Function, what: str, *args: object, end: End) -> None:
        """Call a function once in the context that `contain` returns; it costs a quarter."""
        try:
            function()
        except Exception as exc:  # noqa: BLE001  # the reason that this module is there
            self.end(end, what, args, exc)

    def call_each(self, functions: Iterable[Function], what: str) -> None:
        """Call functions one after the other, each in a context as `contain` returns it."""
        for function in functions:
            try:
                function()
            except Exception as exc:  # noqa: BLE001  # likewise
                self.report(what, (), exc)

    def end(self, end: End, what: str, args: tuple[object, ...], exc: Exception) -> None:
        """End what has met a defect, and count that."""
        self.report(what, args, exc)
        try:
            end(DEFECT)
        except Exception as also:  # noqa: BLE001  # likewise
            self.report("to end " + what, args, also)

    def report(self, what: str, args: tuple[object, ...], exc: Exception) -> None:
        """Write a defect to the log, and count it."""
        with self._lock:
            self.count += 1
        logger.error("%s failed", what % args, exc_info=exc)


class Containment:
    """What `Defects.contain` returns."""

    __slots__ = ("_args", "_defects", "_end", "_what", "_when")

    def __init__(
        self,
        defects: Defects,
        what: str,
        args: tuple[object, ...],
        end: End,
        when: Callable[[], bool],
    ) -> None:
        self._defects = defects
        self._what = what
        self._args = args
        self._end = end
        self._when = when

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if exc is None or not isinstance(exc, Exception) or not self._when():
            return False
        self._defects.end(self._end, self._what, self._args, exc)
        return True


class Tasks:
    """Starts tasks in a nursery, each of which may meet a defect without ending the others.

    The nursery's owner cancels them; a task that is cancelled tells nobody.
    """

    def __init__(self, nursery: trio.Nursery, defects: Defects) -> None:
        self._nursery = nursery
        self.defects = defects

    def start(
        self, function: Callable[..., Awaitable[object]], *args: object, end: End = _leave
    ) -> None:
        """Start a task; `end` is called if it meets a defect."""
        self._nursery.start_soon(self._run, function, args, end, name=function)

    async def _run(
        self, function: Callable[..., Awaitable[object]], args: tuple[object, ...], end: End
    ) -> None:
        with self.defects.contain("task %r", function, end=end):
            await function(*args)
