"""Looks whether an instance is well: by a connection, or by a request over HTTP."""

import socket
from typing import Final

import h11
import trio

from van import __version__
from van.config import Check
from van.names import Address
from van.router.egress.connector import Instance, connect
from van.router.reactor import sockets
from van.router.reactor.limits import Limits
from van.router.reactor.tls_io import RECEIVE_SIZE

MAX_HEAD: Final = 65536
"""Bytes of an answer before its body, of which nothing is read."""


async def look_at(instance: Instance, check: Check | None, address: Address, limits: Limits) -> str:
    """Return why an instance is not well, or nothing."""
    try:
        with trio.fail_after(limits.check_timeout):
            sock = await connect(instance, limits)
            try:
                return await _ask(sock, check.path, address) if check and check.path else ""
            finally:
                sock.close()
    except trio.TooSlowError:
        return f"no answer in {limits.check_timeout:.0f} s"
    except OSError as exc:
        return sockets.describe(exc)


async def _ask(sock: socket.socket, path: str, address: Address) -> str:
    """Ask for a path, as RFC 9110 has it: 2xx and 3xx say that all is well."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    headers = [
        ("host", str(address)), ("user-agent", f"van/{__version__}"), ("connection", "close")
    ]  # fmt: skip
    request = connection.send(h11.Request(method="GET", target=path, headers=headers)) or b""
    await sockets.send_plain(sock, request + (connection.send(h11.EndOfMessage()) or b""))
    try:
        while not isinstance(event := connection.next_event(), h11.Response):
            if event is not h11.NEED_DATA and not isinstance(event, h11.InformationalResponse):
                return f"GET {path} was not answered"
            if event is h11.NEED_DATA:
                connection.receive_data(await _receive(sock))
    except h11.RemoteProtocolError:
        return f"GET {path} was not answered with HTTP"
    is_well = 200 <= event.status_code < 400
    return "" if is_well else f"GET {path} was answered with status {event.status_code}"


async def _receive(sock: socket.socket) -> bytes:
    while True:
        try:
            return sock.recv(RECEIVE_SIZE)
        except BlockingIOError:
            await trio.lowlevel.wait_readable(sock)
