"""A connection to a target: one exchange after the other, and when it may be used again."""

import pytest

from tests.http.h1.conversations import OK, state_of
from tests.http.h1.probes import answer, chunked, post, request
from van.http.h1.states import State
from van.http.h1.target_connection import TargetConnection
from van.http.problems import MessageRefused

WEBSOCKET = request(b"GET / HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket")
SWITCHED = answer(
    b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: upgrade"
)
LINES = b"Forwarded: for=_east\r\n"


def sent(data: bytes) -> TargetConnection:
    """Return a connection that a request was sent on."""
    connection = TargetConnection()
    connection.receive_request(data)
    return connection


def test_a_request_goes_out_with_the_lines_that_are_put_in():
    connection = TargetConnection()
    written = connection.receive_request(request(), LINES)
    assert written == b"GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 van\r\n" + LINES + b"\r\n"
    connection.receive_request_end()
    assert state_of(connection) is State.ANSWERING


def test_a_body_goes_out_as_it_came():
    connection = TargetConnection()
    data = chunked(b"2;a=b\r\nhi\r\n")
    assert connection.receive_request(data[:30], LINES) == b""
    assert connection.receive_request(data[30:], LINES).endswith(b"\r\n\r\n2;a=b\r\nhi\r\n")
    piece = b"0\r\nX: 1\r\n\r\n"
    assert connection.receive_request(piece, LINES) is piece
    connection.receive_request_end()


def test_a_connection_is_used_again_after_a_whole_exchange():
    connection = sent(request())
    via = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nVia: 1.1 van\r\n\r\n"
    for _ in range(3):
        assert connection.receive(OK) == via
        assert state_of(connection) is State.IDLE
        assert connection.request is None
        connection.receive_request(request())
        connection.receive_request_end()


@pytest.mark.parametrize(
    "head",
    [
        answer(b"HTTP/1.1 200 OK", b"Content-Length: 0", b"Connection: close"),
        answer(b"HTTP/1.1 200 OK", b"Content-Length: 0", b"Connection: x", b"Connection: Close"),
        answer(b"HTTP/1.0 200 OK", b"Content-Length: 0"),
        answer(b"HTTP/1.0 200 OK", b"Content-Length: 0", b"Connection: x"),
        answer(b"HTTP/1.1 200 OK", b"Content-Length: 0") + b"x",
        OK + OK,
        answer(b"HTTP/1.1 401 No", b"Content-Length: 0", b"WWW-Authenticate: NTLM"),
        answer(b"HTTP/1.1 401 No", b"Content-Length: 0", b"WWW-Authenticate: Negotiate abc"),
        answer(
            b"HTTP/1.1 401 No", b"Content-Length: 0", b'WWW-Authenticate: Basic realm="x", NTLM'
        ),
    ],
)
def test_a_connection_is_not_used_again(head):
    connection = sent(request())
    assert connection.receive(head).endswith(b"\r\n\r\n")
    assert state_of(connection) is State.CLOSED


def test_what_is_behind_an_answer_is_not_passed_on():
    connection = sent(request())
    assert bytes(connection.receive(OK + OK)).count(b"HTTP/1.1") == 1


def test_a_target_of_http_1_0_may_keep_a_connection():
    connection = sent(request())
    connection.receive(answer(b"HTTP/1.0 200 OK", b"Content-Length: 0", b"Connection: Keep-Alive"))
    assert state_of(connection) is State.IDLE


def test_a_connection_that_a_client_has_authenticated_is_not_used_again():
    for scheme in (b"NTLM abc", b"negotiate abc"):
        connection = sent(request(b"GET / HTTP/1.1", b"Authorization: " + scheme))
        connection.receive(OK)
        assert state_of(connection) is State.CLOSED
    connection = sent(request(b"GET / HTTP/1.1", b"Authorization: Bearer ntlm"))
    connection.receive(OK)
    assert state_of(connection) is State.IDLE


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS"])
def test_a_connection_is_not_used_again_when_the_target_may_have_left_a_body_unread(method):
    line = method + b" / HTTP/1.1"
    connection = sent(request(line, b"Content-Length: 5", body=b"hello"))
    connection.receive(OK)
    assert state_of(connection) is State.CLOSED
    for data in (request(line, b"Content-Length: 0"), post(b"Content-Length: 5", body=b"hello")):
        connection = sent(data)
        connection.receive(OK)
        assert state_of(connection) is State.IDLE


def test_a_target_that_speaks_unasked_is_not_used_again():
    connection = sent(request())
    connection.receive(OK)
    assert connection.receive(answer(b"HTTP/1.1 408 Timeout")) == b""
    assert state_of(connection) is State.CLOSED


