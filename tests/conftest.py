"""Settings of every test: Hypothesis tries the same examples each time CI runs."""

import os

from hypothesis import HealthCheck, settings

# The machines that run the tests are small and shared: an example may take long for no fault of
# the code, so no test fails for being slow.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("dev", parent=patient)
settings.register_profile("ci", parent=patient, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
