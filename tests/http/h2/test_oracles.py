"""Whole conversations with h2 and jh2 at the other end, and what they accept beside what we do."""

import abc
import functools

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import hpack
import jh2.config
import jh2.connection
import jh2.events
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.http.h2.peer import GET, POST, a_server, data, frame, resets, rst, sent, settings, take
from van.http.detection import H2_PREFACE
from van.http.h2.connection import ClientConnection, ServerConnection
from van.http.h2.events import (
    ConnectionFailed,
    DataReceived,
    RequestReceived,
    ResponseReceived,
    StreamReset,
    TrailersReceived,
    WindowOpened,
)
from van.http.h2.frames import FrameType
from van.http.message import Request, Response


class Message:
    """A message that an end sends, or has received."""

    def __init__(self, head=(), body=b"", trailers=(), early=()):
        self.head, self.body, self.trailers, self.early = head, body, trailers, early

    @property
    def parts(self):
        """All of it, with what may be in any order in one."""
        pseudo = sorted(field for field in self.head if field[0].startswith(b":"))
        return (
            pseudo,
            [f for f in self.head if f not in pseudo],
            self.body,
            self.trailers,
            self.early,
        )


class End(abc.ABC):
    """One end, which sends what it is given and gathers what comes."""

    @abc.abstractmethod
    def open(self, head, *, ends): ...

    @abc.abstractmethod
    def send_head(self, stream, head, *, ends): ...

    @abc.abstractmethod
    def go_on(self, stream): ...

    def __init__(self, answers=None):
        self.answers = answers
        """What a server answers, in the order of its streams."""
        self.received, self.ended, self.waiting = {}, [], {}

    def ask(self, message):
        stream = self.open(message.head, ends=not message.body and not message.trailers)
        self.send_rest(stream, message)

    def answer(self, stream):
        message = self.answers[len(self.ended) - 1]
        for head in message.early:
            self.send_head(stream, head, ends=False)
        self.send_head(stream, message.head, ends=not message.body and not message.trailers)
        self.send_rest(stream, message)

    def send_rest(self, stream, message):
        if message.body or message.trailers:
            self.waiting[stream] = (message.body, message.trailers)
            self.go_on(stream)

    def end(self, stream):
        self.ended.append(stream)
        if self.answers is not None:
            self.answer(stream)

    def came(self, stream):
        return self.received.setdefault(stream, Message())


class Ours(End):
    def __init__(self, answers=None):
        super().__init__(answers)
        self.connection = (ClientConnection if answers is None else ServerConnection)(now=0)

    def output(self):
        return take(self.connection)

    def open(self, head, *, ends):
        method, scheme, authority, path = (value for _, value in head[:4])
        return self.connection.open(Request(method, scheme, authority, path, head[4:]), ends=ends)

    def send_head(self, stream, head, *, ends):
        self.connection.send_response(stream, Response(int(head[0][1]), head[1:]), ends=ends)

    def go_on(self, stream):
        body, trailers = self.waiting[stream]
        taken = self.connection.send_data(stream, body, ends=not trailers)
        self.waiting[stream] = (body[taken:], trailers)
        if taken == len(body):
            del self.waiting[stream]
            if trailers:
                self.connection.send_trailers(stream, trailers)

    def feed(self, received):
        for event in self.connection.receive(received, now=0):
            self.take(event)

    def take(self, event):
        match event:
            case RequestReceived(stream, request, ends):
                self.came(stream).head = (
                    (b":method", request.method), (b":scheme", request.scheme),
                    (b":authority", request.authority), (b":path", request.target), *request.fields,
                )  # fmt: skip
            case ResponseReceived(stream, response, ends):
                head = ((b":status", b"%d" % response.status), *response.fields)
                message = self.came(stream)
                if response.is_final:
                    message.head = head
                else:
                    message.early += (head,)
            case DataReceived(stream, piece, ends):
                self.came(stream).body += piece
                self.connection.acknowledge(stream, len(piece))
            case TrailersReceived(stream, fields):
                ends = True
                self.came(stream).trailers = fields
            case WindowOpened(stream):
                ends = False
                self.go_on(stream)
            case StreamReset() | ConnectionFailed():
                pytest.fail(repr(event))
            case _:
                ends = False
        if ends:
            self.end(event.stream_id)


