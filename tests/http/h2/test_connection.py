import itertools

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.h2.peer import (
    GET,
    OK,
    POST,
    REQUEST,
    a_client,
    a_server,
    converse,
    data,
    frame,
    goaway,
    headers,
    rst,
    sent,
    settings,
    take,
    window_update,
)
from van.errors import InvalidValue
from van.http.detection import H2_PREFACE
from van.http.h2.connection import ClientConnection, ServerConnection
from van.http.h2.events import (
    DataReceived,
    PeerGoingAway,
    PingAcknowledged,
    RequestReceived,
    ResponseReceived,
    SettingsReceived,
    StreamReset,
    TrailersReceived,
    WindowOpened,
)
from van.http.h2.faults import ErrorCode
from van.http.h2.frames import FrameType
from van.http.h2.settings import Limits
from van.http.message import Request, Response

TRAILERS = ((b"grpc-status", b"0"),)


def a_pair(client_limits=None, server_limits=None):
    client, server = ClientConnection(client_limits, now=0), ServerConnection(server_limits, now=0)
    converse(client, server)
    return client, server


def test_an_exchange_with_bodies_and_trailers():
    client, server = a_pair()
    request = Request(b"POST", b"http", b"api", b"/call", ((b"te", b"trailers"),))
    stream = client.open(request)
    assert client.send_data(stream, b"question", ends=True) == 8
    assert server.receive(take(client), now=0) == [
        RequestReceived(1, request, ends=False),
        DataReceived(1, memoryview(b"question"), ends=True),
    ]
    server.send_response(stream, Response(103, ((b"link", b"x"),)))
    server.send_response(stream, Response(200, ((b"a", b"b"),)))
    server.send_data(stream, b"answer")
    server.send_trailers(stream, TRAILERS)
    assert client.receive(take(server), now=0) == [
        ResponseReceived(1, Response(103, ((b"link", b"x"),)), ends=False),
        ResponseReceived(1, Response(200, ((b"a", b"b"),)), ends=False),
        DataReceived(1, memoryview(b"answer"), ends=False),
        TrailersReceived(1, TRAILERS),
    ]
    assert (client.streams, server.streams) == (0, 0)


def test_an_answer_that_is_head_only():
    client, server = a_pair()
    stream = client.open(REQUEST, ends=True)
    assert server.receive(take(client), now=0) == [RequestReceived(1, REQUEST, ends=True)]
    server.send_response(stream, Response(200, TRAILERS), ends=True)
    assert client.receive(take(server), now=0) == [
        ResponseReceived(1, Response(200, TRAILERS), ends=True)
    ]
    assert (client.streams, server.streams) == (0, 0)


def test_all_that_a_turn_brings_is_in_one_buffer():
    client, server = a_pair()
    for _ in range(5):
        client.open(REQUEST, ends=True)
    events = server.receive(take(client), now=0)
    assert [e.stream_id for e in events] == [1, 3, 5, 7, 9]


def test_what_was_written_is_taken_from_the_buffer_by_who_wrote_it():
    client, server = a_pair()
    client.open(REQUEST, ends=True)
    whole = bytes(client.output)
    client.written(5)
    client.open(REQUEST, ends=True)
    assert len(server.receive(whole[:5] + take(client), now=0)) == 2


CONVERSATION = (
    H2_PREFACE
    + settings((4, 100000), (1, 100))
    + headers(1, (*POST, (b"content-length", b"9")))
    + window_update(0, 5000)
    + data(1, b"12345")
    + headers(3, GET, ends=True)
    + frame(FrameType.DATA, 0x9, 1, b"\x026789xx")
    + headers(5, POST)
    + frame(FrameType.PING, 0, 0, b"12345678")
    + data(5, b"x" * 3000)
    + headers(5, TRAILERS, ends=True)
    + headers(7, GET)
    + rst(7)
    + frame(FrameType.GOAWAY, 0, 0, bytes(8))
)


@given(st.lists(st.integers(0, len(CONVERSATION)), max_size=8))
def test_however_bytes_are_cut_the_events_and_answers_are_the_same(cuts):
    whole = ServerConnection(now=0)
    expected = whole.receive(CONVERSATION, now=0)
    cut = ServerConnection(now=0)
    events = []
    bounds = sorted({0, *cuts, len(CONVERSATION)})
    for begin, end in itertools.pairwise(bounds):
        events += cut.receive(CONVERSATION[begin:end], now=0)
    assert events == expected
    assert cut.output == whole.output
    assert len(expected) == 11


