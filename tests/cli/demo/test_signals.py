"""A signal that comes while a process is being started leaves none behind that nobody knows."""

import signal
import subprocess
import sys

import pytest

from van.cli.demo.script import DemoScript
from van.cli.demo.signals import held_signals


class _Interrupted(subprocess.Popen):
    """A process whose start is interrupted when it runs, and nobody has it yet."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        signal.raise_signal(signal.SIGINT)


def test_a_command_that_is_being_started_comes_to_its_end(monkeypatch, tmp_path):
    # What stands in for `van` takes a moment to do its work.
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!/bin/sh\nsleep 0.3\ntouch {tmp_path}/done\n")
    stand_in.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    monkeypatch.setattr(subprocess, "Popen", _Interrupted)
    with pytest.raises(KeyboardInterrupt):
        DemoScript().van("init", "demo-hub")
    assert (tmp_path / "done").exists()


def test_what_ends_the_demo_waits_and_the_first_counts():
    came = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    try:
        with held_signals():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            assert came == []
    finally:
        signal.signal(signal.SIGINT, before)
    assert came == [signal.SIGINT]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
