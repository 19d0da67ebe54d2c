"""What a client's connection, and a target's, make of bytes."""

import attrs

from van.http.h1.client_connection import ClientConnection
from van.http.h1.request import RequestHead, parse_request
from van.http.h1.response import ResponseHead, parse_response
from van.http.h1.states import State
from van.http.h1.target_connection import TargetConnection
from van.http.problems import MessageRefused

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@attrs.define
class Taken:
    """A request that was taken, with its body as it came."""

    head: RequestHead
    body: bytes = b""


@attrs.define
class Heard:
    """What was taken of all that a client sent, and why no more was."""

    requests: list[Taken] = attrs.field(factory=list)
    status: int | None = None
    """Of the refusal, if there was one."""
    reason: str = ""
    is_amid: bool = False
    """Whether bytes are left of which more would have to come."""


def hear(*pieces: bytes) -> Heard:
    """Give what a client sends to a connection, each of whose requests is answered at once."""
    heard, connection = Heard(), ClientConnection()
    try:
        for piece in pieces:
            connection.receive(piece)
            converse(connection, heard)
    except MessageRefused as refusal:
        heard.status, heard.reason = refusal.status, str(refusal)
    heard.is_amid = connection.is_amid_head or connection.state is State.OPEN
    return heard


def converse(connection: ClientConnection, heard: Heard) -> None:
    while True:
        if (request := connection.next_request()) is not None:
            heard.requests.append(Taken(request))
        if connection.request is None:
            return
        heard.requests[-1].body += connection.next_body()
        if connection.state is not State.ANSWERING:
            return
        answer_with(connection, OK)


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def request_head(data: bytes) -> RequestHead:
    head = parse_request(data)
    assert head is not None
    return head


def response_head(data: bytes, method: bytes = b"GET") -> ResponseHead:
    head = parse_response(data, method)
    assert head is not None
    return head


def under_way(connection: ClientConnection) -> RequestHead:
    """Return the request that is under way."""
    assert connection.request is not None
    return connection.request


def answer_with(connection: ClientConnection, data: bytes) -> bytes:
    return bytes(connection.receive_answer(under_way(connection), data))


def state_of(connection: ClientConnection | TargetConnection) -> State:
    """Return how a connection stands now, whatever it was known to be before."""
    return connection.state
