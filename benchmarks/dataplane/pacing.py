"""Many flows with a request now and then, and how long each request waits for its answer."""

import heapq
import selectors
import socket
import time
from collections.abc import Sequence
from typing import Final

import attrs

REQUEST: Final = bytes(100)
INTERVAL: Final = 0.05
"""Seconds between the requests of a flow."""
PATIENCE: Final = 30.0
"""Seconds without any answer after which all is given up."""


def paced_latencies(
    socks: Sequence[socket.socket], seconds: float, *, catches_up: bool = True
) -> list[float]:
    """Send requests over connections to an echo, at an even pace; return the times in seconds.

    A request that is late because the one before it was not answered counts from when it was due.
    Without catching up it counts from when it is sent, and so do those after it: then a packet that
    is lost on the way delays one request, and not all that were due meanwhile.
    """
    began = time.perf_counter()
    flows = [
        _Flow(sock, number, began + INTERVAL * number / len(socks), catches_up=catches_up)
        for number, sock in enumerate(socks)
    ]
    with selectors.DefaultSelector() as selector:
        for flow in flows:
            flow.sock.setblocking(False)
            selector.register(flow.sock, selectors.EVENT_READ, flow)
        return _run(flows, selector, ends=began + seconds)


@attrs.define(eq=False)
class _Flow:
    sock: socket.socket
    number: int
    due: float
    """When its next request is to be sent, or was to be."""
    catches_up: bool = attrs.field(kw_only=True)
    is_late: bool = False
    """Whether the answer before came after that."""
    asked: float = 0.0
    missing: int = 0
    """Bytes of the answer that have not come."""

    def ask(self) -> None:
        self.asked = self.due if self.is_late else time.perf_counter()
        self.missing = len(REQUEST)
        self.sock.sendall(REQUEST)

    def receive(self) -> float | None:
        """Return how long the answer took, if it is whole now, and plan the next request."""
        data = self.sock.recv(len(REQUEST))
        assert data, "a flow ended early"
        self.missing -= len(data)
        if self.missing:
            return None
        now = time.perf_counter()
        self.due += INTERVAL
        if not self.catches_up:
            self.due = max(self.due, now)
        self.is_late = self.due < now
        return now - self.asked


def _run(flows: list[_Flow], selector: selectors.BaseSelector, *, ends: float) -> list[float]:
    """Send requests until the end, and wait for the answers to all of them."""
    waiting = [(flow.due, flow.number) for flow in flows]  # in order, and so a heap
    times: list[float] = []
    heard = time.perf_counter()
    while (now := time.perf_counter()) < ends or len(waiting) < len(flows):
        assert now - heard < PATIENCE, f"no answer in {PATIENCE:.0f} s"
        until = now + PATIENCE
        if now < ends:
            while waiting and waiting[0][0] <= now:
                flows[heapq.heappop(waiting)[1]].ask()
            until = min(waiting[0][0], ends) if waiting else ends
        for key, _ in selector.select(max(0.0, until - now)):
            flow: _Flow = key.data
            if (took := flow.receive()) is not None:
                heard = time.perf_counter()
                times.append(took)
                heapq.heappush(waiting, (flow.due, flow.number))
    return times
