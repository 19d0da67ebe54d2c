"""The demo, whole: it shows what it says, and leaves nothing behind however it ends."""

import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from van.paths import list_sites

COMMAND = [sys.executable, "-m", "van", "demo"]


def processes_of(home):
    """Return the command lines of processes that know the directory, or were told to use it."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/environ", "rb") as environment:
                if os.fsencode(home) in environment.read() and int(name) != os.getpid():
                    found.append(name)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def assert_nothing_is_left(home):
    assert list_sites() == []
    assert [path for path in home.rglob("*") if not path.is_dir()] == []
    assert processes_of(home) == []


def test_the_demo_fetches_a_page_through_two_links_and_leaves_nothing(van, home):
    done = van("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Hello from the far side of two links" in done.stdout
    assert re.search(r"demo-east +demo-hub +2 +2", done.stdout), done.stdout
    assert_nothing_is_left(home)


def test_a_kept_demo_can_be_used_and_stopped(van, home):
    done = van("demo", "--keep")
    assert done.returncode == 0, done.stdout + done.stderr
    (url,) = re.findall(r"   curl (http:\S+)", done.stdout)
    with urllib.request.urlopen(url, timeout=10) as response:
        assert b"Hello" in response.read()
    assert "van demo --stop" in van("demo").stderr
    done = van("demo", "--stop")
    assert done.returncode == 0, done.stdout + done.stderr
    assert_nothing_is_left(home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing(home, number):
    with subprocess.Popen(
        COMMAND, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("2."):
                process.send_signal(number)
                break
        output = process.stdout.read()
    assert process.returncode == 128 + number, output
    assert "Clean up" in output
    assert_nothing_is_left(home)