def test_a_target_that_answers_before_it_was_asked_is_not_used():
    connection = TargetConnection()
    connection.receive_request(request()[:10])
    assert connection.receive(OK) == b""
    assert state_of(connection) is State.CLOSED


def test_a_connection_is_not_used_again_when_the_answer_did_not_wait_for_the_request():
    connection = sent(post(b"Content-Length: 5", body=b"he"))
    assert b" 403 " in connection.receive(answer(b"HTTP/1.1 403 No", b"Content-Length: 0"))
    assert state_of(connection) is State.CLOSED
    assert connection.receive_request(b"llo") == b""


def test_how_long_a_target_waits_is_known():
    connection = sent(request())
    connection.receive(
        answer(b"HTTP/1.1 200 OK", b"Content-Length: 0", b"Keep-Alive: a, timeout=5")
    )
    assert connection.idle_timeout == 5
    connection.receive_request(request())
    connection.receive(OK)
    assert connection.idle_timeout is None


def test_an_answer_without_an_end_is_whole_when_the_target_ends():
    connection = sent(request())
    assert connection.receive(answer() + b"hel").endswith(b"hel")
    piece = b"lo"
    assert connection.receive(piece) is piece
    connection.receive_end()
    assert state_of(connection) is State.CLOSED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        answer(b"HTTP/1.1 100 Continue"),
        answer(b"HTTP/1.1 200 OK", b"Content-Length: 5", body=b"hell"),
        answer(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n"),
    ],
)
def test_an_answer_that_is_not_whole_is_refused(data):
    connection = sent(request())
    connection.receive(data)
    assert connection.has_answered
    with pytest.raises(MessageRefused) as caught:
        connection.receive_end()
    assert caught.value.status == 502
    assert connection.receive(OK) == b""
    assert state_of(connection) is State.CLOSED


def test_it_is_known_whether_a_byte_of_an_answer_has_come():
    connection = sent(request())
    known = [connection.has_answered]
    connection.receive(b"H")
    known.append(connection.has_answered)
    connection.receive(OK[1:])
    connection.receive_request(request())
    assert [*known, connection.has_answered] == [False, True, False]


def test_an_idle_target_may_end():
    connection = TargetConnection()
    connection.receive_end()
    assert state_of(connection) is State.CLOSED


def test_interim_answers_pass():
    connection = sent(post(b"Expect: 100-continue", b"Content-Length: 5"))
    interim = answer(b"HTTP/1.1 100 Continue")
    assert connection.receive(interim) == interim
    assert connection.receive_request(b"hello") == b"hello"
    connection.receive_request_end()
    connection.receive(OK)
    assert state_of(connection) is State.IDLE


def test_an_answer_to_http_1_0_is_not_in_chunks():
    connection = sent(b"GET / HTTP/1.0\r\n\r\n")
    with pytest.raises(MessageRefused, match="chunked"):
        connection.receive(answer(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked"))


# -- exactly one request ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        request() + request(),
        request() + b"x",
        post(b"Content-Length: 5", body=b"hello!"),
        chunked(b"0\r\n\r\n\r\n"),
        b"\r\n" + request(),
        WEBSOCKET + b"\x81\x00",
    ],
)
def test_more_than_a_request_is_refused(data):
    with pytest.raises(MessageRefused):
        sent(data)
    connection, refusals = TargetConnection(), 0
    for end in range(len(data)):
        try:
            connection.receive_request(data[end : end + 1])
        except MessageRefused:
            refusals += 1
            break
    assert refusals == 1


@pytest.mark.parametrize(
    "data", [b"", request()[:-1], post(b"Content-Length: 5", body=b"hell"), chunked(b"0\r\n")]
)
def test_less_than_a_request_is_refused(data):
    connection = sent(data)
    with pytest.raises(MessageRefused, match="not whole"):
        connection.receive_request_end()


# -- other protocols -------------------------------------------------------------------------------


def test_bytes_pass_as_they_are_once_the_target_has_switched():
    connection = TargetConnection()
    written = connection.receive_request(WEBSOCKET)
    assert b"\r\nUpgrade: websocket\r\n" in written
    assert b"\r\nConnection: Upgrade\r\n" in written
    told = connection.receive(SWITCHED + b"\x81\x00")
    assert told.endswith(b"\r\nConnection: Upgrade\r\n\r\n\x81\x00")
    assert state_of(connection) is State.TUNNEL
    assert connection.receive(OK) is OK
    assert connection.receive_request(OK) is OK
    connection.receive_request_end()
    connection.receive_end()
    assert state_of(connection) is State.TUNNEL


def test_a_target_that_switches_unasked_is_refused():
    connection = sent(request())
    with pytest.raises(MessageRefused, match="not asked for"):
        connection.receive(SWITCHED)
