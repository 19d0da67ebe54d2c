"""What the receiving and the sending half of a connection share, and how streams and it end."""

from typing import Final

from van.http.h2.allowance import Allowance
from van.http.h2.decoder import Decoder
from van.http.h2.encoder import Encoder
from van.http.h2.events import ConnectionFailed, Event, StreamReset, WindowOpened
from van.http.h2.faults import ConnectionFault, ErrorCode
from van.http.h2.frames import FrameType, write_goaway, write_uint32
from van.http.h2.settings import DEFAULT_WINDOW, Limits, PeerSettings
from van.http.h2.states import Phase
from van.http.h2.streams import Stream, Streams
from van.http.h2.window import ReceiveWindow

_RAPID: Final = 1.0
"""Seconds within which the reset of a stream counts as one before its time. Older ones are limited
by how many may be open."""
_MAX_REASON: Final = 128
"""Bytes of a text for people in GOAWAY."""


class Core:
    """The state of one connection. Not thread-safe."""

    def __init__(self, limits: Limits, *, is_client: bool, now: float) -> None:
        self.limits = limits
        self.is_client = is_client
        self.now = now
        """When what is being received came."""
        self.output = bytearray()
        self.events: list[Event] = []
        self.streams = Streams()
        self.decoder = Decoder(max_size=limits.max_head_size, max_fields=limits.max_fields)
        self.encoder = Encoder()
        self.peer = PeerSettings()
        self.window = ReceiveWindow(limits.connection_window, step=limits.stream_window // 2)
        self.send_window = DEFAULT_WINDOW
        self.blocked: dict[int, None] = {}
        """Streams that have more to send than the windows let them, who waits longest first."""
        self.control = Allowance(limits.control_burst, limits.control_rate, now=now)
        self.resets = Allowance(limits.reset_burst, limits.reset_rate, now=now)
        self.faults = Allowance(limits.fault_burst, limits.fault_rate, now=now)
        self.written = 0
        """Bytes of the output that were written."""
        self._replies = 0
        self._replies_since = 0
        """From which byte of all output on answers to control frames are counted."""
        self.last_accepted: int | None = None
        """The last stream that our GOAWAY takes, once there was one."""
        self.is_peer_leaving = False
        self.is_closed = False

    def fail(self, fault: ConnectionFault) -> None:
        """End the connection for what the peer did."""
        if not self.is_closed:
            self.close(fault.error_code, str(fault))
            self.events.append(ConnectionFailed(fault.error_code, str(fault)))

    def close(self, code: ErrorCode, reason: str) -> None:
        """Say the last word; streams are over, and what comes after is not looked at."""
        text = reason.encode("ascii", "replace")[:_MAX_REASON]
        write_goaway(self.output, self._last_taken(), code, text)
        self.is_closed = True
        self.streams.clear()
        self.blocked.clear()

    def go_away(self, last_stream_id: int) -> None:
        """Say up to which stream what the peer asks for is done."""
        self.last_accepted = last_stream_id
        write_goaway(self.output, last_stream_id, ErrorCode.NO_ERROR, b"")

    def _last_taken(self) -> int:
        last = 0 if self.is_client else self.streams.last
        return last if self.last_accepted is None else min(last, self.last_accepted)

    def charge(self, what: str) -> None:
        """Count a frame that carries nothing; raise `ConnectionFault` if there are too many."""
        if not self.control.spend(now=self.now):
            raise _flood(f"too many frames that carry nothing, the last one {what}")

    def charge_fault(self, reason: str) -> None:
        """Count a stream that is reset here; raise `ConnectionFault` if there are too many."""
        if not self.faults.spend(now=self.now):
            raise _flood(f"too many streams had to be reset, the last one as {reason}")

    def reply(self) -> None:
        """Count an answer to a control frame; raise `ConnectionFault` if too many wait unread."""
        if self.written >= self._replies_since:
            self._replies = 0
            self._replies_since = self.written + len(self.output)
        self._replies += 1
        if self._replies > self.limits.max_replies:
            raise _flood("too many answers wait for the peer to read them")

    def fail_stream(self, stream: Stream, code: ErrorCode, reason: str) -> None:
        """Reset a stream for what the peer did."""
        self.reset(stream, code)
        self.events.append(StreamReset(stream.stream_id, code, reason, by_peer=False))
        self.charge_fault(reason)

    def refuse(self, stream_id: int, code: ErrorCode, reason: str) -> None:
        """Reset a stream that is not open, of which nothing was told."""
        self.reply()
        write_uint32(self.output, FrameType.RST_STREAM, stream_id, code)
        self.streams.remember_reset(stream_id)
        self.charge_fault(reason)

    def reset(self, stream: Stream, code: int) -> None:
        """Reset a stream; what came of it and nobody took makes room for others."""
        self.reply()
        write_uint32(self.output, FrameType.RST_STREAM, stream.stream_id, code)
        self.forget(stream, is_reset=True)

    def receive_reset(self, stream: Stream, code: int) -> None:
        """Take note that the peer has reset a stream."""
        is_rapid = (
            not self.is_client
            and stream.sending is Phase.HEAD
            and self.now - stream.opened < _RAPID
        )
        self.forget(stream, is_reset=False)
        is_unprocessed = code == ErrorCode.REFUSED_STREAM
        reason = "the peer reset it"
        reset = StreamReset(stream.stream_id, code, reason, True, is_unprocessed)
        self.events.append(reset)
        if is_rapid and not self.resets.spend(now=self.now):
            raise _flood("too many streams were reset before an answer")

    def finish(self, stream: Stream) -> None:
        """Take a stream away of which both directions have ended."""
        self.forget(stream, is_reset=False)
        self.resets.earned += 1
        self.faults.earned += 1

    def forget(self, stream: Stream, *, is_reset: bool) -> None:
        """Take a stream away; what came of it and nobody took makes room for others."""
        self.streams.remove(stream, is_reset=is_reset)
        if self.blocked:
            self.blocked.pop(stream.stream_id, None)
        if untaken := stream.window.untaken:
            self.take(untaken)

    def take(self, size: int) -> None:
        """Let the peer send as much more on the connection."""
        if (opened := self.window.take(size)) and not self.is_closed:
            write_uint32(self.output, FrameType.WINDOW_UPDATE, 0, opened)

    def take_of(self, stream: Stream, size: int) -> None:
        """Let the peer send as much more of a stream, and on the connection."""
        opened = stream.window.take(size)
        if opened and stream.receiving is not Phase.ENDED:
            write_uint32(self.output, FrameType.WINDOW_UPDATE, stream.stream_id, opened)
        self.take(size)

    def unblock(self, stream: Stream) -> None:
        """Tell that a stream which waited may go on, if it may."""
        if stream.stream_id in self.blocked and min(stream.send_window, self.send_window) > 0:
            del self.blocked[stream.stream_id]
            self.events.append(WindowOpened(stream.stream_id))


def _flood(reason: str) -> ConnectionFault:
    return ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, reason)
