"""The connection to a target of HTTP/1, where requests leave the VAN.

It checks once more that what it is given is one request, and what the target sends one answer, and
tells whether the connection may be used again. It leaves to others: sockets, deadlines, and for how
long an idle connection is kept.
"""

from typing import Final

from van.http.h1.answer import AnswerReader
from van.http.h1.body import Body, Data, body_of
from van.http.h1.forwarding import VIA, forward_request, forward_response
from van.http.h1.framing import Framing
from van.http.h1.request import RequestHead, parse_request
from van.http.h1.response import ResponseHead
from van.http.h1.states import Event, State, following
from van.http.problems import MessageRefused
from van.http.semantics import WITHOUT_CONTENT

_ON_REQUEST: Final = following(Event.REQUEST)
_ON_REQUEST_END: Final = following(Event.REQUEST_END)
_ON_ANSWER_END: Final = following(Event.ANSWER_END)
_ON_SWITCH: Final = following(Event.SWITCH)
_ON_CLOSE: Final = following(Event.CLOSE)


class TargetConnection:
    """A connection to a target. Not thread-safe.

    For each exchange, write what `receive_request` returns to the target, and pass on what
    `receive` returns of what it sends; tell of the ends by `receive_request_end` and `receive_end`.
    The exchange is over when `state` is IDLE, and the connection may be used for the next, or
    CLOSED, and it must be closed: from then on nothing of it is told. After a `MessageRefused` of
    any method, reset the connection; the status tells whose fault it was, 502 the target's.
    """

    __slots__ = (
        "_answer", "_body", "_held", "has_answered", "idle_timeout", "request", "state",
    )  # fmt: skip

    def __init__(self) -> None:
        self.state = State.IDLE
        self.request: RequestHead | None = None
        """The one that is under way."""
        self.has_answered = False
        """Whether a byte has come from the target since it got the request: while none has, an
        idempotent one may be tried again elsewhere."""
        self.idle_timeout: int | None = None
        """For how many seconds the target waits for a further request, if it has said so."""
        self._held = b""
        """What has come of a request's head that is not whole."""
        self._body: Body | None = None
        self._answer: AnswerReader | None = None

    def __repr__(self) -> str:
        return f"<TargetConnection {self.state.name}>"

    def receive_request(self, data: Data, lines: bytes = b"") -> Data:
        """Take bytes of a request; return what to write to the target.

        The lines are put into its head, with one of Via.
        """
        if self.state is State.OPEN and self._body is not None:
            return self._take_body(self._body, data, 0)
        if self.state is State.IDLE:
            return self._take_head(data, lines)
        if self.state is State.ANSWERING:
            raise MessageRefused(400, "bytes come behind the request")
        # What comes of a request after its answer is for nobody.
        return data if self.state is State.TUNNEL else b""

    def receive_request_end(self) -> None:
        """Take note that this was all of the request; raise `MessageRefused` if it is not whole."""
        if self.state in {State.IDLE, State.OPEN}:
            raise MessageRefused(400, "the request is not whole")

    def receive(self, data: Data) -> Data:
        """Take what the target sends; return what to pass on."""
        if self.state is State.TUNNEL:
            return data
        answer = self._answer
        if answer is None:
            # It was not asked: whatever it says, it would be taken for the next answer.
            self.state = _ON_CLOSE[self.state]
            return b""
        self.has_answered = True
        heads, body = answer.receive(data)
        lines = self._pass_heads(heads) if heads else b""
        if answer.is_over:
            self._end_answer(answer)
        elif answer.is_switched:
            self.state = _ON_SWITCH[self.state]
        return b"".join((lines, body)) if lines else body

    def receive_end(self) -> None:
        """Take note that the target will send no more; raise `MessageRefused` if its answer is not
        whole."""
        if self.state is State.TUNNEL:
            return
        answer, self._answer = self._answer, None
        self.state = _ON_CLOSE[self.state]
        if answer is not None:
            answer.receive_end()

    def _take_head(self, data: Data, lines: bytes) -> Data:
        data, searched = self._held + data if self._held else bytes(data), len(self._held)
        request = parse_request(data, searched=searched)
        if request is None:
            self._held = data
            return b""
        self._held = b""
        self.request = request
        self._answer = AnswerReader(request)
        self.has_answered = False
        self.state = _ON_REQUEST[self.state]
        head = forward_request(request, VIA[request.minor] + lines)
        size = len(request.raw)
        if request.framing is Framing.NONE and size == len(data):
            self.state = _ON_REQUEST_END[self.state]
            return head
        self._body = body_of(request.framing, request.length, 400)
        return b"".join((head, self._take_body(self._body, data, size)))

    def _take_body(self, body: Body, data: Data, start: int) -> Data:
        end = body.feed(data, start)
        if end < len(data):
            raise MessageRefused(400, "bytes come behind the request")
        if body.is_over:
            self._body = None
            self.state = _ON_REQUEST_END[self.state]
        return data[start:] if start else data

    def _pass_heads(self, heads: list[ResponseHead]) -> bytes:
        passed = [
            forward_response(each, VIA[each.minor] if each.status >= 200 else b"") for each in heads
        ]
        return passed[0] if len(passed) == 1 else b"".join(passed)

    def _end_answer(self, answer: AnswerReader) -> None:
        head, request = answer.head, self.request
        assert head is not None
        assert request is not None
        self.request = self._answer = self._body = None
        self.state = _ON_ANSWER_END[self.state]
        self.idle_timeout = head.idle_timeout
        # A server that has not read the body takes it for the next request.
        is_doubtful = request.has_body and request.method in WITHOUT_CONTENT
        is_bound = request.binds_connection
        keeps = head.keep_alive and not (answer.has_surplus or is_doubtful or is_bound)
        if not keeps and self.state is State.IDLE:
            self.state = _ON_CLOSE[self.state]
