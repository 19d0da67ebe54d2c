"""What a process has used: processor time, memory, and sleep, as Linux counts them."""

import contextlib
import os
from pathlib import Path

_TICK = 1.0 / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used, user and system together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK


def resident_bytes(pid: int) -> int:
    """Return how much memory of a process is in use, shared libraries included."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def voluntary_switches(pid: int) -> int:
    """Return how often the threads that a process has now gave up the processor by themselves."""
    found = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        with contextlib.suppress(OSError):  # a thread that ended meanwhile
            found += read_voluntary_switches(status.read_text())
    return found


def read_voluntary_switches(status: str) -> int:
    """Return that number from what `/proc/PID/status` has for a thread."""
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields["voluntary_ctxt_switches"])


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it and still run."""
    found = [pid]
    for each in found:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # a thread that ended meanwhile
                found += map(int, children.read_text().split())
    return found


def family_cpu_seconds(pid: int) -> float:
    """Return the processor time that a process and its running descendants have used."""
    return sum(map(cpu_seconds, family(pid)))
