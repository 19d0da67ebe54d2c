"""What one hop of a unary gRPC call costs in a codec of HTTP/2, in µs: ours beside h2 and jh2.

A hop is what a proxy does: its server's end reads the request and writes the answer, its client's
end writes the request and reads the answer. Run as `python -m benchmarks.http.unary_call`. Each
figure is the median of rounds that take turns; what is compared is in one run, as the machine has
other work.
"""

import statistics
import time
from typing import Any, Final, Protocol

import h2.config
import h2.connection
import h2.events
import jh2.config
import jh2.connection
import jh2.events

from van.http.h2.connection import ClientConnection, ServerConnection
from van.http.h2.decoder import Decoder
from van.http.h2.encoder import Encoder
from van.http.h2.endpoint import Endpoint
from van.http.h2.events import (
    DataReceived,
    RequestReceived,
    ResponseReceived,
    TrailersReceived,
)
from van.http.message import Fields, Request, Response

ROUNDS: Final = 15
CALLS: Final = 300
BODY: Final = b"\x00\x00\x00\x00\x20" + b"x" * 32

FIELDS: Final = (
    (b"te", b"trailers"),
    (b"content-type", b"application/grpc"),
    (b"user-agent", b"grpc-python/1.76.0 grpc-c/51.0.0 (linux; chttp2)"),
    (b"grpc-accept-encoding", b"identity, deflate, gzip"),
    (b"accept-encoding", b"identity"),
)
ANSWER: Final = (
    (b"content-type", b"application/grpc"),
    (b"grpc-encoding", b"identity"),
    (b"grpc-accept-encoding", b"identity, deflate, gzip"),
)
TRAILERS: Final = ((b"grpc-status", b"0"), (b"grpc-message", b""))


class Contender(Protocol):
    """A proxy with a codec, and with a client and a server for it."""

    spent: float
    """Seconds that the proxy took."""

    def call(self, number: int, *, is_new: bool) -> None:
        """Pass a call of that number through, whose path and deadline are new or as always."""


def request(number: int, *, is_new: bool) -> tuple[bytes, Fields]:
    """Return the path and the fields of a call."""
    if not is_new:
        return b"/grpc.testing.TestService/UnaryCall", FIELDS
    return b"/items/%d/things/%d" % (number, number * 7), (
        *FIELDS,
        (b"grpc-timeout", b"%dm" % (number % 5000)),
    )


class Van:
    """A client, the two ends of a proxy, and a server, all of ours."""

    def __init__(self) -> None:
        self.client, self.downstream = ClientConnection(now=0), ServerConnection(now=0)
        self.upstream, self.server = ClientConnection(now=0), ServerConnection(now=0)
        for left, right in ((self.client, self.downstream), (self.upstream, self.server)):
            for _ in range(2):
                right.receive(_taken(left), now=0)
                left.receive(_taken(right), now=0)
        self.spent = 0.0

    def call(self, number: int, *, is_new: bool) -> None:
        """Pass one call through."""
        path, fields = request(number, is_new=is_new)
        stream = self.client.open(Request(b"POST", b"http", b"api:8080", path, fields))
        self.client.send_data(stream, BODY, ends=True)
        asked = _taken(self.client)
        begin = time.perf_counter()
        passed = self._pass_request(asked)
        self.spent += time.perf_counter() - begin
        events = self.server.receive(passed, now=number)
        stream = next(e for e in events if isinstance(e, RequestReceived)).stream_id
        self.server.send_response(stream, Response(200, ANSWER))
        self.server.send_data(stream, BODY)
        self.server.send_trailers(stream, TRAILERS)
        self.server.acknowledge(stream, len(BODY))
        answered = _taken(self.server)
        begin = time.perf_counter()
        passed = self._pass_response(answered, number)
        self.spent += time.perf_counter() - begin
        events = self.client.receive(passed, now=number)
        assert isinstance(events[-1], TrailersReceived)
        self.client.acknowledge(events[-1].stream_id, len(BODY))

    def _pass_request(self, data: bytes) -> bytes:
        for event in self.downstream.receive(data, now=0):
            if isinstance(event, RequestReceived):
                self._below = event.stream_id
                self._above = self.upstream.open(event.request, ends=event.ends)
            elif isinstance(event, DataReceived):
                self.upstream.send_data(self._above, event.data, ends=event.ends)
                self.downstream.acknowledge(event.stream_id, len(event.data))
        return _taken(self.upstream)

    def _pass_response(self, data: bytes, now: float) -> bytes:
        for event in self.upstream.receive(data, now=now):
            if isinstance(event, ResponseReceived):
                self.downstream.send_response(self._below, event.response, ends=event.ends)
            elif isinstance(event, DataReceived):
                self.downstream.send_data(self._below, event.data, ends=event.ends)
                self.upstream.acknowledge(event.stream_id, len(event.data))
            elif isinstance(event, TrailersReceived):
                self.downstream.send_trailers(self._below, event.fields)
        return _taken(self.downstream)


