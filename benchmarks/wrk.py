"""Runs `wrk` and reads its figures, which a script of ours has it print without rounding."""

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import attrs

from benchmarks.programs import find

PATIENCE: Final = 30.0
"""Seconds that a run may take longer than it was told to."""
SCRIPT: Final = """\
done = function(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '\\n{"requests":%d,"seconds":%.6f,"failed":%d,"p50":%.1f,"p99":%.1f,"p999":%.1f}\\n',
        summary.requests, summary.duration / 1e6,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"""


@attrs.frozen
class Answers:
    """What came of a run; times are in microseconds."""

    requests: int
    seconds: float
    failed: int
    p50: float
    p99: float
    p999: float

    @property
    def rate(self) -> float:
        """Return the requests answered in a second."""
        return self.requests / self.seconds


def ask(port: int, seconds: float, connections: int, *headers: str) -> Answers:
    """Ask an HTTP server for so many whole seconds, over so many connections, from one thread."""
    program = find("wrk")
    assert program is not None, "wrk is not installed"
    duration = max(1, round(seconds))
    options = [word for header in headers for word in ("-H", header)]
    with TemporaryDirectory(prefix="bench-") as directory:
        script = Path(directory) / "done.lua"
        script.write_text(SCRIPT)
        done = subprocess.run(
            [
                *(program, "-t1", f"-c{connections}", f"-d{duration}s", "-s", str(script)),
                *(*options, f"http://127.0.0.1:{port}/"),
            ],
            capture_output=True,
            text=True,
            timeout=duration + PATIENCE,
            check=True,
        )
    found = Answers(**json.loads(done.stdout.splitlines()[-1]))
    assert found.requests, f"nothing was answered, {found.failed} failed"
    return found
