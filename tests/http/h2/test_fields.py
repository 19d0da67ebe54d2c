import pytest

from tests.http.h2.peer import GET, OK, POST
from van.http.h2.decoder import Section
from van.http.h2.faults import MalformedMessage
from van.http.h2.fields import (
    check_fields,
    read_request,
    read_response,
    read_trailers,
)
from van.http.message import Request, Response
from van.http.problems import MessageRefused


def section(*fields):
    return Section(tuple(fields), 0, frozenset())


def without(name, fields=GET):
    return tuple(field for field in fields if field[0] != name)


def changed(name, value, fields=GET):
    return tuple((n, value if n == name else v) for n, v in fields)


MALFORMED_REQUESTS = {
    "8.3.1-no-method": without(b":method"),
    "8.3.1-no-scheme": without(b":scheme"),
    "8.3.1-no-path": without(b":path"),
    "8.3.1-no-authority-and-no-host": without(b":authority"),
    "8.3.1-empty-path": changed(b":path", b""),
    "8.3.1-path-without-a-slash": changed(b":path", b"items"),
    "8.3.1-star-for-get": changed(b":path", b"*"),
    "8.3.1-path-with-a-space": changed(b":path", b"/a b"),
    "8.3.1-path-with-a-fragment": changed(b":path", b"/a#b"),
    "8.3.1-path-with-a-quotation-mark": changed(b":path", b'/a"b'),
    "8.3.1-path-with-angles": changed(b":path", b"/<a>"),
    "8.3.1-path-with-a-control": changed(b":path", b"/a\x7f"),
    "8.3.1-path-with-a-line": changed(b":path", b"/ HTTP/1.1\r\nx: y"),
    "8.3.1-path-with-bytes-of-no-url": changed(b":path", b"/\xc3\xa4"),
    "8.3.1-path-that-is-a-url": changed(b":path", b"http://api/"),
    "8.3.1-empty-method": changed(b":method", b""),
    "8.3.1-method-with-a-space": changed(b":method", b"GET /x HTTP/1.1"),
    "8.3.1-method-of-33-bytes": changed(b":method", b"M" * 33),
    "8.3.1-other-scheme": changed(b":scheme", b"ftp"),
    "8.3.1-empty-scheme": changed(b":scheme", b""),
    "8.3.1-empty-authority": changed(b":authority", b""),
    "8.3.1-authority-with-user": changed(b":authority", b"user@api"),
    "8.3.1-authority-with-a-path": changed(b":authority", b"api/x"),
    "8.3.1-authority-with-a-space": changed(b":authority", b"api x"),
    "8.3.1-authority-with-half-a-code": changed(b":authority", b"api%2"),
    "8.3.1-authority-with-two-ports": changed(b":authority", b"api:1:2"),
    "8.3.1-host-differs-from-authority": (*GET, (b"host", b"other")),
    "8.3.1-two-hosts": (*GET, (b"host", b"api:8080"), (b"host", b"api:8080")),
    "8.3-pseudo-behind-a-field": (*GET[:3], (b"a", b"b"), GET[3]),
    "8.3-method-twice": (*GET, (b":method", b"GET")),
    "8.3-path-twice": (*GET, (b":path", b"/other")),
    "8.3-authority-twice": (*GET, (b":authority", b"api:8080")),
    "8.3-of-a-response": (*GET, (b":status", b"200")),
    "8.3-unknown-pseudo": (*GET, (b":name", b"x")),
    "8.3-empty-pseudo": (*GET, (b":", b"x")),
    "8.5-extended-connect": (*changed(b":method", b"CONNECT"), (b":protocol", b"websocket")),
    "8.2.1-upper-case": (*GET, (b"X-Name", b"x")),
    "8.2.1-empty-name": (*GET, (b"", b"x")),
    "8.2.1-name-with-a-space": (*GET, (b"a b", b"x")),
    "8.2.1-name-with-a-colon": (*GET, (b"a:b", b"x")),
    "8.2.1-name-with-a-line": (*GET, (b"a\r\nb", b"x")),
    "8.2.1-name-beyond-ascii": (*GET, (b"\xe4", b"x")),
    "8.2.1-value-with-cr": (*GET, (b"a", b"b\rc")),
    "8.2.1-value-with-lf": (*GET, (b"a", b"b\nc")),
    "8.2.1-value-with-lf-at-its-end": (*GET, (b"a", b"b\n")),
    "8.2.1-value-that-is-lf": (*GET, (b"a", b"\n")),
    "8.2.1-value-with-nul": (*GET, (b"a", b"b\0c")),
    "8.2.1-value-with-a-control": (*GET, (b"a", b"b\x01c")),
    "8.2.1-value-begins-with-a-space": (*GET, (b"a", b" b")),
    "8.2.1-value-ends-with-a-space": (*GET, (b"a", b"b ")),
    "8.2.1-value-begins-with-a-tab": (*GET, (b"a", b"\tb")),
    "8.2.1-value-ends-with-a-tab": (*GET, (b"a", b"b\t"), (b"c", b"d")),
    "8.2.2-connection": (*GET, (b"connection", b"close")),
    "8.2.2-keep-alive": (*GET, (b"keep-alive", b"timeout=5")),
    "8.2.2-proxy-connection": (*GET, (b"proxy-connection", b"keep-alive")),
    "8.2.2-transfer-encoding": (*POST, (b"transfer-encoding", b"chunked")),
    "8.2.2-upgrade": (*GET, (b"upgrade", b"h2c")),
    "8.2.2-http2-settings": (*GET, (b"http2-settings", b"AAMAAABk")),
    "8.2.2-lookalike-of-content-length": (*POST, (b"content_length", b"5")),
    "8.2.2-lookalike-of-transfer-encoding": (*POST, (b"transfer_encoding", b"chunked")),
    "8.2.2-te": (*GET, (b"te", b"gzip")),
    "8.2.2-te-with-more": (*GET, (b"te", b"trailers, gzip")),
    "8.1.1-content-length-is-no-number": (*POST, (b"content-length", b"+5")),
    "8.1.1-content-length-is-a-list": (*POST, (b"content-length", b"5, 5")),
    "8.1.1-content-length-is-huge": (*POST, (b"content-length", b"1" * 19)),
    "8.1.1-content-length-twice": (*POST, (b"content-length", b"5"), (b"content-length", b"6")),
}


