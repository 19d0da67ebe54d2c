"""A client's connection: one request after the other, and when it ends."""

import pytest

from tests.http.h1.conversations import OK, answer_with, state_of, under_way
from tests.http.h1.probes import answer, chunked, post, request
from van.http.h1.client_connection import ClientConnection
from van.http.h1.states import State
from van.http.problems import MessageRefused, Problem

OLD = b"GET / HTTP/1.0\r\n\r\n"
OLD_KEPT = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
WEBSOCKET = request(b"GET / HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket")
SWITCHED = answer(
    b"HTTP/1.1 101 Switching Protocols", b"Upgrade: WebSocket", b"Connection: upgrade"
)
UNBOUNDED = answer()
UNAVAILABLE = Problem(503, "no instance of api:80 is there", retry_after=1)


def asked(data: bytes) -> ClientConnection:
    """Return a connection with a request under way."""
    connection = ClientConnection()
    connection.receive(data)
    assert connection.next_request() is not None
    return connection


def test_a_request_waits_until_the_one_before_is_answered():
    connection = asked(request(b"GET /a HTTP/1.1") + request(b"GET /b HTTP/1.1"))
    assert not connection.wants_data
    assert connection.next_request() is None
    assert connection.next_body() == b""
    assert answer_with(connection, OK[:-2]) == b""
    assert connection.next_request() is None
    assert answer_with(connection, OK[-2:]) == OK
    assert connection.next_request().target == b"/b"


def test_a_body_ends_where_the_next_request_begins():
    connection = asked(post(b"Content-Length: 5", body=b"hel"))
    assert connection.next_body() == b"hel"
    assert connection.next_body() == b""
    wanted = [connection.wants_data]
    connection.receive(b"lo" + request(b"GET /b HTTP/1.1"))
    assert connection.next_body() == b"lo"
    assert state_of(connection) is State.ANSWERING
    assert [*wanted, connection.wants_data] == [True, False]
    answer_with(connection, OK)
    assert connection.next_request().target == b"/b"


def test_a_short_request_is_found_behind_one_whose_head_was_slow():
    slow = request(b"GET / HTTP/1.1", b"X: " + b"x" * 100)
    connection = ClientConnection()
    connection.receive(slow[:-1])
    assert connection.next_request() is None
    connection.receive(slow[-1:] + request(b"GET /b HTTP/1.1"))
    assert connection.next_request().raw == slow
    answer_with(connection, OK)
    assert connection.next_request().target == b"/b"


def test_a_body_goes_on_as_it_came():
    body = b"2;a=b\r\nhi\r\n0\r\nX: 1\r\n\r\n"
    connection = asked(chunked(body + request()))
    assert connection.next_body() == body
    assert state_of(connection) is State.ANSWERING


def test_a_piece_that_is_all_body_is_not_copied():
    connection = asked(post(b"Content-Length: 10"))
    connection.next_body()
    piece = bytes(10)
    connection.receive(piece)
    assert connection.next_body() is piece
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
    answer_with(connection, answer)
    assert connection.receive_answer(under_way(connection), piece) is piece


def test_nothing_is_held_of_an_exchange_that_is_over():
    connection = asked(request(b"GET / HTTP/1.1", b"X: " + bytes([88]) * 20_000))
    answer_with(connection, OK)
    assert state_of(connection) is State.IDLE
    held = connection.request, connection._answer, connection._body, connection._data
    assert held == (None, None, None, b"")


def test_interim_answers_pass():
    connection = asked(post(b"Expect: 100-continue", b"Content-Length: 5"))
    assert connection.request.expects_continue
    interim = answer(b"HTTP/1.1 100 Continue") + answer(b"HTTP/1.1 103 Early Hints", b"Link: a")
    assert answer_with(connection, interim) == interim
    assert state_of(connection) is State.OPEN
    connection.receive(b"hello")
    assert connection.next_body() == b"hello"
    assert answer_with(connection, OK) == OK
    assert state_of(connection) is State.IDLE


def test_a_client_of_http_1_0_gets_no_interim_answer():
    connection = asked(OLD)
    assert answer_with(connection, answer(b"HTTP/1.1 100 Continue")) == b""
    assert answer_with(connection, OK).startswith(b"HTTP/1.1 200 OK")


def test_an_answer_before_the_request_ends_is_the_last_one():
    connection = asked(post(b"Content-Length: 5", body=b"he"))
    connection.next_body()
    told = answer_with(connection, answer(b"HTTP/1.1 403 No", b"Content-Length: 2", body=b"no"))
    assert b"\r\nConnection: close\r\n" in told
    assert told.endswith(b"no")
    assert state_of(connection) is State.CLOSED
    assert not connection.wants_data


