"""What a hostile peer may do to a connection, and how much of it."""

import sys
from types import FunctionType, MethodType, ModuleType

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
from van.http.h2.events import ConnectionFailed, RequestReceived, RequestRefused
from van.http.h2.faults import ErrorCode
from van.http.h2.frames import ACK, END_HEADERS, END_STREAM, FrameType
from van.http.h2.settings import Limits
from van.http.message import Response

CALM = ErrorCode.ENHANCE_YOUR_CALM
LIMITS = Limits()
HEADERS, CONTINUATION = FrameType.HEADERS, FrameType.CONTINUATION
BYTES = bytes(8)


def flood(end, frames, *, rate=0.0, most=3000):
    """Send frames until the connection ends, or `most` were taken; return how many were."""
    for count in range(most):
        now = count / rate if rate else 0.0
        if any(isinstance(e, ConnectionFailed) for e in end.receive(frames(count), now=now)):
            assert goaway(sent(end)) == CALM
            return count
        take(end)
    return most


def of(received):
    return lambda count: received


FLOODS = {
    "ping": of(frame(FrameType.PING, 0, 0, BYTES)),
    "ping-acknowledgement": of(frame(FrameType.PING, ACK, 0, BYTES)),
    "settings": of(settings()),
    "settings-that-move-all-windows": lambda count: settings((4, 65535 + count % 2)),
    "settings-that-change-the-table": lambda count: settings((1, count % 2 * 4096)),
    "settings-acknowledgement": of(frame(FrameType.SETTINGS, ACK)),
    "empty-data": of(data(1)),
    "empty-data-of-a-stream-that-we-reset": of(data(5)),
    "headers-of-a-stream-that-we-reset": of(headers(5)),
    "padding-only-data": of(frame(FrameType.DATA, 0x8, 1, b"\0")),
    "priority": of(frame(FrameType.PRIORITY, 0, 1, bytes(5))),
    "priority-of-idle-streams": lambda n: frame(FrameType.PRIORITY, 0, 2 * n + 101, bytes(5)),
    "priority-update": of(frame(FrameType.PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1")),
    "window-update-of-the-connection": of(window_update(0, 1)),
    "window-update-of-a-stream": of(window_update(1, 1)),
    "window-update-of-a-stream-that-is-over": of(window_update(3, 1)),
    "goaway": of(frame(FrameType.GOAWAY, 0, 0, bytes(8))),
    "unknown-frames": of(frame(0xBB, 0, 0, b"")),
    "rst-stream-of-a-stream-that-is-over": of(rst(3)),
}  # fmt: skip


def _attacked():
    server = a_server()
    server.receive(headers(1, POST) + headers(3, POST) + rst(3) + headers(5, POST), now=0)
    server.reset(5)
    take(server)
    return server


@pytest.mark.parametrize("frames", FLOODS.values(), ids=FLOODS)
def test_a_flood_of_frames_that_carry_nothing_ends_the_connection(frames):
    assert LIMITS.control_burst - 10 <= flood(_attacked(), frames) <= LIMITS.control_burst


@pytest.mark.parametrize("frames", FLOODS.values(), ids=FLOODS)
def test_a_few_of_them_each_second_do_not(frames):
    assert flood(_attacked(), frames, rate=LIMITS.control_rate - 1) == 3000


def test_many_of_them_each_second_do_in_the_end():
    frames = of(frame(FrameType.PING, 0, 0, BYTES))
    assert flood(_attacked(), frames, rate=LIMITS.control_rate * 2) < 2.1 * LIMITS.control_burst


def test_words_before_a_response_are_bounded():
    client = a_client()
    client.open(REQUEST)
    take(client)
    assert flood(client, of(headers(1, ((b":status", b"103"),)))) <= LIMITS.control_burst


def test_answers_that_the_peer_does_not_read_are_bounded():
    server = a_server(Limits(control_burst=10**6))
    for _ in range(3000):
        server.receive(frame(FrameType.PING, 0, 0, BYTES), now=0)
    assert server.is_closed
    assert len(server.output) <= 18 * (LIMITS.max_replies + 10)


def test_answers_that_are_read_late_are_not_counted_for_ever():
    server = a_server(Limits(control_burst=10**6, max_replies=10))
    server.receive(headers(1, ends=True), now=0)
    server.send_response(1, Response(200))
    server.send_data(1, bytes(60000))
    for _ in range(3000):
        server.receive(frame(FrameType.PING, 0, 0, BYTES) + window_update(0, 20000), now=0)
        server.receive(window_update(1, 20000), now=0)
        server.send_data(1, bytes(20000))
        server.written(20000 + 9 * 2 + 17)
        assert len(server.output) > 50000
    assert not server.is_closed


def test_a_peer_that_reads_may_ask_for_any_number_of_answers_in_its_time():
    server = a_server(Limits(max_replies=5))
    assert flood(server, of(frame(FrameType.PING, 0, 0, BYTES)), rate=10, most=3000) == 3000


def test_rapid_reset_ends_the_connection():
    """CVE-2023-44487: a stream that is reset at once makes work, and counts as open no more."""
    begun = 0

    def both(count):
        return headers(2 * count + 1, ends=True) + rst(2 * count + 1)

    server = a_server()
    begun = flood(server, both)
    assert begun == LIMITS.reset_burst


def test_rapid_reset_in_one_piece_makes_no_more_requests_than_in_many():
    server = a_server()
    events = server.receive(
        b"".join(headers(2 * n + 1, ends=True) + rst(2 * n + 1) for n in range(3000)), now=0
    )
    assert sum(isinstance(e, RequestReceived) for e in events) == LIMITS.reset_burst + 1
    assert isinstance(events[-1], ConnectionFailed)


def test_a_client_may_give_up_a_thousand_calls_that_wait_for_a_stream():
    server = a_server()
    server.receive(b"".join(headers(2 * n + 1) for n in range(100)), now=0)
    for n in range(100, 1000):
        server.receive(rst(2 * n - 199) + headers(2 * n + 1), now=0)
    assert not server.is_closed
    assert resets(sent(server)) == []


def test_a_client_may_give_up_calls_as_fast_as_it_may_have_them_open():
    server = a_server(Limits(reset_burst=50, reset_rate=0))
    next_id = 1
    for second in range(50):
        ids = range(next_id, next_id + 200, 2)
        next_id += 200
        server.receive(b"".join(headers(i) for i in ids), now=second * 1.02)
        server.receive(b"".join(rst(i) for i in ids), now=second * 1.02 + 1.01)
        take(server)
    assert not server.is_closed


def test_a_client_may_give_up_a_call_for_each_that_is_answered():
    server = a_server()
    for count in range(3000):
        first, second = 4 * count + 1, 4 * count + 3
        server.receive(headers(first, ends=True) + headers(second) + rst(second), now=0)
        server.send_response(first, Response(204), ends=True)
        take(server)
    assert not server.is_closed


MADE = {
    "window-update-of-0": lambda n: window_update(n, 0),
    "window-beyond-the-most": lambda n: window_update(n, (1 << 31) - 1),
    "data-beyond-the-end": lambda n: data(n, b"x"),
    "headers-beyond-the-end": lambda n: headers(n, ends=True),
    "priority-of-other-size": lambda n: frame(FrameType.PRIORITY, 0, n, bytes(4)),
}


@pytest.mark.parametrize("fault", MADE.values(), ids=MADE)
def test_resets_that_we_are_made_to_send_end_the_connection(fault):
    """CVE-2025-8671: a client gets its streams reset by what is wrong with them."""
    server = a_server()
    assert (
        flood(server, lambda n: headers(2 * n + 1, ends=True) + fault(2 * n + 1))
        == LIMITS.fault_burst
    )


def test_a_fault_for_each_stream_that_ends_in_order_is_borne():
    server = a_server(Limits(fault_burst=5, fault_rate=0))
    for n in range(1, 401, 4):
        server.receive(headers(n, ends=True) + headers(n + 2, (), ends=True), now=0)
        server.send_response(n, Response(204), ends=True)
        take(server)
    assert not server.is_closed


def test_malformed_requests_end_the_connection():
    assert flood(a_server(), lambda n: headers(2 * n + 1, (), ends=True)) == LIMITS.fault_burst


def test_streams_above_the_limit_end_the_connection():
    server = a_server()
    assert flood(server, lambda n: headers(2 * n + 1)) == LIMITS.max_streams + LIMITS.fault_burst


def test_data_of_streams_that_are_long_over_end_the_connection():
    server = a_server()
    server.receive(headers(5001, ends=True), now=0)
    assert flood(server, lambda n: data(2 * n + 1, b"x")) == LIMITS.fault_burst


@pytest.mark.parametrize("size", [0, 1, 100, 16384])
def test_a_block_without_end_is_cut_off(size):
    """CVE-2024-27316 and its likes: CONTINUATION after CONTINUATION."""
    server = a_server()
    server.receive(frame(HEADERS, END_STREAM, 1, b"\x82"), now=0)
    taken = flood(server, of(frame(CONTINUATION, 0, 1, b"\x82" * size)))
    assert taken <= 16
    assert taken * size <= 2 * LIMITS.max_head_size


def test_a_block_above_the_limit_ends_the_connection_before_it_is_decoded():
    server = a_server(Limits(max_frame_size=1 << 20))
    (event,) = server.receive(frame(HEADERS, END_HEADERS, 1, b"\x82" * (1 << 17)), now=0)
    assert event.code == CALM


def bomb(stream_id, references):
    """A head that puts a large field into the table, if it is the first, and refers to it often."""
    large = b"\x40\x01a\x7f" + b"\xa1\x1e" + b"v" * (0x7F + 0x21 + (0x1E << 7))
    payload = block(GET) + (large if stream_id == 1 else b"") + b"\xbe" * references
    return frame(HEADERS, END_HEADERS | END_STREAM, stream_id, payload)


def test_a_bomb_is_answered_by_a_status_and_its_fields_are_never_put_together():
    server = a_server()
    events = server.receive(bomb(1, 12000) + bomb(3, 16000) + headers(5, ends=True), now=0)
    assert [type(e) for e in events] == [RequestRefused, RequestRefused, RequestReceived]
    assert {e.status for e in events[:2]} == {431}


def test_one_byte_references_with_a_closed_window_are_bounded_for_all_streams():
    """CVE-2026-49975: heads far larger than their bytes stay as long as streams are open."""
    server = a_server(None, (4, 0))
    events = server.receive(b"".join(bomb(2 * n + 1, 6) for n in range(100)), now=0)
    requests = [e for e in events if isinstance(e, RequestReceived)]
    refused = resets(sent(server))
    assert len(requests) + len(refused) == 100
    assert {code for _, code in refused} == {ErrorCode.REFUSED_STREAM}
    size = sum(32 + len(n) + len(v) for e in requests for n, v in e.request.fields)
    assert LIMITS.max_heads_size / 2 < size <= LIMITS.max_heads_size
    values = {id(v) for e in requests for n, v in e.request.fields}
    assert len(values) == 1, "a field of the table is there once"
    for event in requests:
        server.send_response(event.stream_id, Response(204), ends=True)
    assert isinstance(server.receive(bomb(201, 6), now=0)[0], RequestReceived)


def test_many_fields_of_no_size_count_32_bytes_each():
    server = a_server()
    crumbs = block(((b"cookie", b""),)) * 125
    (event,) = server.receive(frame(HEADERS, 5, 1, block(GET) + crumbs), now=0)
    assert isinstance(event, RequestRefused)
    (event,) = server.receive(
        frame(HEADERS, 5, 3, block(GET) + crumbs[len(crumbs) // 125 :]), now=0
    )
    assert isinstance(event, RequestReceived)


def test_a_window_opened_byte_by_byte_makes_a_bounded_number_of_frames():
    """CVE-2019-9511: a response dribbles out in frames of one byte."""
    server = a_server(None, (4, 0))
    server.receive(headers(1, ends=True), now=0)
    server.send_response(1, Response(200))
    frames = 0
    for _ in range(3000):
        server.receive(window_update(1, 1), now=0)
        if server.is_closed:
            break
        frames += server.send_data(1, bytes(100000))
        take(server)
    assert server.is_closed
    assert frames <= LIMITS.control_burst


def test_more_than_the_window_ends_a_stream_or_the_connection():
    server = a_server(Limits(max_streams=2))
    server.receive(headers(1, POST) + headers(3, POST), now=0)
    assert server.receive(data(1, bytes(16384)) * 3 + data(1, bytes(16383)), now=0)
    take(server)
    server.receive(data(1, b"x"), now=0)
    assert resets(sent(server)) == [(1, ErrorCode.FLOW_CONTROL_ERROR)]
    server = a_server(Limits(max_streams=1))
    server.receive(headers(1, POST) + data(1, bytes(16384)) * 3 + data(1, bytes(16383)), now=0)
    server.receive(data(1, b"x"), now=0)
    assert goaway(sent(server)) == ErrorCode.FLOW_CONTROL_ERROR


def test_streams_that_nobody_takes_leave_another_its_window():
    server = a_server(Limits(max_streams=10))
    stalled = b"".join(
        headers(n, POST) + data(n, bytes(16384)) * 3 + data(n, bytes(16383))
        for n in range(1, 19, 2)
    )
    server.receive(stalled + headers(19, POST), now=0)
    for _ in range(100):
        server.receive(data(19, bytes(16384)), now=0)
        server.acknowledge(19, 16384)
    assert not server.is_closed
    assert 19 in {f.stream_id for f in sent(server)}


def test_a_window_is_opened_for_what_was_taken_only():
    server = a_server()
    server.receive(headers(1, POST) + data(1, bytes(16384)) * 3, now=0)
    assert sent(server) == []
    server.acknowledge(1, 16384)
    assert sent(server) == []
    server.acknowledge(1, 16384)
    assert [(f.kind, f.stream_id, f.number) for f in sent(server)] == [
        (FrameType.WINDOW_UPDATE, 1, 32768),
        (FrameType.WINDOW_UPDATE, 0, 32768),
    ]
    with pytest.raises(AssertionError):
        server.acknowledge(1, 16385)


def test_no_window_is_opened_of_a_stream_that_has_ended():
    server = a_server()
    server.receive(headers(1, POST) + data(1, bytes(16384)) * 3 + data(1, ends=True), now=0)
    server.acknowledge(1, 3 * 16384)
    assert [(f.kind, f.stream_id) for f in sent(server)] == [(FrameType.WINDOW_UPDATE, 0)]


def test_padding_is_given_back_at_once():
    server = a_server(Limits(max_streams=1))
    server.receive(headers(1, POST), now=0)
    padded = frame(FrameType.DATA, 0x8, 1, b"\xff" + b"x" + bytes(255))
    for _ in range(1000):
        (event,) = server.receive(padded, now=0)
        server.acknowledge(1, len(event.data))
    assert not server.is_closed


def test_what_nobody_took_of_a_stream_that_is_over_is_given_back():
    server = a_server(Limits(max_streams=1))
    for n in range(1, 2001, 2):
        server.receive(headers(n, POST) + data(n, bytes(16384)) * 3 + rst(n), now=float(n))
        assert not server.is_closed


def test_so_many_resets_of_ours_are_remembered():
    server = a_server(Limits(fault_burst=10))
    for n in range(1, 4001, 2):
        server.receive(headers(n, POST), now=0)
        server.reset(n)
        take(server)
    assert server.receive(data(3999, b"x") + data(2003, b"x"), now=0) == []
    assert sent(server) == []
    server.receive(data(1999, b"x"), now=0)
    assert resets(sent(server)) == [(1999, ErrorCode.STREAM_CLOSED)]


def test_what_is_discarded_is_given_back_and_makes_no_events():
    server = a_server()
    server.receive(headers(1, POST) + data(1, bytes(16384)), now=0)
    server.discard(1)
    for _ in range(100):
        assert server.receive(data(1, bytes(16384)), now=0) == []
    assert server.receive(headers(1, ((b"a", b"b"),), ends=True), now=0) == []
    assert not server.is_closed


def test_an_idle_connection_costs_little():
    server = a_server()
    for n in range(1, 2001, 2):
        server.receive(headers(n, (*GET, (b"x-name", b"%d" % n)), ends=True), now=float(n))
        server.send_response(n, Response(200, ((b"x-name", b"%d" % n),)), ends=True)
        take(server)
    assert server.streams == 0
    assert _size_of(server) < 40_000


def _size_of(root):
    """The bytes of an object and of all that only it holds."""
    seen, todo, size = set(), [root], 0
    while todo:
        item = todo.pop()
        is_code = isinstance(item, type | ModuleType | FunctionType)
        if id(item) in seen or is_code:
            continue
        seen.add(id(item))
        size += sys.getsizeof(item)
        if isinstance(item, dict):
            todo += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple | set | frozenset):
            todo += item
        elif isinstance(item, MethodType):
            todo.append(item.__self__)
        todo += getattr(item, "__dict__", {}).values()
        slots = getattr(type(item), "__slots__", ())
        todo += [getattr(item, slot) for slot in slots if hasattr(item, slot)]
    return size


@pytest.mark.parametrize("make", [a_server, a_client], ids=["server", "client"])
def test_nothing_is_done_after_the_last_word(make):
    end = make()
    end.receive(frame(FrameType.PING, 0, 1, BYTES), now=0)
    assert end.is_closed
    take(end)
    for received in (settings(), headers(1), data(1, b"x"), H2_PREFACE):
        assert end.receive(received, now=0) == []
    end.close()
    end.reset(1)
    assert not end.output


def test_a_response_to_a_hostile_server_is_bounded_too():
    client = a_client()
    client.open(REQUEST)
    take(client)
    client.receive(headers(1, OK), now=0)
    assert flood(client, of(data(1))) <= LIMITS.control_burst
