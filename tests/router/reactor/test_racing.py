from functools import partial

import pytest
import trio

from van.errors import Unreachable
from van.router.reactor.racing import AllFailed, Won, race


class Ways:
    """Ways that take so many seconds, and then fail or return their number."""

    def __init__(self, *times: float, failing: tuple[int, ...] = ()) -> None:
        self.began: dict[int, float] = {}
        self.discarded: list[int] = []
        self.cancelled: list[int] = []
        self._times = times
        self._failing = failing
        self._start = trio.current_time()

    async def way(self, number: int) -> int:
        self.began[number] = trio.current_time() - self._start
        try:
            await trio.sleep(self._times[number])
        except trio.Cancelled:
            self.cancelled.append(number)
            raise
        if number in self._failing:
            raise Unreachable(f"way {number} is closed")
        return number

    async def race(self, *promising: int) -> Won[int]:
        ways = [partial(self.way, number) for number in range(len(self._times))]
        return await race(
            ways,
            stagger=0.25,
            discard=self.discarded.append,
            is_promising=lambda number: number in promising,
        )


async def test_the_first_alone_is_tried_where_it_is_quick(autojump_clock):
    ways = Ways(0.1, 0.1)
    assert await ways.race() == Won(0, 0)
    assert ways.began == {0: 0.0}


async def test_the_next_is_begun_as_soon_as_one_has_failed(autojump_clock):
    ways = Ways(0.1, 0.1, failing=(0,))
    assert await ways.race() == Won(1, 1)
    assert ways.began == {0: 0.0, 1: 0.1}


async def test_the_next_is_begun_beside_one_that_is_silent(autojump_clock):
    ways = Ways(100.0, 100.0, 0.1)
    assert await ways.race() == Won(2, 2)
    assert ways.began == {0: 0.0, 1: 0.25, 2: 0.5}
    assert sorted(ways.cancelled) == [0, 1]


async def test_one_that_is_slow_wins_all_the_same_if_it_is_the_first_there(autojump_clock):
    ways = Ways(0.4, 100.0)
    assert await ways.race() == Won(0, 0)


async def test_one_that_is_promising_is_waited_for_longer(autojump_clock):
    ways = Ways(0.4, 100.0)
    assert await ways.race(0) == Won(0, 0)
    assert ways.began == {0: 0.0}


async def test_all_failures_are_told_once_each(autojump_clock):
    ways = Ways(0.5, 0.1, failing=(0, 1))
    with pytest.raises(AllFailed, match=r"^way 0 is closed; way 1 is closed$") as caught:
        await ways.race()
    assert len(caught.value.failures) == 2


async def test_what_has_won_is_discarded_when_nobody_wants_it_any_more(autojump_clock):
    ways = Ways(0.1)
    with trio.CancelScope() as scope:

        async def win() -> int:
            scope.cancel()
            return 7

        await race([win], stagger=1.0, discard=ways.discarded.append)
    assert ways.discarded == [7]