def test_a_byte_at_a_time_is_enough():
    whole, cut = ServerConnection(now=0), ServerConnection(now=0)
    events = []
    for at in range(len(CONVERSATION)):
        events += cut.receive(CONVERSATION[at : at + 1], now=0)
    assert events == whole.receive(CONVERSATION, now=0)


@given(st.binary(max_size=200), st.sampled_from([a_server, a_client]))
def test_any_bytes_are_events_or_end_the_connection(received, make):
    end = make()
    events = end.receive(received, now=0)
    assert end.is_closed == (bool(events) and type(events[-1]).__name__ == "ConnectionFailed")


FRAMES = st.builds(
    frame,
    st.integers(0, 10),
    st.sampled_from([0, 1, 4, 5, 8, 0xC, 0x20, 0x25]),
    st.sampled_from([0, 1, 2, 3, 5]),
    st.sampled_from(
        [b"", b"\0", bytes(4), b"\0\0\0\x01", bytes(5), bytes(8), headers(1)[9:], headers(1,
         OK)[9:], b"\x02abcd"]
    ),
)  # fmt: skip


@given(st.lists(FRAMES, max_size=12), st.sampled_from([a_server, a_client]))
def test_any_frames_are_events_or_faults(frames, make):
    end = make()
    if isinstance(end, ClientConnection):
        end.open(REQUEST)
        end.open(REQUEST, ends=True)
    for received in frames:
        for event in end.receive(received, now=0):
            if isinstance(event, DataReceived):
                end.acknowledge(event.stream_id, len(event.data))
            elif isinstance(event, RequestReceived):
                end.send_response(event.stream_id, Response(200))
                end.send_data(event.stream_id, b"x", ends=True)
    assert end.streams <= 3
    sent(end)


def test_no_more_is_taken_than_the_windows_let():
    client, server = a_pair()
    stream = client.open(Request(b"POST", b"http", b"api", b"/"))
    body = bytes(range(256)) * 1000
    assert client.send_window(stream) == 65535
    assert client.send_data(stream, body, ends=True) == 65535
    assert client.send_data(stream, body[65535:], ends=True) == 0
    received, offset = bytearray(), 65535
    while True:
        for event in server.receive(take(client), now=0):
            if isinstance(event, DataReceived):
                received += event.data
                server.acknowledge(event.stream_id, len(event.data))
                ended = event.ends
        if ended:
            break
        assert WindowOpened(stream) in client.receive(take(server), now=0)
        offset += client.send_data(stream, body[offset:], ends=True)
    assert received == body


def test_streams_that_wait_for_the_connection_hear_of_it_in_turn():
    client = a_client(None, (4, 1 << 20))
    first, second, third = [client.open(Request(b"POST", b"http", b"api", b"/")) for _ in range(3)]
    assert client.send_data(first, bytes(100000)) == 65535
    assert client.send_data(second, b"x") == client.send_data(third, b"y") == 0
    assert client.receive(window_update(0, 10), now=0) == [
        WindowOpened(first),
        WindowOpened(second),
        WindowOpened(third),
    ]
    assert client.send_data(first, bytes(10)) == 10
    assert client.send_data(second, b"x") == 0
    assert client.send_data(first, b"x") == 0
    assert client.receive(window_update(0, 1), now=0) == [WindowOpened(second), WindowOpened(first)]


def test_a_stream_that_is_over_waits_for_no_room():
    client = a_client(None, (4, 10))
    stream = client.open(Request(b"POST", b"http", b"api", b"/"))
    assert client.send_data(stream, bytes(20)) == 10
    client.reset(stream)
    assert client.receive(window_update(0, 1000) + window_update(stream, 1000), now=0) == []


def test_a_request_that_is_for_nobody_in_particular_says_so():
    client = a_client()
    client.open(Request(b"GET", b"http", b"", b"/", ((b"a", b"b"),)), ends=True)
    (frame_,) = sent(client)
    names = [bytes(name) for name, _ in hpack.Decoder().decode(frame_.payload, raw=True)]
    assert names == [b":method", b":scheme", b":path", b"a"]


