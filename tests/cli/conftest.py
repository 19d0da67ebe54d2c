"""A home of their own for the sites of a test, and a way to run `van` as a person does."""

import io
import json
import os
import subprocess
import sys

import pytest

from van.cli.main import main


@pytest.fixture
def van(home):
    """Runs `van` in a process of its own; returns it ended, with its output as text."""

    def run(*arguments, **options):
        return subprocess.run(
            [sys.executable, "-m", "van", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            **{"stdin": subprocess.DEVNULL, "env": {**os.environ, "COLUMNS": "100"}, **options},
        )

    return run


@pytest.fixture
def run_here(home, monkeypatch, capsys):
    """Runs `van` in this process, which is quicker; returns the same as `van`."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["van", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        with pytest.raises(SystemExit) as caught:
            main()
        output, errors = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, int(caught.value.code or 0), output, errors)

    return run


@pytest.fixture
def site(run_here):
    """A site whose router does not run."""
    assert run_here("init", "west", "--no-start").returncode == 0
    return "west"


@pytest.fixture
def running(van, site):
    """A site whose router runs; returns its process id."""
    done = van("up")
    assert done.returncode == 0, done.stderr
    yield json.loads(van("status", "--json").stdout)["router"]["pid"]
    van("down", "--force", "--timeout", "1")
