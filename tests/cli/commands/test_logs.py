"""What the router has logged, as people see it."""

import subprocess
import sys
from datetime import datetime

import pytest

from lab.processes import wait_for
from van.cli.commands.logs import parse_since, since_time
from van.paths import site_paths

OLD = "2026-11-29 08:00:00,123 INFO van.router: old"
NEW = "2026-11-29 09:00:00,456 WARNING van.router: new"


@pytest.fixture
def log(site):
    path = site_paths(site).log_file
    path.write_text(f"{OLD}\n{NEW}\n  with a second line\n")
    return path


def test_a_log_is_shown_also_while_the_router_is_down(van, log):
    assert van("logs").stdout.splitlines() == [OLD, NEW, "  with a second line"]
    assert van("logs", "-n", "1").stdout == "  with a second line\n"
    assert van("logs", "--last", "0").stdout == ""


def test_lines_without_a_time_belong_to_the_one_before_them(van, log):
    shown = van("logs", "--since", "2026-11-29T08:30").stdout
    assert shown.splitlines() == [NEW, "  with a second line"]


def test_what_was_put_aside_comes_first(van, log):
    log.with_name(f"{log.name}.1").write_text("2026-11-28 08:00:00,000 INFO older\n")
    assert van("logs").stdout.splitlines()[:2] == ["2026-11-28 08:00:00,000 INFO older", OLD]


def test_nothing_that_a_terminal_would_obey_is_printed(van, log):
    log.write_text("2026-11-29 08:00:00,123 INFO \x1b[2Jx\n")
    assert "\x1b" not in van("logs").stdout


@pytest.mark.parametrize(
    ("line", "is_shown"),
    [
        ("2026-11-29T09:00:00Z x", True),
        ("2026-11-29T09:00:00.123+00:00 x", True),
        ('{"at":"2026-11-29T09:00:00.5Z"}', True),
        ("2026-11-29T07:59:59Z x", False),
        ("2026-11-29T09:00:00+02:00 x", False),
        ("2026-99-99T09:00:00Z x", False),
    ],
)
def test_times_of_lines_are_read_in_their_zone(line, is_shown):
    begin = datetime.fromisoformat("2026-11-29T08:00:00+00:00").timestamp()
    assert list(since_time([line], begin)) == ([line] if is_shown else [])


def test_how_long_ago_or_when():
    assert parse_since("10m", now=1000.0) == 400.0
    when = datetime.fromisoformat("2026-11-29T08:00")
    assert parse_since("2026-11-29T08:00", now=0.0) == when.timestamp()


@pytest.mark.process
def test_a_log_is_followed_into_the_file_that_takes_its_place(van, log):
    command = [sys.executable, "-u", "-m", "van", "logs", "-f", "-n", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follow:
        assert follow.stdout is not None
        lines = iter(follow.stdout.readline, "")
        assert next(lines) == "  with a second line\n"
        with log.open("a") as file:
            file.write("one\nhal")
        assert next(lines) == "one\n"
        with log.open("a") as file:
            file.write("f\n")
        assert next(lines) == "half\n"
        log.rename(log.with_name(f"{log.name}.1"))
        log.write_text("two\n")
        assert next(lines) == "two\n"
        follow.terminate()
    wait_for(lambda: follow.poll() is not None, "it has ended")
