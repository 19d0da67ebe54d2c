"""What kind of test each is, by where it stands, unless a mark of its own says otherwise.

The kinds are the markers of `pyproject.toml`; a test has one of them. What a kind promises is held
to: a unit test that starts a process or reaches for the network fails, and so does a network test
that starts a process.
"""

import functools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent

KINDS: Final = ("unit", "network", "process", "scale")

PLACES: Final = {
    "tests/": "unit",
    "tests/cli/commands/test_authority.py": "process",
    "tests/cli/commands/test_flows.py": "process",
    "tests/cli/commands/test_link.py": "process",
    "tests/cli/commands/test_site.py": "process",
    "tests/cli/commands/test_status.py": "process",
    "tests/cli/commands/test_up.py": "process",
    "tests/cli/demo/": "process",
    "tests/end_to_end/": "process",
    "tests/hostile/": "network",
    "tests/hostile/test_floods.py": "scale",
    "tests/hostile/test_fuzz.py": "unit",
    "tests/hostile/test_refused_commands.py": "process",
    "tests/hostile/test_secrets.py": "process",
    "tests/hostile/test_troubled_hosts.py": "process",
    "tests/router/": "network",
    "tests/routing/test_churn.py": "scale",
    "tests/routing/test_disruption.py": "scale",
    "tests/routing/test_mesh.py": "scale",
    "tests/routing/test_network.py": "scale",
    "tests/routing/test_packets.py": "scale",
    "tests/test_dataplane_bench.py": "process",
    "tests/test_safeguards.py": "process",
    "tests/tls/test_contexts.py": "network",
}
"""The kind of the tests of a directory or a file; the longest that fits counts."""

LOADING: Final = frozenset(
    {
        "tests/end_to_end/test_faults.py",
        "tests/end_to_end/test_programs.py",
        "tests/hostile/test_floods.py",
        "tests/test_dataplane_bench.py",
    }
)
"""Files whose tests load the machine, or measure: they run one after the other."""

SLOW: Final = 1.0
"""Seconds after which a test is to say why it takes so long."""
SLOW_PROPERTY: Final = 3.0
"""The same for one that Hypothesis tries a hundred examples on."""
VERY_SLOW: Final = 10.0
"""Seconds after which that it starts processes, or is large, does not say enough."""


def kind_of(nodeid: str) -> str:
    """Return the kind of a test by its place."""
    return PLACES[max(filter(nodeid.startswith, PLACES), key=len)]


def may_have(file: Path, kind: str) -> bool:
    """Tell whether a file may have tests of a kind: by its place, or by a mark that it names."""
    return kind_of(file.relative_to(ROOT).as_posix()) == kind or f"mark.{kind}" in file.read_text()


def scope_of(nodeid: str) -> str:
    """Return what names the tests that run in one process, one after the other, with a test."""
    file = nodeid.partition("::")[0]
    if file in LOADING:
        return "loading"
    return file if _shares_fixtures(file) else nodeid


@functools.cache
def _shares_fixtures(file: str) -> bool:
    """Tell whether a file has a fixture that is made once for all its tests."""
    return 'scope="module"' in (ROOT / file).read_text()


def is_unexplained(seconds: float, marks: Iterable[str]) -> bool:
    """Tell whether a test took long and none of its marks says why."""
    marks = set(marks)
    if "slow" in marks:
        return False
    if marks & {"process", "scale"}:
        return seconds > VERY_SLOW
    return seconds > (SLOW_PROPERTY if "hypothesis" in marks else SLOW)


class Guard:
    """Raises where a test does what its kind promises not to."""

    def __init__(self) -> None:
        self.kind = ""
        """The kind of the test that runs now; empty between tests."""

    def install(self) -> None:
        """Begin to look; the interpreter offers no end of it."""
        sys.addaudithook(self._look)

    def _look(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.kind not in {"unit", "network"}:
            return
        if event == "subprocess.Popen":
            raise AssertionError(f"a {self.kind} test starts {arguments[0]}: mark it 'process'")
        is_reaching = event in {"socket.bind", "socket.connect", "socket.getaddrinfo"}
        # A unix socket's address is text: files are a unit test's own.
        if self.kind == "unit" and is_reaching and not isinstance(arguments[-1], str | bytes):
            raise AssertionError(f"a unit test reaches for the network: {event}{arguments!r}")
