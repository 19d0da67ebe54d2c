"""The router's log: one line for each thing, in a file that stays small."""

import json
import logging
import os
import re

import pytest

from van.router.telemetry import log
from van.router.telemetry.log import LogFile, RouterLog, start_log

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A log that is this process's standard output and error, as `van up` has it."""
    path = tmp_path / "router.log"
    descriptors = [os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) for _ in range(2)]
    monkeypatch.setattr(log, "STDOUT", descriptors[0])
    monkeypatch.setattr(log, "STDERR", descriptors[1])
    yield path
    for each in descriptors:
        os.close(each)


@pytest.fixture
def logger(path):
    """A logger that writes there."""
    found = logging.Logger("van.x", logging.DEBUG)  # noqa: LOG001 - for this test only
    found.addHandler(RouterLog(LogFile(path), is_json=False))
    return found


def test_a_record_is_one_line(logger, path):
    logger.info("it\nhas\r\n two \u2028 breaks")
    (line,) = path.read_text().splitlines()
    assert re.fullmatch(STAMP + r" INFO van\.x: it \| has \| two  \| breaks", line)


def test_a_traceback_is_on_the_line_of_what_failed(logger, path):
    try:
        raise ExceptionGroup("both", [ValueError("a\nb"), KeyError("c")])
    except ExceptionGroup:
        logger.exception("flow %s failed", "f1")
    (line,) = path.read_text().splitlines()
    assert " ERROR van.x: flow f1 failed | " in line
    assert "test_a_traceback_is_on_the_line_of_what_failed" in line
    assert "ValueError: a | " in line


def test_lines_of_json_have_every_part_by_name(path):
    logger = logging.Logger("van.x")  # noqa: LOG001 - for this test only
    handler = RouterLog(LogFile(path), is_json=True)
    logger.addHandler(handler)
    logger.warning("a\n%s", "b")
    logger.warning("a\n%s", "b")
    handler.close()
    first, second = map(json.loads, path.read_text().splitlines())
    at = first.pop("at")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", at)
    assert first == {"level": "warning", "logger": "van.x", "message": "a\nb"}
    assert (second["message"], second["repeated"], second["seconds"]) == ("a\nb", 1, 0)


def test_what_repeats_is_folded_but_not_what_is_for_debugging(logger, path):
    for _ in range(5):
        logger.info("again")
        logger.debug("details")
    logger.handlers[0].close()
    lines = [line.split("van.x: ")[1] for line in path.read_text().splitlines()]
    assert lines == ["again", *["details"] * 5, "again (4 times more in 0 s)"]


def test_a_log_that_is_full_is_put_aside_while_it_is_written(path):
    file = LogFile(path, limit=1000)
    for number in range(200):
        file.write(f"line {number:04}")
    aside = path.with_name("router.log.1")
    assert path.stat().st_size < 1100
    assert aside.stat().st_size < 1100
    numbers = [int(line[5:]) for line in (aside.read_text() + path.read_text()).splitlines()]
    assert numbers == list(range(numbers[0], 200))
    assert sorted(each.name for each in path.parent.iterdir()) == ["router.log", "router.log.1"]
    # What Python says by itself goes to the same file.
    os.write(log.STDERR, b"a warning\n")
    os.write(log.STDOUT, b"a print\n")
    assert path.read_text().endswith("line 0199\na warning\na print\n")
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_put_aside_counts_what_was_there_before_the_start(path):
    path.write_bytes(b"x" * 2000)
    LogFile(path, limit=1000).write("new")
    assert path.read_text() == "new\n"


@pytest.mark.parametrize("how", ["removed", "renamed"])
def test_a_log_that_somebody_took_away_is_begun_anew(path, how):
    file = LogFile(path)
    file.write("before")
    path.unlink() if how == "removed" else path.rename(path.with_name("old"))
    file.write("after")
    assert path.read_text() == "after\n"


def test_a_log_whose_directory_is_gone_loses_nothing_that_can_be_kept(path, tmp_path):
    file = LogFile(path)
    tmp_path.rename(tmp_path.with_name("elsewhere"))
    file.write("on")
    assert (tmp_path.with_name("elsewhere") / "router.log").read_text() == "on\n"
    tmp_path.with_name("elsewhere").rename(tmp_path)


def test_another_standard_error_is_left_alone(path, tmp_path):
    other = tmp_path / "other"
    descriptor = os.open(other, os.O_WRONLY | os.O_CREAT)
    os.dup2(descriptor, log.STDERR)
    os.close(descriptor)
    file = LogFile(path, limit=10)
    for _ in range(20):
        file.write("line")
    assert other.read_text() == "line\n" * 20
    assert path.read_text() == ""


def test_lines_that_find_no_space_are_counted(path, monkeypatch):
    file, real = LogFile(path), os.write
    monkeypatch.setattr(os, "write", lambda *_: real(-1, b""))
    file.write("lost")
    file.write("lost")
    monkeypatch.setattr(os, "write", real)
    file.write("found")
    file.write("more")
    assert path.read_text() == "2 lines found no space here\nfound\nmore\n"


def test_the_level_says_how_much_is_logged(path, monkeypatch):
    root = logging.RootLogger(logging.WARNING)
    monkeypatch.setattr(logging, "getLogger", lambda: root)
    start_log(path, level="warning", form="text")
    root.info("quiet")
    root.warning("loud")
    assert [line.split(": ")[1] for line in path.read_text().splitlines()] == ["loud"]
