"""However bytes come in pieces, and whatever they are: the result is the same, and no defect."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.h1.conversations import hear, request_head
from tests.http.h1.messages import PIECES, answers, changed, changes, cut, cuts, requests
from van.http.h1.answer import AnswerReader
from van.http.h1.target_connection import TargetConnection
from van.http.problems import MessageRefused

GET = request_head(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
some_changes = st.lists(changes, max_size=2)
conversations = st.lists(requests(), min_size=1, max_size=3).map(
    lambda messages: b"".join(each.data for each in messages)
)
garbage = st.lists(st.sampled_from(PIECES) | st.binary(max_size=5), max_size=12).map(b"".join)


def taken(*pieces):
    heard = hear(*pieces)
    heads = [each.head for each in heard.requests]
    if heard.status is not None:
        return heads, heard.status
    return heads, [each.body for each in heard.requests], heard.is_amid


@pytest.mark.slow("each example is of several messages")
@given(conversations, some_changes, cuts)
def test_requests_are_the_same_in_any_pieces(data, steps, places):
    data = changed(data, steps)
    assert taken(*cut(data, places)) == taken(data)


@given(answers(), some_changes, cuts)
def test_answers_are_the_same_in_any_pieces(message, steps, places):
    data = changed(message.data, steps)
    assert answered(*cut(data, places)) == answered(data)


def answered(*pieces):
    reader, heads, body = AnswerReader(GET), [], b""
    try:
        for piece in pieces:
            more, data = reader.receive(memoryview(piece))
            heads += more
            body += data
    except MessageRefused as refusal:
        return refusal.status
    return heads, body, reader.is_over, reader.has_surplus


@pytest.mark.slow("each example is of several messages")
@given(conversations, some_changes, cuts)
def test_the_egress_takes_the_same_in_any_pieces(data, steps, places):
    data = changed(data, steps)
    assert passed(*cut(data, places)) == passed(data)


def passed(*pieces):
    connection, written = TargetConnection(), b""
    try:
        for piece in pieces:
            written += connection.receive_request(memoryview(piece), b"Forwarded: for=_a\r\n")
        connection.receive_request_end()
    except MessageRefused as refusal:
        return refusal.status
    return written


@given(st.lists(garbage, max_size=3))
def test_no_bytes_of_a_client_raise_anything_but_a_refusal(pieces):
    heard = hear(*pieces)
    assert "\n" not in heard.reason


@given(st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200\r\n\r\n"]), garbage, garbage)
def test_no_bytes_of_a_target_raise_anything_but_a_refusal(start, first, second):
    connection = TargetConnection()
    connection.receive_request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    try:
        connection.receive(start + first)
        connection.receive(second)
        connection.receive_end()
    except MessageRefused as refusal:
        assert refusal.status == 502
        assert "\n" not in str(refusal)


@given(st.sampled_from([b"", b"POST / HTTP/1.1\r\nHost: a\r\n"]), garbage, garbage)
def test_no_bytes_of_an_exchange_raise_anything_but_a_refusal(start, first, second):
    connection = TargetConnection()
    try:
        connection.receive_request(start + first)
        connection.receive_request(second)
        connection.receive_request_end()
    except MessageRefused as refusal:
        assert 400 <= refusal.status < 600
