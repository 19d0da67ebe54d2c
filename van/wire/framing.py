"""Framing that all three conversations share: a four-byte header and a payload.

The header is a big-endian 32-bit word: the kind in the top eight bits, the payload's length in the
lower 24. A kind of 128 or above may be skipped by a router that does not know it; an unknown kind
below 128 ends the conversation. Payloads of messages are msgpack arrays, whose unknown trailing
fields are ignored.
"""

import struct
from collections.abc import Mapping
from typing import Final

import msgspec

from van.errors import RemoteProtocolError

HEADER: Final = struct.Struct("!I")
HEADER_SIZE: Final = HEADER.size
FIRST_IGNORABLE_KIND: Final = 128
"""A router skips a frame of an unknown kind from here on, and refuses one below."""


PADDING: Final = 255
"""A kind that nobody will ever know, for frames that only make a record longer."""
WAKE_SIZE: Final = 128
"""Bytes that a message has at least that is to be read at once, where others may wait: what is less
in a TLS record need not wake the reader."""


class Message(msgspec.Struct, frozen=True, array_like=True):
    """Base of every message: a msgpack array, its fields in the order of definition."""

    @property
    def may_wait(self) -> bool:
        """Tell whether the peer need not be woken to read it."""
        return False


def pack_header(kind: int, length: int) -> bytes:
    """Encode a frame header; the length is that of the payload in bytes."""
    return HEADER.pack(kind << 24 | length)


def pad(frame: bytes, size: int) -> bytes:
    """Return a frame with one of padding behind it, if it is shorter than so many bytes."""
    if len(frame) >= size:
        return frame
    room = max(0, size - len(frame) - HEADER_SIZE)
    return frame + pack_header(PADDING, room) + bytes(room)


class Codec:
    """Turns messages of one conversation into frames, and payloads back into messages."""

    def __init__(self, kinds: Mapping[int, type[Message]]) -> None:
        self._decoders = {kind: msgspec.msgpack.Decoder(form) for kind, form in kinds.items()}
        self._kinds = {form: int(kind) for kind, form in kinds.items()}
        self._encoder = msgspec.msgpack.Encoder()

    def encode(self, message: Message) -> bytes:
        """Encode a message with its header."""
        payload = self._encoder.encode(message)
        return HEADER.pack(self._kinds[type(message)] << 24 | len(payload)) + payload

    def kind_of(self, message: Message) -> int:
        """Return the kind of the frame in which a message travels."""
        return self._kinds[type(message)]

    def encode_apart(self, message: Message) -> tuple[int, bytes]:
        """Return the kind and the payload of a message, for a frame with another header."""
        return self._kinds[type(message)], self._encoder.encode(message)

    def decode(self, kind: int, payload: bytes | bytearray | memoryview) -> Message | None:
        """Decode a payload; return None for an unknown kind that may be skipped.

        Raises `RemoteProtocolError` for an unknown kind that may not, and for a payload that is
        not valid.
        """
        decoder = self._decoders.get(kind)
        if decoder is None:
            if kind >= FIRST_IGNORABLE_KIND:
                return None
            raise RemoteProtocolError(f"unknown frame kind {kind}")
        try:
            message: Message = decoder.decode(payload)
        except (msgspec.DecodeError, ValueError, RecursionError) as exc:
            raise RemoteProtocolError(f"malformed frame of kind {kind}: {exc}") from exc
        return message


class FrameReader:
    """Cuts a stream of bytes into frames, for conversations whose frames are small messages."""

    def __init__(self, *, max_payload: int) -> None:
        self._max_payload = max_payload
        self._buffer = bytearray()

    def receive_data(self, data: bytes | memoryview) -> None:
        """Take bytes as they came from the peer."""
        self._buffer += data

    def next_frame(self) -> tuple[int, bytes] | None:
        """Return the next whole frame's kind and payload, or None when more bytes are needed.

        Raises `RemoteProtocolError` as soon as a header announces more than the limit.
        """
        buffer = self._buffer
        if len(buffer) < HEADER_SIZE:
            return None
        (word,) = HEADER.unpack_from(buffer)
        end = HEADER_SIZE + (word & 0xFFFFFF)
        if end > HEADER_SIZE + self._max_payload:
            raise RemoteProtocolError(
                f"frame of {end - HEADER_SIZE} bytes is larger than {self._max_payload}"
            )
        if len(buffer) < end:
            return None
        payload = bytes(buffer[HEADER_SIZE:end])
        del buffer[:end]
        return word >> 24, payload

    def unread(self) -> bytes:
        """Return the bytes that no frame has claimed, for whoever takes the stream over."""
        return bytes(self._buffer)
