"""Congestion control of TCP connections: what one has, and why it can't have another."""

import errno
import socket
from typing import Final

_OPTION: Final[int | None] = getattr(socket, "TCP_CONGESTION", None)
_LONGEST_NAME: Final = 16
"""Bytes of a name, as in Linux's `TCP_CA_NAME_MAX`."""


def control_congestion(sock: socket.socket, name: str) -> bool:
    """Have a connection use a congestion control; tell whether it does, as not every system has it,
    or lets everybody use it."""
    return not _try(sock, name)


def congestion_of(sock: socket.socket) -> str:
    """Return the congestion control of a connection, as the kernel tells; empty if it does not."""
    if _OPTION is None:
        return ""
    try:
        name = sock.getsockopt(socket.IPPROTO_TCP, _OPTION, _LONGEST_NAME)
    except OSError:
        return ""  # it is closed, or no TCP
    return name.rstrip(b"\0").decode("ascii", "replace")


def default_congestion() -> str:
    """Return the congestion control of a connection that asks for none; empty if unknown."""
    with socket.socket() as sock:
        return congestion_of(sock)


def why_not_usable(name: str) -> str:
    """Return for people why this router can't have a congestion control; empty if it can."""
    with socket.socket() as sock:
        return _try(sock, name)


def _try(sock: socket.socket, name: str) -> str:
    if _OPTION is None:
        return "this system lets no program choose"
    try:
        sock.setsockopt(socket.IPPROTO_TCP, _OPTION, name.encode())
    except OSError as exc:
        if exc.errno == errno.EPERM:
            return (
                "this user may not choose it: as root, add it to the sysctl "
                "net.ipv4.tcp_allowed_congestion_control"
            )
        if exc.errno == errno.ENOENT:
            return (
                "this kernel does not offer it: as root, load its module (modprobe "
                f"tcp_{name}), or choose one of the sysctl "
                "net.ipv4.tcp_available_congestion_control"
            )
        return f"the system declines: {exc.strerror or exc}"
    return ""
