"""How many system calls each site of a tunnel makes for a request.

`perf stat` counts them and takes little time for it. Where the system does not let it, `strace`
stops a process twice at each call: what waits meanwhile is then dealt with together, so that a
process that does that makes fewer calls than it would.
"""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from benchmarks.common.reporting import note
from benchmarks.dataplane.contenders import Tunnel
from benchmarks.dataplane.loads import Sample
from benchmarks.dataplane.wrk import ask
from lab.usage import family

CONNECTIONS: Final = 16
EVENT: Final = "raw_syscalls:sys_enter"
UNTIL_CLOSED: Final = ("sh", "-c", "echo; exec cat")
"""Prints a line once it runs, and ends with its standard input."""
PATIENCE: Final = 10.0
"""Seconds that a counter may take to end."""


def system_calls(tunnel: Tunnel, seconds: float) -> Sample:
    """Ask for a tiny page over connections that stay, and count the calls meanwhile."""
    if not tunnel.pids:
        return {}
    count = count_by_perf if may_use_perf() else count_by_strace
    counts: dict[str, list[int]] = {site: [] for site in tunnel.pids}
    with ExitStack() as stack:
        for site, pid in tunnel.pids.items():
            stack.enter_context(count(family(pid), counts[site]))
        answers = ask(tunnel.port, seconds, CONNECTIONS)
    return {
        f"HTTP {CONNECTIONS}, system calls per request, {site}": sum(found) / answers.requests
        for site, found in counts.items()
    }


@cache
def may_use_perf() -> bool:
    """Tell whether `perf` is there and may count system calls; say so if not."""
    if shutil.which("perf") is not None:
        command = ("perf", "stat", "-x,", "-e", EVENT, "true")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0 and read_perf(done.stderr):
            return True
    assert shutil.which("strace") is not None, "neither perf nor strace can count system calls"
    note("perf may not count system calls here: strace does, and slows what it counts")
    return False


@contextmanager
def count_by_perf(pids: Iterable[int], found: list[int]) -> Iterator[None]:
    """Count the system calls of processes, and add their number to what was found."""
    with tempfile.NamedTemporaryFile("r") as kept:
        command = ("perf", "stat", "-x,", "-e", EVENT, "-o", kept.name, "-p", _list(pids), "--")
        with subprocess.Popen(
            (*command, *UNTIL_CLOSED), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as counter:
            assert counter.stdout is not None
            assert counter.stdout.readline(), "perf does not count"
            yield
            counter.communicate(timeout=PATIENCE)
        found.append(read_perf(kept.read()))


@contextmanager
def count_by_strace(pids: Iterable[int], found: list[int]) -> Iterator[None]:
    """Do the same, more slowly."""
    with tempfile.NamedTemporaryFile("r") as kept:
        command = ("strace", "-c", "-f", "-o", kept.name, "-p", _list(pids))
        with subprocess.Popen(command, stderr=subprocess.PIPE) as counter:
            assert counter.stderr is not None
            for _ in pids:
                assert b"attached" in counter.stderr.readline(), "strace does not count"
            try:
                yield
            finally:
                counter.send_signal(signal.SIGINT)
                counter.communicate(timeout=PATIENCE)
        found.append(read_strace(Path(kept.name).read_text()))


def _list(pids: Iterable[int]) -> str:
    return ",".join(map(str, pids))


def read_perf(text: str) -> int:
    """Return the number of calls from what `perf stat -x,` wrote."""
    for line in text.splitlines():
        value, _, event, *_ = [*line.split(","), "", ""]
        if event == EVENT:
            return int(value) if value.isdecimal() else 0  # "<not counted>": there were none
    return 0


def read_strace(text: str) -> int:
    """Return the number of calls from the table that `strace -c` wrote.

    Its columns: % of the time, seconds, µs a call, calls, errors if any, name.
    """
    rows = [line.split() for line in text.splitlines()]
    known = [row for row in rows if len(row) > 4 and row[3].isdecimal() and row[-1] != "total"]
    return sum(int(row[3]) for row in known)