@pytest.mark.parametrize("fields", MALFORMED_REQUESTS.values(), ids=MALFORMED_REQUESTS)
def test_a_request_that_is_not_well_formed_is_none(fields):
    with pytest.raises(MalformedMessage):
        read_request(section(*fields))


def test_connect_is_refused_by_a_status():
    for fields in (
        ((b":method", b"CONNECT"), (b":authority", b"api:443")),
        changed(b":method", b"CONNECT"),
    ):
        with pytest.raises(MessageRefused, match="expose the address as tcp") as caught:
            read_request(section(*fields))
        assert caught.value.status == 501


@pytest.mark.parametrize(
    ("fields", "request_"),
    [
        (GET, Request(b"GET", b"http", b"api:8080", b"/")),
        (
            (*changed(b":path", b"/a?b=%00"), (b"te", b"trailers"), (b"content-length", b"0")),
            Request(
                b"GET",
                b"http",
                b"api:8080",
                b"/a?b=%00",
                ((b"te", b"trailers"), (b"content-length", b"0")),
            ),
        ),
        (
            (*without(b":authority"), (b"a", b"\xe4 \t b"), (b"host", b"[::1]:80")),
            Request(b"GET", b"http", b"[::1]:80", b"/", ((b"a", b"\xe4 \t b"),)),
        ),
        ((*GET, (b"host", b"API:8080")), Request(b"GET", b"http", b"api:8080", b"/")),
        (
            (*GET, (b"cookie", b"a=b"), (b"x", b""), (b"cookie", b"c=d")),
            Request(b"GET", b"http", b"api:8080", b"/", ((b"cookie", b"a=b; c=d"), (b"x", b""))),
        ),
        (
            ((b":method", b"OPTIONS"), (b":path", b"*"), *GET[1:2], *GET[3:]),
            Request(b"OPTIONS", b"http", b"api:8080", b"*"),
        ),
    ],
)
def test_a_request_is_read(fields, request_):
    assert read_request(section(*fields)) == request_


MALFORMED_RESPONSES = {
    "8.3.2-no-status": ((b"a", b"b"),),
    "8.3.2-status-of-four-digits": ((b":status", b"2000"),),
    "8.3.2-status-of-two-digits": ((b":status", b"20"),),
    "8.3.2-status-of-no-class": ((b":status", b"700"),),
    "8.3.2-status-with-a-reason": ((b":status", b"200 OK"),),
    "8.3.2-status-twice": (*OK, *OK),
    "8.3-of-a-request": (*OK, (b":path", b"/")),
    "8.3-status-behind-a-field": ((b"a", b"b"), *OK),
    "8.6-101": ((b":status", b"101"),),
    "8.2.1-upper-case": (*OK, (b"Server", b"x")),
    "8.2.2-connection": (*OK, (b"connection", b"close")),
    "8.2.2-transfer-encoding": (*OK, (b"transfer-encoding", b"chunked")),
    "8.1.1-content-length-twice": (*OK, (b"content-length", b"5"), (b"content-length", b"5")),
}


@pytest.mark.parametrize("fields", MALFORMED_RESPONSES.values(), ids=MALFORMED_RESPONSES)
def test_a_response_that_is_not_well_formed_is_none(fields):
    with pytest.raises(MalformedMessage):
        read_response(section(*fields))


def test_a_response_is_read():
    assert read_response(section(*OK, (b"a", b"b"))) == Response(200, ((b"a", b"b"),))
    assert not read_response(section((b":status", b"103"))).is_final


@pytest.mark.parametrize(
    "field",
    [(b":status", b"200"), (b":path", b"/"), (b"content-length", b"5"), (b"host", b"x"), (b"te",
     b"trailers"), (b"transfer-encoding", b"chunked"), (b"Upper", b"x"), (b"a", b"b\r\n")],
)  # fmt: skip
def test_trailers_that_are_not_well_formed_are_none(field):
    with pytest.raises(MalformedMessage):
        read_trailers(section((b"grpc-status", b"0"), field))


def test_trailers_are_read_and_may_be_empty():
    assert read_trailers(section()) == ()
    assert read_trailers(section((b"grpc-status", b"0"))) == ((b"grpc-status", b"0"),)


def test_what_is_read_is_remembered_by_its_section():
    whole = section(*GET, (b"content-length", b"7"))
    assert read_request(whole) is read_request(whole)
    assert whole.expected == 7


def test_a_block_that_was_a_head_is_no_trailers():
    whole = section(*GET)
    read_request(whole)
    with pytest.raises(MalformedMessage):
        read_trailers(whole)


def test_fields_of_ones_own_can_be_checked():
    check_fields(((b"a", b"b"),))
    with pytest.raises(MalformedMessage, match="'A'"):
        check_fields(((b"A", b"b"),))