def test_a_stream_hears_of_no_room_that_it_has_not():
    client = a_client(None, (4, 10))
    stream = client.open(Request(b"POST", b"http", b"api", b"/"))
    assert client.send_data(stream, bytes(20)) == 10
    assert client.receive(window_update(0, 1000), now=0) == []
    assert client.receive(settings((4, 15)), now=0) == [WindowOpened(stream), SettingsReceived()]
    assert client.send_window(stream) == 5


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 32768, 40000])
def test_a_body_goes_in_frames_that_the_peer_takes(size):
    client = a_client()
    stream = client.open(Request(b"POST", b"http", b"api", b"/"))
    sent(client)
    assert client.send_data(stream, b"x" * size, ends=True) == size
    frames = sent(client)
    assert sum(len(f.payload) for f in frames) == size
    assert max(len(f.payload) for f in frames) <= 16384
    assert [f.flags for f in frames] == [0] * (len(frames) - 1) + [1]
    assert len(frames) == max(1, -(-size // 16384))


def test_larger_frames_go_to_who_takes_them():
    client = a_client(None, (5, 1 << 17), (4, 1 << 20))
    stream = client.open(Request(b"POST", b"http", b"api", b"/", ((b"a", b"x" * 30000),)))
    client.send_data(stream, bytes(60000))
    assert [len(f.payload) > 30000 for f in sent(client)] == [True, True]


def test_a_request_is_opened_only_while_the_peer_takes_it():
    client = a_client(None, (3, 2))
    while client.can_open:
        client.open(REQUEST, ends=True)
    assert client.streams == 2
    with pytest.raises(AssertionError):
        client.open(REQUEST)
    client.receive(headers(1, OK, ends=True), now=0)
    assert client.open(REQUEST, ends=True) == 5
    client.receive(headers(3, OK, ends=True) + settings((3, 1)), now=0)
    with pytest.raises(AssertionError):
        client.open(REQUEST)


def test_numbers_of_streams_come_to_an_end():
    client = a_client()
    client._core.streams.last = (1 << 31) - 3
    assert client.open(REQUEST, ends=True) == (1 << 31) - 1
    assert not client.can_open


def test_a_drain_is_two_goaways_with_the_answer_to_a_ping_between_them():
    client, server = a_pair()
    first = client.open(REQUEST, ends=True)
    server.receive(take(client), now=0)
    server.drain()
    server.drain()
    late = client.open(REQUEST, ends=True)
    assert client.receive(take(server), now=0) == [PeerGoingAway((1 << 31) - 1, 0, "")]
    assert not client.can_open
    assert isinstance(server.receive(take(client), now=0)[0], RequestReceived)
    assert client.receive(take(server), now=0) == [PeerGoingAway(late, 0, "")]
    for stream in (first, late):
        assert not server.is_drained
        server.send_response(stream, Response(204), ends=True)
    assert server.is_drained
    client.receive(take(server), now=0)
    assert client.is_drained


def test_a_drain_that_nobody_answers_goes_on():
    client, server = a_pair()
    client.open(REQUEST, ends=True)
    server.receive(take(client), now=0)
    server.drain()
    server.drain_now()
    server.drain_now()
    late = client.open(REQUEST, ends=True)
    events = client.receive(take(server), now=0)
    assert [type(e) for e in events] == [PeerGoingAway, PeerGoingAway, StreamReset]
    assert (events[2].stream_id, events[2].is_unprocessed) == (late, True)
    server.receive(take(client), now=0)
    assert [(f.kind, f.stream_id) for f in sent(server)] == [(FrameType.RST_STREAM, late)]
    assert server.streams == 1


def test_a_client_that_leaves_opens_no_more():
    client, server = a_pair()
    client.open(REQUEST, ends=True)
    client.drain()
    assert not client.can_open
    events = server.receive(take(client), now=0)
    assert isinstance(events[-1], PeerGoingAway)
    server.send_response(1, Response(204), ends=True)
    client.receive(take(server), now=0)
    assert client.is_drained


def test_a_ping_is_answered():
    client, server = a_pair()
    client.ping(b"12345678")
    assert converse(client, server) == [PingAcknowledged(b"12345678")]


def test_what_is_sent_to_a_stream_that_is_over_is_dropped():
    server = a_server()
    server.receive(headers(1, POST) + data(1, b"abc") + rst(1), now=0)
    take(server)
    server.send_response(1, Response(200))
    assert server.send_data(1, b"body", ends=True) == 4
    server.send_trailers(1, TRAILERS)
    server.acknowledge(1, 3)
    server.discard(1)
    server.reset(1)
    assert server.send_window(1) == 0
    assert not server.output


def test_a_reset_says_why_to_the_peer():
    client, server = a_pair()
    stream = client.open(REQUEST)
    server.receive(take(client), now=0)
    client.reset(stream, ErrorCode.CANCEL)
    assert server.receive(take(client), now=5) == [
        StreamReset(stream, ErrorCode.CANCEL, "the peer reset it", by_peer=True)
    ]


def test_what_is_out_of_place_here_is_a_defect():
    client, server = a_pair()
    stream = client.open(REQUEST, ends=True)
    server.receive(take(client), now=0)
    with pytest.raises(AssertionError):
        server.send_data(stream, b"ahead of the head")
    with pytest.raises(AssertionError):
        server.send_trailers(stream, TRAILERS)
    with pytest.raises(AssertionError):
        client.send_data(stream, b"behind the end")
    server.send_response(stream, Response(200))
    with pytest.raises(AssertionError):
        server.send_response(stream, Response(200))
    with pytest.raises(AssertionError):
        server.send_response(stream, Response(100))


def test_secrets_that_came_as_such_go_on_as_such():
    client, server = a_pair()
    request = Request(
        b"GET", b"http", b"api", b"/", ((b"x-key", b"secret"),), frozenset({b"x-key"})
    )
    for _ in range(3):
        client.open(request, ends=True)
        (event,) = server.receive(take(client), now=0)
        assert event.request.never_indexed == {b"x-key"}
    assert (b"x-key", b"secret") not in client._core.encoder._table


def test_what_has_begun_and_not_ended_is_known():
    server = ServerConnection(now=0)
    stories = []
    for received in (
        H2_PREFACE[:5],
        H2_PREFACE[5:],
        settings()[:3],
        settings()[3:],
        headers(1)[:20],
    ):
        server.receive(received, now=0)
        stories.append(server.is_amid_frames)
    server.receive(headers(1)[20:], now=0)
    stories.append(server.is_amid_frames)
    assert stories == [True, False, True, False, True, False]
    server.receive(frame(FrameType.HEADERS, 0, 3, headers(3)[9:15]), now=0)
    assert server.is_amid_frames
    server.receive(frame(FrameType.CONTINUATION, 4, 3, headers(3)[15:]), now=0)
    assert not server.is_amid_frames


def test_a_close_says_why_in_ascii_and_not_at_length():
    server = a_server()
    server.close(ErrorCode.ENHANCE_YOUR_CALM, "zu viel für uns " * 100)
    frames = sent(server)
    assert goaway(frames) == ErrorCode.ENHANCE_YOUR_CALM
    assert len(frames[0].payload) == 8 + 128
    assert frames[0].payload[8:].startswith(b"zu viel f?r uns")


def test_the_window_of_the_connection_is_one_for_each_stream():
    server = ServerConnection(Limits(max_streams=7, stream_window=100_000), now=0)
    first = sent(server)
    assert [f.number + 65535 for f in first if f.kind == FrameType.WINDOW_UPDATE] == [700_000]


def test_a_connection_says_how_it_stands():
    client, server = a_pair()
    client.open(REQUEST)
    assert repr(client) == "<ClientConnection streams=1>"
    server.drain()
    assert repr(server) == "<ServerConnection streams=0 draining>"
    server.close()
    assert repr(server) == "<ServerConnection streams=0 closed>"


@pytest.mark.parametrize(
    "limits",
    [
        {"stream_window": 65534},
        {"max_streams": 0},
        {"max_streams": 40000},
        {"max_frame_size": 16383},
        {"max_frame_size": 1 << 24},
    ],
)
def test_limits_that_could_not_be_kept_are_refused(limits):
    with pytest.raises(InvalidValue, match="choose"):
        Limits(**limits)
