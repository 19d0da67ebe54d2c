"""Bodies: where they end, what they hold, and what they carry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.h1.messages import chunks_of, cut, cuts, lines_of, payloads, trailer_lists
from van.http.h1.body import (
    MAX_EXCESS,
    MAX_LINE,
    ChunkedBody,
    LengthBody,
    UnboundedBody,
    body_of,
)
from van.http.h1.framing import Framing
from van.http.problems import MessageRefused

BUFFER = memoryview(bytes(1 << 20))


def feed_all(body, pieces):
    payload: list[memoryview] = []
    for piece in pieces:
        assert body.feed(piece, 0, payload) == len(piece)
    return b"".join(payload)


@st.composite
def chunked_bodies(draw):
    payload = draw(payloads)
    trailers = draw(lines_of(draw(trailer_lists)))
    return payload, draw(chunks_of(payload)) + trailers + b"\r\n", trailers


@given(chunked_bodies(), cuts)
def test_chunks_carry_their_payload_in_any_pieces(drawn, places):
    payload, data, trailers = drawn
    body = ChunkedBody(400)
    assert feed_all(body, cut(data, places)) == payload
    assert body.is_over
    assert body.trailers == trailers


@given(chunked_bodies(), st.binary(max_size=9), st.integers(0, 9))
def test_what_is_behind_a_body_is_none_of_it(drawn, behind, before):
    _, data, _ = drawn
    for body, size in ((ChunkedBody(400), len(data)), (LengthBody(5, 400), 5)):
        whole = data if isinstance(body, ChunkedBody) else b"hello"
        assert body.feed(bytes(before) + whole + behind, before) == before + size
        assert body.is_over


@given(chunked_bodies())
def test_no_chunked_body_is_whole_before_its_end(drawn):
    _, data, _ = drawn
    for end in range(len(data)):
        body = ChunkedBody(400)
        assert body.feed(data[:end]) == end
        with pytest.raises(MessageRefused, match="not whole"):
            body.end()


def test_a_body_of_10_gb_is_counted_and_not_kept():
    size, body = 10 * 10**9, LengthBody(10 * 10**9, 400)
    while not body.is_over:
        size -= body.feed(BUFFER)
    assert size == 0
    body.end()


def test_chunks_of_10_gb_are_counted_and_not_kept():
    body, fed = ChunkedBody(400), 0
    for start in (b"ffffffff\r\n", b"\r\nffffffff\r\n", b"\r\n70000000\r\n"):
        body.feed(start)
        while body._left:
            fed += body.feed(BUFFER[: body._left])
            assert not body._held
    body.feed(b"\r\n0\r\n\r\n")
    assert body.is_over
    assert fed > 10 * 10**9


def test_a_body_without_an_end_ends_when_it_is_told():
    body = body_of(Framing.UNTIL_CLOSE, 0, 502)
    assert feed_all(body, [b"a", b"", b"b"]) == b"ab"
    assert not body.is_over
    body.end()
    assert body.is_over


def test_a_body_that_lacks_bytes_is_not_whole():
    body = body_of(Framing.LENGTH, 5, 502)
    body.feed(b"hell")
    with pytest.raises(MessageRefused, match="1 bytes") as caught:
        body.end()
    assert caught.value.status == 502


def test_no_body_is_over_at_once():
    assert body_of(Framing.NONE, 0, 400).is_over
    assert not isinstance(body_of(Framing.NONE, 0, 400), UnboundedBody)


@pytest.mark.parametrize("over", [0, 1])
def test_a_line_between_chunks_is_bounded(over):
    line = b"1;a=" + b"b" * (MAX_LINE + over - 6) + b"\r\n"
    assert len(line) == MAX_LINE + over
    for pieces in ([line], [line[:500], line[500:]], [line[:-1], line[-1:]]):
        body = ChunkedBody(400)
        if not over:
            feed_all(body, pieces)
            continue
        with pytest.raises(MessageRefused, match="larger than 1024"):
            feed_all(body, pieces)


def test_extensions_may_be_as_large_as_their_chunks_for_ever():
    body = ChunkedBody(400)
    body.feed(b"400;a=" + b"b" * 900 + b"\r\n" + bytes(1024))
    for _ in range(100):
        body.feed(b"\r\n400;a=" + b"b" * 900 + b"\r\n" + bytes(1024))


def test_extensions_beyond_their_chunks_are_bounded():
    body = ChunkedBody(400)
    body.feed(b"1\r\nx")
    line = b"\r\n1;a=" + b"b" * 510 + b"\r\nx"
    for _ in range(MAX_EXCESS // 512):
        body.feed(line)
    with pytest.raises(MessageRefused, match="extensions"):
        body.feed(line)


def test_chunks_with_no_extensions_make_up_for_those_that_have():
    body = ChunkedBody(400)
    body.feed(b"1\r\nx")
    for _ in range(200):
        body.feed(b"\r\n1;a=" + b"b" * 500 + b"\r\nx\r\n400\r\n" + bytes(1024))
