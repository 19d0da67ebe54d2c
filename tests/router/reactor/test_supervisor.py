"""A defect ends what met it, and nothing else; it is written to the log once, and counted."""

import attrs
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


class Ready:
    """A poller that reports what has yet to be handled, as long as it has."""

    def __init__(self) -> None:
        self.waiting: dict[int, int] = {}

    def poll(self, timeout, most):
        return list(self.waiting.items())

    def close(self):
        pass


@attrs.define(eq=False)
class Scripted:
    """A watch whose handler raises, or does not."""

    name: str
    error: Exception | None
    poller: Ready
    fd: int
    calls: list[str]

    def handler(self, mask):
        self.calls.append(self.name)
        if self.error is not None:
            raise self.error
        del self.poller.waiting[self.fd]

    def close(self):
        self.calls.append(f"{self.name} is closed")
        del self.poller.waiting[self.fd]

    def fail(self, reason):
        self.calls.append(f"{self.name}: {reason}")


def test_of_handlers_that_are_due_together_those_behind_a_defect_are_called_all_the_same():
    poller, calls = Ready(), list[str]()
    loop = EventLoop(poller=poller)  # type: ignore[arg-type]
    errors = {"first": KeyError(), "second": None, "third": ValueError(), "last": None}
    for fd, (name, error) in enumerate(errors.items()):
        loop.watches[fd] = Scripted(name, error, poller, fd, calls)  # type: ignore[assignment]
        poller.waiting[fd] = 1
    while poller.waiting:
        loop._run_slice()
    loop.close()
    assert calls == [
        "first", "first is closed", f"first: {DEFECT}",
        "second",
        "third", "third is closed", f"third: {DEFECT}",
        "last",
    ]  # fmt: skip
    assert loop.defects.count == 2


def test_what_fails_outside_of_a_handler_is_nobodys_to_contain():
    class Broken(Ready):
        def poll(self, timeout, most):
            raise OSError

    loop = EventLoop(poller=Broken())  # type: ignore[arg-type]
    with pytest.raises(OSError):  # noqa: PT011  # the poller's own has no text
        loop._run_slice()
    assert not loop.defects.count
    loop.close()
