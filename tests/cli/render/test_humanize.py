import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.cli.render.humanize import (
    format_bytes,
    format_count,
    format_duration,
    format_round_trip,
    parse_duration,
    parse_seconds,
    printable,
)
from van.errors import LocalError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1h30m", 5400), ("7d", 604800), ("0s", 0)]
)
def test_durations_are_numbers_with_units(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "15", "m", "1m1h", "-1s", "1.5h", "1h ", "٣m", "9" * 5000 + "s"]
)
def test_other_durations_are_refused_with_an_example(text):
    with pytest.raises(LocalError, match="1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0.5", 0.5), ("2", 2.0), ("2s", 2.0), ("500ms", 0.5), ("1.05s", 1.05)]
)
def test_short_times_are_seconds_unless_they_say_otherwise(text, seconds):
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-1", "1e9", ".5", "1m", "1 s", "nan", "inf", "٣"])
def test_other_short_times_are_refused_with_an_example(text):
    with pytest.raises(LocalError, match="500ms"):
        parse_seconds(text)


@given(st.integers(10, 10**9))
def test_a_duration_is_shown_to_within_its_second_unit(seconds):
    shown = parse_duration(format_duration(seconds))
    assert shown <= seconds < shown * 2
    if seconds < 3600:
        assert shown == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0s"),
        (0.25, "0.2s"),
        (59.9, "59s"),
        (60, "1m"),
        (3599, "59m59s"),
        (3605, "1h"),
        (93600, "1d2h"),
    ],
)
def test_durations_are_short(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (5 * 10**9, "5.0 GB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_sizes_have_decimal_units(count, text):
    assert format_bytes(count) == text


def test_round_trips_have_as_many_digits_as_matter():
    assert [format_round_trip(value) for value in (0.041, 9.99, 84.6)] == [
        "0.04 ms",
        "9.99 ms",
        "85 ms",
    ]


def test_a_noun_agrees_with_its_number():
    assert [format_count(number, "use") for number in (0, 1, 2)] == ["0 uses", "1 use", "2 uses"]


@given(st.text())
def test_nothing_that_a_terminal_would_obey_is_printed(text):
    assert printable(text).isprintable()
