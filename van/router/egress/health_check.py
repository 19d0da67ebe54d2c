"""Looks at an instance: by a connection, or by an exchange over HTTP, to the end of the answer."""

import socket
from http import HTTPStatus
from typing import Final

import attrs
import h11
import trio

from van import __version__
from van.config import Check
from van.names import Address
from van.router.egress import connecting
from van.router.egress.instance import ALL_WELL, Finding, Instance, Verdict, judge
from van.router.egress.introduction import introduce
from van.router.reactor import sockets
from van.router.reactor.limits import Limits
from van.router.reactor.tls_io import RECEIVE_SIZE
from van.wire.proxy_protocol import LOCAL

MAX_HEAD: Final = 65536
"""Bytes of an answer before its body."""
MAX_BODY: Final = 1 << 20
"""Bytes of its body that are read: who says more to a check has said enough."""
MAX_QUOTED: Final = 60
"""Bytes of what is no HTTP that are shown."""


async def look_at(
    instance: Instance, check: Check | None, address: Address, limits: Limits
) -> Finding:
    """Return what a look at an instance finds."""
    began_at = trio.current_time()
    question = _Question(check.path, address) if check and check.path else None
    try:
        with trio.fail_after(limits.check_timeout):
            sock = await connecting.connect(instance.place)
            took = trio.current_time() - began_at
            try:
                introduce(sock, LOCAL if instance.connector.config.proxy_protocol else b"")
                finding = ALL_WELL if question is None else await question.ask(sock)
            finally:
                sock.close()
    except trio.TooSlowError:
        so_far = question.so_far if question is not None else ""
        time = f"{limits.check_timeout:g} s"
        return Finding(Verdict.SILENT, f"{so_far} in {time}" if so_far else f"no answer in {time}")
    except OSError as exc:
        return judge(exc)
    if finding.verdict is Verdict.WELL and took > limits.slow_after:
        return Finding(Verdict.LATE, f"it took {took:.1f} s to accept a connection")
    return finding


@attrs.define
class _Question:
    """One request for a path, as RFC 9110 has it: 2xx and 3xx say that all is well."""

    path: str
    address: Address
    so_far: str = ""
    """What is to be said if nothing more comes; empty while there is no connection."""
    _heard: bytes = b""
    """The first of what came."""
    _body: int = 0

    async def ask(self, sock: socket.socket) -> Finding:
        """Ask, and read the answer to its end, or as much of it as is enough."""
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self.so_far = f"GET {self.path} got no answer"
        try:
            await sockets.send_plain(sock, self._request(connection))
        except OSError:
            pass  # it may have answered before it broke off, which is read now
        try:
            return await self._hear(sock, connection)
        except OSError as exc:
            return Finding(Verdict.FAILED, f"{self.so_far}: {sockets.describe(exc)}")
        except h11.RemoteProtocolError:
            return Finding(Verdict.FAILED, self._describe_stranger())

    def _request(self, connection: h11.Connection) -> bytes:
        headers = [
            ("host", str(self.address)),
            ("user-agent", f"van/{__version__}"),
            ("connection", "close"),
        ]
        request = h11.Request(method="GET", target=self.path, headers=headers)
        return (connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b"")

    async def _hear(self, sock: socket.socket, connection: h11.Connection) -> Finding:
        finding = ALL_WELL
        while self._body <= MAX_BODY:
            match connection.next_event():
                case h11.Response() as response:
                    status = _status(response)
                    self.so_far = f"GET {self.path} got {status}, but not all of the answer"
                    if not 200 <= response.status_code < 400:
                        finding = Finding(Verdict.FAILED, f"GET {self.path} got {status}")
                case h11.Data(data=part):
                    self._body += len(part)
                case h11.EndOfMessage():
                    break
                case h11.NEED_DATA:
                    received = await _receive(sock)
                    self._heard = self._heard or received[:MAX_QUOTED]
                    connection.receive_data(received)
                case h11.ConnectionClosed():
                    return Finding(Verdict.FAILED, f"{self.so_far}: the connection was closed")
        return finding

    def _describe_stranger(self) -> str:
        """Say what came that is not HTTP, or not all of it."""
        if not self._heard:
            return f"{self.so_far}: the connection was closed"
        if "but not all" in self.so_far:
            return self.so_far
        return f"GET {self.path} got what is no HTTP: {_quote(self._heard)}"


def _status(response: h11.Response) -> str:
    """Return a status in words: the server's own, or the registered ones."""
    code = response.status_code
    reason = bytes(response.reason).decode("ascii", "replace").strip()
    if not reason and code in set(HTTPStatus):
        reason = HTTPStatus(code).phrase
    printable = "".join(each if each.isprintable() else "?" for each in reason[:MAX_QUOTED])
    return f"{code} {printable}".rstrip()


def _quote(data: bytes) -> str:
    """Return the first line of what came, as far as it can be printed."""
    line = data.partition(b"\n")[0].rstrip(b"\r").decode("ascii", "replace")
    return repr("".join(each if each.isprintable() else "?" for each in line))


async def _receive(sock: socket.socket) -> bytes:
    while True:
        try:
            return sock.recv(RECEIVE_SIZE)
        except BlockingIOError:
            await trio.lowlevel.wait_readable(sock)
