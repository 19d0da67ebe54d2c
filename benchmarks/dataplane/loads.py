"""How a tunnel is measured: each load puts one kind of work through it and returns figures.

The server is a program of its own (`benchmarks.dataplane.ends`, or an nginx for HTTP); the client
of HTTP is `wrk`, and the other clients run here. Processor time is that of the tunnel's processes.
"""

import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Final

import attrs

from benchmarks.common.programs import Programs
from benchmarks.common.reporting import note, percentile
from benchmarks.dataplane.contenders import Tunnel
from benchmarks.dataplane.ends import CHUNK, GREEDY
from benchmarks.dataplane.pacing import paced_latencies
from benchmarks.dataplane.proxies import http_server
from benchmarks.dataplane.wrk import ask
from lab.ports import free_port

WARM_UP: Final = 0.3
"""Seconds after which windows have opened, and caches and pools are warm."""
PINGS_TO_WARM_UP: Final = 200
PATIENCE: Final = 30
"""Seconds that one byte may take."""
WAVE: Final = 64
"""Idle flows that are opened at the same time."""
SETTLE: Final = 2.0
"""Seconds after which a process has done what idle flows made it do."""
STREAMS: Final = (1, 8)
HTTP_CONNECTIONS: Final = (1, 16, 64, 256)
NEW_CONNECTIONS: Final = 16
"""Connections that are opened at the same time."""
FLOWS: Final = 100
"""Flows that send a request now and then."""
IDLE_FLOWS: Final = (1000, 5000)

FAILURES: Final = (AssertionError, OSError, subprocess.SubprocessError)
"""What a contender may do in one load while the others go on."""

Sample = dict[str, float]
"""Figures of one run, by what they are called in the table."""


Load = Callable[[Tunnel, float], Sample]
"""Puts work through a tunnel for so many seconds."""


@attrs.frozen
class Measure:
    """Loads that need the same server."""

    server: str
    loads: tuple[Load, ...]
    is_fresh: bool = False
    """Whether it needs processes that have done nothing yet; it is then run only once."""


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


@contextmanager
def reading(port: int, streams: int) -> Iterator[list[int]]:
    """Read from a port over so many connections; yield the bytes that each has got so far."""
    counts = [0] * streams
    with ExitStack() as stack:
        for index in range(streams):
            sock = stack.enter_context(connect(port))
            thread = threading.Thread(target=_read, args=(sock, counts, index))
            thread.start()
            stack.callback(thread.join)
            stack.callback(_shut, sock)
        yield counts


def _read(sock: socket.socket, counts: list[int], index: int) -> None:
    buffer = bytearray(CHUNK)
    try:
        while count := sock.recv_into(buffer):
            counts[index] += count
    except OSError:
        return  # what came counts


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has ended by itself


def round_trips(tunnel: Tunnel, seconds: float) -> Sample:
    """Send a byte and wait for it to come back, again and again."""
    times = []
    with connect(tunnel.port) as sock:
        for _ in range(PINGS_TO_WARM_UP):
            exchange(sock)
        ends = time.perf_counter_ns() + round(seconds * 1e9)
        while (began := time.perf_counter_ns()) < ends:
            exchange(sock)
            times.append((time.perf_counter_ns() - began) / 1e3)
    return {
        "round trip p50, µs": percentile(times, 50),
        "round trip p99, µs": percentile(times, 99),
    }


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
            for site, size in tunnel.resident_bytes().items():
                found[f"{count:,} flows, {site}, kB each"] = (size - idle[site]) / 1e3 / count
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


def open_flows(stack: ExitStack, port: int, count: int) -> list[socket.socket]:
    """Open flows together, and see that each gets a byte through to the server and back."""
    socks = [stack.enter_context(connect(port)) for _ in range(count)]
    for sock in socks:
        sock.sendall(b".")
    for sock in socks:
        assert sock.recv(1), "a flow ended early"
    return socks


def connect(port: int) -> socket.socket:
    """Return a connection to a port of loopback; it fails when it waits for too long."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    sock.settimeout(None)  # with a timeout of Python's, each call would poll first
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", PATIENCE, 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def exchange(sock: socket.socket) -> None:
    """Send a byte and get it back."""
    sock.sendall(b".")
    assert sock.recv(1), "the connection ended early"


def start_server(programs: Programs, kind: str) -> int:
    """Start the server of a load, and return its port."""
    if kind != "http":
        return programs.start_server(kind)
    port = free_port()
    programs.start_proxy(*http_server(port, programs.directory / "http.conf"), port=port)
    return port


MEASURES: Final = {
    "bulk": Measure("source", tuple(partial(bulk, streams=count) for count in STREAMS)),
    "rtt": Measure("echo", (round_trips,)),
    "http": Measure("http", tuple(partial(http, connections=n) for n in HTTP_CONNECTIONS)),
    "connections": Measure("http", (new_connections,)),
    "fairness": Measure("keep", (fairness,)),
    "memory": Measure("keep", (idle_flows,), is_fresh=True),
}
