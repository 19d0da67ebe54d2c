"""What two other parsers of HTTP/1 make of bytes: the first message, or None if there is none."""

from typing import TYPE_CHECKING

import attrs
import h11
import httptools

if TYPE_CHECKING:
    from collections.abc import Callable

Field = tuple[bytes, bytes]


@attrs.frozen
class Read:
    """A message as it was read."""

    start: tuple[bytes, ...]
    fields: tuple[Field, ...]
    """With names in lower case."""
    payload: bytes
    trailers: tuple[Field, ...]


def request_by_h11(data: bytes) -> Read | None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    return _by_h11(connection, data)


def answer_by_h11(data: bytes) -> Read | None:
    """Read an answer to GET."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    return _by_h11(connection, data)


def _by_h11(connection: h11.Connection, data: bytes) -> Read | None:
    connection.receive_data(data)
    start: tuple[bytes, ...] = ()
    fields: tuple[Field, ...] = ()
    payload = b""
    try:
        while True:
            event = connection.next_event()
            match event:
                case h11.Request():
                    start, fields = (event.method, event.target), tuple(event.headers)
                case h11.Response():
                    start, fields = (b"%d" % event.status_code,), tuple(event.headers)
                case h11.InformationalResponse():
                    pass
                case h11.Data():
                    payload += bytes(event.data)
                case h11.EndOfMessage():
                    return Read(start, fields, payload, tuple(event.headers))
                case _:
                    return None
    except h11.RemoteProtocolError:
        return None


def request_by_httptools(data: bytes) -> Read | None:
    told = Told()
    parser = httptools.HttpRequestParser(told)
    told.starts_with = lambda: (parser.get_method(), told.target)
    return _by_httptools(parser, told, data)


def answer_by_httptools(data: bytes) -> Read | None:
    told = Told()
    parser = httptools.HttpResponseParser(told)
    told.starts_with = lambda: (b"%d" % parser.get_status_code(),)
    return _by_httptools(parser, told, data)


def _by_httptools(parser, told: "Told", data: bytes) -> Read | None:
    try:
        parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        # What is behind the first message does not matter.
        pass
    if not told.is_over:
        return None
    return Read(told.start, tuple(told.fields), told.payload, tuple(told.trailers))


class Told:
    """What httptools tells of the first message."""

    def __init__(self) -> None:
        self.starts_with: Callable[[], tuple[bytes, ...]] = tuple
        self.start: tuple[bytes, ...] = ()
        self.target = self.payload = b""
        self.fields: list[Field] = []
        self.trailers: list[Field] = []
        self.is_in_body = self.is_over = False

    def on_url(self, url: bytes) -> None:
        if not self.is_over:
            self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.is_over:
            # It leaves the space behind a value, which is none of it.
            field = name.lower(), value.rstrip(b" \t")
            (self.trailers if self.is_in_body else self.fields).append(field)

    def on_headers_complete(self) -> None:
        if not self.is_in_body:
            self.start = self.starts_with()
        self.is_in_body = True

    def on_body(self, body: bytes) -> None:
        if not self.is_over:
            self.payload += body

    def on_message_complete(self) -> None:
        self.is_over = True
