"""`van demo` tells its story, and clears up."""

import re
import urllib.request
from pathlib import Path

from lab.processes import Lab, wait_for

PAGE = "Hello from the far side of two links."


def left_over(lab: Lab) -> list[str]:
    """Return what is still there of a lab: its files, and processes that know of it."""
    files = [str(path) for path in lab.directory.rglob("*") if not path.is_dir()]
    return [*files, *processes(lab)]


def processes(lab: Lab) -> list[str]:
    """Return the processes with the lab's directory in their command or environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            known = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:  # it ended meanwhile, or is another user's
            continue
        if str(lab.directory).encode() in known:
            found.append(entry.name)
    return found


def test_the_demo_reaches_a_page_and_leaves_nothing(lab: Lab) -> None:
    story = lab.van("demo").stdout
    assert PAGE in story
    assert "nothing is left behind" in story
    wait_for(lambda: not left_over(lab), "nothing is left of the demo")


def test_a_demo_that_is_kept_runs_until_it_is_stopped(lab: Lab) -> None:
    story = lab.van("demo", "--keep").stdout
    assert PAGE in story
    url = re.search(r"curl (http://127\.0\.0\.1:\d+/)", story)
    assert url, story
    with urllib.request.urlopen(url[1], timeout=10) as response:
        assert PAGE in response.read().decode()
    assert len(lab.pids()) == 3
    second = lab.van("demo", check=False)
    assert second.returncode == 1
    assert "van demo --stop" in second.stderr
    assert "removed" in lab.van("demo", "--stop").stdout
    wait_for(lambda: not left_over(lab), "nothing is left of the demo")
    assert "no demo" in lab.van("demo", "--stop").stdout
