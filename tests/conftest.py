"""What every test has: Hypothesis tries the same examples each time CI runs; a home of its own."""

import os

import pytest
from hypothesis import HealthCheck, settings

# The machines that run the tests are small and shared: an example may take long for no fault of
# the code, so no test fails for being slow.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("dev", parent=patient)
settings.register_profile("ci", parent=patient, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Directories in which no site is set up yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("VAN_SITE", raising=False)
    return tmp_path
