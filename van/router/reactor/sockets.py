"""Async steps over non-blocking sockets: connect, handshake, unwrap, send, receive.

The data plane keeps standard-library sockets throughout, so that a connection can pass from a
trio task, which sets it up, to the loop, which moves its bytes, without a copy or a wrapper.
"""

import contextlib
import errno
import functools
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Callable
from typing import Final, TypeVar

import trio

from van.errors import LinkLost, PortInUse, Unreachable
from van.names import Endpoint, Target, UnixPath
from van.tls.connection import TlsConnection, TlsError, WantRead, WantWrite
from van.tls.contexts import Context

CONNECT_TIMEOUT: Final = 5.0
"""Seconds for a TCP connection to another site, every address of its name together."""
BACKLOG: Final = 1024
"""Connections that may wait to be accepted."""
KEEPALIVE_IDLE: Final = 60
"""Seconds of silence before the kernel probes a peer, so that a dead one does not stay for ever."""
RECEIVE_SIZE: Final = 65536
Socket = socket.socket
T = TypeVar("T")
Place = tuple[str, int] | str
"""What `connect` takes: a host and a port, or a path."""
_LAST_DATA_RECV: Final = 52
"""Where `tcpi_last_data_recv` is in `tcp_info`."""
_LINGER_NONE: Final = struct.pack("ii", 1, 0)


def set_flow_options(sock: socket.socket) -> None:
    """Set what every flow and channel wants: no Nagle delay, dead peers noticed.

    Some systems refuse options on a socket whose peer has gone, which shows on the next read.
    """
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE)


def close_with_reset(sock: socket.socket) -> None:
    """Close a socket so that its peer sees a reset and not an orderly end."""
    with contextlib.suppress(OSError):  # the peer may be gone already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
    sock.close()


def shut_down_sending(sock: socket.socket) -> None:
    """Send a FIN; a peer that has gone meanwhile shows on the next read."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)


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


async def dial(endpoint: Endpoint) -> socket.socket:
    """Connect to another site; every address that the host name has now is tried.

    Raises `Unreachable`.
    """
    try:
        with trio.fail_after(CONNECT_TIMEOUT):
            stream = await trio.open_tcp_stream(endpoint.host, endpoint.port)
    except trio.TooSlowError as exc:
        raise Unreachable(f"{endpoint} did not answer in {CONNECT_TIMEOUT:.0f} s") from exc
    except OSError as exc:
        raise Unreachable(f"{endpoint} can't be reached: {describe(exc)}") from exc
    sock = socket.socket(fileno=stream.socket.detach())
    sock.setblocking(False)
    set_flow_options(sock)
    return sock


async def connect(target: Target, *, timeout: float) -> socket.socket:
    """Connect to a target within so many seconds.

    Raises `OSError` when no address of it takes the connection, and `trio.TooSlowError`.
    """
    deadline = trio.current_time() + timeout  # a scope costs more, and is hardly ever needed
    failure: OSError = OSError(errno.EADDRNOTAVAIL, f"{target} has no address")
    for family, address in await _resolve(target, deadline):
        sock, code = _begin_to_connect(family, address)
        try:
            if code == errno.EALREADY:
                with trio.fail_at(deadline):
                    await trio.lowlevel.wait_writable(sock)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code == 0:
                set_flow_options(sock)
                return sock
            failure = OSError(code, os.strerror(code))
        except BaseException:
            sock.close()
            raise
        sock.close()
    raise failure


def connect_at_once(target: Target) -> socket.socket | None:
    """Connect to a target on this machine; return None if that fails or can't be done at once."""
    place = _place_here(target)
    if place is None:
        return None
    sock, code = _begin_to_connect(*place)
    if code:
        sock.close()
        return None
    with contextlib.suppress(OSError):  # it has gone already, which shows on the next read
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _begin_to_connect(family: int, address: Place) -> tuple[socket.socket, int]:
    """Return a socket and how far it is: 0 when it is connected, EALREADY when that is under way,
    or why it can't be."""
    sock = socket.socket(family, socket.SOCK_STREAM | getattr(socket, "SOCK_NONBLOCK", 0))
    sock.setblocking(False)
    code = sock.connect_ex(address)
    if code == errno.EINPROGRESS:
        # On the same machine it takes no longer than to ask once more.
        code = sock.connect_ex(address)
        if code == errno.EISCONN:
            code = 0
        elif code == errno.EINPROGRESS:
            code = errno.EALREADY
    return sock, code


@functools.lru_cache(1024)
def _place_here(target: Target) -> tuple[int, Place] | None:
    """Return the family and address of a target on this machine that needs no looking up."""
    if isinstance(target, UnixPath):
        return (socket.AF_UNIX, target.path)
    try:
        address = ipaddress.ip_address(target.host)
    except ValueError:
        return None
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return (family, (target.host, target.port)) if address.is_loopback else None


