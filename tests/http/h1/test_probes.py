"""What is malformed, or may be read differently, is refused: at the ingress, and at the egress."""

import pytest

from tests.http.h1.conversations import bytewise, hear, request_head
from tests.http.h1.probes import ANSWERS, REQUESTS, answer, chunked, post, request
from van.http.h1.answer import AnswerReader
from van.http.h1.target_connection import TargetConnection
from van.http.problems import MessageRefused

GET = request_head(request())


def named(probes):
    return pytest.mark.parametrize(
        ("status", "data"), [pytest.param(*each[1:], id=each[0]) for each in probes]
    )


def test_there_are_as_many_probes_as_are_told_of():
    assert len(REQUESTS) > 350
    assert len(ANSWERS) > 150
    assert len({data for _, _, data in REQUESTS}) > 350


@pytest.mark.parametrize(
    ("name", "status", "data"), [pytest.param(*each, id=each[0]) for each in REQUESTS]
)
def test_a_client_is_refused(name, status, data):
    heard = hear(data)
    assert heard.status == status, heard
    if not name.startswith("behind"):
        # What is wrong with a head is found before it is passed on.
        assert len(heard.requests) == name.startswith("chunks")
    assert "\n" not in heard.reason
    assert len(heard.reason) < 200


@named([each for each in REQUESTS if len(each[2]) < 2000])
def test_a_client_is_refused_when_it_sends_a_byte_at_a_time(status, data):
    assert hear(*bytewise(data)).status == status


@named(REQUESTS)
def test_the_egress_refuses_what_the_ingress_should_have(status, data):
    with pytest.raises(MessageRefused):
        send(TargetConnection(), data)


def send(connection: TargetConnection, data: bytes) -> None:
    connection.receive_request(data)
    connection.receive_request_end()


@named(ANSWERS)
def test_a_target_is_refused(status, data):
    with pytest.raises(MessageRefused) as caught:
        read(data)
    assert caught.value.status == status
    assert "\n" not in str(caught.value)


@named([each for each in ANSWERS if len(each[2]) < 2000])
def test_a_target_is_refused_when_it_sends_a_byte_at_a_time(status, data):
    with pytest.raises(MessageRefused) as caught:
        read(*bytewise(data))
    assert caught.value.status == status


def read(*pieces: bytes) -> None:
    reader = AnswerReader(GET)
    for piece in pieces:
        reader.receive(piece)
    reader.receive_end()


GOOD = [
    request(),
    request() + request(),
    b"\r\n" + request(),
    request() + b"\r\n" + request(),
    request(b"get / HTTP/1.1"),
    request(b"!#$%&'*+-.^_`|~09azAZ / HTTP/1.1"),
    request(b"G" * 32 + b" / HTTP/1.1"),
    request(b"GET //a HTTP/1.1"),
    request(b"GET /%00?a=b&c=[d]{e}|f^g`h\\i' HTTP/1.1"),
    request(b"GET http://a HTTP/1.1"),
    request(b"GET HTTP://A/b?c HTTP/1.1"),
    request(b"GET http://a?b HTTP/1.1"),
    request(b"OPTIONS * HTTP/1.1"),
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHOST:  [::1]:80  \r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a.b-c_d:\r\n\r\n",
    request(b"GET / HTTP/1.1", b"X:", b"Y:    ", b'X: \xff\x80\t,;="(){}'),
    request(b"GET / HTTP/1.1", b"Content_Type: a"),
    request(b"GET / HTTP/1.1", b"X: Transfer-Encoding: chunked", b"XContent-Length: 5"),
    request(b"GET / HTTP/1.1", b"Connection: close, X", b"Connection:\ty , z\t"),
    request(b"GET / HTTP/1.1", *[b"X: 1"] * 127),
    post(b"Content-Length: 5", body=b"hello"),
    post(b"Content-Length: 0"),
    post(b"Content-Length:005 ", body=b"hello"),
    post(b"Expect: 100-Continue", b"Content-Length: 5", body=b"hello"),
    post(b"Transfer-Encoding: Chunked ", body=b"0\r\n\r\n"),
    chunked(b"5\r\nhello\r\n00000000\r\n\r\n"),
    chunked(b"A\r\n0123456789\r\n0a\r\n0123456789\r\n0\r\n\r\n"),
    chunked(b'5;a;b=c;d="e \\" ; f"\r\nhello\r\n0;g\r\n\r\n'),
    chunked(b"0\r\nX: 1\r\nY:\r\n\r\n") + request(),
]


@pytest.mark.parametrize("data", GOOD)
def test_what_is_well_formed_is_taken(data):
    for heard in (hear(data), hear(*bytewise(data))):
        assert heard.status is None, heard.reason
        assert not heard.is_amid
        taken = b"".join(each.head.raw + each.body for each in heard.requests)
        assert len(data) - len(taken) in {0, 2}


GOOD_ANSWERS = [
    answer(),
    answer(b"HTTP/1.1 200"),
    answer(b"HTTP/1.1 200 "),
    answer(b"HTTP/1.1 200 \xff, all is well: \t"),
    answer(b"HTTP/1.0 404 Not Found", body=b"hello"),
    answer(b"HTTP/1.1 599 ?", b"Content-Length: 5", body=b"hello"),
    answer(b"HTTP/1.1 204 No Content", b"Content-Length: 0"),
    answer(b"HTTP/1.1 304 Not Modified", b"Content-Length: 5"),
    answer(b"HTTP/1.1 304 Not Modified", b"Transfer-Encoding: chunked"),
    answer(b"HTTP/1.1 100 Continue") + answer(b"HTTP/1.1 103 ", b"X: 1") + answer(),
    answer(
        b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\nX: 1\r\n\r\n"
    ),
    answer(b"HTTP/1.1 200 OK", b"Upgrade: h2c", b"Connection: Upgrade"),
    answer(b"HTTP/1.1 200 OK", *[b"X: 1"] * 128),
]


@pytest.mark.parametrize("data", GOOD_ANSWERS)
def test_answers_that_are_well_formed_are_taken(data):
    read(data)
    read(*bytewise(data))
