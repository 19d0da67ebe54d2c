"""Datagrams of one size that come together, and are handed to the kernel in one piece.

It cuts them apart again behind most of what it does for each (udp(7), UDP_SEGMENT), so that they
cost a third, and whoever waits for them is woken once.
"""

import socket
import struct
import sys
from collections.abc import Callable
from typing import Final

_UDP_SEGMENT: Final = 103
_SIZE: Final = struct.Struct("=H")
MAX_BURST: Final = 64
"""Datagrams in a piece; no kernel takes fewer."""
MAX_BURST_SIZE: Final = 1452
"""Bytes of one that fits a packet of most ways: one that does not can't be cut out of a piece."""
Burst = Callable[[list[memoryview]], None]
"""Takes datagrams of one size, two at least; the views are valid during the call only."""
Ancillary = tuple[int, int, bytes]
"""What goes with a datagram to or from the kernel: level, type, data."""


def _can_cut() -> bool:
    try:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.getsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT)
    except OSError:
        return False
    return sys.platform == "linux"


CAN_CUT: Final = _can_cut()
"""Whether the kernel does."""


def cut_into(size: int) -> Ancillary:
    """Return what has the kernel cut the piece that it goes with into datagrams of a size."""
    return socket.IPPROTO_UDP, _UDP_SEGMENT, _SIZE.pack(size)
