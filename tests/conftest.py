"""What every test has: a kind, and a home of its own; Hypothesis tries the same examples each time
CI runs."""

import gc
import os
import signal
import tempfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings

from tests.kinds import KINDS, Guard, is_unexplained, kind_of, may_have, scope_of

# The machines that run the tests are small and shared: an example may take long for no fault of
# the code, so no test fails for being slow.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("dev", parent=patient)
settings.register_profile("ci", parent=patient, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

# What a shell starts in the background ignores Ctrl-C, and hands that on to all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What is loaded to be tested stays: the collector need not look at it, neither while it is loaded
# nor each time that a test leaves garbage behind.
gc.disable()

guard = Guard()
guard.install()
seconds: Counter[str] = Counter()
marks: dict[str, set[str]] = {}


@pytest.fixture
def home(monkeypatch):
    """Directories in which no site is set up yet."""
    # A unix socket's path is short, and pytest's directories are long.
    with tempfile.TemporaryDirectory(prefix="van-") as name:
        directory = Path(name)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(directory / "config"))
        monkeypatch.setenv("XDG_STATE_HOME", str(directory / "state"))
        monkeypatch.delenv("VAN_SITE", raising=False)
        yield directory


# -- what not every system has ---------------------------------------------------------------------


def pytest_addoption(parser):
    parser.addoption(
        "--portable",
        action="store_true",
        help="run the routers of the test's own process as where there is neither epoll nor splice"
        " nor sched_yield",
    )


def pytest_configure(config):
    if config.option.portable:  # before the router is loaded, which takes what there is
        from van.router.reactor import loop, poller, splice

        poller.select = SimpleNamespace()  # type: ignore[attr-defined, assignment]
        loop.SCHED_YIELD = None  # type: ignore[misc]
        splice.best_direction = lambda: splice.CopyDirection


# -- kinds ---------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)  # before `-m` selects by them
def pytest_collection_modifyitems(config, items):
    if config.option.portable:
        items[:] = [item for item in items if not item.get_closest_marker("epoll")]
    for item in items:
        if not any(map(item.get_closest_marker, KINDS)):
            item.add_marker(kind_of(item.nodeid))


def pytest_collection_finish():
    gc.freeze()
    gc.enable()


def pytest_ignore_collect(collection_path, config):
    """Leave out, without loading it, a file that has no test of the only kind that is wanted."""
    wanted = config.option.markexpr
    if (
        wanted in KINDS
        and collection_path.suffix == ".py"
        and not may_have(collection_path, wanted)
    ):
        return True
    return None  # the other rules decide


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    guard.kind = next(filter(item.get_closest_marker, KINDS))
    try:
        return (yield)
    finally:
        guard.kind = ""


# -- several processes -----------------------------------------------------------------------------


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        """Gives each test to the next process that is free, but for those that belong together."""

        def _split_scope(self, nodeid):
            return scope_of(nodeid)

    return Scheduling(config, log)


# -- what takes long -------------------------------------------------------------------------------


def pytest_runtest_logreport(report):
    seconds[report.nodeid] += report.duration
    marks[report.nodeid] = set(report.keywords)


def pytest_terminal_summary(terminalreporter):
    found = [each for each in seconds if is_unexplained(seconds[each], marks[each])]
    if found:
        terminalreporter.section("take long without a mark that says why")
        for each in sorted(found, key=seconds.__getitem__, reverse=True):
            terminalreporter.line(f"{seconds[each]:.1f} s  {each}")
