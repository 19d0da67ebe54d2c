"""Options and small steps of standard-library sockets, and what their errors mean to people."""

import contextlib
import errno
import fcntl
import os
import socket
import struct
import sys
import termios
from typing import Any, Final

import trio

from van.names import Endpoint
from van.tls.connection import TlsError
from van.tls.failures import describe_tls_error

KEEPALIVE_IDLE: Final = 60
"""Seconds of silence before the kernel probes a peer, so that a dead one does not stay for ever."""
_LAST_DATA_RECV: Final = 52
"""Where `tcpi_last_data_recv` is in `tcp_info`."""
_BYTES_ACKED: Final = 120
"""Likewise `tcpi_bytes_acked`, which counts the SYN: it is 0 until the handshake is over."""
_BROKEN_OFF: Final = frozenset({errno.ECONNRESET, errno.EPIPE})
"""What a connection has that was made, and reset since; one that is refused has ECONNREFUSED."""
_SO_MEMINFO: Final = 55
_MEMINFO_DROPS: Final = 8 * 4
"""Where `SK_MEMINFO_DROPS` is."""
_TCP_RTO_MIN_US: Final = 45
"""See `linux/tcp.h` of newer kernels; Python has no name for it yet."""
MIN_REPEAT: Final = 0.05
"""Seconds, and a round trip, after which the kernel sends again what nothing was heard of, where it
would wait for 0.2 and a round trip: the other end may take 40 ms before it acknowledges."""
_LINGER_NONE: Final = struct.pack("ii", 1, 0)
LEFT_EARLY: Final = frozenset(
    {
        errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.ENOPROTOOPT, errno.EOPNOTSUPP,
        errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH,
    }
)  # fmt: skip
"""What `accept` says of one connection that is no more, and not of those behind it; see accept(2).
"""


def accept(listening: socket.socket, family: int) -> tuple[socket.socket, Any]:
    """Take a connection of this family from a listener; return it, non-blocking, and its peer.

    It is what `socket.accept` does but to look its own family and type up, as members of enums, for
    each, which takes as long as the call to the system. Raises `OSError`.
    """
    descriptor, peer = listening._accept()  # type: ignore[attr-defined]  # noqa: SLF001
    sock = socket.socket(family, socket.SOCK_STREAM, 0, descriptor)
    sock.setblocking(False)
    return sock, peer


def set_flow_options(sock: socket.socket) -> None:
    """Set what every flow and channel wants: no Nagle delay, dead peers noticed.

    Some systems refuse options on a socket whose peer has gone, which shows on the next read.
    """
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE)


def set_site_options(sock: socket.socket) -> None:
    """Set what a connection between two sites wants, or the socket that accepts these: besides what
    every flow does, that what is lost is sent again soon, where the kernel can do that."""
    set_flow_options(sock)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_RTO_MIN_US, round(MIN_REPEAT * 1e6))


def connect_outcome(sock: socket.socket) -> int:
    """Return 0 when a TCP connection was made, though it may have been broken off since.

    Otherwise EINPROGRESS, or why it was not made. What was sent before a reset, and the reset, are
    left for whoever reads, where the system tells how far the handshake came.
    """
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED + 8)
        if any(info[_BYTES_ACKED:]):
            return 0
    except OSError:
        pass  # a unix socket, or a system that tells less
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code in _BROKEN_OFF:
        return 0
    if code:
        return code
    try:
        sock.getpeername()
    except OSError:
        return errno.EINPROGRESS
    return 0


def peer_of(sock: socket.socket) -> Endpoint | None:
    """Return where a connection leads to, unless its peer has gone."""
    try:
        host, port, *_ = sock.getpeername()
    except OSError:
        return None
    return Endpoint(str(host), int(port))


def close(sock: socket.socket) -> None:
    """Close a socket of which nobody has made a file, as `socket.close` does with three calls."""
    super(socket.socket, sock).close()


