"""Frames that are about a connection, or about how much may be sent on it."""

from typing import TYPE_CHECKING, Final

from van.http.h2.core import Core
from van.http.h2.events import PeerGoingAway, PingAcknowledged, SettingsReceived, StreamReset
from van.http.h2.faults import ConnectionFault, ErrorCode, StreamFault, protocol_error
from van.http.h2.frames import ACK, MAX_STREAM_ID, FrameType, write_frame
from van.http.h2.settings import MAX_WINDOW, Setting, decode_settings
from van.http.h2.states import Part, Table, Verdict
from van.http.h2.streams import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

DRAIN_PING: Final = b"draining"
"""Asks whether the peer has seen the first of two GOAWAYs."""
_MAX_REASON: Final = 128
"""Bytes that are kept of a text in GOAWAY."""


class ControlFrames:
    """Takes the frames of one connection that carry no part of a message. Not thread-safe."""

    def __init__(self, core: Core, table: Table) -> None:
        self._core = core
        self._table = table
        self._last_stream_id = MAX_STREAM_ID
        """What the peer's GOAWAY said last."""
        self.handlers: dict[int, Callable[[int, int, bytes], None]] = {
            FrameType.PRIORITY: self._priority,
            FrameType.SETTINGS: self._settings,
            FrameType.PUSH_PROMISE: self._push_promise,
            FrameType.PING: self._ping,
            FrameType.GOAWAY: self._goaway,
            FrameType.WINDOW_UPDATE: self._window_update,
            FrameType.PRIORITY_UPDATE: self._priority_update,
        }

    def _settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        core = self._core
        if stream_id:
            raise protocol_error("SETTINGS is not on stream 0")
        core.charge("SETTINGS")
        if flags & ACK:
            if payload:
                raise _frame_size("the acknowledgement of SETTINGS is not empty")
            return
        settings = decode_settings(payload, from_server=core.is_client)
        self._apply(settings)
        core.reply()
        write_frame(core.output, FrameType.SETTINGS, ACK, 0)
        core.events.append(SettingsReceived())

    def _apply(self, settings: dict[int, int]) -> None:
        core, peer = self._core, self._core.peer
        peer.max_streams = settings.get(Setting.MAX_CONCURRENT_STREAMS, peer.max_streams)
        peer.max_frame_size = settings.get(Setting.MAX_FRAME_SIZE, peer.max_frame_size)
        if (size := settings.get(Setting.HEADER_TABLE_SIZE)) is not None:
            core.encoder.limit_table(size)
        without = settings.get(Setting.NO_RFC7540_PRIORITIES, peer.no_priorities or 0)
        if peer.no_priorities not in {None, without}:
            raise protocol_error("NO_RFC7540_PRIORITIES changes")
        peer.no_priorities = without
        if (window := settings.get(Setting.INITIAL_WINDOW_SIZE)) is not None:
            change, peer.initial_window = window - peer.initial_window, window
            for stream in core.streams if change else ():
                if stream.send_window + change > MAX_WINDOW:
                    raise _flow_control("a window is opened beyond its most by SETTINGS")
                stream.send_window += change
                core.unblock(stream)

    def _ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        core = self._core
        if stream_id:
            raise protocol_error("PING is not on stream 0")
        if len(payload) != 8:
            raise _frame_size("PING is not of eight bytes")
        core.charge("PING")
        if not flags & ACK:
            core.reply()
            write_frame(core.output, FrameType.PING, ACK, 0, payload)
        elif payload == DRAIN_PING and core.last_accepted == MAX_STREAM_ID:
            core.go_away(core.streams.last)
        else:
            core.events.append(PingAcknowledged(payload))

    def _goaway(self, flags: int, stream_id: int, payload: bytes) -> None:
        core = self._core
        if stream_id:
            raise protocol_error("GOAWAY is not on stream 0")
        if len(payload) < 8:
            raise _frame_size("GOAWAY is shorter than eight bytes")
        core.charge("GOAWAY")
        last = int.from_bytes(payload[:4], "big") & MAX_STREAM_ID
        code = int.from_bytes(payload[4:8], "big")
        if last > self._last_stream_id:
            raise protocol_error("GOAWAY takes more streams than the one before")
        self._last_stream_id = last
        core.is_peer_leaving = True
        core.events.append(PeerGoingAway(last, code, _printable(payload[8 : 8 + _MAX_REASON])))
        for stream in core.streams if core.is_client else ():
            if stream.stream_id > last:
                self._give_up(stream, code)

    def _give_up(self, stream: Stream, code: int) -> None:
        self._core.forget(stream, is_reset=True)
        reason = "the peer goes away, and will not process it"
        reset = StreamReset(stream.stream_id, code, reason, by_peer=True, is_unprocessed=True)
        self._core.events.append(reset)

    def _window_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        core = self._core
        if len(payload) != 4:
            raise _frame_size("WINDOW_UPDATE is not of four bytes")
        core.charge("WINDOW_UPDATE")
        increment = int.from_bytes(payload, "big") & MAX_WINDOW
        if stream_id == 0:
            self._open_connection(increment)
        elif (stream := core.streams.get(stream_id)) is not None:
            self._open_stream(stream, increment)
        elif self._outcome(stream_id) != Verdict.IGNORED or not increment:
            text = "WINDOW_UPDATE is of 0 bytes, or on a stream that was never opened"
            raise protocol_error(text)

    def _open_connection(self, increment: int) -> None:
        core = self._core
        if not increment:
            raise protocol_error("WINDOW_UPDATE is of 0 bytes")
        core.send_window += increment
        if core.send_window > MAX_WINDOW:
            raise _flow_control("the connection's window is opened beyond its most")
        for blocked in tuple(core.blocked):
            if (stream := core.streams.get(blocked)) is not None:
                core.unblock(stream)

    def _open_stream(self, stream: Stream, increment: int) -> None:
        if not increment:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE is of 0 bytes")
        stream.send_window += increment
        if stream.send_window > MAX_WINDOW:
            text = "a stream's window is opened beyond its most"
            raise StreamFault(ErrorCode.FLOW_CONTROL_ERROR, text)
        self._core.unblock(stream)

    def _outcome(self, stream_id: int) -> int:
        return self._table[self._core.streams.phase_of(stream_id)][Part.WINDOW_UPDATE]

    def _priority(self, flags: int, stream_id: int, payload: bytes) -> None:
        """Check what RFC 9113 deprecates, and skip it: our SETTINGS say so (RFC 9218, section
        2.1)."""
        if stream_id == 0:
            raise protocol_error("PRIORITY is on stream 0")
        if len(payload) != 5:
            raise StreamFault(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY is not of five bytes")
        self._core.charge("PRIORITY")

    def _priority_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        """Check what RFC 9218 says in section 7.1, and skip it: all that is ready goes at once."""
        if self._core.is_client or stream_id:
            raise protocol_error("PRIORITY_UPDATE is not from a client, on stream 0")
        if len(payload) < 4:
            raise _frame_size("PRIORITY_UPDATE is shorter than four bytes")
        if not int.from_bytes(payload[:4], "big") & MAX_STREAM_ID:
            raise protocol_error("PRIORITY_UPDATE is about stream 0")
        self._core.charge("PRIORITY_UPDATE")

    def _push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:
        raise protocol_error("PUSH_PROMISE, which our SETTINGS forbid")


def _printable(text: bytes) -> str:
    """Return what of a peer's text can be shown to people."""
    return "".join(c if c.isprintable() else "?" for c in text.decode("ascii", "replace"))


def _frame_size(reason: str) -> ConnectionFault:
    return ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, reason)


def _flow_control(reason: str) -> ConnectionFault:
    return ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, reason)
