"""What has come on a connection, for who uses it.

These are structs of msgspec, as one is made for nearly each frame: an `attrs` class takes four
times as long.
"""

import msgspec

from van.http.message import Fields, Request, Response


class RequestReceived(msgspec.Struct, frozen=True, gc=False):
    """A stream begins, with a request (server)."""

    stream_id: int
    request: Request
    ends: bool
    """Whether this is all of it."""


class RequestRefused(msgspec.Struct, frozen=True, gc=False):
    """A stream begins, with a request that has to be answered by `status` (server).

    Whoever uses the connection answers. What comes of the request's body is thrown away.
    """

    stream_id: int
    status: int
    reason: str


class ResponseReceived(msgspec.Struct, frozen=True, gc=False):
    """The head of a response, or a word before it: see `response.is_final` (client)."""

    stream_id: int
    response: Response
    ends: bool


class DataReceived(msgspec.Struct, frozen=True, gc=False):
    """A piece of a body; `acknowledge` as many bytes as were taken of it.

    The view is of all the bytes that `receive` was given. Who keeps a piece for longer than a turn
    copies it, or a peer makes him keep 64 KiB for each byte that is in one.
    """

    stream_id: int
    data: memoryview
    ends: bool


class TrailersReceived(msgspec.Struct, frozen=True, gc=False):
    """The fields behind a body, with which the message ends."""

    stream_id: int
    fields: Fields


class StreamReset(msgspec.Struct, frozen=True, gc=False):
    """A stream is over before its end. Nothing more comes of it, and what is sent to it is
    dropped."""

    stream_id: int
    code: int
    """An `ErrorCode`, or what else the peer sent. NO_ERROR behind a whole response says that the
    rest of the request is not wanted, and nothing against the response (RFC 9113, section 8.1)."""
    reason: str
    by_peer: bool
    is_unprocessed: bool = False
    """Whether the peer says that it did nothing with the request, so that it may go elsewhere."""


class WindowOpened(msgspec.Struct, frozen=True, gc=False):
    """More may be sent of a stream of which `send_data` took less than it was given."""

    stream_id: int


class SettingsReceived(msgspec.Struct, frozen=True, gc=False):
    """The peer has changed its settings; more streams, or fewer, may be opened than before."""


class PingAcknowledged(msgspec.Struct, frozen=True, gc=False):
    """The answer to `ping`, with its eight bytes."""

    payload: bytes


class PeerGoingAway(msgspec.Struct, frozen=True, gc=False):
    """The peer takes no more streams; those that it has go on. A `StreamReset` says of each one
    that it will not process."""

    last_stream_id: int
    code: int
    reason: str


class ConnectionFailed(msgspec.Struct, frozen=True, gc=False):
    """The peer did what ends the connection. All streams are over; write what is left, and
    close."""

    code: int
    reason: str


Event = (
    RequestReceived
    | RequestRefused
    | ResponseReceived
    | DataReceived
    | TrailersReceived
    | StreamReset
    | WindowOpened
    | SettingsReceived
    | PingAcknowledged
    | PeerGoingAway
    | ConnectionFailed
)
