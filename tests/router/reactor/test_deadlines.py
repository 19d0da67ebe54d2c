import trio

from van.router.reactor.deadlines import DelayQueue
from van.router.reactor.supervisor import Defects


async def test_functions_are_called_in_order_when_their_time_has_passed(nursery, autojump_clock):
    queue = DelayQueue(Defects())
    nursery.start_soon(queue.run)
    calls: list[tuple[str, float]] = []
    began = trio.current_time()

    def note(name: str) -> None:
        calls.append((name, trio.current_time() - began))

    queue.add(1.0, lambda: note("first"))
    await trio.sleep(0.25)
    queue.add(1.0, lambda: note("second"))
    await trio.sleep(2)
    queue.add(1.0, lambda: note("after a rest"))
    await trio.sleep(2)
    assert calls == [("first", 1.0), ("second", 1.25), ("after a rest", 3.25)]


async def test_one_that_fails_does_not_keep_the_others_from_being_called(
    nursery, autojump_clock, caplog
):
    queue = DelayQueue(Defects())
    nursery.start_soon(queue.run)
    calls: list[str] = []
    queue.add(1.0, lambda: 1 / 0)
    queue.add(1.0, lambda: calls.append("second"))
    await trio.sleep(2)
    assert calls == ["second"]
    assert "ZeroDivisionError" in caplog.text


async def test_a_shorter_delay_overtakes_a_longer_one(nursery, autojump_clock):
    queue = DelayQueue(Defects())
    nursery.start_soon(queue.run)
    calls: list[tuple[str, float]] = []
    began = trio.current_time()

    def note(name: str) -> None:
        calls.append((name, trio.current_time() - began))

    queue.add(2.0, lambda: note("long"))
    await trio.sleep(0.5)
    queue.add(0.5, lambda: note("short"))
    await trio.sleep(3)
    assert calls == [("short", 1.0), ("long", 2.0)]


async def test_one_that_is_due_again_at_once_leaves_others_their_turn(nursery, autojump_clock):
    queue = DelayQueue(Defects())
    nursery.start_soon(queue.run)
    calls = 0

    def again() -> None:
        nonlocal calls
        calls += 1
        assert calls < 1000, "nobody else had a turn"
        queue.add(0.0, again)

    queue.add(0.0, again)
    for _ in range(10):
        await trio.lowlevel.checkpoint()
    assert 1 < calls < 20
