"""Heads become fields, and fields heads that mean the same."""

from hypothesis import given

from tests.http.h1.conversations import request_head, response_head
from tests.http.h1.messages import answers, requests, trailer_lists
from van.http.h1.answer import AnswerReader
from van.http.h1.body import ChunkedBody
from van.http.h1.client_connection import ClientConnection
from van.http.h1.lines import (
    fields_of,
    split_lines,
    write_request,
    write_response,
    write_trailers,
)

GET = request_head(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")


@given(requests())
def test_the_fields_of_a_request_are_those_that_it_has(message):
    head = request_head(message.data)
    named = tuple((name.lower(), value) for name, value in fields_of(head))
    assert named == tuple((name.lower(), value) for name, value in message.fields)
    again = request_head(write_request(head.method, head.target, [*fields_of(head)]))
    assert fields_of(again) == fields_of(head)
    assert (again.method, again.target, again.host) == (head.method, head.target, head.host)


@given(answers())
def test_an_answer_that_is_written_is_read_as_it_was(message):
    head = response_head(message.data)
    again = response_head(write_response(head.status, fields_of(head)))
    assert (again.status, fields_of(again)) == (head.status, fields_of(head))
    assert (again.framing, again.length) == (head.framing, head.length)


def in_lower_case(fields):
    return tuple((name.lower(), value) for name, value in fields)


@given(requests())
def test_the_payload_of_a_request_is_known_apart_from_how_it_is_framed(message):
    connection = ClientConnection()
    payload: list[memoryview] = []
    for piece in (message.data[:-3], message.data[-3:]):
        connection.receive(piece)
        connection.next_request()
        connection.next_body(payload)
    assert b"".join(payload) == message.payload
    assert in_lower_case(split_lines(connection.trailers)) == in_lower_case(message.trailers)


@given(answers())
def test_the_payload_of_an_answer_is_known_apart_from_how_it_is_framed(message):
    reader = AnswerReader(GET)
    payload: list[memoryview] = []
    for piece in (message.data[:-3], message.data[-3:]):
        reader.receive(piece, payload)
    assert b"".join(payload) == message.payload
    assert in_lower_case(split_lines(reader.trailers)) == in_lower_case(message.trailers)
    assert reader.is_over


@given(trailer_lists)
def test_trailers_that_are_written_are_read_as_they_were(fields):
    body = ChunkedBody(400)
    data = write_trailers(fields)
    assert body.feed(data) == len(data)
    assert split_lines(body.trailers) == fields


def test_the_first_line_of_a_request_is_no_field():
    head = request_head(b"GET http://a:80/ HTTP/1.1\r\nHost: a:80\r\n\r\n")
    assert fields_of(head) == [(b"Host", b"a:80")]
