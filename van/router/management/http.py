"""A small HTTP/1.1 server on a unix socket: JSON in, JSON out, one request at a time.

The protocol itself is h11's, who answers is in `handlers`, and where they are asked in
`control_socket`; here are the limits.
"""

import logging
from pathlib import Path
from typing import Final

import attrs
import h11
import msgspec
import trio

from van.control.values.base import MAX_REQUEST, ErrorReply
from van.errors import LocalError, NotFound, VanError
from van.router.management.control_socket import serve_socket
from van.router.management.handlers import Handlers, WrongMethod
from van.router.reactor.supervisor import Defects

logger = logging.getLogger(__name__)

REQUEST_TIMEOUT: Final = 30.0
"""Seconds for a client to send its request, and for it to take the answer."""
MAX_CLIENTS: Final = 128
"""Clients that are served at one time; others wait."""
MAX_HEADER: Final = 16 * 1024


@attrs.frozen
class Reply:
    """A status code and a body."""

    code: int
    body: bytes
    allowed: tuple[str, ...] = ()
    """The methods that would be right, for one that is not."""


async def serve_http(
    path: Path,
    handlers: Handlers,
    defects: Defects,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a unix socket that only its owner may use, until cancelled; then remove it."""
    clients = trio.CapacityLimiter(MAX_CLIENTS)

    async def serve(stream: trio.SocketStream) -> None:
        async with clients:
            await _serve_connection(stream, handlers, defects)

    await serve_socket(path, serve, task_status=task_status)


async def _serve_connection(
    stream: trio.SocketStream, handlers: Handlers, defects: Defects
) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEADER)
    try:
        async with stream:
            while True:
                with trio.fail_after(REQUEST_TIMEOUT):
                    received = await _receive(connection, stream)
                if received is None:
                    return
                is_head = False
                if isinstance(received, Reply):
                    reply = received
                else:
                    is_head = received[0].method == b"HEAD"
                    reply = await _answer(*received, handlers, defects)
                with trio.fail_after(REQUEST_TIMEOUT):
                    await _send(connection, stream, reply, is_head=is_head)
                if connection.our_state is h11.MUST_CLOSE:
                    return
                connection.start_next_cycle()
    except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as exc:
        logger.debug("control client left: %r", exc)
    except h11.LocalProtocolError as exc:
        logger.debug("control client left in mid-request: %s", exc)


async def _receive(
    connection: h11.Connection, stream: trio.SocketStream
) -> tuple[h11.Request, bytes] | Reply | None:
    """Return a whole request, a reply to one that is not valid, or None at the end."""
    request: h11.Request | None = None
    body = bytearray()
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as exc:
            return _error(exc.error_status_hint, "invalid", f"not a valid request: {exc}")
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(65536))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_REQUEST:
                return _error(413, "invalid", f"the request is larger than {MAX_REQUEST} bytes")
        elif isinstance(event, h11.EndOfMessage) and request is not None:
            return request, bytes(body)
        else:
            return None


async def _answer(request: h11.Request, body: bytes, handlers: Handlers, defects: Defects) -> Reply:
    method, target = request.method.decode("ascii"), request.target.decode("latin-1")
    with defects.contain("control request %s %s", method, target):
        return await _ask(method, target, body, handlers)
    return _error(500, "defect", "the router could not do this: see its log")


async def _ask(method: str, target: str, body: bytes, handlers: Handlers) -> Reply:
    try:
        value = await handlers.answer(method, target.partition("?")[0], body)
        return Reply(200, msgspec.json.encode(value))
    except WrongMethod as exc:
        return attrs.evolve(_error(405, exc.code, str(exc)), allowed=exc.allowed)
    except NotFound as exc:
        return _error(404, exc.code, str(exc))
    except LocalError as exc:
        return _error(400, exc.code, str(exc))
    except VanError as exc:
        return _error(502, exc.code, str(exc))


def _error(code: int, slug: str, message: str) -> Reply:
    return Reply(code, msgspec.json.encode(ErrorReply(code=slug, message=message)))


async def _send(
    connection: h11.Connection, stream: trio.SocketStream, reply: Reply, *, is_head: bool
) -> None:
    headers = [("content-type", "application/json"), ("content-length", str(len(reply.body)))]
    if reply.allowed:
        headers.append(("allow", ", ".join(reply.allowed)))
    if connection.their_state is h11.ERROR:
        headers.append(("connection", "close"))
    head = connection.send(h11.Response(status_code=reply.code, headers=headers))
    data = b"" if is_head else connection.send(h11.Data(data=reply.body))
    end = connection.send(h11.EndOfMessage())
    await stream.send_all((head or b"") + (data or b"") + (end or b""))
    if connection.their_state is h11.ERROR and connection.our_state is not h11.MUST_CLOSE:
        await stream.aclose()
