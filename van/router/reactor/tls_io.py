"""Async steps on a non-blocking TLS connection: handshake, unwrap, send, receive."""

import contextlib
import functools
import socket
from collections.abc import Callable
from typing import Final, TypeVar

import trio

from van.errors import LinkLost
from van.router.reactor.sockets import describe
from van.tls.connection import TlsConnection, TlsError, WantRead, WantWrite
from van.tls.contexts import Context

RECEIVE_SIZE: Final = 65536
FAREWELL_TIMEOUT: Final = 1.0
"""Seconds that a peer has to read why its handshake failed."""
MAX_UNREAD: Final = 4 * RECEIVE_SIZE
"""Bytes that are read of it meanwhile: more than anybody sends before it has read anything."""
T = TypeVar("T")


async def handshake(context: Context, sock: socket.socket, *, server_side: bool) -> TlsConnection:
    """Run a TLS handshake; the caller sets the deadline, and the socket is closed on failure.

    Raises `OSError`, in particular `TlsError`.
    """
    try:
        tls = TlsConnection(context, sock, server_side=server_side)
        await _complete(tls, tls.do_handshake)
    except TlsError:
        with contextlib.closing(sock):
            if server_side:
                await _let_read(sock)
        raise
    except BaseException:
        sock.close()
        raise
    return tls


async def _let_read(sock: socket.socket) -> None:
    """Give the peer the time to read why it is refused.

    In TLS 1.3 it has sent its first words by then, and closing a connection with something unread
    resets it, which takes the alert from the peer as well.
    """
    with trio.move_on_after(FAREWELL_TIMEOUT), contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        for _ in range(MAX_UNREAD // RECEIVE_SIZE):
            await trio.lowlevel.wait_readable(sock)
            if not sock.recv(RECEIVE_SIZE):
                return


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
