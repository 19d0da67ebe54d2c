"""What is passed on of heads, and that it means what came in."""

import pytest
from hypothesis import given

from tests.http.h1.conversations import OK, request_head, response_head, under_way
from tests.http.h1.messages import answers, requests
from tests.http.h1.probes import answer, post, request
from tests.http.h1.test_oracles import read_here
from van.http.h1.client_connection import ClientConnection
from van.http.h1.forwarding import forward_request, forward_response, forwarded_for, path_of
from van.http.h1.target_connection import TargetConnection

HOP = {b"connection", b"keep-alive", b"te", b"forwarded", b"via"}
"""Fields of the messages that are drawn which are not passed on, or are added to."""


def lines_out(*fields: bytes, line: bytes = b"GET / HTTP/1.1") -> list[bytes]:
    head = request_head(request(line, *fields))
    return forward_request(head, b"Via: 1.1 van\r\n").split(b"\r\n")[2:-2]


@pytest.mark.parametrize(
    ("fields", "out"),
    [
        ((), []),
        ((b"X: 1",), [b"X: 1"]),
        ((b"Connection: close",), []),
        ((b"CONNECTION:keep-alive", b"Keep-Alive: timeout=5"), []),
        ((b"Connection: a, b", b"A: 1", b"X: 1", b"b: 2", b"a: 3"), [b"X: 1"]),
        ((b"Connection: a", b"Connection: b", b"a: 1", b"b: 2", b"ab: 3"), [b"ab: 3"]),
        ((b"Proxy-Connection: keep-alive", b"Proxy-Authorization: Basic eA=="), []),
        ((b"Forwarded: for=_admin", b"forwarded: for=1", b"X: 1"), [b"X: 1"]),
        ((b"Upgrade: websocket",), []),
        ((b"Connection: upgrade", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"), []),
        ((b"Connection: upgrade", b"Upgrade: HTTP/2.0"), []),
        ((b"Connection: upgrade", b"Upgrade: TLS/1.2"), []),
        ((b"Connection: upgrade", b"Upgrade: websocket, h2c"), []),
        ((b"TE: gzip",), []),
        ((b"X: Connection: a", b"a: 1"), [b"X: Connection: a", b"a: 1"]),
        (
            (b"X-Request-Id: 1", b"traceparent: 00-1-2-01"),
            [b"X-Request-Id: 1", b"traceparent: 00-1-2-01"],
        ),
        ((b"Via: 1.1 a",), [b"Via: 1.1 a"]),
    ],
)
def test_what_was_for_this_hop_goes(fields, out):
    assert lines_out(*fields) == [*out, b"Via: 1.1 van"]


def test_trailers_are_still_wanted():
    assert lines_out(b"TE: trailers, gzip;q=0.5", b"Connection: TE") == [
        b"Via: 1.1 van", b"Connection: TE", b"TE: trailers",
    ]  # fmt: skip


def test_a_switch_is_asked_for():
    assert lines_out(b"Connection: keep-alive, Upgrade", b"Upgrade: websocket") == [
        b"Upgrade: websocket", b"Via: 1.1 van", b"Connection: Upgrade",
    ]  # fmt: skip


@pytest.mark.parametrize("body", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_no_switch_is_asked_for_by_a_request_with_a_body(body):
    head = request_head(post(b"Connection: upgrade", b"Upgrade: websocket", body))
    assert not head.upgrade
    assert b"pgrade" not in forward_request(head)


def test_a_head_with_nothing_to_change_is_not_copied():
    head = request_head(request())
    assert forward_request(head) is head.raw
    answered = response_head(OK, b"GET")
    assert forward_response(answered) is answered.raw


def test_a_target_of_http_1_0_is_asked_to_keep_the_connection():
    fields = b"Connection: close\r\nExpect: 100-continue\r\nTE: trailers\r\n"
    head = request_head(b"GET / HTTP/1.0\r\n" + fields + b"\r\n")
    assert forward_request(head) == b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (b"GET /a?b HTTP/1.1", b"/a?b"),
        (b"OPTIONS * HTTP/1.1", b"*"),
        (b"GET http://a/b?c HTTP/1.1", b"/b?c"),
        (b"GET HTTP://A HTTP/1.1", b"/"),
        (b"GET http://a?b HTTP/1.1", b"/?b"),
        (b"OPTIONS http://a HTTP/1.1", b"*"),
        (b"OPTIONS http://a/ HTTP/1.1", b"/"),
        (b"GET http://a//b HTTP/1.1", b"//b"),
    ],
)
def test_a_server_is_asked_for_a_path(line, path):
    head = request_head(request(line))
    assert path_of(head) == path
    method, _, _ = line.split(b" ")
    assert forward_request(head) == request(b"%b %b HTTP/1.1" % (method, path))


def test_a_method_that_is_like_its_target_is_left():
    head = request_head(b"GET http://GET HTTP/1.1\r\nHost: GET\r\n\r\n")
    assert forward_request(head) == b"GET / HTTP/1.1\r\nHost: GET\r\n\r\n"


def test_the_site_is_told_that_was_verified():
    assert forwarded_for("east-1") == b"Forwarded: for=_east-1\r\n"


@pytest.mark.parametrize(
    ("fields", "out"),
    [
        ((b"Connection: close, a", b"a: 1", b"X: 1"), b"X: 1\r\n"),
        ((b"Keep-Alive: timeout=5", b"Upgrade: h2c", b"Proxy-Authenticate: x"), b""),
    ],
)
def test_what_was_for_this_hop_goes_from_answers(fields, out):
    head = response_head(answer(b"HTTP/1.1 200 OK", *fields), b"GET")
    assert forward_response(head) == b"HTTP/1.1 200 OK\r\n" + out + b"\r\n"


def test_an_answer_without_content_has_no_length():
    head = response_head(answer(b"HTTP/1.1 204 No", b"Content-Length: 0"), b"GET")
    assert forward_response(head) == b"HTTP/1.1 204 No\r\n\r\n"


# -- through both ends -----------------------------------------------------------------------------


def kept(fields):
    """Return the fields of a message, as it came, or went, that are the same at both ends."""
    names = [value.lower() for name, value in fields if name == b"connection"]
    gone = HOP | ({b"x-own"} if any(b"x-own" in each for each in names) else set())
    return [field for field in fields if field[0] not in gone]


@given(requests())
def test_a_request_means_the_same_at_the_target(message):
    client, target = ClientConnection(), TargetConnection()
    client.receive(message.data)
    client.next_request()
    head = under_way(client)
    flow = forward_request(head) + client.next_body()
    written = target.receive_request(flow, b"Forwarded: for=_east\r\n")
    target.receive_request_end()
    came, went = read_here(message.data), read_here(bytes(written))
    assert (went.payload, went.trailers) == (came.payload, came.trailers)
    assert went.start == (came.start[0], path_of(head))
    assert kept(went.fields) == kept(came.fields)
    assert [field for field in went.fields if field[0] == b"forwarded"] == [
        (b"forwarded", b"for=_east")
    ]


@given(answers())
def test_an_answer_means_the_same_at_the_client(message):
    client, target = ClientConnection(), TargetConnection()
    client.receive(request())
    client.next_request()
    target.receive_request(under_way(client).raw)
    written = client.receive_answer(under_way(client), target.receive(message.data))
    came, went = (read_here(bytes(each), is_answer=True) for each in (message.data, written))
    assert (went.start, went.payload, went.trailers) == (came.start, came.payload, came.trailers)
    assert kept(went.fields) == kept(came.fields)
