import time

import pytest
import trio

from van.router.reactor.deadlines import DelayQueue
from van.router.reactor.overdue import Overdue
from van.router.reactor.supervisor import Defects


@pytest.fixture
async def waits(nursery):
    queue = DelayQueue(Defects())
    nursery.start_soon(queue.run)
    return Overdue(queue, 3.0)


async def test_each_that_waits_is_told_when_its_own_time_is_over(autojump_clock, waits):
    told: list[tuple[str, float]] = []
    began = trio.current_time()

    def note(name: str) -> None:
        told.append((name, trio.current_time() - began))

    waits.begin("first", lambda: note("first"))
    await trio.sleep(1)
    waits.begin("second", lambda: note("second"))
    waits.begin("third", lambda: note("third"))
    waits.end("second")
    await trio.sleep(10)
    waits.begin("after a rest", lambda: note("after a rest"))
    await trio.sleep(10)
    assert told == [("first", 3.0), ("third", 4.0), ("after a rest", 14.0)]
    assert not waits


async def test_who_begins_anew_has_all_of_the_time_again(autojump_clock, waits):
    told: list[float] = []
    began = trio.current_time()
    for _ in range(5):
        waits.begin("slow", lambda: told.append(trio.current_time() - began))
        await trio.sleep(2)
    assert not told
    await trio.sleep(5)
    assert told == [11.0]


async def test_one_that_fails_does_not_keep_the_others_from_being_told(
    autojump_clock, waits, caplog
):
    told: list[str] = []
    waits.begin("first", lambda: 1 / 0)
    waits.begin("second", lambda: told.append("second"))
    await trio.sleep(4)
    assert told == ["second"]
    assert "ZeroDivisionError" in caplog.text


async def test_a_router_that_was_held_up_gives_others_as_much_longer(nursery):
    queue = DelayQueue(Defects())
    nursery.start_soon(queue.run)
    waits, told = Overdue(queue, 0.05), trio.Event()
    waits.begin("who", told.set)
    await trio.lowlevel.checkpoint()
    time.sleep(0.3)  # the whole router stands still
    with trio.move_on_after(0.01):
        await told.wait()
    assert not told.is_set()
    with trio.fail_after(5):
        await told.wait()
