"""A home of their own for the sites of a test, and a way to run `van` as a person does."""

import os
import subprocess
import sys

import pytest

from lab.commands import run_here

WIDTH = {"COLUMNS": "100"}


@pytest.fixture
def van(home):
    """Runs `van` in this process; returns it ended, with its output as text."""

    def run(*arguments, env=None, stdin=""):
        return run_here(*arguments, environment={**(env or os.environ), **WIDTH}, stdin=stdin)

    return run


@pytest.fixture
def van_process(home):
    """Runs `van` in a process of its own, for what only a process shows; returns the same."""

    def run(*arguments, env=None, stdin=""):
        return subprocess.run(
            [sys.executable, "-m", "van", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**(env or os.environ), **WIDTH},
            input=stdin,
        )

    return run


@pytest.fixture
def site(van):
    """A site whose router does not run."""
    assert van("init", "west", "--no-start").returncode == 0
    return "west"


@pytest.fixture
def running(van, site):
    """A site whose router runs; returns its process id."""
    done = van("up")
    assert done.returncode == 0, done.stderr
    yield int(done.stdout.split("pid ")[1].split(",")[0])
    van("down", "--force", "--timeout", "1")
