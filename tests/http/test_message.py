import pytest

from van.http.message import (
    Request,
    Response,
    request_from_h1,
    request_to_h1,
    response_from_h1,
    with_one_cookie,
    without_hop_by_hop,
)
from van.http.problems import MessageRefused


def test_a_request_of_http_1_loses_what_speaks_of_its_connection():
    fields = [
        (b"Host", b"api:8080"), (b"Connection", b"keep-alive, X-Hop"), (b"Keep-Alive", b"5"),
        (b"X-Hop", b"1"), (b"Transfer-Encoding", b"chunked"), (b"Upgrade", b"websocket"),
        (b"HTTP2-Settings", b"A"), (b"Proxy-Connection", b"x"), (b"TE", b"gzip"), (b"Accept",
        b"*/*"), (b"Content-Length", b"5"),
    ]  # fmt: skip
    assert request_from_h1(b"POST", b"/a?b", fields) == Request(
        b"POST", b"http", b"api:8080", b"/a?b", ((b"accept", b"*/*"), (b"content-length", b"5"))
    )


def test_what_a_message_is_another_one_without_can_not_be_taken_out_of_it():
    fields = [(b"connection", b"authorization, Content-Length, x"), (b"authorization", b"a")]
    fields += [(b"content-length", b"5"), (b"x", b"y")]
    assert without_hop_by_hop(fields) == [(b"authorization", b"a"), (b"content-length", b"5")]


@pytest.mark.parametrize("value", [b"trailers", b"Trailers", b"gzip;q=0.5, trailers"])
def test_that_trailers_are_welcome_goes_on(value):
    fields = [(b"te", value), (b"connection", b"te"), (b"a", b"b")]
    assert without_hop_by_hop(fields) == [(b"a", b"b"), (b"te", b"trailers")]


@pytest.mark.parametrize(
    ("target", "scheme", "authority", "path"),
    [
        (b"/", b"http", b"api", b"/"),
        (b"*", b"http", b"api", b"*"),
        (b"HTTPS://other:1/x?y", b"https", b"other:1", b"/x?y"),
        (b"http://other", b"http", b"other", b"/"),
        (b"http://other?q=/", b"http", b"other", b"/?q=/"),
        (b"//double", b"http", b"api", b"//double"),
    ],
)
def test_where_a_request_of_http_1_goes(target, scheme, authority, path):
    request = request_from_h1(b"GET", target, [(b"Host", b"api")])
    assert (request.scheme, request.authority, request.target) == (scheme, authority, path)


@pytest.mark.parametrize(
    ("method", "target"), [(b"CONNECT", b"api:443"), (b"GET", b"ftp://a/"), (b"GET", b"path")]
)
def test_what_http_2_can_not_ask_is_refused(method, target):
    with pytest.raises(MessageRefused):
        request_from_h1(method, target, [])


def test_a_request_goes_to_http_1_with_its_host_first_and_without_te():
    request = Request(b"GET", b"http", b"api", b"/", ((b"te", b"trailers"), (b"a", b"b")))
    assert request_to_h1(request) == (b"GET", b"/", ((b"host", b"api"), (b"a", b"b")))


def test_a_response_of_http_1():
    fields = [(b"Set-Cookie", b"a"), (b"Connection", b"close"), (b"Set-Cookie", b"b")]
    assert response_from_h1(200, fields) == Response(
        200, ((b"set-cookie", b"a"), (b"set-cookie", b"b"))
    )
    with pytest.raises(MessageRefused):
        response_from_h1(101, [])


def test_crumbs_of_a_cookie_become_one_where_the_first_was():
    assert with_one_cookie(((b"cookie", b"a"),)) == ((b"cookie", b"a"),)
    crumbs = ((b"x", b"1"), (b"cookie", b"a"), (b"y", b"2"), (b"cookie", b"b"), (b"cookie", b"c"))
    assert with_one_cookie(crumbs) == ((b"x", b"1"), (b"cookie", b"a; b; c"), (b"y", b"2"))
