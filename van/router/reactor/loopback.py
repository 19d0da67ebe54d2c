"""`localhost` means two addresses, 127.0.0.1 and ::1, and a server may listen on either alone.

No resolver is asked: by RFC 6761 the name is this machine's everywhere, and what `/etc/hosts` or a
resolver makes of it differs from host to host.
"""

import contextlib
import functools
import socket
from pathlib import Path
from typing import Final, TypeGuard

from van.names import LOCALHOST, Endpoint, Target

_PROC: Final = Path("/proc/net")
_UDP: Final = {"0100007F", "00000000"}
_UDP6: Final = {"0" * 24 + "01000000", "0" * 32}
"""Local addresses by which a loopback is served, as Linux writes them."""


@functools.cache
def loopbacks() -> tuple[str, ...]:
    """Return the loopback addresses that this machine may have, in the order to try them."""
    try:
        socket.socket(socket.AF_INET6).close()
    except OSError:  # the system does not speak IPv6
        return ("127.0.0.1",)
    return ("127.0.0.1", "::1")


def is_ambiguous(place: Target) -> TypeGuard[Endpoint]:
    """Tell whether a place is on this machine, and on either of its loopbacks."""
    return isinstance(place, Endpoint) and place.host == LOCALHOST


def datagram_place(place: Endpoint, proc: Path = _PROC) -> Endpoint:
    """Return at which loopback a UDP server listens now, as far as the system tells.

    There is no asking over UDP: nothing comes back from a server that is well, either.
    """
    over_ipv4, over_ipv6 = Endpoint("127.0.0.1", place.port), Endpoint("::1", place.port)
    if _is_bound(proc / "udp", place.port, _UDP):
        return over_ipv4
    return over_ipv6 if _is_bound(proc / "udp6", place.port, _UDP6) else over_ipv4


def _is_bound(table: Path, port: int, hosts: set[str]) -> bool:
    with contextlib.suppress(OSError):  # a system without such a table, or without IPv6
        wanted = {f"{host}:{port:04X}" for host in hosts}
        lines = table.read_text("ascii").splitlines()[1:]
        return any(line.split(maxsplit=2)[1] in wanted for line in lines)
    return False
