"""Runs `wrk` and reads its figures, which a script of ours has it print as they were measured."""

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import attrs

from benchmarks.common.programs import find

PATIENCE: Final = 30.0
"""Seconds that a run may take longer than it was told to."""
TIMEOUT: Final = 10
"""Seconds after which an answer counts as failed: a tunnel may be slow to set up many flows."""
SCRIPT: Final = """\
-- How wrk keeps latencies: src/stats.h, the same since 4.0.
local ffi = require("ffi")
ffi.cdef("typedef struct { uint64_t count, limit, min, max, data[]; } stats;")

-- Before wrk gets here it has added samples, one for each average interval that an answer took: a
-- few slow set-ups would become a tenth of all. They are taken out again, those of the slowest
-- answers first, as nothing slower has added to these.
local function answers(latency, interval)
    local kept = ffi.cast("stats **", latency)[0]
    local last = tonumber(kept.max)
    local data = ffi.new("double[?]", last + 1)
    local total = 0
    for value = 0, last do
        data[value] = tonumber(kept.data[value])
    end
    for value = last, 2 * interval, -1 do
        local count, added = data[value], value - interval
        while count > 0 and added > interval do
            data[added] = data[added] - count
            added = added - interval
        end
    end
    for value = 0, last do
        total = total + data[value]
    end
    return data, last, total
end

local function percentile(data, last, total, percent)
    local missing = math.ceil(total * percent / 100)
    for value = 0, last do
        missing = missing - data[value]
        if missing <= 0 then
            return value
        end
    end
    return last
end

done = function(summary, latency, requests)
    local each = math.floor(summary.requests / CONNECTIONS)
    local interval = each > 0 and math.floor(summary.duration / each) or math.huge
    local data, last, total = answers(latency, interval)
    local errors = summary.errors
    io.write(string.format(
        '\\n{"requests":%d,"timed":%d,"seconds":%.6f,"failed":%d,"p50":%d,"p99":%d,"p999":%d}\\n',
        summary.requests, total, summary.duration / 1e6,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout,
        percentile(data, last, total, 50), percentile(data, last, total, 99),
        percentile(data, last, total, 99.9)))
end
"""


@attrs.frozen
class Answers:
    """What came of a run; times are in microseconds."""

    requests: int
    timed: int
    """Those of them of which the latency is known."""
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
        script.write_text(SCRIPT.replace("CONNECTIONS", str(connections)))
        done = subprocess.run(
            [
                *(program, "-t1", f"-c{connections}", f"-d{duration}s", "--timeout", f"{TIMEOUT}s"),
                *("-s", str(script), *options, f"http://127.0.0.1:{port}/"),
            ],
            capture_output=True,
            text=True,
            timeout=duration + PATIENCE,
            check=False,
        )
    assert done.returncode == 0, f"wrk failed: {done.stdout}{done.stderr}"
    found = Answers(**json.loads(done.stdout.splitlines()[-1]))
    assert found.requests, f"nothing was answered, {found.failed} failed"
    assert found.requests - found.failed <= found.timed <= found.requests, f"not wrk's: {found}"
    return found