async def _resolve(target: Target, deadline: float) -> list[tuple[int, Place]]:
    if isinstance(target, UnixPath):
        return [(socket.AF_UNIX, target.path)]
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):  # not a literal of this family
            socket.inet_pton(family, target.host)
            return [(family, (target.host, target.port))]
    with trio.fail_at(deadline):
        found = await trio.socket.getaddrinfo(
            target.host, target.port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
    return [(family, (str(address[0]), int(address[1]))) for family, *_, address in found]


async def handshake(context: Context, sock: socket.socket, *, server_side: bool) -> TlsConnection:
    """Run a TLS handshake; the caller sets the deadline, and the socket is closed on failure.

    Raises `OSError`, in particular `TlsError`.
    """
    try:
        tls = TlsConnection(context, sock, server_side=server_side)
        await _complete(tls, tls.do_handshake)
    except BaseException:
        sock.close()
        raise
    return tls


async def unwrap(tls: TlsConnection) -> socket.socket:
    """End TLS with close_notify in both directions and return the bare connection under it.

    Raises `LinkLost`; the connection is closed on failure.
    """
    try:
        await _complete(tls, tls.shut_down)
    except OSError as exc:
        tls.close()
        raise LinkLost(describe(exc)) from exc
    except BaseException:
        tls.close()
        raise
    return tls.sock


async def _complete(tls: TlsConnection, step: Callable[[], T]) -> T:
    """Return what a TLS call returns, waiting for the socket as often as TLS asks for it."""
    while True:
        try:
            return step()
        except WantRead:
            wait = trio.lowlevel.wait_readable
        except WantWrite:
            wait = trio.lowlevel.wait_writable
        await wait(tls)  # out here, where the exception and all that hangs on it is gone


async def send_all(tls: TlsConnection, data: bytes) -> None:
    """Send everything, or raise `LinkLost`."""
    view = memoryview(data)
    while view:
        view = view[await send_some(tls, view) :]


async def send_some(tls: TlsConnection, data: memoryview) -> int:
    """Send something, and return how many bytes it was; raise `LinkLost`.

    When it is cancelled, none of it counts as sent, but nothing else may be sent before it.
    """
    try:
        return await _complete(tls, functools.partial(tls.send, data))
    except (OSError, trio.ClosedResourceError) as exc:
        raise LinkLost(describe(exc)) from exc


def send_now(tls: TlsConnection, data: memoryview) -> int:
    """Send something without waiting, and return how many bytes it was; raise `LinkLost`.

    After 0, the same bytes have to be sent before any others.
    """
    try:
        return tls.send(data)
    except (WantWrite, WantRead):
        return 0
    except OSError as exc:
        raise LinkLost(describe(exc)) from exc


async def send_plain(sock: socket.socket, data: bytes | memoryview) -> None:
    """Send everything over a connection without TLS, or raise `OSError`."""
    view = memoryview(data)
    while view:
        try:
            view = view[sock.send(view) :]
        except BlockingIOError:
            await trio.lowlevel.wait_writable(sock)


async def receive_some(tls: TlsConnection) -> bytes:
    """Return some bytes, or none at the peer's orderly end; raise `LinkLost` for any other."""
    try:
        # Without this, nearly every first attempt would find nothing to read yet.
        if not tls.pending() and tls.fileno() != -1:
            await trio.lowlevel.wait_readable(tls)
        return await _complete(tls, functools.partial(tls.recv, RECEIVE_SIZE))
    except (OSError, trio.ClosedResourceError) as exc:
        raise LinkLost(describe(exc)) from exc


def receive_now(tls: TlsConnection) -> bytes | None:
    """Return the bytes of one record, none at the peer's orderly end, or None when there is no
    whole record yet; raise `LinkLost`."""
    try:
        return tls.recv(RECEIVE_SIZE)
    except (WantRead, WantWrite):
        return None
    except OSError as exc:
        raise LinkLost(describe(exc)) from exc


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
        return exc.reason
    if isinstance(exc, OSError):
        if exc.errno is None and exc.__cause__ is not None:
            return describe(exc.__cause__)
        if exc.errno is not None and not isinstance(exc, socket.gaierror):
            return os.strerror(exc.errno).lower()  # its own text may name the call and the address
        return (exc.strerror or str(exc)).lower()
    return str(exc)


async def open_listeners(endpoint: Endpoint) -> list[socket.socket]:
    """Open non-blocking listening sockets for every address of an endpoint; raise `PortInUse`.

    Port 0 picks a free one.
    """
    try:
        found = await trio.open_tcp_listeners(endpoint.port, host=endpoint.host, backlog=BACKLOG)
    except OSError as exc:
        raise PortInUse(
            f"can't open port {endpoint}: {describe(exc)}; choose another port, "
            "or see what uses it with 'ss -ltnp'"
        ) from exc
    listening = []
    for listener in found:
        sock = socket.socket(fileno=listener.socket.detach())
        sock.setblocking(False)
        set_flow_options(sock)  # what it accepts has them too
        listening.append(sock)
    return listening