def close_with_reset(sock: socket.socket) -> None:
    """Close a socket so that its peer sees a reset and not an orderly end."""
    with contextlib.suppress(OSError):  # the peer may be gone already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
    sock.close()


def shut_down_sending(sock: socket.socket) -> None:
    """Send a FIN; a peer that has gone meanwhile shows on the next read."""
    try:
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def connected_pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends of a TCP connection within this process; raise `OSError`.

    Unlike the ends of a `socketpair`, each sees a reset of the other as one.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listening:
        near = socket.create_connection(listening.getsockname())
        try:
            far, peer = listening.accept()
            while peer != near.getsockname():  # somebody else was quicker
                far.close()
                far, peer = listening.accept()
        except BaseException:
            near.close()
            raise
    for sock in (near, far):
        sock.setblocking(False)
        set_flow_options(sock)
    return near, far


def unread(sock: socket.socket) -> int:
    """Return how many bytes wait to be read; 0 also where that can't be told."""
    try:
        answer = fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4))
    except OSError:
        return 0
    return int(struct.unpack("i", answer)[0])


def unacknowledged(sock: socket.socket) -> int:
    """Return how many bytes the peer's system has not got yet; 0 where that can't be told, and on a
    unix socket, where nothing is lost on the way."""
    if sys.platform != "linux" or sock.family == socket.AF_UNIX:
        return 0
    try:
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int(struct.unpack("i", answer)[0])


async def send_plain(sock: socket.socket, data: bytes | memoryview) -> None:
    """Send everything over a connection without TLS, or raise `OSError`."""
    view = memoryview(data)
    while view:
        try:
            view = view[sock.send(view) :]
        except BlockingIOError:
            await trio.lowlevel.wait_writable(sock)


def let_wait(sock: socket.socket, size: int) -> bool:
    """Don't report a socket as readable for less than so many bytes; its end and errors always are.

    Tells whether the system can do that, and can tell later when something came.
    """
    if sys.platform != "linux":
        return False
    try:
        last_received(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
    except OSError:
        return False
    return True


def limit_unsent(sock: socket.socket, size: int) -> None:
    """Have the kernel take no more while so many bytes wait to be sent over TCP; 0: its default.

    Where the system has no such option its buffers hold more, which is older when it goes.
    """
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        with contextlib.suppress(OSError):  # the peer may be gone already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, size)


def dropped_by_kernel(sock: socket.socket) -> int:
    """Return how many datagrams the kernel has dropped at a socket, most often because it had no
    room for more; it counts modulo 2^32. Where it does not tell, 0.

    See `sock_diag.h` in Linux's `linux/`.
    """
    if sys.platform != "linux":
        return 0
    try:
        info = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO_DROPS + 4)
    except OSError:
        return 0
    return struct.unpack_from("=I", info, _MEMINFO_DROPS)[0] if len(info) > _MEMINFO_DROPS else 0


def last_received(sock: socket.socket) -> float:
    """Return how many seconds ago the last data came in over TCP, to a few milliseconds.

    See `tcp_info` in Linux's `linux/tcp.h`. Raises `OSError` where there is no such thing.
    """
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_RECV + 4)
    (milliseconds,) = struct.unpack_from("=I", info, _LAST_DATA_RECV)
    return float(milliseconds) / 1000


def describe(exc: BaseException) -> str:
    """Return a short lower-case reason for a network error."""
    if isinstance(exc, BaseExceptionGroup):
        return "; ".join(sorted({describe(each) for each in exc.exceptions}))
    if isinstance(exc, TlsError):
        failure = describe_tls_error(exc)
        return failure.text if failure.is_news else exc.reason
    if isinstance(exc, OSError):
        if exc.errno is None and exc.__cause__ is not None:
            return describe(exc.__cause__)
        if exc.errno is not None and not isinstance(exc, socket.gaierror):
            return os.strerror(exc.errno).lower()  # its own text may name the call and the address
        return (exc.strerror or str(exc)).lower()
    return str(exc)
