"""What RFC 9113 demands of either end, case by case; an id begins with its section."""

import pytest

from tests.http.h2.peer import (
    GET,
    OK,
    POST,
    REQUEST,
    a_client,
    a_server,
    block,
    data,
    frame,
    goaway,
    headers,
    resets,
    rst,
    sent,
    settings,
    take,
    window_update,
)
from van.http.detection import H2_PREFACE
from van.http.h2.connection import ClientConnection, ServerConnection
from van.http.h2.events import ConnectionFailed, StreamReset
from van.http.h2.faults import ErrorCode
from van.http.h2.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    PADDED,
    PRIORITY_FLAG,
    FrameType,
)
from van.http.message import Request, Response

PROTOCOL = ErrorCode.PROTOCOL_ERROR
SIZE = ErrorCode.FRAME_SIZE_ERROR
FLOW = ErrorCode.FLOW_CONTROL_ERROR
CLOSED = ErrorCode.STREAM_CLOSED
CALM = ErrorCode.ENHANCE_YOUR_CALM
COMPRESSION = ErrorCode.COMPRESSION_ERROR
MOST = (1 << 31) - 1
HALF_BLOCK = frame(FrameType.HEADERS, END_STREAM, 1, block(GET)[:2])

BOTH = {
    "4.1-unknown-frame-on-stream-0": (frame(0xBB, 0xFF, 0, b"x"), None),
    "4.1-unknown-frame-on-an-idle-stream": (frame(0xBB, 0xFF, 99, b"x" * 8), None),
    "4.1-undefined-flags": (frame(FrameType.PING, 0x16, 0, bytes(8)), None),
    "4.2-data-above-the-largest-frame": (frame(FrameType.DATA, 0, 1, bytes(16385)), SIZE),
    "4.2-headers-above-the-largest-frame": (frame(FrameType.HEADERS, 4, 1, bytes(16385)), SIZE),
    "4.2-unknown-frame-above-the-largest": (frame(0xBB, 0, 0, bytes(16385)), SIZE),
    "5.1-data-on-an-idle-stream": (data(99, b"x"), PROTOCOL),
    "5.1-rst-stream-on-an-idle-stream": (rst(99), PROTOCOL),
    "5.1-window-update-on-an-idle-stream": (window_update(99, 5), PROTOCOL),
    "5.1-continuation-on-an-idle-stream": (frame(FrameType.CONTINUATION, 4, 99), PROTOCOL),
    "5.1-priority-on-an-idle-stream": (frame(FrameType.PRIORITY, 0, 99, bytes(5)), None),
    "6.1-data-on-stream-0": (data(0, b"x"), PROTOCOL),
    "6.2-headers-on-stream-0": (headers(0), PROTOCOL),
    "6.2-headers-too-short-for-a-priority": (
        frame(FrameType.HEADERS, END_HEADERS | PRIORITY_FLAG, 1, bytes(4)),
        SIZE,
    ),
    "6.2-headers-with-too-much-padding": (
        frame(FrameType.HEADERS, END_HEADERS | PADDED, 1, b"\x05\x82\x86"),
        PROTOCOL,
    ),
    "6.2-padded-headers-that-are-empty": (
        frame(FrameType.HEADERS, END_HEADERS | PADDED, 1),
        SIZE,
    ),
    "6.3-priority-on-stream-0": (frame(FrameType.PRIORITY, 0, 0, bytes(5)), PROTOCOL),
    "6.3-priority-of-other-size-on-an-idle-stream": (
        frame(FrameType.PRIORITY, 0, 99, bytes(4)),
        SIZE,
    ),
    "6.4-rst-stream-on-stream-0": (rst(0), PROTOCOL),
    "6.4-rst-stream-of-other-size": (frame(FrameType.RST_STREAM, 0, 1, bytes(3)), SIZE),
    "6.5-settings-on-a-stream": (frame(FrameType.SETTINGS, 0, 1), PROTOCOL),
    "6.5-settings-of-other-size": (frame(FrameType.SETTINGS, 0, 0, bytes(5)), SIZE),
    "6.5-acknowledgement-with-a-payload": (frame(FrameType.SETTINGS, ACK, 0, bytes(6)), SIZE),
    "6.5.2-enable-push-of-2": (settings((2, 2)), PROTOCOL),
    "6.5.2-window-above-the-most": (settings((4, MOST + 1)), FLOW),
    "6.5.2-frame-size-below-the-least": (settings((5, 16383)), PROTOCOL),
    "6.5.2-frame-size-above-the-most": (settings((5, 1 << 24)), PROTOCOL),
    "6.5.2-unknown-setting": (settings((0xFF, 1)), None),
    "6.5.2-table-size-of-any-size": (settings((1, 0xFFFFFFFF)), None),
    "6.5.2-too-many-settings": (settings(*[(0xFF, 1)] * 33), CALM),
    "6.6-push-promise": (frame(FrameType.PUSH_PROMISE, 4, 1, bytes(4)), PROTOCOL),
    "6.7-ping-on-a-stream": (frame(FrameType.PING, 0, 1, bytes(8)), PROTOCOL),
    "6.7-ping-of-other-size": (frame(FrameType.PING, 0, 0, bytes(7)), SIZE),
    "6.7-acknowledgement-of-other-size": (frame(FrameType.PING, ACK, 0, bytes(9)), SIZE),
    "6.8-goaway-on-a-stream": (frame(FrameType.GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    "6.8-goaway-too-short": (frame(FrameType.GOAWAY, 0, 0, bytes(7)), SIZE),
    "6.8-goaway-that-takes-more": (
        frame(FrameType.GOAWAY, 0, 0, bytes(8))
        + frame(FrameType.GOAWAY, 0, 0, b"\0\0\0\x03" + bytes(4)),
        PROTOCOL,
    ),
    "6.9-window-update-of-other-size": (frame(FrameType.WINDOW_UPDATE, 0, 0, bytes(5)), SIZE),
    "6.9-window-update-of-0": (window_update(0, 0), PROTOCOL),
    "6.9.1-window-beyond-the-most": (window_update(0, MOST), FLOW),
    "6.9.1-window-beyond-the-most-in-two": (
        window_update(0, MOST - 65535) + window_update(0, 1),
        FLOW,
    ),
    "6.9.1-window-of-the-most": (window_update(0, MOST - 65535), None),
    "6.10-continuation-without-headers": (frame(FrameType.CONTINUATION, 4, 1), PROTOCOL),
    "rfc9218-2.1-no-priorities-of-2": (settings((9, 2)), PROTOCOL),
    "rfc9218-2.1-no-priorities-changes": (settings((9, 1)), PROTOCOL),
    "rfc9218-7.1-update-on-a-stream": (frame(FrameType.PRIORITY_UPDATE, 0, 1, bytes(8)), PROTOCOL),
    "rfc8441-3-connect-protocol-of-2": (settings((8, 2)), PROTOCOL),
}
"""What comes behind both prefaces, and the code that ends the connection, or None."""

SERVER = {
    "3.4-a-stream-at-once": (headers(1, ends=True), None),
    "4.3-block-that-is-no-hpack": (
        frame(FrameType.HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff"),
        COMPRESSION,
    ),
    "4.3-refers-to-nothing": (frame(FrameType.HEADERS, 5, 1, b"\xbe"), COMPRESSION),
    "4.3-ping-within-a-block": (HALF_BLOCK + frame(FrameType.PING, 0, 0, bytes(8)), PROTOCOL),
    "4.3-unknown-frame-within-a-block": (HALF_BLOCK + frame(0xBB), PROTOCOL),
    "4.3-headers-within-a-block": (HALF_BLOCK + headers(3), PROTOCOL),
    "4.3-priority-within-a-block": (
        HALF_BLOCK + frame(FrameType.PRIORITY, 0, 1, bytes(5)),
        PROTOCOL,
    ),
    "4.3-data-within-a-block": (HALF_BLOCK + data(1, b"x"), PROTOCOL),
    "5.1-headers-on-a-stream-that-is-over": (
        headers(3, ends=True) + rst(3) + headers(3, ends=True),
        CLOSED,
    ),
    "5.1-window-update-on-a-stream-that-is-over": (headers(1) + rst(1) + window_update(1, 1), None),
    "6.9-window-update-of-0-on-a-stream-that-is-over": (
        headers(1) + rst(1) + window_update(1, 0),
        PROTOCOL,
    ),
    "5.1-rst-stream-on-a-stream-that-is-over": (headers(1) + rst(1) + rst(1), None),
    "5.1-priority-on-a-stream-that-is-over": (
        headers(1) + rst(1) + frame(FrameType.PRIORITY, 0, 1, bytes(5)),
        None,
    ),
    "5.1.1-even-stream": (headers(2), PROTOCOL),
    "5.1.1-stream-below-the-last": (headers(5, ends=True) + headers(3, ends=True), CLOSED),
    "5.1.1-streams-left-out": (headers(5, ends=True) + headers(101, ends=True), None),
    "5.1.1-stream-of-the-most": (headers(MOST, ends=True), None),
    "5.3.2-headers-with-a-priority": (
        frame(FrameType.HEADERS, END_HEADERS | PRIORITY_FLAG, 1, bytes(5) + block(GET)),
        None,
    ),
    "6.1-data-with-too-much-padding": (
        headers(1) + frame(FrameType.DATA, PADDED, 1, b"\x05abcd"),
        PROTOCOL,
    ),
    "6.1-data-with-too-much-padding-on-a-stream-that-is-over": (
        headers(3) + frame(FrameType.DATA, PADDED, 1, b"\x05abcd"),
        PROTOCOL,
    ),
    "6.1-padded-data-that-is-empty": (headers(1) + frame(FrameType.DATA, PADDED, 1), SIZE),
    "6.1-data-that-is-all-padding": (
        headers(1) + frame(FrameType.DATA, PADDED, 1, b"\x04abcd"),
        None,
    ),
    "6.5.2-enable-push-of-0-and-1": (settings((2, 0)) + settings((2, 1)), None),
    "6.9.2-settings-open-a-window-beyond-the-most": (
        headers(1) + window_update(1, MOST - 65535) + settings((4, 65536)),
        FLOW,
    ),
    "6.10-continuation-on-another-stream": (
        HALF_BLOCK + frame(FrameType.CONTINUATION, 4, 3),
        PROTOCOL,
    ),
    "6.10-continuation-behind-a-whole-block": (
        headers(1) + frame(FrameType.CONTINUATION, 4, 1, block(GET)),
        PROTOCOL,
    ),
    "6.10-continuation-behind-data": (
        headers(1) + data(1, b"x") + frame(FrameType.CONTINUATION, 4, 1),
        PROTOCOL,
    ),
    "6.10-block-in-pieces": (
        HALF_BLOCK
        + frame(FrameType.CONTINUATION, 0, 1, block(GET)[2:3])
        + frame(FrameType.CONTINUATION, 0, 1)
        + frame(FrameType.CONTINUATION, END_HEADERS, 1, block(GET)[3:]),
        None,
    ),
    "rfc9218-7.1-update": (frame(FrameType.PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1"), None),
    "rfc9218-7.1-update-about-stream-0": (
        frame(FrameType.PRIORITY_UPDATE, 0, 0, bytes(4)),
        PROTOCOL,
    ),
    "rfc9218-7.1-update-too-short": (frame(FrameType.PRIORITY_UPDATE, 0, 0, bytes(3)), SIZE),
}

CLIENT = {
    "5.1-response-on-an-idle-stream": (headers(3, OK), PROTOCOL),
    "5.1-response-on-an-even-stream": (headers(2, OK), PROTOCOL),
    "6.5.2-enable-push-of-1": (settings((2, 1)), PROTOCOL),
    "6.5.2-enable-push-of-0": (settings((2, 0)), None),
    "rfc9218-7.1-update-from-a-server": (
        frame(FrameType.PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1"),
        PROTOCOL,
    ),
    "4.3-response-that-is-no-hpack": (frame(FrameType.HEADERS, 5, 1, b"\x80"), COMPRESSION),
    "5.1-trailers-behind-the-end": (headers(1, OK, ends=True) + headers(1, OK, ends=True), CLOSED),
}

STREAMS_OF_SERVER = {
    "5.1-data-behind-the-end": (headers(1, POST, ends=True) + data(1, b"x"), CLOSED),
    "5.1-headers-behind-the-end": (headers(1, ends=True) + headers(1, ends=True), CLOSED),
    "5.1-data-behind-trailers": (headers(1, POST) + headers(1, (), ends=True) + data(1), CLOSED),
    "5.1-data-behind-a-reset": (headers(1) + rst(1) + data(1, b"x"), CLOSED),
    "6.3-priority-of-other-size": (headers(1) + frame(FrameType.PRIORITY, 0, 1, bytes(4)), SIZE),
    "6.9-window-update-of-0": (headers(1) + window_update(1, 0), PROTOCOL),
    "6.9.1-window-beyond-the-most": (headers(1) + window_update(1, MOST), FLOW),
    "8.1-second-head-without-end": (headers(1, POST) + headers(1, POST), PROTOCOL),
    "8.1-trailers-without-end": (
        headers(1, POST) + data(1, b"x") + headers(1, ((b"a", b"b"),)),
        PROTOCOL,
    ),
    "8.1-trailers-with-pseudo-fields": (headers(1, POST) + headers(1, GET, ends=True), PROTOCOL),
    "8.1-trailers-in-upper-case": (
        headers(1, POST) + headers(1, ((b"A", b"b"),), ends=True),
        PROTOCOL,
    ),
    "8.1.1-less-than-content-length": (
        headers(1, (*POST, (b"content-length", b"5"))) + data(1, b"1234", ends=True),
        PROTOCOL,
    ),
    "8.1.1-more-than-content-length": (
        headers(1, (*POST, (b"content-length", b"5"))) + data(1, b"123456"),
        PROTOCOL,
    ),
    "8.1.1-more-than-content-length-in-two": (
        headers(1, (*POST, (b"content-length", b"5")))
        + data(1, b"123")
        + data(1, b"456", ends=True),
        PROTOCOL,
    ),
    "8.1.1-content-length-and-no-body": (
        headers(1, (*POST, (b"content-length", b"5")), ends=True),
        PROTOCOL,
    ),
    "8.1.1-less-than-content-length-before-trailers": (
        headers(1, (*POST, (b"content-length", b"5")))
        + data(1, b"1234")
        + headers(1, (), ends=True),
        PROTOCOL,
    ),
    "10.5.1-trailers-above-the-limit": (
        headers(1, POST) + headers(1, ((b"a", b"b"),) * 129, ends=True),
        CALM,
    ),
    "8.3-no-fields": (headers(1, (), ends=True), PROTOCOL),
    "8.3-malformed": (headers(1, GET[:2], ends=True), PROTOCOL),
    "8.2.1-upper-case": (headers(1, (*GET, (b"X", b"y"))), PROTOCOL),
    "8.2.2-connection": (headers(1, (*GET, (b"connection", b"close"))), PROTOCOL),
}
"""What a client sends, and the code with which its stream is reset; the connection goes on."""

STREAMS_OF_CLIENT = {
    "5.1-data-behind-the-end": (headers(1, OK) + data(1, ends=True) + data(1, b"x"), CLOSED),
    "8.1-data-ahead-of-the-head": (data(1, b"x"), PROTOCOL),
    "8.1-data-behind-100": (headers(1, ((b":status", b"100"),)) + data(1, b"x"), PROTOCOL),
    "8.1-100-that-ends": (headers(1, ((b":status", b"100"),), ends=True), PROTOCOL),
    "8.1-100-behind-the-head": (headers(1, OK) + headers(1, ((b":status", b"100"),)), PROTOCOL),
    "8.1-second-head": (headers(1, OK) + headers(1, OK, ends=True), PROTOCOL),
    "8.1.1-less-than-content-length": (
        headers(1, (*OK, (b"content-length", b"5"))) + data(1, b"1234", ends=True),
        PROTOCOL,
    ),
    "8.1.1-content-length-and-no-body": (
        headers(1, (*OK, (b"content-length", b"5")), ends=True),
        PROTOCOL,
    ),
    "8.1.1-body-of-204": (headers(1, ((b":status", b"204"),)) + data(1, b"x", ends=True), PROTOCOL),
    "8.1.1-body-of-304": (headers(1, ((b":status", b"304"),)) + data(1, b"x", ends=True), PROTOCOL),
    "8.3.2-malformed": (headers(1, ((b"a", b"b"),)), PROTOCOL),
    "8.3.2-request": (headers(1, GET), PROTOCOL),
    "8.6-101": (headers(1, ((b":status", b"101"),)), PROTOCOL),
    "10.5.1-head-above-the-limit": (headers(1, (*OK, *[(b"a", b"b")] * 128)), CALM),
    "6.9-window-update-of-0": (window_update(1, 0), PROTOCOL),
}


def _a_server():
    return a_server(None, (9, 0))


def _a_client():
    client = a_client(None, (9, 0))
    client.open(REQUEST)
    take(client)
    return client


def _check_connection(end, received, code):
    events = end.receive(received, now=0)
    failed = [event for event in events if isinstance(event, ConnectionFailed)]
    assert [event.code for event in failed] == ([] if code is None else [code])
    assert end.is_closed == (code is not None)
    assert goaway(sent(end)) == code
    if code is not None:
        assert failed[0].reason
        assert end.receive(frame(FrameType.PING, 0, 0, bytes(8)), now=0) == []
        assert not end.output


def _check_stream(end, received, code):
    events = end.receive(received, now=0)
    assert not end.is_closed
    assert resets(sent(end)) == [(1, code)]
    told = [event for event in events if isinstance(event, StreamReset)]
    assert all(event.reason for event in told)
    assert end.streams == 0
    end.receive(frame(FrameType.PING, 0, 0, bytes(8)), now=0)
    assert [f.kind for f in sent(end)] == [FrameType.PING]


@pytest.mark.parametrize("make", [_a_server, _a_client], ids=["server", "client"])
@pytest.mark.parametrize(("received", "code"), BOTH.values(), ids=BOTH)
def test_what_ends_a_connection_at_either_end(make, received, code):
    _check_connection(make(), received, code)


@pytest.mark.parametrize(("received", "code"), SERVER.values(), ids=SERVER)
def test_what_ends_a_connection_at_a_server(received, code):
    _check_connection(_a_server(), received, code)


@pytest.mark.parametrize(("received", "code"), CLIENT.values(), ids=CLIENT)
def test_what_ends_a_connection_at_a_client(received, code):
    client = a_client(None, (9, 0))
    client.open(REQUEST, ends=True)
    take(client)
    _check_connection(client, received, code)


@pytest.mark.parametrize(("received", "code"), STREAMS_OF_SERVER.values(), ids=STREAMS_OF_SERVER)
def test_what_ends_a_stream_at_a_server(received, code):
    _check_stream(_a_server(), received, code)


@pytest.mark.parametrize(("received", "code"), STREAMS_OF_CLIENT.values(), ids=STREAMS_OF_CLIENT)
def test_what_ends_a_stream_at_a_client(received, code):
    _check_stream(_a_client(), received, code)


@pytest.mark.parametrize(
    "first", [frame(FrameType.PING, 0, 0, bytes(8)), headers(1), frame(FrameType.SETTINGS, ACK)]
)
def test_3_4_the_first_frame_is_settings(first):
    server, client = ServerConnection(now=0), ClientConnection(now=0)
    for end, received in ((server, H2_PREFACE + first), (client, first)):
        assert [type(e) for e in end.receive(received, now=0)] == [ConnectionFailed]


def test_3_4_both_ends_begin_with_settings():
    assert ClientConnection(now=0).output.startswith(H2_PREFACE)
    for end in (ServerConnection(now=0), ClientConnection(now=0)):
        assert sent(end)[0].kind == FrameType.SETTINGS


def test_6_5_3_settings_are_acknowledged_in_order():
    server = a_server()
    server.receive(settings() + frame(FrameType.PING, 0, 0, b"12345678") + settings(), now=0)
    assert [(f.kind, f.flags, f.payload) for f in sent(server)] == [
        (FrameType.SETTINGS, ACK, b""),
        (FrameType.PING, ACK, b"12345678"),
        (FrameType.SETTINGS, ACK, b""),
    ]


def test_5_1_2_a_stream_above_the_limit_is_refused():
    server = a_server()
    many = b"".join(headers(2 * n + 1) for n in range(101))
    server.receive(many, now=0)
    assert resets(sent(server)) == [(201, ErrorCode.REFUSED_STREAM)]
    server.receive(rst(1) + headers(203), now=5)
    assert resets(sent(server)) == []


def test_8_1_1_a_response_to_head_and_304_have_a_length_and_no_body():
    for method, status in ((b"HEAD", b"200"), (b"GET", b"304")):
        client = a_client()
        client.open(Request(method, b"http", b"api", b"/"), ends=True)
        take(client)
        fields = ((b":status", status), (b"content-length", b"500"))
        client.receive(headers(1, fields, ends=True), now=0)
        assert client.streams == 0
        assert not client.output


def test_8_1_1_a_response_to_head_has_no_body():
    client = a_client()
    client.open(Request(b"HEAD", b"http", b"api", b"/"), ends=True)
    take(client)
    client.receive(headers(1, OK) + data(1, b"x"), now=0)
    assert resets(sent(client)) == [(1, PROTOCOL)]


def test_5_1_what_comes_behind_our_reset_is_ignored_and_its_window_given_back():
    server = a_server()
    server.receive(headers(1, POST) + headers(3, POST), now=0)
    server.reset(1)
    take(server)
    late = data(1, bytes(16384)) * 3 + headers(1, ((b"a", b"b"),), ends=True) + rst(1)
    assert server.receive(late, now=0) == []
    assert not server.is_closed
    for _ in range(10000):
        server.receive(data(1, bytes(1000)), now=0)
    assert not server.is_closed
    assert {(f.kind, f.stream_id) for f in sent(server)} == {(FrameType.WINDOW_UPDATE, 0)}


def test_6_8_streams_beyond_a_goaway_were_not_processed():
    client = a_client()
    ids = [client.open(REQUEST, ends=True) for _ in range(3)]
    events = client.receive(
        frame(FrameType.GOAWAY, 0, 0, b"\0\0\0\x03" + bytes(4) + b"b\ny\xff"), now=0
    )
    assert (events[0].last_stream_id, events[0].reason) == (3, "b?y\ufffd")
    assert [(e.stream_id, e.is_unprocessed) for e in events[1:]] == [(ids[2], True)]
    assert not client.can_open
    assert client.streams == 2
    client.receive(headers(1, OK, ends=True) + headers(3, OK, ends=True), now=0)
    assert client.is_drained


def test_5_4_2_a_refused_stream_was_not_processed_and_another_reset_may_have_been():
    client = a_client()
    for _ in range(2):
        client.open(REQUEST, ends=True)
    events = client.receive(rst(1, ErrorCode.REFUSED_STREAM) + rst(3, 0xFFFF), now=0)
    assert [(e.code, e.is_unprocessed, e.by_peer) for e in events] == [
        (ErrorCode.REFUSED_STREAM, True, True),
        (0xFFFF, False, True),
    ]


def test_8_5_connect_and_a_head_above_the_limit_are_left_to_be_answered():
    server = a_server()
    connect = ((b":method", b"CONNECT"), (b":authority", b"api:443"))
    large = (*POST, *[(b"cookie", b"c")] * 128)
    events = server.receive(headers(1, connect) + data(1, b"x") + headers(3, large), now=0)
    events += server.receive(data(3, b"body") + data(3, b"", ends=True), now=0)
    assert [(e.stream_id, e.status) for e in events] == [(1, 501), (3, 431)]
    for event in events:
        server.send_response(event.stream_id, Response(event.status), ends=True)
    assert server.streams == 1, "the client still sends to its tunnel"
    server.reset(1, ErrorCode.NO_ERROR)
    assert resets(sent(server)) == [(1, ErrorCode.NO_ERROR)]


def test_6_9_2_a_window_that_is_taken_back_may_be_below_zero():
    server = a_server()
    server.receive(headers(1, ends=True), now=0)
    server.send_response(1, Response(200))
    assert server.send_data(1, bytes(60000)) == 60000
    server.receive(settings((4, 1000)), now=0)
    assert server.send_window(1) == 0
    assert server.send_data(1, b"x") == 0
    assert server.receive(window_update(1, 59000) + window_update(0, 10), now=0) == []
    assert [type(e).__name__ for e in server.receive(window_update(1, 1), now=0)] == [
        "WindowOpened"
    ]
    assert server.send_data(1, b"xy") == 1
