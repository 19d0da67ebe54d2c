"""Whoever takes out a safeguard of routing makes the tests fail.

Each case edits a copy of the source and runs in it the few tests that ought to notice.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parent.parent
PASSED, FAILED = 0, 1
"""What pytest exits with; anything else tells that no test was run."""
TIMEOUT = 120.0


@attrs.frozen
class Safeguard:
    """A condition in the source, what takes its place, and the tests that hold it there."""

    file: str
    condition: str
    edit: str
    tests: tuple[str, ...]


SAFEGUARDS = {
    "two-way check": Safeguard(
        "van/routing/paths/spf.py",
        "if site not in links.get(neighbor, ()):",
        "if False:",
        (
            "tests/routing/engine/test_engine.py::test_neighbor_counts_only_when_it_advertises_us_too",
        ),
    ),
    "sequence comparison": Safeguard(
        "van/routing/engine/reception.py",
        "lsa.version > held",
        "lsa.version != held",
        (
            "tests/routing/engine/test_engine.py::test_older_advertisement_is_answered_with_the_newer_one",
            "tests/routing/test_trust.py::test_replayed_advertisement_is_answered_with_the_present_one",
        ),
    ),
    "signature check": Safeguard(
        "van/routing/database/admission.py",
        "if not origin.verify(lsa.signature, lsa.signed_bytes()):\n            raise",
        "if False:\n            raise",
        (
            "tests/routing/test_trust.py::test_site_can_not_speak_for_another",
            "tests/routing/test_trust.py::test_altered_advertisement_is_dropped",
        ),
    ),
    "hop limit": Safeguard(
        "van/router/forwarding/relay.py",
        "if request.hop_limit == 0:",
        "if False:",
        ("tests/router/forwarding/test_hop_limit.py",),
    ),
}


@pytest.fixture
def copy(tmp_path):
    """A copy of the source, the tests, and what they share with the benchmarks."""
    for name in ("van", "lab", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name)  # compiled files too, which saves time
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run_tests(directory: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests in a copy, on the source that is beside them."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


@pytest.mark.slow("runs the tests of every safeguard")
def test_with_all_safeguards_in_place_the_tests_pass(copy):
    tests = [test for safeguard in SAFEGUARDS.values() for test in safeguard.tests]
    done = run_tests(copy, *tests)
    assert done.returncode == PASSED, done.stdout + done.stderr


@pytest.mark.slow("runs the tests of a safeguard")
@pytest.mark.parametrize("name", SAFEGUARDS)
def test_without_it_a_test_fails(name, copy):
    safeguard = SAFEGUARDS[name]
    source = (copy / safeguard.file).read_text()
    found = source.count(safeguard.condition)
    assert found == 1, f"the {name} is to be found once in {safeguard.file}, not {found} times"
    (copy / safeguard.file).write_text(source.replace(safeguard.condition, safeguard.edit))
    done = run_tests(copy, *safeguard.tests)
    assert done.returncode == FAILED, done.stdout + done.stderr
