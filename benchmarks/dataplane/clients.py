"""Connections through a tunnel, as the clients that run in this process have them."""

import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from benchmarks.common.programs import LOOPBACK
from benchmarks.dataplane.ends import count_into

PATIENCE: Final = 30
"""Seconds that one byte may take."""
WARM_UP_EXCHANGES: Final = 200
"""Bytes that are sent back and forth before it counts."""
WAVE: Final = 64
"""Idle flows that are opened at the same time."""
FAILURES: Final = (AssertionError, OSError, subprocess.SubprocessError)
"""What a contender may do in one load while the others go on."""


def open_flows(
    stack: ExitStack, port: int, count: int, host: str = LOOPBACK
) -> list[socket.socket]:
    """Open flows together, and see that each gets a byte through to the server and back."""
    socks = [stack.enter_context(connect(port, host)) for _ in range(count)]
    for sock in socks:
        sock.sendall(b".")
    for sock in socks:
        assert sock.recv(1), "a flow ended early"
    return socks


def connect(port: int, host: str = LOOPBACK) -> socket.socket:
    """Return a connection to a port; it fails when it waits for too long."""
    sock = socket.create_connection((host, port), timeout=PATIENCE)
    sock.settimeout(None)  # with a timeout of Python's, each call would poll first
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", PATIENCE, 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def exchange(sock: socket.socket) -> None:
    """Send a byte and get it back."""
    sock.sendall(b".")
    assert sock.recv(1), "the connection ended early"


def warm_up(sock: socket.socket) -> None:
    """Send bytes back and forth, so that what is slow only at first is done."""
    for _ in range(WARM_UP_EXCHANGES):
        exchange(sock)


def exchange_for(sock: socket.socket, seconds: float) -> list[float]:
    """Send a byte and wait for it to come back, again and again; return the times in µs."""
    times = []
    ends = time.perf_counter_ns() + round(seconds * 1e9)
    while (began := time.perf_counter_ns()) < ends:
        exchange(sock)
        times.append((time.perf_counter_ns() - began) / 1e3)
    return times


@contextmanager
def reading(port: int, streams: int) -> Iterator[list[int]]:
    """Read from a port over so many connections; yield the bytes that each has got so far."""
    counts = [0] * streams
    with ExitStack() as stack:
        for index in range(streams):
            sock = stack.enter_context(connect(port))
            thread = threading.Thread(target=_read, args=(counts, index, sock))
            thread.start()
            stack.callback(thread.join)
            stack.callback(_shut, sock)
        yield counts


def _read(counts: list[int], index: int, sock: socket.socket) -> None:
    try:
        count_into(counts, index, sock)
    except OSError:
        return  # what came counts


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has ended by itself
