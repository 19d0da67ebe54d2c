"""Whatever happens in whatever order, a connection refuses what it must, and meets no defect."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from tests.http.h1.conversations import OK
from tests.http.h1.probes import answer, chunked, post, request
from van.http.h1.client_connection import ClientConnection
from van.http.h1.states import State
from van.http.h1.target_connection import TargetConnection
from van.http.problems import MessageRefused, Problem

WEBSOCKET = request(b"GET / HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket")
REQUESTS = [
    request(),
    request() + request(),
    request(b"HEAD / HTTP/1.1"),
    b"GET / HTTP/1.0\r\n\r\n",
    post(b"Content-Length: 5", body=b"hel"),
    b"lo",
    chunked(b"5\r\nhello\r\n"),
    b"0\r\n\r\n",
    WEBSOCKET,
    b"GET / HTTP",
    b"/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\n",
    b"\r\n",
    b"",
]
ANSWERS = [
    OK,
    OK + OK,
    answer(b"HTTP/1.1 100 Continue"),
    answer(),
    answer(b"HTTP/1.1 200 OK", b"Content-Length: 5", body=b"hel"),
    b"lo",
    answer(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", b"Connection: close"),
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    answer(b"HTTP/1.1 101 Switching", b"Connection: upgrade", b"Upgrade: websocket"),
    b"HTTP/1.1 20",
    b"0 OK\r\n\r\n",
    b"HTTP/1.1 2000",
    b"",
]
PROBLEM = Problem(503, "nobody is there")
events = st.lists(
    st.sampled_from(
        [
            *(("receive", data) for data in REQUESTS),
            *(("receive_answer", data) for data in ANSWERS),
            *[("next_request",), ("next_body",)] * 7,
            ("receive_answer_end",),
            ("receive_end",),
            ("refuse",),
            ("drain",),
        ]
    ),
    max_size=30,
)


def happen(connection, name, *data):
    if name == "drain":
        connection.is_draining = True
    elif name == "refuse":
        connection.refuse(PROBLEM, connection.request)
    elif name in {"receive_answer", "receive_answer_end"}:
        getattr(connection, name)(connection.request, *data)
    else:
        getattr(connection, name)(*data)


@given(events)
def test_no_order_at_the_client_is_a_defect(events):
    connection, was_closed = ClientConnection(), False
    for event in events:
        with contextlib.suppress(MessageRefused):
            happen(connection, *event)
        assert (connection.request is not None) == (
            connection.state in {State.OPEN, State.ANSWERING, State.TUNNEL}
        ) or connection.state is State.CLOSED
        assert not was_closed or connection.state is State.CLOSED
        was_closed = connection.state is State.CLOSED


target_events = st.lists(
    st.sampled_from(
        [
            *(("receive_request", data) for data in REQUESTS),
            *(("receive", data) for data in ANSWERS),
            ("receive_request_end",),
            ("receive_end",),
        ]
    ),
    max_size=20,
)


@given(target_events)
def test_no_order_at_the_target_is_a_defect(events):
    connection, was_closed = TargetConnection(), False
    for name, *data in events:
        with contextlib.suppress(MessageRefused):
            getattr(connection, name)(*data)
        if connection.state is State.IDLE:
            assert connection.request is None
        assert not was_closed or connection.state is State.CLOSED
        was_closed = connection.state is State.CLOSED