class Oracle(End):
    def __init__(self, library, answers=None):
        super().__init__(answers)
        self.events = library.events
        config = library.config.H2Configuration(client_side=answers is None, header_encoding=None)
        self.connection = library.connection.H2Connection(config)
        self.connection.initiate_connection()

    def output(self):
        return self.connection.data_to_send()

    def open(self, head, *, ends):
        stream = self.connection.get_next_available_stream_id()
        self.send_head(stream, head, ends=ends)
        return stream

    def send_head(self, stream, head, *, ends):
        self.connection.send_headers(stream, list(head), end_stream=ends)

    def go_on(self, stream):
        body, trailers = self.waiting[stream]
        while body and (room := self.connection.local_flow_control_window(stream)) > 0:
            size = min(room, self.connection.max_outbound_frame_size, len(body))
            ends = size == len(body) and not trailers
            self.connection.send_data(stream, body[:size], end_stream=ends)
            body = body[size:]
        self.waiting[stream] = (body, trailers)
        if not body:
            del self.waiting[stream]
            if trailers:
                self.connection.send_headers(stream, list(trailers), end_stream=True)

    def feed(self, received):
        for event in self.connection.receive_data(received):
            self.take(event)
        for stream in tuple(self.waiting):
            self.go_on(stream)

    def take(self, event):
        events = self.events
        fields = tuple((bytes(n), bytes(v)) for n, v in getattr(event, "headers", None) or ())
        if isinstance(event, events.RequestReceived | events.ResponseReceived):
            self.came(event.stream_id).head = fields
        elif isinstance(event, events.InformationalResponseReceived):
            self.came(event.stream_id).early += (fields,)
        elif isinstance(event, events.DataReceived):
            self.came(event.stream_id).body += event.data
            self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, events.TrailersReceived):
            self.came(event.stream_id).trailers = fields
        elif isinstance(event, events.StreamEnded):
            self.end(event.stream_id)
        elif isinstance(event, events.StreamReset | events.ConnectionTerminated):
            pytest.fail(repr(event))


FIELDS = st.lists(
    st.sampled_from(
        [(b"a", b"b"), (b"te", b"trailers"), (b"x-long", b"v" * 3000), (b"authorization",
         b"secret"), (b"grpc-timeout", b"99m"), (b"empty", b""), (b"accept", b"*/*"), (b"x-obs",
         b"\xe4\t!")]
    ), max_size=4, unique=True,
).map(tuple)  # fmt: skip
BODIES = st.sampled_from([b"", b"x", b"y" * 16384, b"z" * 70000, bytes(150_000)])
TRAILERS = st.sampled_from(
    [(), (), ((b"grpc-status", b"0"),), ((b"t", b"u" * 20000), (b"v", b"w"))]
)
PATHS = st.sampled_from([b"/", b"/items/1", b"/items/2?q=a%20b"])
REQUESTS = st.builds(
    lambda path, fields, body, trailers: Message(
        (*POST[:2], (b":authority", b"api"), (b":path", path), *fields), body, trailers
    ),
    PATHS, FIELDS, BODIES, TRAILERS,
)  # fmt: skip
RESPONSES = st.builds(
    lambda status, fields, body, trailers, early: Message(
        ((b":status", status), *fields), body, trailers, early
    ),
    st.sampled_from([b"200", b"404", b"503"]),
    FIELDS.map(lambda fields: tuple(f for f in fields if f[0] != b"te")),
    BODIES,
    TRAILERS,
    st.sampled_from([(), (((b":status", b"103"), (b"link", b"x")),)]),
)
EXCHANGES = st.lists(st.tuples(REQUESTS, RESPONSES), min_size=1, max_size=4)
PAIRS = {
    "ours-h2": (Ours, functools.partial(Oracle, h2)),
    "h2-ours": (functools.partial(Oracle, h2), Ours),
    "ours-jh2": (Ours, functools.partial(Oracle, jh2)),
    "jh2-ours": (functools.partial(Oracle, jh2), Ours),
    "ours-ours": (Ours, Ours),
}


@pytest.mark.slow("passes megabytes through codecs in Python, in pieces")
@pytest.mark.parametrize(("make_client", "make_server"), PAIRS.values(), ids=PAIRS)
@given(EXCHANGES, st.sampled_from([1 << 20, 16384, 1000]))
def test_whole_conversations_come_to_the_other_end_as_they_were(
    make_client, make_server, exchanges, piece
):
    client = make_client()
    server = make_server([response for _, response in exchanges])
    for request, _ in exchanges:
        client.ask(request)
    while True:
        upward, downward = client.output(), server.output()
        if not upward and not downward:
            break
        for end, output in ((server, upward), (client, downward)):
            for at in range(0, len(output), piece):
                end.feed(output[at : at + piece])
    asked = sorted(server.received)
    assert [server.received[stream].parts for stream in asked] == [
        request.parts for request, _ in exchanges
    ]
    answers = (response.parts for _, response in exchanges)
    answered = dict(zip(server.ended, answers, strict=True))
    assert {stream: message.parts for stream, message in client.received.items()} == answered
    assert sorted(client.ended) == asked
    assert not client.waiting
    assert not server.waiting


