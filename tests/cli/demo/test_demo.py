"""The demo, whole: it shows what it says, and leaves nothing behind however it ends."""

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from lab.processes import Lab

pytestmark = pytest.mark.slow("the demo starts some twenty processes")

PAGE = "Hello from the far side of two links."


@pytest.fixture
def machine():
    """A machine with no site yet."""
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def played():
    """The demo played to its end, as it ended, and what it then left."""
    with Lab() as made:
        done = made.van("demo", check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        yield done.stdout, left_over(made)


def left_over(machine):
    """Return what is still there of a machine: its files, and processes that know of it."""
    files = [str(path) for path in machine.directory.rglob("*") if not path.is_dir()]
    return [*files, *processes(machine)]


def processes(machine):
    """Return the processes with the machine's directory in their command or environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            known = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:  # it ended meanwhile, or is another user's
            continue
        if str(machine.directory).encode() in known:
            found.append(entry.name)
    return found


def test_the_demo_fetches_a_page_through_two_links(played):
    story, _ = played
    assert PAGE in story
    assert re.search(r"demo-east +demo-hub +2 +2", story), story


def test_the_demo_leaves_nothing_as_it_says(played):
    story, left = played
    assert "nothing is left behind" in story
    assert left == []


def test_a_kept_demo_can_be_used_and_stopped(machine):
    story = machine.van("demo", "--keep").stdout
    assert PAGE in story
    (url,) = re.findall(r"   curl (http:\S+)", story)
    with urllib.request.urlopen(url, timeout=10) as response:
        assert PAGE in response.read().decode()
    assert len(machine.pids()) == 3
    second = machine.run("demo", check=False)
    assert second.returncode == 1
    assert "van demo --stop" in second.stderr
    assert machine.van("demo", "--stop").stdout.endswith("the demo is removed\n")
    assert left_over(machine) == []
    assert machine.run("demo", "--stop").stdout == "there is no demo to remove\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing(machine, number):
    demo = machine.start(
        *(sys.executable, "-u", "-m", "van", "demo"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    for line in demo.stdout:
        if line.startswith(b"2."):
            demo.send_signal(number)
            break
    output = demo.stdout.read()
    assert demo.wait(10) == 128 + number, output
    assert b"Clean up" in output
    assert left_over(machine) == []
