"""Answers of UDP come from the address that was asked, on a host that has several."""

import json
import subprocess
import sys

import pytest

from tests.end_to_end.namespaces import ROOT
from tests.end_to_end.programs import need

pytestmark = pytest.mark.slow("a process in a namespace of its own, with two sites and six ports")

STORY = (sys.executable, "-m", "tests.end_to_end.multihomed")


def test_answers_come_from_the_address_that_was_asked_wherever_the_target_is() -> None:
    need("ip")
    prefix = (need("unshare"), "--user", "--map-root-user", "--net", "--")
    probe = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"namespaces can't be made here: {probe.stderr.strip()}")
    done = subprocess.run(
        [*prefix, *STORY], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert len(answers) == 6
    for case, (asked, answered) in answers.items():
        assert answered == asked, case
