"""A defect ends what met it, and nothing else; it is written to the log once, and counted."""

import pytest
import trio

from van.router.reactor.loop import EventLoop
from van.router.reactor.supervisor import DEFECT, Defects, Tasks


def test_what_meets_a_defect_is_ended_and_the_defect_counted(caplog):
    defects = Defects()
    ends: list[str] = []
    with defects.contain("flow %s", "f.1", end=ends.append):
        raise ZeroDivisionError
    assert ends == [DEFECT]
    assert defects.count == 1
    (record,) = caplog.records
    assert record.getMessage() == "flow f.1 failed"
    assert "ZeroDivisionError" in caplog.text


def test_what_meets_none_is_left_alone():
    defects = Defects()
    ends: list[str] = []
    with defects.contain("flow", end=ends.append):
        pass
    assert not ends
    assert not defects.count


def test_an_end_that_fails_too_is_contained_and_counted(caplog):
    defects = Defects()
    with defects.contain("flow", end=lambda _: 1 / 0):
        raise KeyError
    assert defects.count == 2
    assert [each.getMessage() for each in caplog.records] == ["flow failed", "to end flow failed"]


async def test_a_cancellation_passes():
    defects = Defects()
    with trio.CancelScope() as scope:
        scope.cancel()
        with defects.contain("flow"):
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert not defects.count


def test_what_is_to_end_the_process_passes():
    defects = Defects()
    with pytest.raises(KeyboardInterrupt), defects.contain("flow"):
        raise KeyboardInterrupt
    assert not defects.count


async def test_a_task_that_meets_a_defect_does_not_end_the_others():
    defects = Defects()
    ends: list[str] = []
    others_went_on = trio.Event()

    async def fail() -> None:
        raise ZeroDivisionError

    async def go_on() -> None:
        await trio.testing.wait_all_tasks_blocked()
        others_went_on.set()

    async with trio.open_nursery() as nursery:
        tasks = Tasks(nursery, defects)
        tasks.start(fail, end=ends.append)
        tasks.start(go_on)
        with trio.fail_after(5):
            await others_went_on.wait()
    assert ends == [DEFECT]
    assert defects.count == 1


def test_of_handlers_that_are_due_together_those_behind_a_defect_are_called_all_the_same():
    loop = EventLoop()
    called: list[str] = []

    class Scripted:
        def __init__(self, name, error):
            self.name, self.error = name, error

        def handler(self, mask):
            called.append(self.name)
            if self.error is not None:
                raise self.error

        def fail(self, reason):
            called.append(f"{self.name}: {reason}")

        def close(self):
            called.append(f"{self.name} is closed")

    for fd, (name, error) in enumerate(
        [("first", KeyError()), ("second", None), ("third", ValueError()), ("last", None)], 10_000
    ):
        loop.watches[fd] = Scripted(name, error)  # type: ignore[assignment]
    loop._handle([(fd, 1) for fd in range(10_000, 10_004)])
    loop.watches.clear()
    loop.close()
    assert called == [
        "first", "first is closed", f"first: {DEFECT}",
        "second",
        "third", "third is closed", f"third: {DEFECT}",
        "last",
    ]  # fmt: skip
    assert loop.defects.count == 2