class Hyper:
    """The same with h2, or with jh2, which has its interface."""

    def __init__(self, library: Any, *, checks: bool) -> None:
        self._events = library.events
        modes = (True, False, True, False)
        self._ends = [self._end(library, is_client=mode, checks=checks) for mode in modes]
        for left, right in ((0, 1), (2, 3)):
            for _ in range(2):
                self._ends[right].receive_data(self._ends[left].data_to_send())
                self._ends[left].receive_data(self._ends[right].data_to_send())
        self.spent = 0.0

    def _end(self, library: Any, *, is_client: bool, checks: bool) -> Any:
        config = library.config.H2Configuration(
            client_side=is_client,
            header_encoding=None,
            validate_inbound_headers=checks,
            validate_outbound_headers=checks,
            normalize_inbound_headers=checks,
            normalize_outbound_headers=checks,
        )
        end = library.connection.H2Connection(config)
        end.initiate_connection()
        return end

    def call(self, number: int, *, is_new: bool) -> None:
        """Pass one call through."""
        client, _, _, server = self._ends
        path, fields = request(number, is_new=is_new)
        head = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"api:8080")]
        stream = client.get_next_available_stream_id()
        client.send_headers(stream, [*head, (b":path", path), *fields])
        client.send_data(stream, BODY, end_stream=True)
        asked = client.data_to_send()
        begin = time.perf_counter()
        passed = self._pass_request(asked)
        self.spent += time.perf_counter() - begin
        events = server.receive_data(passed)
        stream = next(e for e in events if isinstance(e, self._events.RequestReceived)).stream_id
        server.send_headers(stream, [(b":status", b"200"), *ANSWER])
        server.send_data(stream, BODY)
        server.send_headers(stream, list(TRAILERS), end_stream=True)
        server.acknowledge_received_data(len(BODY), stream)
        answered = server.data_to_send()
        begin = time.perf_counter()
        passed = self._pass_response(answered)
        self.spent += time.perf_counter() - begin
        events = client.receive_data(passed)
        client.acknowledge_received_data(len(BODY), events[-1].stream_id)
        assert isinstance(events[-1], self._events.StreamEnded)

    def _pass_request(self, data: bytes) -> bytes:
        _, downstream, upstream, _ = self._ends
        for event in downstream.receive_data(data):
            if isinstance(event, self._events.RequestReceived):
                self._below = event.stream_id
                self._above = upstream.get_next_available_stream_id()
                upstream.send_headers(self._above, event.headers)
            elif isinstance(event, self._events.DataReceived):
                upstream.send_data(self._above, event.data)
                downstream.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, self._events.StreamEnded):
                upstream.end_stream(self._above)
        passed: bytes = upstream.data_to_send()
        return passed

    def _pass_response(self, data: bytes) -> bytes:
        _, downstream, upstream, _ = self._ends
        for event in upstream.receive_data(data):
            if isinstance(event, self._events.ResponseReceived):
                downstream.send_headers(self._below, event.headers)
            elif isinstance(event, self._events.DataReceived):
                downstream.send_data(self._below, event.data)
                upstream.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, self._events.TrailersReceived):
                downstream.send_headers(self._below, event.headers, end_stream=True)
        passed: bytes = downstream.data_to_send()
        return passed


def measure_calls(*, is_new: bool) -> dict[str, float]:
    """Return the median time of a call in µs, for each codec."""
    contenders: dict[str, Contender] = {
        "van": Van(),
        "jh2": Hyper(jh2, checks=True),
        "h2": Hyper(h2, checks=True),
        "h2 without checks": Hyper(h2, checks=False),
    }
    rounds: dict[str, list[float]] = {name: [] for name in contenders}
    number = 0
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            contender.spent = 0.0
            for offset in range(CALLS):
                contender.call(number + offset, is_new=is_new)
            rounds[name].append(contender.spent / CALLS * 1e6)
        number += CALLS
    return {name: statistics.median(times) for name, times in rounds.items()}


def measure_blocks() -> dict[str, float]:
    """Return the median times of HPACK alone in µs: the same block again, and a new path and
    deadline in each."""
    figures = {}
    for is_new in (False, True):
        encode, decode = [], []
        encoder, decoder = Encoder(), Decoder(max_size=32768, max_fields=128)
        for first in range(0, ROUNDS * CALLS, CALLS):
            lists = []
            for number in range(first, first + CALLS):
                path, fields = request(number, is_new=is_new)
                lists.append(((b":method", b"POST"), (b":path", path), *fields))
            begin = time.perf_counter()
            blocks = [encoder.encode(fields) for fields in lists]
            middle = time.perf_counter()
            for block in blocks:
                decoder.decode(block)
            decode.append((time.perf_counter() - middle) / CALLS * 1e6)
            encode.append((middle - begin) / CALLS * 1e6)
        kind = "path and deadline new" if is_new else "the same again"
        figures[f"encode, {kind}"] = statistics.median(encode)
        figures[f"decode, {kind}"] = statistics.median(decode)
    return figures


def _taken(end: Endpoint) -> bytes:
    output = bytes(end.output)
    end.written(len(output))
    return output


def main() -> None:
    """Print the tables."""
    print(f"{'unary gRPC, one hop, µs':30} {'the same again':>16} {'path and deadline new':>24}")
    same, new = measure_calls(is_new=False), measure_calls(is_new=True)
    for name, figure in same.items():
        print(f"{name:30} {figure:16.1f} {new[name]:24.1f}")
    print()
    print("HPACK of one head, µs")
    for name, figure in measure_blocks().items():
        print(f"{name:30} {figure:16.2f}")


if __name__ == "__main__":
    main()
