"""Two networks with a long wire between them that loses packets.

Who uses this runs in a network namespace of its own, the near one, in which it is root; the far one
is made here. `ENTER` starts a program in such a namespace.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from benchmarks.common.programs import Programs
from benchmarks.dataplane.wire import NAME

NEAR: Final = "10.77.0.1"
FAR: Final = "10.77.0.2"
ENTER: Final = (
    *("unshare", "--net"),
    *(() if os.geteuid() == 0 else ("--user", "--map-root-user")),
    "--",
)
TUN: Final = Path("/dev/net/tun")
AVAILABLE: Final = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
NO_MEMORY: Final = "/proc/sys/net/ipv4/tcp_no_metrics_save"
LOSS: Final = """\
table ip loss {{}}
delete table ip loss
table ip loss {{
    chain arrivals {{
        type filter hook input priority filter
        iifname "{name}" numgen random mod 10000 < {share} drop
    }}
}}
"""
"""Has nftables drop so many of ten thousand packets that arrive, each by itself."""


def missing() -> list[str]:
    """Return what is not here that such networks need."""
    found = [each for each in ("unshare", "nsenter", "ip", "nft") if shutil.which(each) is None]
    return found if os.access(TUN, os.R_OK | os.W_OK) else [*found, f"access to {TUN}"]


def congestion_controls() -> list[str]:
    """Return the names of those that the system has."""
    return AVAILABLE.read_text().split()


class Networks:
    """The near network, which this process is in, and the far one."""

    def __init__(self, programs: Programs) -> None:
        self._far = programs.start(
            *("unshare", "--net", "--", "sh", "-c", "echo; exec cat"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._far.stdout is not None
        assert self._far.stdout.readline(), "the far network can't be made"
        self.inside_far = ("nsenter", f"--net=/proc/{self._far.pid}/ns/net", "--")
        """What runs a command in the far network."""
        wire = programs.start(
            *(sys.executable, "-m", "benchmarks.dataplane.wire", str(self._far.pid)),
            stdout=subprocess.PIPE,
        )
        assert wire.stdout is not None
        assert wire.stdout.readline(), "the wire can't be laid"

    @classmethod
    def make(cls, programs: Programs) -> Self:
        """Make the far network, and lay the wire."""
        networks = cls(programs)
        for inside, address, peer in networks._ends():
            _run(*inside, "ip", "link", "set", "lo", "up")
            _run(*inside, "ip", "address", "add", address, "peer", peer, "dev", NAME)
            _run(*inside, "ip", "link", "set", NAME, "up")
            # What was learned of a path in one measurement is not to be known in the next.
            _run(*inside, "sh", "-c", f"echo 1 > {NO_MEMORY}")
        return networks

    def control_congestion(self, name: str) -> None:
        """Have connections over the wire that are made from now on use this congestion control.

        As a property of the route it needs no leave of the system, as a default would.
        """
        for inside, address, peer in self._ends():
            route = ("ip", "route", "replace", peer, "dev", NAME, "src", address)
            _run(*inside, *route, "congctl", name)

    def lose(self, percent: float) -> None:
        """Lose so many of a hundred packets from now on, in each direction."""
        rules = LOSS.format(name=NAME, share=round(percent * 100))
        for inside in ((), self.inside_far):
            _run(*inside, "nft", "-f", "-", stdin=rules)

    def _ends(self) -> Iterator[tuple[tuple[str, ...], str, str]]:
        """Yield what runs a command at each end of the wire, its address, and the other's."""
        yield (), NEAR, FAR
        yield self.inside_far, FAR, NEAR


def _run(*command: str, stdin: str = "") -> None:
    done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
