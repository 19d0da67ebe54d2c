"""The receiving half of a connection: frames of streams become events, or faults."""

from typing import TYPE_CHECKING

from van.http.detection import H2_PREFACE
from van.http.h2.blocks import Blocks, without_padding
from van.http.h2.control_frames import ControlFrames
from van.http.h2.core import Core
from van.http.h2.decoder import Section
from van.http.h2.events import (
    DataReceived,
    RequestReceived,
    RequestRefused,
    ResponseReceived,
    TrailersReceived,
)
from van.http.h2.faults import (
    ConnectionFault,
    ErrorCode,
    MalformedMessage,
    StreamFault,
    protocol_error,
)
from van.http.h2.fields import read_request, read_response, read_trailers
from van.http.h2.frames import (
    ACK,
    END_STREAM,
    PADDED,
    FrameReader,
    FrameType,
)
from van.http.h2.states import (
    RECEIVED_BY_CLIENT,
    RECEIVED_BY_SERVER,
    Outcome,
    Part,
    Phase,
    Verdict,
)
from van.http.h2.streams import Stream
from van.http.problems import MessageRefused
from van.http.semantics import has_no_content

if TYPE_CHECKING:
    from collections.abc import Callable


class Receiver:
    """Takes what comes on one connection. Not thread-safe."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._reader = FrameReader(
            max_frame_size=core.limits.max_frame_size,
            preface=b"" if core.is_client else H2_PREFACE,
        )
        self._table = RECEIVED_BY_CLIENT if core.is_client else RECEIVED_BY_SERVER
        self._control = ControlFrames(core, self._table)
        self._handlers: dict[int, Callable[[int, int, bytes], None]] = {
            FrameType.HEADERS: self._headers,
            FrameType.CONTINUATION: self._continuation,
            FrameType.RST_STREAM: self._rst_stream,
            **self._control.handlers,
        }
        self._is_first = True
        self._blocks = Blocks(max_head_size=core.limits.max_head_size)

    @property
    def is_amid_frames(self) -> bool:
        """Tell whether a preface, a frame, or a block has begun whose end has yet to come."""
        return self._blocks.is_incomplete or not self._reader.is_between_frames

    def receive(self, data: bytes) -> None:
        """Take bytes; raise `ConnectionFault` for what ends the connection."""
        handlers, blocks = self._handlers, self._blocks
        for kind, flags, stream_id, source, begin, end in self._reader.read(data):
            try:
                if self._is_first or (blocks.is_incomplete and kind != FrameType.CONTINUATION):
                    self._check_order(kind, flags)
                if kind == FrameType.DATA:
                    self._data(flags, stream_id, memoryview(source)[begin:end])
                elif (handler := handlers.get(kind)) is not None:
                    handler(flags, stream_id, source[begin:end])
                else:
                    self._core.charge("of a kind that is not known")
            except StreamFault as fault:
                self._fail_stream(stream_id, fault)

    def _check_order(self, kind: int, flags: int) -> None:
        if self._blocks.is_incomplete:
            raise protocol_error("a frame is between HEADERS and its CONTINUATION")
        if kind != FrameType.SETTINGS or flags & ACK:
            raise protocol_error("the first frame is not SETTINGS")
        self._is_first = False

    def _fail_stream(self, stream_id: int, fault: StreamFault) -> None:
        core = self._core
        if (stream := core.streams.get(stream_id)) is not None:
            core.fail_stream(stream, fault.error_code, str(fault))
        elif core.streams.phase_of(stream_id) == Phase.IDLE:
            raise ConnectionFault(fault.error_code, str(fault)) from fault
        else:
            core.refuse(stream_id, fault.error_code, str(fault))

    def _data(self, flags: int, stream_id: int, payload: memoryview) -> None:
        core = self._core
        size = len(payload)
        if stream_id == 0:
            raise protocol_error("DATA is on stream 0")
        if not core.window.receive(size):
            text = "more came than the connection's window"
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, text)
        if flags & PADDED:
            payload = without_padding(payload)
        ends = bool(flags & END_STREAM)
        part = Part.DATA_END if ends else Part.DATA
        stream = core.streams.get(stream_id)
        if stream is None:
            core.take(size)
            _judge(self._table[core.streams.phase_of(stream_id)][part], "DATA")
            if not size:
                core.charge("empty DATA of a stream that was reset")
            return
        if not stream.window.receive(size):
            raise StreamFault(ErrorCode.FLOW_CONTROL_ERROR, "more came than the stream's window")
        after = self._table[stream.receiving][part]
        if after < 0:
            _judge(after, "DATA")
        if padding := size - len(payload):
            core.take_of(stream, padding)
        self._take_body(stream, payload, ends=ends)

    def _take_body(self, stream: Stream, body: memoryview, *, ends: bool) -> None:
        core = self._core
        size = len(body)
        stream.body_size += size
        if stream.expected is not None:
            _check_length(stream, stream.expected, ends=ends)
        if ends:
            stream.receiving = Phase.ENDED
        elif not size:
            core.charge("empty DATA")
            return
        core.control.earned += 1
        if stream.is_discarding:
            core.take_of(stream, size)
        else:
            core.events.append(DataReceived(stream.stream_id, body, ends))
        if ends and stream.sending is Phase.ENDED:
            core.finish(stream)

    def _headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        block = self._blocks.headers(flags, stream_id, payload)
        if block is not None:
            self._fields(stream_id, block, ends=bool(flags & END_STREAM))

    def _continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        block, flags = self._blocks.continuation(flags, stream_id, payload)
        if block is not None:
            self._fields(stream_id, block, ends=bool(flags & END_STREAM))

    def _fields(self, stream_id: int, block: bytes, *, ends: bool) -> None:
        core = self._core
        section = core.decoder.decode(block)
        stream = core.streams.get(stream_id)
        if stream is None:
            part = Part.HEADERS_END if ends else Part.HEADERS
            after = self._table[core.streams.phase_of(stream_id)][part]
            if after < 0:
                _judge(after, "HEADERS")
                core.charge("HEADERS of a stream that was reset")
                return
            self._open(stream_id, section, ends=ends)
        elif stream.receiving is Phase.HEAD:
            self._response(stream, section, ends=ends)
        else:
            self._trailers(stream, section, ends=ends)

    def _open(self, stream_id: int, section: Section | None, *, ends: bool) -> None:
        core, streams = self._core, self._core.streams
        if stream_id % 2 == 0:
            raise protocol_error("a client may open streams of odd numbers only")
        streams.last = stream_id
        size = 0 if section is None else section.size
        if (why := self._why_not(stream_id, size)) is not None:
            core.refuse(stream_id, ErrorCode.REFUSED_STREAM, why)
            return
        stream = Stream(
            stream_id,
            Phase.ENDED if ends else Phase.BODY,
            Phase.HEAD,
            window=core.limits.stream_window,
            send_window=core.peer.initial_window,
            now=core.now,
        )
        stream.head_size = size
        streams.add(stream)
        core.control.earned += 1
        try:
            if section is None:
                raise MessageRefused(431, "the head is above the limits of size or fields")
            request = read_request(section)
        except MessageRefused as refused:
            stream.is_discarding = True
            core.events.append(RequestRefused(stream_id, refused.status, str(refused)))
            return
        stream.expected = section.expected
        if ends and stream.expected:
            _check_length(stream, stream.expected, ends=True)
        core.events.append(RequestReceived(stream_id, request, ends))

    def _why_not(self, stream_id: int, size: int) -> str | None:
        core = self._core
        if core.last_accepted is not None and stream_id > core.last_accepted:
            return "the connection takes no more streams"
        if len(core.streams.open) >= core.limits.max_streams:
            return f"more than {core.limits.max_streams} streams are open"
        if core.streams.heads_size + size > core.limits.max_heads_size:
            return f"the heads of open streams are above {core.limits.max_heads_size} bytes"
        return None

    def _response(self, stream: Stream, section: Section | None, *, ends: bool) -> None:
        if section is None:
            text = "the head of a response is above the limits of size or fields"
            raise StreamFault(ErrorCode.ENHANCE_YOUR_CALM, text)
        core = self._core
        response = read_response(section)
        if not response.is_final:
            if ends:
                raise MalformedMessage(f"a response of {response.status} ends its stream")
            core.charge(f"a response of {response.status}")
        else:
            stream.receiving = Phase.ENDED if ends else Phase.BODY
            has_content = stream.has_content and not has_no_content(response.status, b"")
            stream.expected = section.expected if has_content else 0
            if ends and stream.expected:
                _check_length(stream, stream.expected, ends=True)
        core.events.append(ResponseReceived(stream.stream_id, response, ends))
        if ends and stream.sending is Phase.ENDED:
            core.finish(stream)

    def _trailers(self, stream: Stream, section: Section | None, *, ends: bool) -> None:
        part = Part.HEADERS_END if ends else Part.HEADERS
        after = self._table[stream.receiving][part]
        if after < 0:
            _judge(after, "HEADERS")
        if section is None:
            text = "trailers are above the limits of size or fields"
            raise StreamFault(ErrorCode.ENHANCE_YOUR_CALM, text)
        trailers = read_trailers(section)
        if stream.expected is not None:
            _check_length(stream, stream.expected, ends=True)
        stream.receiving = Phase.ENDED
        if not stream.is_discarding:
            self._core.events.append(TrailersReceived(stream.stream_id, trailers))
        if stream.sending is Phase.ENDED:
            self._core.finish(stream)

    def _rst_stream(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id == 0:
            raise protocol_error("RST_STREAM is on stream 0")
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM is not of four bytes")
        core = self._core
        if (stream := core.streams.get(stream_id)) is not None:
            core.receive_reset(stream, int.from_bytes(payload, "big"))
        else:
            _judge(self._table[core.streams.phase_of(stream_id)][Part.RST_STREAM], "RST_STREAM")
            core.charge("RST_STREAM of a stream that is over")


def _check_length(stream: Stream, expected: int, *, ends: bool) -> None:
    if stream.body_size > expected or (ends and stream.body_size != expected):
        text = f"a body is not of the {expected} bytes that its head allows"
        raise MalformedMessage(text)


def _judge(verdict: Outcome, what: str) -> None:
    """Raise what a verdict says; return if the frame is to be ignored."""
    match verdict:
        case Verdict.STREAM_PROTOCOL:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR, f"{what} is out of place")
        case Verdict.STREAM_CLOSED:
            raise StreamFault(ErrorCode.STREAM_CLOSED, f"{what} is behind the end of its stream")
        case Verdict.CONNECTION_PROTOCOL:
            raise protocol_error(f"{what} is on a stream that was never opened")
        case Verdict.CONNECTION_CLOSED:
            text = f"{what} is on a stream that is over"
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, text)
