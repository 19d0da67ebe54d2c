"""Thousands of flows that begin in the same moment, as after a restart of what all talk to."""

import selectors
import socket
import time
from collections import deque
from typing import Final, Self, cast

from benchmarks.dataplane.contenders import Tunnel
from benchmarks.dataplane.loads import Sample

FLOWS: Final = 5000
PAUSE: Final = 0.2
"""Seconds after which a client that was turned away tries again."""
PATIENCE: Final = 120.0
"""Seconds after which those that have no answer are given up."""


def crowd(tunnel: Tunnel, _seconds: float) -> Sample:
    """Open all flows, send a byte over each, and see when the last one is answered.

    None ends before all are answered. One that is refused or broken off is tried again, as programs
    do.
    """
    began = time.perf_counter()
    with _Crowd(tunnel.port, FLOWS) as clients:
        while clients.waiting:
            left = PATIENCE - (time.perf_counter() - began)
            missing = f"{clients.waiting:,} of {FLOWS:,}"
            assert left > 0, f"{missing} were not answered in {PATIENCE:.0f} s"
            clients.go_on(left)
        return {
            f"{FLOWS:,} flows at once, s": time.perf_counter() - began,
            f"{FLOWS:,} flows at once, tried again": float(clients.tried_again),
        }


class _Crowd:
    """Clients of one port, each with one flow."""

    def __init__(self, port: int, count: int) -> None:
        self.waiting = count
        """How many have no answer yet."""
        self.tried_again = 0
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._socks: set[socket.socket] = set()
        self._due: deque[float] = deque()
        """When those that were turned away try again."""
        for _ in range(count):
            self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for sock in self._socks:
            sock.close()

    def go_on(self, seconds: float) -> None:
        """Do what there is to do, or wait for it for so long at most."""
        now = time.perf_counter()
        while self._due and self._due[0] <= now:
            self._due.popleft()
            self.tried_again += 1
            self._connect()
        if self._due:
            seconds = min(seconds, self._due[0] - now)
        for key, events in self._selector.select(seconds):
            sock = cast("socket.socket", key.fileobj)
            try:
                if events & selectors.EVENT_WRITE:
                    sock.send(b".")  # or what became of the connection is raised
                    self._selector.modify(sock, selectors.EVENT_READ)
                    continue
                is_answered = bool(sock.recv(1))
            except OSError:
                is_answered = False
            self._selector.unregister(sock)
            if is_answered:
                self.waiting -= 1
            else:
                self._socks.remove(sock)
                sock.close()
                self._due.append(time.perf_counter() + PAUSE)

    def _connect(self) -> None:
        sock = socket.socket()
        self._socks.add(sock)
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", self._port))  # what came of it, sending tells
        self._selector.register(sock, selectors.EVENT_WRITE)
