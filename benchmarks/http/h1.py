"""What one exchange of HTTP/1 costs a proxy: both directions parsed, and written again.

Three parsers beside each other, in turns, so that what else the machine does meets them alike:

* h11: events in, events out. * httptools: fields are told to Python, and joined to heads again,
with the same lines left out. * van: heads are matched as a whole, and go on as they came, with a
line put in (*heads*); and that with the connections of the client and the target around it, as the
ingress and the egress have them (*both ends*: that is two hops).

No figure is held by a test. Run it by `python -m benchmarks.http.h1`.
"""

import statistics
import time
from collections.abc import Callable
from typing import Final

import attrs
import h11
import httptools

from benchmarks.common.reporting import emit, note, number
from van.http.h1.client_connection import ClientConnection
from van.http.h1.forwarding import forward_request, forward_response
from van.http.h1.request import parse_request
from van.http.h1.response import parse_response
from van.http.h1.target_connection import TargetConnection

TURNS: Final = 15
EXCHANGES: Final = 500
"""In each turn."""
VIA: Final = b"Via: 1.1 van\r\n"
HOP_BY_HOP: Final = frozenset({b"connection", b"keep-alive", b"te", b"upgrade"})
FEW: Final = b"Host: localhost:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n"
MANY: Final = (
    b"Host: localhost:8080\r\nConnection: keep-alive\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
    b"Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\nCookie: session=0123456789abcdef; theme=dark\r\n"
    + b"".join(b"X-Header-%d: value of header %d\r\n" % (n, n) for n in range(13))
)
ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 30 Nov 2026 09:00:00 GMT\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
)
LOADS: Final = {
    "GET, 3 headers": b"GET /index.html HTTP/1.1\r\n" + FEW + b"\r\n",
    "GET, 20": b"GET /index.html HTTP/1.1\r\n" + MANY + b"\r\n",
    "POST 1 kB": b"POST /form HTTP/1.1\r\n" + FEW + b"Content-Length: 1024\r\n\r\n" + bytes(1024),
}


def by_h11(request: bytes) -> Callable[[], object]:
    """Return an exchange that h11 parses and writes, as a proxy has it: four connections' work."""
    clients = h11.Connection(h11.SERVER)
    targets = h11.Connection(h11.CLIENT)

    def exchange() -> None:
        clients.receive_data(request)
        pass_on(clients, targets)
        targets.receive_data(ANSWER)
        pass_on(targets, clients)
        clients.start_next_cycle()
        targets.start_next_cycle()

    def pass_on(source: h11.Connection, sink: h11.Connection) -> None:
        written = []
        while True:
            event = source.next_event()
            if isinstance(event, h11.Request | h11.Response):
                fields = [field for field in event.headers if field[0] not in HOP_BY_HOP]
                event = attrs_of(event, [*fields, (b"via", b"1.1 van")])
            assert isinstance(event, h11.Event)
            written.append(sink.send(event))
            if isinstance(event, h11.EndOfMessage):
                return

    def attrs_of(event: h11.Event, fields: list[tuple[bytes, bytes]]) -> h11.Event:
        if isinstance(event, h11.Request):
            return h11.Request(method=event.method, target=event.target, headers=fields)
        assert isinstance(event, h11.Response)
        return h11.Response(status_code=event.status_code, reason=event.reason, headers=fields)

    return exchange


class Gathered:
    """What httptools tells of a message."""

    def __init__(self) -> None:
        self.start = b""
        self.lines: list[bytes] = []
        self.body = b""
        self.is_over = False

    def on_message_begin(self) -> None:
        """Begin anew."""
        self.start, self.lines, self.body, self.is_over = b"", [], b"", False

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self.start += url

    def on_status(self, status: bytes) -> None:
        """Take a part of the reason."""
        self.start += status

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field."""
        if name.lower() not in HOP_BY_HOP:
            self.lines.append(b"%b: %b\r\n" % (name, value))

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self.body += body

    def on_message_complete(self) -> None:
        """Take note of the end."""
        self.is_over = True


def by_httptools(request: bytes) -> Callable[[], object]:
    """Return an exchange that httptools parses, and that is written from what it tells."""
    asked, answered = Gathered(), Gathered()
    requests = httptools.HttpRequestParser(asked)
    answers = httptools.HttpResponseParser(answered)

    def exchange() -> None:
        requests.feed_data(request)
        line = b"%b %b HTTP/1.1\r\n" % (requests.get_method(), asked.start)
        b"".join((line, *asked.lines, VIA, b"\r\n", asked.body))
        answers.feed_data(ANSWER)
        line = b"HTTP/1.1 %d %b\r\n" % (answers.get_status_code(), answered.start)
        b"".join((line, *answered.lines, VIA, b"\r\n", answered.body))
        assert asked.is_over
        assert answered.is_over

    return exchange


def by_heads(request: bytes) -> Callable[[], object]:
    """Return an exchange of which van parses the heads and passes them on."""

    def exchange() -> None:
        asked = parse_request(request)
        assert asked is not None
        head = forward_request(asked, VIA)
        b"".join((head, request[len(asked.raw) :]))
        answered = parse_response(ANSWER, asked.method)
        assert answered is not None
        head = forward_response(answered, VIA)
        b"".join((head, ANSWER[len(answered.raw) :]))

    return exchange


def by_connections(request: bytes) -> Callable[[], object]:
    """Return an exchange that goes through both ends of the VAN."""
    client, target = ClientConnection(), TargetConnection()

    def exchange() -> None:
        client.receive(request)
        asked = client.next_request()
        assert asked is not None
        head = forward_request(asked, b"X-Request-Id: 0123456789abcdef\r\n")
        flow = b"".join((head, client.next_body()))
        target.receive_request(flow, b"Forwarded: for=_east\r\n")
        target.receive_request_end()
        client.receive_answer(asked, target.receive(ANSWER))
        assert client.request is None
        assert target.request is None

    return exchange


PARSERS: Final = {
    "h11": by_h11,
    "httptools": by_httptools,
    "van, heads": by_heads,
    "van, both ends": by_connections,
}


@attrs.frozen
class Figure:
    """Processor time of an exchange in µs: the median of the turns, and the least."""

    median: float
    least: float


def measure(exchanges: dict[str, Callable[[], object]]) -> dict[str, Figure]:
    """Return the figure of each, measured in turns."""
    found: dict[str, list[float]] = {name: [] for name in exchanges}
    for _ in range(TURNS):
        for name, exchange in exchanges.items():
            start = time.process_time()
            for _ in range(EXCHANGES):
                exchange()
            found[name].append((time.process_time() - start) / EXCHANGES * 1e6)
    return {name: Figure(statistics.median(each), min(each)) for name, each in found.items()}


def main() -> None:
    """Measure, and print the table."""
    figures = {}
    for name, request in LOADS.items():
        note(name)
        figures[name] = measure({parser: make(request) for parser, make in PARSERS.items()})
    rows = []
    for parser in PARSERS:
        cells = [figures[load][parser] for load in LOADS]
        rows.append([parser, *(f"{number(each.median)} ({number(each.least)})" for each in cells)])
    emit("One exchange, both directions, CPU µs: median (least)", ["", *LOADS], rows)


if __name__ == "__main__":
    main()
