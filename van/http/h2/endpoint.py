"""What either end of a connection of HTTP/2 does, whichever it is: what comes, bodies, and the
end."""

from typing import Final

from van.http.detection import H2_PREFACE
from van.http.h2.core import Core
from van.http.h2.events import Event
from van.http.h2.faults import ConnectionFault, ErrorCode
from van.http.h2.frames import (
    END_STREAM,
    MAX_STREAM_ID,
    FrameType,
    write_frame,
    write_headers,
    write_uint32,
)
from van.http.h2.receiver import Receiver
from van.http.h2.settings import DEFAULT_WINDOW, Limits, encode_settings
from van.http.h2.states import SENT, Part, Phase, Verdict
from van.http.h2.streams import Stream
from van.http.message import Fields

_WORTHWHILE: Final = 1024
"""Bytes of DATA that count as work where the peer's window cut it off: it may open it byte by
byte."""


class Endpoint:
    """What both ends have in common. Not thread-safe; it keeps no socket, task, or clock."""

    def __init__(self, limits: Limits, *, is_client: bool, now: float) -> None:
        self._core = core = Core(limits, is_client=is_client, now=now)
        self._receiver = Receiver(core)
        self.output = core.output
        """What is to be written; tell `written` of what was, which takes it from here."""
        if is_client:
            core.output += H2_PREFACE
        settings = encode_settings(limits, is_client=is_client)
        write_frame(core.output, FrameType.SETTINGS, 0, 0, settings)
        if more := limits.connection_window - DEFAULT_WINDOW:
            write_uint32(core.output, FrameType.WINDOW_UPDATE, 0, more)

    def __repr__(self) -> str:
        core = self._core
        state = " closed" if core.is_closed else " draining" if self.is_leaving else ""
        return f"<{type(self).__name__} streams={len(core.streams.open)}{state}>"

    @property
    def streams(self) -> int:
        """Return how many streams are open."""
        return len(self._core.streams.open)

    @property
    def is_amid_frames(self) -> bool:
        """Tell whether a preface, a frame, or a block of fields has begun whose end has yet to
        come; how long a peer may take for that is for its user to say."""
        return self._receiver.is_amid_frames

    @property
    def is_closed(self) -> bool:
        """Tell whether the last word was said: write what is left, and close."""
        return self._core.is_closed

    @property
    def is_leaving(self) -> bool:
        """Tell whether either end takes no more streams, or will not soon."""
        return self._core.is_peer_leaving or self._core.last_accepted is not None

    @property
    def is_drained(self) -> bool:
        """Tell whether no stream is open, and none can come."""
        core = self._core
        is_final = core.is_peer_leaving or core.last_accepted not in {None, MAX_STREAM_ID}
        return core.is_closed or (is_final and not len(core.streams.open))

    def receive(self, data: bytes, *, now: float) -> list[Event]:
        """Take what came, at `now` in seconds of any clock, and return what it means.

        What does not follow the protocol ends in `StreamReset` or `ConnectionFailed`, never in an
        error here. After the last word nothing is looked at.
        """
        core = self._core
        if core.is_closed:
            return []
        core.now = now
        try:
            self._receiver.receive(data)
        except ConnectionFault as fault:
            core.fail(fault)
        if core.events:
            events, core.events = core.events, []
            return events
        return []

    def written(self, size: int) -> None:
        """Take so many bytes, which were written, from the beginning of `output`."""
        self._core.written += size
        del self.output[:size]

    def acknowledge(self, stream_id: int, size: int) -> None:
        """Say that so many bytes of the bodies in `DataReceived` were taken."""
        stream = self._core.streams.get(stream_id)
        if stream is not None:
            self._core.take_of(stream, size)

    def discard(self, stream_id: int) -> None:
        """Throw away what still comes of a message's body, and its trailers, without further
        events."""
        stream = self._core.streams.get(stream_id)
        if stream is not None and not stream.is_discarding:
            stream.is_discarding = True
            self._core.take_of(stream, stream.window.untaken)

    def send_window(self, stream_id: int) -> int:
        """Return how many bytes `send_data` would take now."""
        stream = self._core.streams.get(stream_id)
        return 0 if stream is None else max(min(stream.send_window, self._core.send_window), 0)

    def send_data(
        self, stream_id: int, data: bytes | bytearray | memoryview, *, ends: bool = False
    ) -> int:
        """Send as much of a piece of a body as the windows let, and return how much that is.

        With `ends` the message ends, if all was taken. If not, a `WindowOpened` follows; streams
        that wait for the connection's window hear of it in the order in which they began to.
        """
        core = self._core
        stream = core.streams.get(stream_id)
        if stream is None:
            return len(data)
        size = len(data)
        if size > stream.send_window or size > core.send_window:
            size, ends = max(min(stream.send_window, core.send_window), 0), False
            core.blocked[stream_id] = None
        if SENT[stream.sending][Part.DATA_END if ends else Part.DATA] < 0:
            raise misuse("DATA", stream)
        if size or ends:
            self._write_data(stream, data, size, ends=ends)
        return size

    def _write_data(
        self, stream: Stream, data: bytes | bytearray | memoryview, size: int, *, ends: bool
    ) -> None:
        core = self._core
        stream.send_window -= size
        core.send_window -= size
        if size == len(data) or size >= _WORTHWHILE:
            core.control.earned += 1
        most = core.peer.max_frame_size
        if size > most:
            begin = self._write_full_frames(stream, memoryview(data)[:size], most)
            data = memoryview(data)[begin:size]
        elif size != len(data):
            data = memoryview(data)[:size]
        flags = END_STREAM if ends else 0
        write_frame(core.output, FrameType.DATA, flags, stream.stream_id, data)
        if ends:
            stream.sending = Phase.ENDED
            if stream.receiving is Phase.ENDED:
                core.finish(stream)

    def _write_full_frames(self, stream: Stream, data: memoryview, most: int) -> int:
        """Write all but the last of the frames that `data` needs, and return where that begins."""
        last = (len(data) - 1) // most * most
        for begin in range(0, last, most):
            piece = data[begin : begin + most]
            write_frame(self._core.output, FrameType.DATA, 0, stream.stream_id, piece)
        return last

    def send_trailers(self, stream_id: int, fields: Fields) -> None:
        """End a message with fields, in lower case and without pseudo-fields."""
        stream = self._core.streams.get(stream_id)
        if stream is not None:
            if stream.sending is not Phase.BODY:
                raise misuse("trailers", stream)
            self._write_head(stream, fields, frozenset(), Part.HEADERS_END)

    def reset(self, stream_id: int, code: ErrorCode = ErrorCode.CANCEL) -> None:
        """End a stream at once; nothing more comes of it."""
        stream = self._core.streams.get(stream_id)
        if stream is not None and not self._core.is_closed:
            self._core.reset(stream, code)

    def ping(self, payload: bytes) -> None:
        """Ask for an answer, which is `PingAcknowledged`; `payload` is of eight bytes."""
        write_frame(self._core.output, FrameType.PING, 0, 0, payload)

    def close(self, code: ErrorCode = ErrorCode.NO_ERROR, reason: str = "") -> None:
        """Say the last word, with a reason for people; then write what is left, and close."""
        if not self._core.is_closed:
            self._core.close(code, reason)

    def _write_head(
        self, stream: Stream, fields: Fields, never_indexed: frozenset[bytes], part: Part
    ) -> None:
        core = self._core
        after = SENT[stream.sending][part]
        if isinstance(after, Verdict):
            raise misuse("HEADERS", stream)
        stream.sending = after
        block = core.encoder.encode(fields, never_indexed)
        ends = part is Part.HEADERS_END
        write_headers(core.output, stream.stream_id, block, core.peer.max_frame_size, ends=ends)
        if ends and stream.receiving is Phase.ENDED:
            core.finish(stream)


def misuse(what: str, stream: Stream) -> AssertionError:
    """Return what is raised where a part of a message is sent out of place."""
    return AssertionError(f"{what} must not be sent now: {stream!r}")
