"""A client's connection of HTTP: its requests go each to the instance that answers it soonest.

Between two of its requests nothing is held for a client but this, here; there is no task for it,
and nothing at any other site.
"""

import logging
import socket
from collections.abc import Callable
from typing import Final

from van.http.detection import Spoken, detect
from van.http.h1.client_connection import ClientConnection
from van.http.h1.request import RequestHead
from van.http.h1.states import State
from van.http.problems import MessageRefused, Problem
from van.router.ingress.request_transport import RequestTransport
from van.router.reactor.lingering import reset_behind
from van.router.reactor.loop import EventLoop
from van.router.reactor.poller import END, ERROR, HANGUP, READ, WRITE
from van.router.reactor.sockets import close_with_reset, describe

logger = logging.getLogger(__name__)

HEAD_TIME: Final = 10.0
"""Seconds that a client may take for the head of a request."""
IDLE_TIME: Final = 75.0
"""Seconds that it may take before it begins one."""
STALL_TIME: Final = 60.0
"""Seconds that it may take without taking anything of an answer, or saying more of a request."""
Begin = Callable[["HttpSession", RequestHead], RequestTransport]
"""Makes a flow of a request, to be dispatched."""


class HttpSession:
    """One client. In the event loop's thread; `on_close` is called once, when it is gone."""

    __slots__ = (
        "_begin", "_current", "_dispatch", "_first", "_http", "_is_open", "_loop", "_on_close",
        "_sock", "_to_client", "_watch", "client", "quiet_since",
    )  # fmt: skip

    def __init__(
        self,
        loop: EventLoop,
        sock: socket.socket,
        client: str,
        *,
        begin: Begin,
        dispatch: Callable[[RequestTransport], None],
        on_close: Callable[["HttpSession"], None],
    ) -> None:
        self.client = client
        """Where it is, as `HOST:PORT`."""
        self.quiet_since = loop.clock()
        """When something passed last."""
        self._loop = loop
        self._sock = sock
        self._begin = begin
        self._dispatch = dispatch
        self._on_close = on_close
        self._http = ClientConnection()
        self._first: bytes | None = b""
        """The first that came, until it is known what the client speaks."""
        self._current: RequestTransport | None = None
        """The one that is under way."""
        self._to_client = b""
        """What the client has yet to take."""
        self._is_open = True
        self._watch = loop.watch(sock.fileno(), READ, self._handle, self._fail)

    def __repr__(self) -> str:
        return f"<HttpSession of {self.client}>"

    @property
    def is_idle(self) -> bool:
        """Tell whether it has no request under way."""
        return self._current is None

    # -- for requests -------------------------------------------------------------------------

    def receive_answer(self, current: RequestTransport, data: memoryview) -> bool:
        """Pass part of an answer to the client; tell whether there is room for more."""
        try:
            words = self._http.receive_answer(current.head, data)
        except MessageRefused as exc:
            current.leave(f"the answer was refused: {exc}")
            self.fail(current, exc.problem)
            return True
        if words:
            self._write(words)
        if self._http.state is State.TUNNEL and self._is_open:
            self._update_watch()  # the client may speak again
        return not self._to_client

    def receive_answer_end(self, current: RequestTransport) -> None:
        """Take note that an answer is whole."""
        try:
            words = self._http.receive_answer_end(current.head)
        except MessageRefused as exc:
            self.fail(current, exc.problem)
            return
        if words:
            self._write(words)
        if self._http.state is State.TUNNEL:
            self._close_behind()
        elif current is self._current:
            self._current = None
            self._advance()

    def fail(self, current: RequestTransport, problem: Problem) -> None:
        """Answer a request here, or break the client off amid the answer that it has."""
        if not self._is_open or current is not self._current:
            return
        logger.info("request of %s: %d %s", self.client, problem.status, problem.detail)
        self._current = None
        self._answer(problem, current.head)

    def update(self) -> None:
        """Look again whether the client is to be read."""
        if self._is_open:
            self._advance()

    def drain(self) -> None:
        """Let the next answer be the last; at once if none is awaited."""
        self._http.is_draining = True
        if self.is_idle and self._http.state is State.IDLE and not self._to_client:
            self._close()

    def close(self) -> None:
        """Break the client off."""
        self._client_left("the router has stopped")

    def check(self, now: float) -> None:
        """Give it up if it has been silent for too long."""
        quiet = now - self.quiet_since
        if self._current is None:
            if self._is_amid_head and quiet > HEAD_TIME:
                self._answer(Problem(408, f"no request came within {HEAD_TIME:g} s"), None)
            elif not self._is_amid_head and quiet > IDLE_TIME:
                self._close()
        elif quiet > STALL_TIME and (self._to_client or self._http.state is State.OPEN):
            self._client_left("it stood still")

    @property
    def _is_amid_head(self) -> bool:
        """Tell whether a request has begun whose head is not whole."""
        return bool(self._first) or self._http.is_amid_head

    # -- the client's socket -------------------------------------------------------------------

    def _handle(self, mask: int) -> None:
        if mask & WRITE and self._to_client:
            self._flush()
        if not self._is_open:
            return
        if mask & READ and self._reads:
            self._read()
        elif mask & ERROR:
            self._client_left("connection reset")
        elif mask & HANGUP:
            self._watch.suspend()

    @property
    def _reads(self) -> bool:
        return self._http.wants_data and (self._current is None or self._current.may_read)

    def _read(self) -> None:
        try:
            count = self._sock.recv_into(self._loop.buffer)
        except BlockingIOError:
            return
        except OSError as exc:
            self._client_left(describe(exc))
            return
        if not self._is_amid_head:
            self.quiet_since = self._loop.clock()
        if count:
            self._receive(bytes(self._loop.buffer[:count]))
        else:
            self._receive_end()
        if self._is_open:
            self._advance()

    def _receive(self, data: bytes) -> None:
        if self._first is not None:
            data = self._first + data
            spoken = detect(data)
            if spoken is Spoken.UNKNOWN:
                self._first = data
                return
            self._first = None
            if spoken is not Spoken.H1:
                self._refuse_stranger(spoken)
                return
        self._http.receive(data)

    def _refuse_stranger(self, spoken: Spoken) -> None:
        what = {
            Spoken.TLS: "TLS inside: expose and bind the address as tcp",
            Spoken.H2: "HTTP/2 with prior knowledge is not carried: expose and bind it as tcp",
        }[spoken]
        logger.warning("client %s of http: %s", self.client, what)
        self._answer(Problem(505 if spoken is Spoken.H2 else 400, what), None)

    def _receive_end(self) -> None:
        try:
            self._http.receive_end()
        except MessageRefused as exc:
            self._client_left(str(exc))
            return
        if self._http.state is State.TUNNEL and self._current is not None:
            self._current.end_request()

    def _advance(self) -> None:
        """Begin what can be begun, and pass on what has come."""
        try:
            self._take_request()
        except MessageRefused as exc:
            current, self._current = self._current, None
            request = None if current is None else current.head
            if current is not None:
                current.leave(f"the request was refused: {exc}")
            logger.info("request of %s refused: %s", self.client, exc)
            self._answer(exc.problem, request)
            return
        if self._is_open:
            self._settle()

    def _take_request(self) -> None:
        http = self._http
        if self._current is None or http.state is State.IDLE:
            request = http.next_request()
            if request is None:
                self._current = None
                return
            self._current = current = self._begin(self, request)
            self._say(current)
            self._dispatch(current)
        else:
            self._say(self._current)

    def _say(self, current: RequestTransport) -> None:
        http = self._http
        if current.may_read and (body := http.next_body()):
            current.say(body)
        is_read = http.state is State.ANSWERING and not current.is_whole
        if is_read and not current.head.upgrade:  # else more follows, if the target switches
            current.end_request()

    def _write(self, words: bytes | memoryview) -> None:
        if not self._is_open:
            return
        if self._to_client:
            self._to_client += words
            return
        try:
            sent = self._sock.send(words)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            self._client_left(describe(exc))
            return
        self.quiet_since = self._loop.clock()
        if sent < len(words):
            self._to_client = bytes(words[sent:])
            self._update_watch()

    def _flush(self) -> None:
        try:
            sent = self._sock.send(self._to_client)
        except BlockingIOError:
            return
        except OSError as exc:
            self._client_left(describe(exc))
            return
        self.quiet_since = self._loop.clock()
        self._to_client = self._to_client[sent:]
        if not self._to_client:
            if self._current is not None:
                self._current.resume()
            if self._is_open:
                self._settle()

    def _answer(self, problem: Problem, request: RequestHead | None) -> None:
        words = self._http.refuse(problem, request)
        if words:
            self._write(words)
            # Not at once: of many requests in a row each might be refused at once.
            self._loop.at_turn_end(self.update)
        else:
            self._break_off()

    def _settle(self) -> None:
        """Watch for what comes next, or close what is through."""
        if self._http.state is State.CLOSED and not self._to_client:
            self._close_behind()
        else:
            self._update_watch()

    def _update_watch(self) -> None:
        reading = READ | END if self._reads else 0
        self._watch.set(reading | (WRITE if self._to_client else 0))

    # -- endings -------------------------------------------------------------------------------

    def _client_left(self, why: str) -> None:
        current, self._current = self._current, None
        self._break_off()
        if current is not None:
            current.leave(f"the client left: {why}")

    def _fail(self, reason: str) -> None:
        self._client_left(reason)

    def _break_off(self) -> None:
        if self._is_open:
            self._over()
            close_with_reset(self._sock)

    def _close_behind(self) -> None:
        """Close it when the client has all: a reset would overtake that if it has said more."""
        if self._is_open:
            unsent = self._to_client
            if unsent or _has_unread(self._sock):
                self._over()
                reset_behind(self._loop, self._sock, unsent)
            else:
                self._close()

    def _close(self) -> None:
        if self._is_open:
            self._over()
            self._sock.close()

    def _over(self) -> None:
        self._is_open = False
        self._to_client = b""
        self._watch.close()
        self._watch.forget()
        self._on_close(self)


def _has_unread(sock: socket.socket) -> bool:
    """Tell whether a client has said something that nobody has read, and nobody will."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except OSError:
        return False
