"""What a peer may do wrong in HTTP/2, and the codes in which it is told so (RFC 9113, section
7)."""

import enum

from van.errors import RemoteProtocolError


class ErrorCode(enum.IntEnum):
    """Why a stream was reset, or a connection ends."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class ConnectionFault(RemoteProtocolError):
    """A peer did what ends the connection (RFC 9113, section 5.4.1)."""

    def __init__(self, error_code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.error_code = error_code


class StreamFault(RemoteProtocolError):
    """A peer did what ends a stream, and nothing else (RFC 9113, section 5.4.2)."""

    def __init__(self, error_code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.error_code = error_code


class MalformedMessage(StreamFault):
    """A message is not one of HTTP (RFC 9113, section 8.1.1)."""

    def __init__(self, reason: str) -> None:
        super().__init__(ErrorCode.PROTOCOL_ERROR, reason)


def protocol_error(reason: str) -> ConnectionFault:
    """Return what ends a connection for a frame that is out of place."""
    return ConnectionFault(ErrorCode.PROTOCOL_ERROR, reason)
