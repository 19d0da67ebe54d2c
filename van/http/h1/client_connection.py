"""The connection of a client of HTTP/1, where its requests enter the VAN.

It cuts requests out of what the client sends, one at a time, and makes of what comes back for each
what is written to the client. It leaves to others: sockets, deadlines, and where a request goes.
"""

from typing import Final

from van.http.h1.answer import AnswerReader
from van.http.h1.body import Body, ChunkedBody, Data, body_of
from van.http.h1.forwarding import (
    CHUNKED,
    CLOSE,
    KEEP_ALIVE,
    LAST_CHUNK,
    chunk,
    encode_problem,
    forward_response,
)
from van.http.h1.framing import Framing
from van.http.h1.request import RequestHead, parse_request
from van.http.h1.response import BAD, ResponseHead
from van.http.h1.states import Event, State, following
from van.http.problems import MessageRefused, Problem
from van.http.semantics import SWITCHING

_UNREAD: Final = frozenset({State.ANSWERING, State.CLOSED})
_CR: Final = 0x0D
_ON_REQUEST: Final = following(Event.REQUEST)
_ON_REQUEST_END: Final = following(Event.REQUEST_END)
_ON_ANSWER_END: Final = following(Event.ANSWER_END)
_ON_SWITCH: Final = following(Event.SWITCH)
_ON_CLOSE: Final = following(Event.CLOSE)