def test_an_answer_that_begins_before_the_request_ends_is_the_last_one():
    connection = asked(post(b"Content-Length: 5", body=b"he"))
    connection.next_body()
    told = answer_with(connection, answer(b"HTTP/1.1 200 OK", b"Content-Length: 2"))
    assert b"\r\nConnection: close\r\n" in told
    connection.receive(b"llo")
    assert connection.next_body() == b"llo"
    assert state_of(connection) is State.ANSWERING
    assert answer_with(connection, b"ok") == b"ok"
    assert state_of(connection) is State.CLOSED


@pytest.mark.parametrize(
    ("data", "line", "state"),
    [
        (request(), b"", State.IDLE),
        (request(b"GET / HTTP/1.1", b"Connection: x, CLOSE"), b"Connection: close", State.CLOSED),
        (OLD, b"Connection: close", State.CLOSED),
        (OLD_KEPT, b"Connection: keep-alive", State.IDLE),
    ],
)
def test_a_connection_is_kept_as_the_client_wants(data, line, state):
    connection = asked(data)
    told = answer_with(connection, OK)
    assert (line or b"Connection") in told or not line
    assert told.count(b"Connection") == bool(line)
    assert state_of(connection) is state


def test_a_client_goes_elsewhere_when_the_router_drains():
    connection = asked(request() + request())
    connection.is_draining = True
    assert b"\r\nConnection: close\r\n" in answer_with(connection, OK)
    assert state_of(connection) is State.CLOSED
    assert connection.next_request() is None


def test_that_the_target_closes_is_no_matter_of_the_client():
    connection = asked(request())
    told = answer_with(connection, answer(b"HTTP/1.0 200 OK", b"Content-Length: 2", body=b"ok"))
    assert told == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert state_of(connection) is State.IDLE


def test_an_answer_without_an_end_comes_in_chunks():
    connection = asked(request())
    told = answer_with(connection, UNBOUNDED + b"hello")
    assert told == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    assert answer_with(connection, b"") == b""
    assert answer_with(connection, b"x" * 16) == b"10\r\n" + b"x" * 16 + b"\r\n"
    assert connection.receive_answer_end(under_way(connection)) == b"0\r\n\r\n"
    assert state_of(connection) is State.IDLE


def test_an_answer_without_an_end_ends_the_connection_of_http_1_0():
    connection = asked(OLD_KEPT)
    told = answer_with(connection, UNBOUNDED + b"hello")
    assert told == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"
    assert connection.receive_answer_end(under_way(connection)) == b""
    assert state_of(connection) is State.CLOSED


@pytest.mark.parametrize("status", [b"200 OK", b"304 Not Modified", b"206 Partial"])
def test_an_answer_to_head_has_no_body(status):
    connection = asked(request(b"HEAD / HTTP/1.1"))
    head = answer(b"HTTP/1.1 " + status, b"Content-Length: 5")
    assert answer_with(connection, head) == head
    assert state_of(connection) is State.IDLE


def test_an_answer_that_is_not_whole_is_refused():
    connection = asked(request())
    answer_with(connection, answer(b"HTTP/1.1 200 OK", b"Content-Length: 5", body=b"hell"))
    with pytest.raises(MessageRefused, match="missing"):
        connection.receive_answer_end(under_way(connection))
    assert connection.refuse(Problem(502, "cut"), under_way(connection)) == b""
    assert state_of(connection) is State.CLOSED


def test_bytes_behind_an_answer_are_not_passed_on():
    connection = asked(request())
    with pytest.raises(MessageRefused, match="behind an answer"):
        answer_with(connection, OK + OK)
    told = connection.refuse(Problem(502, "two answers"), under_way(connection))
    assert told.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert b"\r\nConnection: close\r\n" not in told


def test_what_comes_for_an_exchange_that_is_over_is_left_out():
    connection = asked(request() + request())
    first = under_way(connection)
    answer_with(connection, OK)
    assert connection.next_request() is not first
    assert connection.receive_answer(first, OK) == b""
    assert connection.receive_answer_end(first) == b""
    assert connection.refuse(UNAVAILABLE, first) == b""
    assert state_of(connection) is State.ANSWERING
    assert answer_with(connection, OK) == OK


# -- other protocols -------------------------------------------------------------------------------


def test_bytes_pass_as_they_are_once_the_target_has_switched():
    connection = asked(WEBSOCKET + b"\x81\x00")
    assert connection.request.is_websocket
    assert connection.next_body() == b""
    assert not connection.wants_data
    told = answer_with(connection, SWITCHED + b"\x81\x01a")
    assert told.endswith(b"\r\n\r\n\x81\x01a")
    assert b"Upgrade: WebSocket\r\n" in told
    assert b"Connection: Upgrade\r\n" in told
    assert state_of(connection) is State.TUNNEL
    assert connection.next_body() == b"\x81\x00"
    connection.receive(request())
    assert connection.next_request() is None
    assert connection.next_body() == request()
    assert answer_with(connection, OK) == OK
    assert connection.receive_answer_end(under_way(connection)) == b""
    connection.receive_end()
    assert state_of(connection) is State.TUNNEL


