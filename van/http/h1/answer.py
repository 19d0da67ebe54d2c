"""One answer as it comes: its heads, interim ones and the final one, and its body."""

from van.http.h1.body import Body, ChunkedBody, Data, UnboundedBody, body_of
from van.http.h1.framing import Framing
from van.http.h1.request import RequestHead
from van.http.h1.response import BAD, ResponseHead, parse_response
from van.http.problems import MessageRefused
from van.http.semantics import SWITCHING


class AnswerReader:
    """Reads the answer to one request. Not thread-safe.

    Give it all that comes, in order. What it refuses is no answer: whatever came of it must not be
    passed on as if it were whole, and its connection not be used again.
    """

    __slots__ = ("_body", "_held", "_request", "has_surplus", "head", "is_over")

    def __init__(self, request: RequestHead) -> None:
        self._request = request
        self._held = b""
        """What has come of a head that is not whole."""
        self._body: Body | None = None
        self.head: ResponseHead | None = None
        """The final one, once it has come."""
        self.is_over = False
        """Whether the answer has come to its end."""
        self.has_surplus = False
        """Whether bytes have come behind it."""

    def receive(
        self, data: Data, payload: list[memoryview] | None = None
    ) -> tuple[list[ResponseHead], Data]:
        """Take bytes; return the heads that are whole with them, and what is of the body, as it is
        framed. Its payload alone is added to a list, if one is given.

        Raises `MessageRefused` with the status 502.
        """
        if self._body is not None:
            return [], self._take(self._body, data, 0, payload)
        if self.is_over:
            self.has_surplus = self.has_surplus or len(data) > 0
            return [], b""
        data, searched = self._held + data if self._held else bytes(data), len(self._held)
        heads: list[ResponseHead] = []
        position = 0
        while True:
            head = parse_response(data, self._request.method, position, searched=searched)
            if head is None:
                self._held = data[position:]
                return heads, b""
            heads.append(head)
            position += len(head.raw)
            searched = 0
            if head.status >= 200 or head.status == SWITCHING:
                self._held = b""
                self.head = head
                if payload is None and self._is_all(head, len(data) - position):
                    self.is_over = True
                    return heads, data[position:]
                return heads, self._take(self._begin(head), data, position, payload)
            if position == len(data):
                self._held = b""
                return heads, b""

    def receive_end(self) -> None:
        """Take note that no more will come; raise `MessageRefused` if the answer is not whole."""
        if self.is_over:
            return
        if self._body is None:
            raise MessageRefused(BAD, "the target ended without an answer")
        self._body.end()
        self.is_over = True

    @property
    def trailers(self) -> bytes:
        """The lines of trailers, once the answer is over."""
        return self._body.trailers if isinstance(self._body, ChunkedBody) else b""

    @property
    def is_switched(self) -> bool:
        """Tell whether the target has switched to another protocol: then all that follows passes
        as it is."""
        return self.head is not None and self.head.status == SWITCHING

    def _is_all(self, head: ResponseHead, size: int) -> bool:
        """Tell whether so many bytes behind a head are its whole body: most answers are small, and
        need no further thought."""
        is_counted = head.framing is Framing.LENGTH or head.framing is Framing.NONE
        return is_counted and head.length == size and head.status != SWITCHING

    def _begin(self, head: ResponseHead) -> Body:
        """Take the final head; return the body behind it."""
        if head.framing is Framing.CHUNKED and not self._request.minor:
            raise MessageRefused(BAD, "the answer to a request of HTTP/1.0 is chunked")
        if head.status != SWITCHING:
            self._body = body_of(head.framing, head.length, BAD)
        elif head.upgrade and head.upgrade == self._request.upgrade:
            self._body = UnboundedBody()
        else:
            raise MessageRefused(BAD, "the target switches to what it was not asked for")
        return self._body

    def _take(self, body: Body, data: Data, start: int, payload: list[memoryview] | None) -> Data:
        end = body.feed(data, start, payload)
        self.is_over = body.is_over
        if end < len(data):
            self.has_surplus = True
        return data if not start and end == len(data) else data[start:end]
