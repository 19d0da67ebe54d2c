"""From HTTP/1 to HTTP/2 and back, through both codecs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.h2.peer import converse, take
from van.http.h1.lines import fields_of, write_request, write_response
from van.http.h1.request import parse_request
from van.http.h1.response import parse_response
from van.http.h2.connection import ClientConnection, ServerConnection
from van.http.h2.events import RequestReceived, ResponseReceived
from van.http.message import Request, request_from_h1, request_to_h1, response_from_h1

FIELDS = st.lists(
    st.sampled_from(
        [(b"accept", b"*/*"), (b"cookie", b"a=b; c=d"), (b"te", b"trailers"), (b"x-id", b"1"),
         (b"x-obs", b"\xe4 \t!"), (b"content-length", b"5"), (b"empty", b""),
         (b"proxy-authorization", b"x")]
    ), max_size=5, unique_by=lambda field: field[0],
)  # fmt: skip
HOPS = st.sampled_from(
    [b"", b"Connection: keep-alive\r\n", b"Connection: x-id, TE\r\n", b"Keep-Alive: timeout=5\r\n"]
)
PATHS = st.sampled_from([b"/", b"/a/b?c=%20", b"//x", b"/*"])


def a_request(data):
    head = parse_request(data)
    assert head is not None
    return head


def a_response(data):
    head = parse_response(data, b"GET")
    assert head is not None
    return head


def a_pair():
    client, server = ClientConnection(now=0), ServerConnection(now=0)
    converse(client, server)
    return client, server


@given(st.sampled_from([b"GET", b"POST", b"DELETE"]), PATHS, FIELDS, HOPS)
def test_a_request_of_http_1_is_the_same_behind_http_2(method, path, fields, hop):
    lines = b"".join(b"%b: %b\r\n" % field for field in fields)
    head = a_request(b"%b %b HTTP/1.1\r\nHost: api:80\r\n%b%b\r\n" % (method, path, hop, lines))
    client, server = a_pair()
    client.open(request_from_h1(head.method, head.target, fields_of(head)))
    (event,) = server.receive(take(client), now=0)
    assert isinstance(event, RequestReceived)
    again = a_request(write_request(*request_to_h1(event.request)))
    assert (again.method, again.target, again.host) == (method, path, b"api:80")
    dropped = {b"te", b"proxy-authorization"} | ({b"x-id"} if b"x-id" in hop else set())
    expected = [field for field in fields if field[0] not in dropped]
    assert fields_of(again)[1:] == expected


@given(PATHS, FIELDS)
def test_whatever_request_comes_in_http_2_can_be_said_in_http_1(path, fields):
    client, server = a_pair()
    client.open(Request(b"POST", b"http", b"API:80", path, tuple(fields)))
    (event,) = server.receive(take(client), now=0)
    head = a_request(write_request(*request_to_h1(event.request)))
    assert (head.target, head.host) == (path, b"api:80")


@given(
    st.sampled_from([200, 204, 304, 404, 103]),
    FIELDS.map(lambda fs: [f for f in fs if f[0] != b"te"]),
)
def test_a_response_of_http_1_is_the_same_behind_http_2(status, fields):
    if status in {103, 204}:
        fields = [field for field in fields if field[0] != b"content-length"]
    head = a_response(write_response(status, fields))
    client, server = a_pair()
    client.open(Request(b"GET", b"http", b"api", b"/"), ends=True)
    server.receive(take(client), now=0)
    server.send_response(1, response_from_h1(head.status, fields_of(head)))
    (event,) = client.receive(take(server), now=0)
    assert isinstance(event, ResponseReceived)
    expected = tuple(field for field in fields if field[0] != b"proxy-authorization")
    assert (event.response.status, event.response.fields) == (status, expected)


@pytest.mark.parametrize("target", [b"http://api:80/x", b"http://api:80", b"/x"])
def test_an_absolute_target_is_a_path_in_http_2(target):
    head = a_request(b"GET %b HTTP/1.1\r\nHost: api:80\r\n\r\n" % target)
    request = request_from_h1(head.method, head.target, fields_of(head))
    assert request.authority == b"api:80"
    assert request.target in {b"/x", b"/"}