class ClientConnection:
    """A client's connection. Not thread-safe.

    For each request: `receive` what the client sends until `next_request` has one; pass that on,
    and all of `next_body`; write what `receive_answer` and `receive_answer_end` make of what comes
    back. An exchange is over when `state` is IDLE again: then there may be a next request already.
    Read from the client while `wants_data`, and close its connection when `state` is CLOSED and all
    is written.

    Any method may raise `MessageRefused`. Then write what `refuse` returns, and reset the exchange
    if it was passed on; if it returns nothing, reset the connection as well. What is told of an
    exchange that is over is nobody's answer, and is left out.
    """

    __slots__ = (
        "_answer", "_body", "_data", "_has_ended", "_has_skipped", "_is_chunking", "_is_last",
        "_position", "_searched", "has_answered", "is_draining", "request", "state", "trailers",
    )  # fmt: skip

    def __init__(self) -> None:
        self.state = State.IDLE
        self.request: RequestHead | None = None
        """The one that is under way."""
        self.has_answered = False
        """Whether it has got part of a final answer."""
        self.is_draining = False
        """Whether clients are to go elsewhere: set it, and the next answer is the last one."""
        self.trailers = b""
        """The lines of trailers of the request, once it is over."""
        self._data = b""
        self._position = 0
        """Where in the data begins what no message has claimed."""
        self._searched = 0
        """How many bytes from there on are known not to be a whole head."""
        self._has_skipped = False
        """Whether an empty line before the head was skipped."""
        self._has_ended = False
        """Whether the client will send no more."""
        self._body: Body | None = None
        self._answer: AnswerReader | None = None
        self._is_last = False
        """Whether the connection ends with the answer that is under way."""
        self._is_chunking = False
        """Whether the answer goes on in chunks, as the target ends it by closing."""

    def __repr__(self) -> str:
        return f"<ClientConnection {self.state.name}>"

    @property
    def wants_data(self) -> bool:
        """Tell whether to read from the client; what it sends ahead of an answer stays unread."""
        return not self._has_ended and self.state not in _UNREAD

    @property
    def is_amid_head(self) -> bool:
        """Tell whether part of the next request's head has come, for which a client has less time
        than for beginning one; a whole one counts until `next_request` has it."""
        return self.state is State.IDLE and self._position < len(self._data)

    def receive(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self._position == len(self._data):
            self._data = data
        else:
            self._data = self._data[self._position :] + data
        self._position = 0

    def receive_end(self) -> None:
        """Take note that the client will send no more; whole requests are still answered.

        Raises `MessageRefused` if it has ended amid one that was passed on.
        """
        self._has_ended = True
        if self.state is State.IDLE:
            self.state = _ON_CLOSE[self.state]
        elif self.state is State.OPEN:
            raise MessageRefused(400, "the client ended amid its request")

    def next_request(self) -> RequestHead | None:
        """Return the head of the next request, if it is whole and the one before is answered."""
        data, start = self._data, self._position
        if self.state is not State.IDLE or start == len(data):
            return None
        if data[start] == _CR and not self._has_skipped:
            start = self._skip_line()
        request = parse_request(data, start, searched=self._searched)
        if request is None:
            self._searched = len(data) - start
            return None
        self._position = start + len(request.raw)
        self._searched = 0
        self.request = request
        self._answer = AnswerReader(request)
        self.state = _ON_REQUEST[self.state]
        self.trailers = b""
        if request.framing is Framing.NONE:
            self.state = _ON_REQUEST_END[self.state]
        else:
            self._body = body_of(request.framing, request.length, 400)
            self._end_body(self._body)
        return request

    def next_body(self, payload: list[memoryview] | None = None) -> bytes:
        """Return what has come of the request's body, as it is framed; in a tunnel all bytes.

        The payload alone is added to a list, if one is given, and `trailers` are known at its end.
        """
        data, start = self._data, self._position
        if start == len(data):
            return b""
        if self.state is State.OPEN and self._body is not None:
            self._position = self._body.feed(data, start, payload)
            self._end_body(self._body)
        elif self.state is State.TUNNEL:
            self._position = len(data)
        return data if self._position - start == len(data) else data[start : self._position]

    def receive_answer(self, request: RequestHead, data: Data) -> Data:
        """Take what has come back for a request; return what to write to the client."""
        answer = self._answer
        if answer is None or request is not self.request:
            return b""
        if self.state is State.TUNNEL:
            return data
        heads, body = answer.receive(data)
        if answer.has_surplus:
            raise MessageRefused(BAD, "bytes come behind an answer")
        lines = self._pass_heads(heads) if heads else b""
        if self._is_chunking and body:
            body = chunk(body)
        if answer.is_over:
            self._end_answer()
        elif answer.is_switched:
            self.state = _ON_SWITCH[self.state]
        return b"".join((lines, body)) if lines else body

    def receive_answer_end(self, request: RequestHead) -> bytes:
        """Take note that a request's answer is whole; return what to write to the client."""
        if self._answer is None or request is not self.request or self.state is State.TUNNEL:
            return b""
        self._answer.receive_end()
        end = LAST_CHUNK if self._is_chunking else b""
        self._end_answer()
        return end

    def refuse(self, problem: Problem, request: RequestHead | None = None) -> bytes:
        """Return the answer to a request, or to what is none.

        It is empty if there is part of another one already, which must not look whole.
        """
        if request is not self.request:
            return b""
        if self.has_answered or self.state in {State.TUNNEL, State.CLOSED}:
            self.state = _ON_CLOSE[self.state]
            return b""
        keeps = self.state is State.ANSWERING and self._keeps()
        is_head = self.request is not None and self.request.method == b"HEAD"
        answer = encode_problem(problem, self._connection_lines(keeps=keeps), is_head=is_head)
        self._is_last = not keeps
        if self.state is State.IDLE:
            self.state = _ON_CLOSE[self.state]
        else:
            self._end_answer()
        return answer

    def _skip_line(self) -> int:
        """Return where a head begins if there is an empty line before it, which servers are to skip
        (RFC 9112, section 2.2): one, for clients that send it behind a body."""
        if self._data.startswith(b"\r\n", self._position):
            self._position += 2
            self._has_skipped = True
        return self._position

    def _end_body(self, body: Body) -> None:
        if body.is_over:
            self.trailers = body.trailers if isinstance(body, ChunkedBody) else b""
            self._body = None
            self.state = _ON_REQUEST_END[self.state]

    def _pass_heads(self, heads: list[ResponseHead]) -> bytes:
        if len(heads) == 1:
            return self._pass_head(heads[0])
        return b"".join([self._pass_head(head) for head in heads])

    def _pass_head(self, head: ResponseHead) -> bytes:
        """Return a head of the answer as the client gets it."""
        request = self.request
        assert request is not None
        if head.status == SWITCHING:
            self.has_answered = True
            return forward_response(head)
        if head.status < 200:
            # HTTP/1.0 has no interim answers, and its clients take them for the final one.
            return forward_response(head) if request.minor else b""
        self.has_answered = True
        is_unbounded = head.framing is Framing.UNTIL_CLOSE
        self._is_chunking = is_unbounded and request.minor == 1
        keeps = self._keeps() and (self._is_chunking or not is_unbounded)
        self._is_last = not keeps
        lines = self._connection_lines(keeps=keeps)
        return forward_response(head, CHUNKED + lines if self._is_chunking else lines)

    def _keeps(self) -> bool:
        """Tell whether the connection may be kept beyond the answer, as far as is known."""
        request = self.request
        if request is None or not request.keep_alive or self.is_draining:
            return False
        is_read = self._has_ended and self._position == len(self._data)
        return self.state is State.ANSWERING and not is_read

    def _connection_lines(self, *, keeps: bool) -> bytes:
        if not keeps:
            return CLOSE
        return b"" if self.request is None or self.request.minor else KEEP_ALIVE

    def _end_answer(self) -> None:
        self.state = _ON_ANSWER_END[self.state]
        if self._is_last and self.state is State.IDLE:
            self.state = _ON_CLOSE[self.state]
        self.request = self._answer = self._body = None
        if self._position == len(self._data):
            # Most clients are idle most of the time: nothing is held for them.
            self._data, self._position = b"", 0
        self.has_answered = self._has_skipped = self._is_last = self._is_chunking = False
