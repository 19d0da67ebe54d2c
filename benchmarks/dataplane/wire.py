"""A long wire between two networks: `python -m benchmarks.dataplane.wire PID`.

One end is a device of the network that this runs in, the other one of the network of the process
`PID`; both are called `wire`. Packets are read from one and written to the other later, in order.
Few kernels of test machines have netem, and a device without offloads carries packets as long as
those of a real wire, so that each can be lost by itself.
"""

import contextlib
import errno
import fcntl
import os
import select
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from time import perf_counter
from typing import Final

NAME: Final = "wire"
DELAY: Final = 0.015
"""Seconds each way."""
RATE: Final = 200e6 / 8
"""Bytes in a second each way: what two busy cores can pass on without being the limit."""
LONGEST_QUEUE: Final = 0.03
"""Seconds that a packet may wait for those before it; others are dropped, as a router does."""
LONGEST_PACKET: Final = 65536
PRIORITY: Final = -10
"""A wire does not wait for the processors that those at its ends keep busy."""
TURN: Final = 64
"""Packets that are read from one side before the other one has its turn."""

TUNSETIFF: Final = 0x400454CA
IFF_TUN: Final = 0x0001
IFF_NO_PI: Final = 0x1000
"""See Linux's `if_tun.h`: packets as they are, without a header of the device's."""


def main() -> None:
    """Lay the wire, say so, and carry packets until this process is ended."""
    (pid,) = sys.argv[1:]
    with contextlib.suppress(PermissionError):  # an ordinary user has no priority to give
        os.nice(PRIORITY)
    far = open_end()
    subprocess.run(["ip", "link", "set", NAME, "netns", pid], check=True)
    near = open_end()
    print("laid", flush=True)
    carry(near, far)


def open_end() -> int:
    """Make a device of this network, and return the descriptor that its packets pass."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", NAME.encode(), IFF_TUN | IFF_NO_PI))
    return descriptor


class Lane:
    """One direction of a wire: what is on its way, and when it comes out."""

    def __init__(self, *, delay: float, rate: float, longest_queue: float) -> None:
        self._delay = delay
        self._rate = rate
        self._longest_queue = longest_queue
        self._free = 0.0
        """When the last packet has gone in."""
        self._packets: deque[tuple[float, bytes]] = deque()

    def put(self, packet: bytes, now: float) -> bool:
        """Take a packet, unless too many wait; tell whether it was taken."""
        begins = max(now, self._free)
        if begins - now > self._longest_queue:
            return False
        self._free = begins + len(packet) / self._rate
        self._packets.append((self._free + self._delay, packet))
        return True

    def take(self, now: float) -> Iterator[bytes]:
        """Yield the packets that have come out by now."""
        while self._packets and self._packets[0][0] <= now:
            yield self._packets.popleft()[1]

    def next_due(self) -> float | None:
        """Return when the next packet comes out, if one is on its way."""
        return self._packets[0][0] if self._packets else None


def carry(near: int, far: int) -> None:
    """Carry packets both ways for ever."""
    lanes = {end: Lane(delay=DELAY, rate=RATE, longest_queue=LONGEST_QUEUE) for end in (near, far)}
    other = {near: far, far: near}
    while True:
        due = [at for lane in lanes.values() if (at := lane.next_due()) is not None]
        wait = max(0.0, min(due) - perf_counter()) if due else None
        for end in select.select([near, far], [], [], wait)[0]:
            for packet in _read(end):
                lanes[end].put(packet, perf_counter())
        for end, lane in lanes.items():
            for packet in lane.take(perf_counter()):
                _write(other[end], packet)


def _read(end: int) -> Iterator[bytes]:
    """Yield the packets that are there, up to a number."""
    for _ in range(TURN):
        try:
            yield os.read(end, LONGEST_PACKET)
        except BlockingIOError:
            return


def _write(end: int, packet: bytes) -> None:
    try:
        os.write(end, packet)
    except OSError as exc:
        if exc.errno != errno.EIO:  # the device is not up, and the packet lost
            raise


if __name__ == "__main__":
    main()