def test_what_follows_a_switch_that_is_declined_is_a_request():
    connection = asked(WEBSOCKET + request(b"GET /b HTTP/1.1"))
    answer_with(connection, answer(b"HTTP/1.1 426 No", b"Content-Length: 0"))
    assert state_of(connection) is State.IDLE
    assert connection.next_request().target == b"/b"


@pytest.mark.parametrize(
    "head",
    [
        answer(b"HTTP/1.1 101 Switching", b"Upgrade: h2c", b"Connection: Upgrade"),
        answer(b"HTTP/1.1 101 Switching", b"Upgrade: websocket"),
        answer(b"HTTP/1.1 101 Switching", b"Connection: Upgrade"),
    ],
)
def test_a_switch_to_something_else_is_refused(head):
    connection = asked(WEBSOCKET)
    with pytest.raises(MessageRefused, match="not asked for"):
        answer_with(connection, head)
    assert b" 502 " in connection.refuse(Problem(502, "x"), under_way(connection))


# -- answers of its own ----------------------------------------------------------------------------


def test_a_problem_keeps_the_connection_when_the_request_is_whole():
    connection = asked(request() + request())
    told = connection.refuse(UNAVAILABLE, under_way(connection))
    head, _, body = told.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nretry-after: 1\r\n" in head
    assert b"\r\nContent-Length: %d" % len(body) in head
    assert b"Connection" not in head
    assert state_of(connection) is State.IDLE
    assert connection.next_request() is not None


@pytest.mark.parametrize("data", [post(b"Content-Length: 5"), OLD])
def test_a_problem_ends_the_connection_when_it_can_not_be_kept(data):
    connection = asked(data)
    told = connection.refuse(UNAVAILABLE, under_way(connection))
    assert b"\r\nConnection: close\r\n" in told
    assert state_of(connection) is State.CLOSED


def test_a_problem_keeps_a_connection_of_http_1_0_that_is_kept():
    connection = asked(OLD_KEPT)
    assert b"\r\nConnection: keep-alive\r\n" in connection.refuse(
        UNAVAILABLE, under_way(connection)
    )
    assert state_of(connection) is State.IDLE


def test_a_problem_with_head_has_no_body():
    connection = asked(request(b"HEAD / HTTP/1.1"))
    assert connection.refuse(UNAVAILABLE, under_way(connection)).endswith(b"\r\n\r\n")


def test_what_is_no_request_is_answered_and_ends_the_connection():
    connection = ClientConnection()
    connection.receive(b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n" + request())
    with pytest.raises(MessageRefused) as caught:
        connection.next_request()
    told = connection.refuse(caught.value.problem)
    assert told.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nConnection: close\r\n" in told
    assert state_of(connection) is State.CLOSED
    assert connection.next_request() is None


def test_nothing_is_added_to_an_answer_that_has_begun():
    connection = asked(request())
    answer_with(connection, UNBOUNDED + b"hello")
    assert connection.refuse(UNAVAILABLE, under_way(connection)) == b""
    assert state_of(connection) is State.CLOSED


def test_a_body_that_proves_bad_is_refused():
    connection = asked(chunked(b"5\r\nhello\r\n"))
    assert connection.next_body() == b"5\r\nhello\r\n"
    connection.receive(b"x\r\n")
    with pytest.raises(MessageRefused) as caught:
        connection.next_body()
    told = connection.refuse(caught.value.problem, under_way(connection))
    assert told.startswith(b"HTTP/1.1 400 ")
    assert state_of(connection) is State.CLOSED


# -- the client's end ------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"GET / HT"])
def test_a_client_that_ends_between_requests_is_through(data):
    connection = ClientConnection()
    connection.receive(data)
    assert connection.next_request() is None
    connection.receive_end()
    assert state_of(connection) is State.CLOSED


def test_a_client_that_ends_amid_a_request_is_refused():
    connection = asked(post(b"Content-Length: 5", body=b"hell"))
    connection.next_body()
    with pytest.raises(MessageRefused, match="amid"):
        connection.receive_end()


def test_a_client_that_ends_behind_its_requests_gets_all_answers():
    connection = asked(request() + request())
    connection.receive_end()
    assert answer_with(connection, OK) == OK
    assert not connection.wants_data
    assert connection.next_request() is not None
    assert b"Connection: close" in answer_with(connection, OK)
    assert state_of(connection) is State.CLOSED


def test_a_client_that_has_begun_a_head_is_told_from_one_that_is_idle():
    connection, known = ClientConnection(), []
    for piece in (b"", request()[:5], request()[5:]):
        connection.receive(piece)
        connection.next_request()
        known.append(connection.is_amid_head)
    answer_with(connection, OK)
    assert [*known, connection.is_amid_head] == [False, True, False, False]


def test_one_empty_line_before_a_request_is_skipped():
    connection = asked(post(b"Content-Length: 2", body=b"hi") + b"\r\n" + request())
    assert connection.next_body() == b"hi"
    answer_with(connection, OK)
    assert connection.next_request() is not None
