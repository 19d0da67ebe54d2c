"""Lines that repeat are counted out, ever more rarely."""

from hypothesis import given
from hypothesis import strategies as st

from van.router.telemetry.repeats import FIRST_WINDOW, LAST_WINDOW, MAX_LINES, Repeated, Repeats

INFO = "INFO van.x"


def say(repeats, text, now):
    """Return what is written when a line comes: counts first."""
    due = list(repeats.due(now))
    return [*due, text] if repeats.is_new(INFO, text, now) else due


def test_a_line_that_repeats_is_written_once_and_counted_when_its_time_is_over():
    repeats = Repeats()
    assert say(repeats, "down", 0.0) == ["down"]
    for second in range(1, 60):
        assert say(repeats, "down", float(second)) == []
    assert say(repeats, "other", 60.0) == [Repeated(INFO, "down", 59, 60.0), "other"]


def test_lines_that_take_turns_are_folded_as_well():
    repeats = Repeats()
    written = [each for second in range(60) for each in say(repeats, f"{second % 3}", second)]
    assert written == ["0", "1", "2"]


def test_the_time_doubles_up_to_an_hour_while_a_line_goes_on():
    repeats = Repeats()
    counts = [
        each
        for second in range(0, 86400, 3)
        for each in say(repeats, "down", float(second))
        if isinstance(each, Repeated)
    ]
    windows = [each.seconds for each in counts]
    assert windows[:3] == [FIRST_WINDOW, 2 * FIRST_WINDOW, 4 * FIRST_WINDOW]
    assert max(windows) == LAST_WINDOW
    assert len(windows) < 30
    assert 86400 / 3 - sum(each.count for each in counts) < LAST_WINDOW


def test_a_line_that_has_stopped_is_new_when_it_comes_again():
    repeats = Repeats()
    assert say(repeats, "down", 0.0) == ["down"]
    assert say(repeats, "down", FIRST_WINDOW) == ["down"]


def test_the_port_of_a_client_makes_no_other_line_but_its_address_does():
    repeats = Repeats()
    assert say(repeats, "from 127.0.0.1:40001 refused", 0.0)
    assert not say(repeats, "from 127.0.0.1:40002 refused", 0.0)
    assert say(repeats, "from 127.0.0.2:40001 refused", 0.0)
    assert say(repeats, "from [::1]:40001 refused", 0.0)
    assert not say(repeats, "from [::1]:40002 refused", 0.0)
    assert say(repeats, "db:5432 refused", 0.0)
    assert say(repeats, "db:5433 refused", 0.0)


def test_what_was_held_back_is_told_at_the_end():
    repeats = Repeats()
    say(repeats, "down", 0.0)
    say(repeats, "down", 1.0)
    assert list(repeats.due(2.0, is_end=True)) == [Repeated(INFO, "down", 1, 2.0)]


@given(st.lists(st.integers(0, 2 * MAX_LINES)))
def test_no_line_is_lost_and_what_is_remembered_is_bounded(numbers):
    repeats, written, counted = Repeats(), 0, 0
    for number in numbers:
        for each in say(repeats, f"line {number}", 0.0):
            written += isinstance(each, str)
            counted += each.count if isinstance(each, Repeated) else 0
        assert len(repeats._lines) <= MAX_LINES + 1
    counted += sum(each.count for each in repeats.due(0.0, is_end=True))
    assert written + counted == len(numbers)
