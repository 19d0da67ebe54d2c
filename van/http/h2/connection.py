"""One end of an HTTP/2 connection, sans-IO: what came goes in, events and what to send come out.

Bytes that came are given to `receive`, with the time, and become events. What is to be sent is
appended to `output`; its user writes that once for all that a turn has brought, and tells `written`
of what was. Nothing is kept here for want of a window: `send_data` takes as much as may be sent,
and an event says when there is more room. A peer's window is opened only for what `acknowledge`
says was taken.

A stream may be over, by what the peer sent, before its user has read the event that says so; what
is sent to one that is over is dropped. To send what is out of place, as a body ahead of its head,
raises `AssertionError`.
"""

from van.http.h2.control_frames import DRAIN_PING
from van.http.h2.endpoint import Endpoint, misuse
from van.http.h2.frames import MAX_STREAM_ID
from van.http.h2.settings import Limits
from van.http.h2.states import Part, Phase
from van.http.h2.streams import Stream
from van.http.message import Fields, Request, Response


class ServerConnection(Endpoint):
    """The end to which a client connects."""

    def __init__(self, limits: Limits | None = None, *, now: float) -> None:
        """Begin with SETTINGS in `output`; the client's preface has yet to come."""
        super().__init__(limits or Limits(), is_client=False, now=now)

    def send_response(self, stream_id: int, response: Response, *, ends: bool = False) -> None:
        """Send the head of the answer to a stream's request, or a word before it (1xx)."""
        stream = self._core.streams.get(stream_id)
        if stream is None:
            return
        fields = ((b":status", b"%d" % response.status), *response.fields)
        if stream.sending is not Phase.HEAD:
            raise misuse("a response", stream)
        part = Part.HEADERS_END if ends else Part.HEADERS
        if not response.is_final:
            part = Part.INFORMATIONAL
        self._write_head(stream, fields, response.never_indexed, part)

    def drain(self) -> None:
        """Ask the client to open no more streams, and take those that are on their way.

        That is the first of two GOAWAYs, with a PING; its answer brings the second one, after which
        nothing new is taken. `is_drained` tells when the last stream is through.
        """
        if self._core.last_accepted is None and not self._core.is_closed:
            self._core.go_away(MAX_STREAM_ID)
            self.ping(DRAIN_PING)

    def drain_now(self) -> None:
        """Send the second GOAWAY, if the client has not answered for too long."""
        core = self._core
        if core.last_accepted in {None, MAX_STREAM_ID} and not core.is_closed:
            core.go_away(core.streams.last)


class ClientConnection(Endpoint):
    """The end that connects to a server."""

    def __init__(self, limits: Limits | None = None, *, now: float) -> None:
        """Begin with preface and SETTINGS in `output`; requests may follow at once."""
        super().__init__(limits or Limits(), is_client=True, now=now)

    @property
    def can_open(self) -> bool:
        """Tell whether `open` would have a stream now."""
        core = self._core
        return (
            not core.is_closed
            and not core.is_peer_leaving
            and core.last_accepted is None
            and len(core.streams.open) < core.peer.max_streams
            and core.streams.last + 2 <= MAX_STREAM_ID
        )

    def open(self, request: Request, *, ends: bool = False) -> int:
        """Begin a stream with the head of a request, and return its number.

        Raises `AssertionError` unless `can_open`.
        """
        if not self.can_open:
            raise AssertionError("no stream can be opened: ask can_open before")
        core = self._core
        stream_id = core.streams.last + 2 if core.streams.last else 1
        stream = Stream(
            stream_id,
            Phase.HEAD,
            Phase.IDLE,
            window=core.limits.stream_window,
            send_window=core.peer.initial_window,
            now=core.now,
        )
        stream.has_content = request.method != b"HEAD"
        core.streams.last = stream_id
        core.streams.add(stream)
        part = Part.HEADERS_END if ends else Part.HEADERS
        self._write_head(stream, _request_fields(request), request.never_indexed, part)
        return stream_id

    def drain(self) -> None:
        """Open no more streams, and tell the server so."""
        if self._core.last_accepted is None and not self._core.is_closed:
            self._core.go_away(0)


def _request_fields(request: Request) -> Fields:
    where = (b":scheme", request.scheme), (b":path", request.target)
    if not request.authority:
        return ((b":method", request.method), *where, *request.fields)
    authority = (b":authority", request.authority)
    return ((b":method", request.method), *where, authority, *request.fields)