ODD_FIELDS = st.lists(
    st.sampled_from(
        [*GET, (b":method", b"POST"), (b":method", b""), (b":path", b""), (b":path", b"x"),
         (b":scheme", b""), (b":authority", b""), (b":status", b"200"), (b":x", b"y"), (b"host",
         b"api:8080"), (b"host", b"other"), (b"te", b"trailers"), (b"te", b"gzip"), (b"connection",
         b"x"), (b"transfer-encoding", b"chunked"), (b"upgrade", b"x"), (b"keep-alive", b"1"),
         (b"proxy-connection", b"x"), (b"A", b"b"), (b"a", b" b"), (b"a", b"b "), (b"a", b"b\r"),
         (b"a", b"b\n"), (b"a", b"\0"), (b"", b"x"), (b"a b", b"c"), (b"a:", b"c"),
         (b"content-length", b"0"), (b"content-length", b"1"), (b"content-length", b"x"),
         (b"cookie", b"a=b"), (b":protocol", b"websocket"), (b"\xff", b"x"), (b"a", b"\x7f")]
    ), max_size=9,
)  # fmt: skip


def _is_accepted_by_h2(received):
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    connection.initiate_connection()
    try:
        events = connection.receive_data(received)
    except h2.exceptions.ProtocolError:
        return False
    return not any(isinstance(e, h2.events.StreamReset) and not e.remote_reset for e in events)


@given(st.permutations(GET), ODD_FIELDS, st.booleans())
@example(GET, [], True)
def test_whatever_request_we_accept_the_oracle_accepts(head, fields, is_complete):
    fields = [*head, *fields] if is_complete else fields
    received = settings() + frame(FrameType.HEADERS, 5, 1, hpack.Encoder().encode(fields))
    events = a_server().receive(received, now=0)
    if any(isinstance(event, RequestReceived) for event in events):
        assert _is_accepted_by_h2(H2_PREFACE + received)
    else:
        assert fields != list(GET)


HEAD = hpack.Encoder().encode(POST)
ODD_FRAMES = st.lists(
    st.sampled_from(
        [frame(1, 4, 1, HEAD), frame(1, 5, 1, HEAD), frame(1, 4, 3, HEAD), frame(1, 5, 3, HEAD),
         frame(1, 5, 2, HEAD), frame(1, 1, 1, HEAD[:3]), frame(9, 0, 1, HEAD[3:]), frame(9, 4, 1,
         HEAD[3:]), frame(1, 5, 1, b"\x40\x01a\x01b"), frame(1, 5, 1), data(1, b"x"), data(1, b"x",
         ends=True), data(3, b"", ends=True), data(0), data(5, b"x"), frame(0, 8, 1, b"\x01xy"),
         frame(0, 8, 1, b"\x05xy"), rst(1), rst(3), rst(5), frame(3, 0, 1, b"x"), settings(),
         settings((2, 2)), settings((4, 1 << 31)), settings((5, 5)), frame(4, 1), frame(4, 0, 1),
         frame(4, 0, 0, b"x"), frame(5, 4, 1, b"\0\0\0\x02" + HEAD), frame(6, 0, 0, bytes(8)),
         frame(6, 0, 1, bytes(8)), frame(6, 0, 0, b"x"), frame(8, 0, 0, bytes(4)), frame(8, 0, 1,
         bytes(4)), frame(8, 0, 1, b"\0\0\0\x01"), frame(8, 0, 0, b"\x7f\xff\xff\xff"), frame(8, 0,
         1, b"\x7f\xff\xff\xff"), frame(2, 0, 1, b"\0\0\0\x07\0"), frame(2, 0, 0, bytes(5)),
         frame(2, 0, 1, bytes(4)), frame(0x20, 0, 9, b"x"), frame(1, 0x24, 1, bytes(5) + HEAD)]
    ), max_size=6,
)  # fmt: skip


@given(ODD_FRAMES)
def test_whatever_frames_we_accept_the_oracle_accepts(frames):
    received = settings() + b"".join(frames)
    server = a_server()
    events = server.receive(received, now=0)
    is_accepted = not server.is_closed and not any(
        isinstance(event, StreamReset) and not event.by_peer for event in events
    )
    if is_accepted and not resets(sent(server)):
        assert _is_accepted_by_h2(H2_PREFACE + received)
