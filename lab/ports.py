"""Ports of loopback that a test, or a site of it, is to listen at."""

import random
import socket
from typing import Final

FIRST: Final = 10_000
FIRST_OUTGOING: Final = 32_768
"""As Linux has it (`ip_local_port_range`), and lower than elsewhere."""


def free_port(*, is_udp: bool = False) -> int:
    """Return a port of loopback that nothing has now.

    It is from below those that outgoing connections take, and taken at random: tests run side by
    side, and between this call and the use of the port one of their thousands of connections
    could have it.
    """
    while True:
        port = random.randrange(FIRST, FIRST_OUTGOING)
        with socket.socket(type=socket.SOCK_DGRAM if is_udp else socket.SOCK_STREAM) as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
