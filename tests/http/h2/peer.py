"""The other end of a connection, by hand: frames as bytes, and what came back as frames."""

from typing import NamedTuple

from van.http.detection import H2_PREFACE
from van.http.h2.connection import ClientConnection, ServerConnection
from van.http.h2.encoder import Encoder
from van.http.h2.endpoint import Endpoint
from van.http.h2.events import Event
from van.http.h2.frames import (
    END_HEADERS,
    END_STREAM,
    FrameReader,
    FrameType,
    write_frame,
)
from van.http.h2.settings import Limits
from van.http.message import Fields, Request

GET = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"api:8080"))
POST = ((b":method", b"POST"), *GET[1:])
OK = ((b":status", b"200"),)
REQUEST = Request(b"GET", b"http", b"api:8080", b"/")


class Sent(NamedTuple):
    """A frame that an end has sent."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes

    @property
    def number(self) -> int:
        return int.from_bytes(self.payload[:4], "big")


def frame(kind: int, flags: int = 0, stream_id: int = 0, payload: bytes = b"") -> bytes:
    output = bytearray()
    write_frame(output, kind, flags, stream_id, payload)
    return bytes(output)


def data(stream_id: int, payload: bytes = b"", *, ends: bool = False) -> bytes:
    return frame(FrameType.DATA, END_STREAM if ends else 0, stream_id, payload)


def block(fields: Fields) -> bytes:
    """Fields for which no table is needed, so that blocks may come in any order."""
    return b"".join(Encoder().encode((field,)) for field in fields)


def headers(stream_id: int, fields: Fields = GET, *, ends: bool = False, flags: int = 0) -> bytes:
    flags |= END_HEADERS | (END_STREAM if ends else 0)
    return frame(FrameType.HEADERS, flags, stream_id, block(fields))


def number(kind: int, stream_id: int, value: int) -> bytes:
    return frame(kind, 0, stream_id, value.to_bytes(4, "big"))


def rst(stream_id: int, code: int = 8) -> bytes:
    return number(FrameType.RST_STREAM, stream_id, code)


def window_update(stream_id: int, increment: int) -> bytes:
    return number(FrameType.WINDOW_UPDATE, stream_id, increment)


def settings(*pairs: tuple[int, int]) -> bytes:
    payload = b"".join(s.to_bytes(2, "big") + v.to_bytes(4, "big") for s, v in pairs)
    return frame(FrameType.SETTINGS, 0, 0, payload)


def take(end: Endpoint) -> bytes:
    output = bytes(end.output)
    end.written(len(output))
    return output


def sent(end: Endpoint) -> list[Sent]:
    """What an end has to write, taken from it."""
    reader = FrameReader(max_frame_size=1 << 24)
    output = take(end).removeprefix(H2_PREFACE)
    frames = [Sent(k, f, i, b[x:y]) for k, f, i, b, x, y in reader.read(output)]
    assert reader.is_between_frames
    return frames


def a_server(limits: Limits | None = None, *pairs: tuple[int, int]) -> ServerConnection:
    """A server that has heard its client's preface and settings, with nothing left to write."""
    server = ServerConnection(limits, now=0)
    server.receive(H2_PREFACE + settings(*pairs), now=0)
    take(server)
    return server


def a_client(limits: Limits | None = None, *pairs: tuple[int, int]) -> ClientConnection:
    """A client that has heard its server's settings, with nothing left to write."""
    client = ClientConnection(limits, now=0)
    client.receive(settings(*pairs), now=0)
    take(client)
    return client


def converse(left: Endpoint, right: Endpoint, *, now: float = 0) -> list[Event]:
    """Pass all that either end writes to the other, and return what both make of it."""
    events: list[Event] = []
    while left.output or right.output:
        events += right.receive(take(left), now=now)
        events += left.receive(take(right), now=now)
    return events


def resets(frames: list[Sent]) -> list[tuple[int, int]]:
    """The streams that were reset, and with which codes."""
    return [(f.stream_id, f.number) for f in frames if f.kind == FrameType.RST_STREAM]


def goaway(frames: list[Sent]) -> int | None:
    """The code with which the connection was ended, if it was."""
    codes = [int.from_bytes(f.payload[4:8], "big") for f in frames if f.kind == FrameType.GOAWAY]
    return codes[-1] if codes else None
