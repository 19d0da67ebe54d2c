"""How a tunnel is measured: each load puts one kind of work through it and returns figures.

The server is a program of its own (`benchmarks.dataplane.ends`, or an nginx for HTTP); the client
of HTTP is `wrk`, and the other clients run here. Processor time is that of the tunnel's processes.
"""

import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

from benchmarks.common.programs import Programs
from benchmarks.common.reporting import note, percentile
from benchmarks.dataplane.clients import (
    FAILURES,
    WAVE,
    connect,
    exchange_for,
    open_flows,
    reading,
    warm_up,
)
from benchmarks.dataplane.contenders import SITES, Tunnel
from benchmarks.dataplane.ends import GREEDY
from benchmarks.dataplane.pacing import paced_latencies
from benchmarks.dataplane.wrk import ask

WARM_UP: Final = 0.3
"""Seconds after which windows have opened, and caches and pools are warm."""
SETTLE: Final = 2.0
"""Seconds after which a process has done what idle flows made it do."""
STREAMS: Final = (1, 8)
HTTP_CONNECTIONS: Final = (1, 16, 64, 256)
NEW_CONNECTIONS: Final = 16
"""Connections that are opened at the same time."""
FLOWS: Final = 100
"""Flows that send a request now and then."""
IDLE_FLOWS: Final = (1000, 5000)
ENDS: Final = SITES[1]

Sample = dict[str, float]
"""Figures of one run, by what they are called in the table."""


Load = Callable[[Tunnel, float], Sample]
"""Puts work through a tunnel for so many seconds."""


def bulk(tunnel: Tunnel, seconds: float, *, streams: int) -> Sample:
    """Read as fast as it comes, over so many flows."""
    with reading(tunnel.port, streams) as counts:
        time.sleep(WARM_UP)
        began, before = time.perf_counter(), sum(counts)
        cpu = {site: tunnel.cpu_seconds(site) for site in tunnel.pids}
        time.sleep(seconds)
        gigabytes = (sum(counts) - before) / 1e9
        spent = {site: tunnel.cpu_seconds(site) - cpu[site] for site in tunnel.pids}
        elapsed = time.perf_counter() - began
    assert gigabytes > 0, "nothing came"
    name = f"bulk {streams}"
    found = {f"{name}, Gbit/s": 8 * gigabytes / elapsed}
    if spent:
        found[f"{name}, CPU s/GB"] = sum(spent.values()) / gigabytes
    if "middle" in spent:
        found[f"{name}, CPU s/GB of the middle"] = spent["middle"] / gigabytes
    return found


def round_trips(tunnel: Tunnel, seconds: float, *, name: str = "round trip") -> Sample:
    """Send a byte and wait for it to come back, again and again.

    A wake-up is a time that a thread of the tunnel had gone to sleep, to wait for something.
    """
    with connect(tunnel.port) as sock:
        warm_up(sock)
        before = tunnel.sleeps()
        times = exchange_for(sock, seconds)
        slept = tunnel.sleeps() - before
    found = {f"{name}, wake-ups": slept / len(times)} if tunnel.pids else {}
    percentiles = {f"{name} p{percent}, µs": percentile(times, percent) for percent in (50, 99)}
    return percentiles | found


def http(tunnel: Tunnel, seconds: float, *, connections: int) -> Sample:
    """Ask for a tiny page over connections that stay.

    The first request of each connection waits for the connection to be set up, so the more there
    are, the longer it takes until that is less than one request in a hundred.
    """
    before = tunnel.cpu_seconds()
    answers = ask(tunnel.port, seconds * max(1.0, connections / 50), connections)
    spent = tunnel.cpu_seconds() - before
    name = f"HTTP {connections}"
    found = {f"{name}, CPU s/10,000": spent / answers.requests * 10_000} if tunnel.pids else {}
    return found | {
        f"{name}, requests/s": answers.rate,
        f"{name}, p50 µs": answers.p50,
        f"{name}, p99 µs": answers.p99,
        f"{name}, p99.9 µs": answers.p999,
        f"{name}, failed": answers.failed,
    }


def new_connections(tunnel: Tunnel, seconds: float) -> Sample:
    """Ask for a tiny page over a new connection each time."""
    before = tunnel.cpu_seconds()
    answers = ask(tunnel.port, seconds, NEW_CONNECTIONS, "Connection: close")
    spent = tunnel.cpu_seconds() - before
    found = {"new connections/s": answers.rate, "new connections, failed": float(answers.failed)}
    if tunnel.pids:
        found["new connections, CPU s/10,000"] = spent / answers.requests * 10_000
    return found


def idle_flows(tunnel: Tunnel, _seconds: float) -> Sample:
    """Open flows that do nothing, and see what memory they take in each process."""
    if not tunnel.pids:
        return {}
    time.sleep(SETTLE)
    idle = tunnel.resident_bytes()
    found = {f"idle {site}, MB": size / 1e6 for site, size in idle.items()}
    with ExitStack() as stack:
        opened = 0
        for count in IDLE_FLOWS:
            try:
                for first in range(opened, count, WAVE):
                    open_flows(stack, tunnel.port, min(WAVE, count - first))
            except FAILURES as exc:
                note(f"{count:,} flows were not to be had: {exc!r}")
                break
            opened = count
            time.sleep(SETTLE)
            grown = {site: size - idle[site] for site, size in tunnel.resident_bytes().items()}
            for site, size in grown.items():
                found[f"{count:,} flows, {site}, kB each"] = size / 1e3 / count
            found[f"{count:,} flows, both ends, MiB"] = sum(grown[end] for end in ENDS) / 2**20
    return found


def fairness(tunnel: Tunnel, seconds: float) -> Sample:
    """See how long a hundred flows wait for answers: alone, and beside one that is greedy."""
    with Programs() as programs, ExitStack() as stack:
        socks = open_flows(stack, tunnel.port, FLOWS)
        paced_latencies(socks, min(seconds, SETTLE))
        found = {"100 flows alone, p99 ms": _p99(socks, seconds)}
        with programs.reader(tunnel.port, 1):
            time.sleep(WARM_UP)
            found["100 flows beside bulk, p99 ms"] = _p99(socks, seconds)
        with connect(tunnel.port) as stalled:
            stalled.sendall(GREEDY)
            time.sleep(WARM_UP)
            found["100 flows beside a stalled reader, p99 ms"] = _p99(socks, seconds)
    return found


def _p99(socks: Sequence[socket.socket], seconds: float) -> float:
    return 1e3 * percentile(paced_latencies(socks, seconds), 99)
