import trio

from van.router.reactor.deadlines import DelayQueue


async def test_functions_are_called_in_order_when_their_time_has_passed(nursery, autojump_clock):
    queue = DelayQueue(1.0)
    nursery.start_soon(queue.run)
    calls: list[tuple[str, float]] = []
    began = trio.current_time()

    def note(name: str) -> None:
        calls.append((name, trio.current_time() - began))

    queue.add(lambda: note("first"))
    await trio.sleep(0.25)
    queue.add(lambda: note("second"))
    await trio.sleep(2)
    queue.add(lambda: note("after a rest"))
    await trio.sleep(2)
    assert calls == [("first", 1.0), ("second", 1.25), ("after a rest", 3.25)]


async def test_one_that_fails_does_not_keep_the_others_from_being_called(
    nursery, autojump_clock, caplog
):
    queue = DelayQueue(1.0)
    nursery.start_soon(queue.run)
    calls: list[str] = []
    queue.add(lambda: 1 / 0)
    queue.add(lambda: calls.append("second"))
    await trio.sleep(2)
    assert calls == ["second"]
    assert "ZeroDivisionError" in caplog.text
