"""Async steps on a non-blocking TLS connection: handshake, unwrap, send, receive."""

import functools
import socket
from collections.abc import Callable
from typing import Final, TypeVar

import trio

from van.errors import LinkLost
from van.router.reactor.sockets import describe
from van.tls.connection import TlsConnection, WantRead, WantWrite
from van.tls.contexts import Context

RECEIVE_SIZE: Final = 65536
T = TypeVar("T")


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
