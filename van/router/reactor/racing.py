"""Tries several ways to the same end, one beside the other, and takes the first that gets there.

As in RFC 8305, the next one is begun when the one before has failed, or has taken a while; what is
under way goes on meanwhile.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, Generic, TypeVar

import attrs
import trio

from van.errors import HostError, RemoteError

PATIENCE: Final = 4
"""How many times longer one that is promising is waited for."""
T = TypeVar("T")
Way = Callable[[], Awaitable[T]]
"""One attempt; raises `RemoteError`, `HostError`, or `OSError` if it comes to nothing. What it
returns belongs to the race, and one that is cancelled leaves nothing behind."""


class AllFailed(Exception):
    """No way led there; never leaves the caller of `race`."""

    def __init__(self, failures: Sequence[Exception]) -> None:
        """`failures` are those of the ways, in their order."""
        super().__init__("; ".join(dict.fromkeys(map(str, failures))))
        self.failures = tuple(failures)


@attrs.frozen
class Won(Generic[T]):
    """What the first that got there returned."""

    number: int
    """Which it was; those before it were begun too, and have failed or were slower."""
    result: T


async def race(
    ways: Sequence[Way[T]],
    *,
    stagger: float,
    discard: Callable[[T], object],
    is_promising: Callable[[int], bool] = lambda _: False,
) -> Won[T]:
    """Run a race of these ways, and return what won; raise `AllFailed`.

    `stagger` is how many seconds one may take before the next is begun, or several times as much if
    it is promising by then, and `discard` takes what came second.
    """
    return await _Race(ways, stagger, discard, is_promising).run()


class _Race(Generic[T]):
    def __init__(
        self,
        ways: Sequence[Way[T]],
        stagger: float,
        discard: Callable[[T], object],
        is_promising: Callable[[int], bool],
    ) -> None:
        self._ways = ways
        self._stagger = stagger
        self._discard = discard
        self._is_promising = is_promising
        self._failures: dict[int, Exception] = {}
        self._won: Won[T] | None = None

    async def run(self) -> Won[T]:
        try:
            async with trio.open_nursery() as nursery:
                for number, way in enumerate(self._ways):
                    failed = trio.Event()
                    run = partial(self._run, nursery.cancel_scope)
                    nursery.start_soon(run, number, way, failed)
                    await self._wait(number, failed)
        except BaseException:
            if self._won is not None:
                self._discard(self._won.result)
            raise
        if self._won is None:
            raise AllFailed([self._failures[number] for number in sorted(self._failures)])
        return self._won

    async def _wait(self, number: int, failed: trio.Event) -> None:
        """Wait until the next is to be begun."""
        with trio.move_on_after(self._stagger):
            await failed.wait()
        if not failed.is_set() and self._is_promising(number):
            with trio.move_on_after(self._stagger * PATIENCE):
                await failed.wait()

    async def _run(
        self, race: trio.CancelScope, number: int, way: Way[T], failed: trio.Event
    ) -> None:
        try:
            result = await way()
        except (RemoteError, HostError, OSError) as exc:
            self._failures[number] = exc
            failed.set()
            return
        if self._won is None:
            self._won = Won(number, result)
            race.cancel()
        else:
            self._discard(result)
