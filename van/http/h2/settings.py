"""What each end of a connection asks of the other (RFC 9113, section 6.5), and our own limits."""

import enum
import struct
from typing import Final

import attrs

from van.errors import InvalidValue
from van.http.fields import MAX_FIELDS, MAX_HEAD
from van.http.h2.faults import ConnectionFault, ErrorCode
from van.http.h2.frames import MAX_MAX_FRAME_SIZE, MIN_MAX_FRAME_SIZE

MAX_WINDOW: Final = (1 << 31) - 1
DEFAULT_WINDOW: Final = 65535
MAX_SETTINGS: Final = 32
"""Settings in one frame: there are ten in use, and a frame has room for thousands."""

_SETTING: Final = struct.Struct(">HL")


class Setting(enum.IntEnum):
    """The settings that mean something here; others are skipped."""

    HEADER_TABLE_SIZE = 0x1
    ENABLE_PUSH = 0x2
    MAX_CONCURRENT_STREAMS = 0x3
    INITIAL_WINDOW_SIZE = 0x4
    MAX_FRAME_SIZE = 0x5
    MAX_HEADER_LIST_SIZE = 0x6
    ENABLE_CONNECT_PROTOCOL = 0x8
    NO_RFC7540_PRIORITIES = 0x9


@attrs.frozen
class Limits:
    """What one end lets the other do. Sizes are in bytes."""

    max_streams: int = 100
    """Streams that the peer may have open at a time."""
    stream_window: int = DEFAULT_WINDOW
    """What may have come of one stream that nobody has taken. The connection's window is as much
    for every stream, so that those that nobody takes leave the others theirs."""
    max_frame_size: int = MIN_MAX_FRAME_SIZE
    max_head_size: int = MAX_HEAD
    """Of the fields of a head or of trailers, with 32 for each."""
    max_fields: int = MAX_FIELDS
    max_heads_size: int = 1024 * 1024
    """Of the heads of all open streams: a hundred bytes on the wire may be 32 KiB of fields, which
    last for as long as the peer leaves the stream open (CVE-2026-49975)."""
    control_burst: int = 1000
    """Frames that carry nothing, beyond one for each that does: a loaded client sends some
    dozens."""
    control_rate: float = 50.0
    """How many more of them each second: keep-alive and probes of bandwidth are a few."""
    reset_burst: int = 2000
    """Streams that the peer resets within a second, before an answer, beyond one for each that ends
    in order. A program that gives up a thousand calls has most of them wait for a stream: each is
    opened when another one is reset, and reset at once."""
    reset_rate: float = 100.0
    """How many more of them each second: as many as may be open."""
    fault_burst: int = 500
    """Streams that are reset here for what the peer did, likewise: five times as many as may be
    open, for one that opens them all before it knows of that limit, and does nothing else wrong."""
    fault_rate: float = 50.0
    """How many more of them each second."""
    max_replies: int = 1000
    """Answers to control frames that wait while the peer reads nothing."""

    def __attrs_post_init__(self) -> None:
        """Raise `InvalidValue` for what could not be kept: a peer begins with the protocol's own
        windows and sizes, before it has heard of ours."""
        if not DEFAULT_WINDOW <= self.connection_window <= MAX_WINDOW:
            text = f"{self.max_streams} windows of {self.stream_window} bytes are not one window"
            raise InvalidValue(f"{text}: choose {DEFAULT_WINDOW} to {MAX_WINDOW} bytes in all")
        if self.stream_window < DEFAULT_WINDOW:
            text = f"a stream's window of {self.stream_window} bytes"
            raise InvalidValue(f"{text} is too small: choose {DEFAULT_WINDOW} or more")
        if not MIN_MAX_FRAME_SIZE <= self.max_frame_size <= MAX_MAX_FRAME_SIZE:
            text = f"frames of up to {self.max_frame_size} bytes are not possible"
            raise InvalidValue(f"{text}: choose {MIN_MAX_FRAME_SIZE} to {MAX_MAX_FRAME_SIZE}")

    @property
    def connection_window(self) -> int:
        """Return what may have come of all streams that nobody has taken."""
        return self.max_streams * self.stream_window


@attrs.define
class PeerSettings:
    """What the peer has asked for last."""

    max_streams: int = MAX_WINDOW
    initial_window: int = DEFAULT_WINDOW
    max_frame_size: int = MIN_MAX_FRAME_SIZE
    no_priorities: int | None = None


def encode_settings(limits: Limits, *, is_client: bool) -> bytes:
    """Return the payload of the SETTINGS that say `limits`."""
    settings = {
        Setting.INITIAL_WINDOW_SIZE: limits.stream_window,
        Setting.MAX_FRAME_SIZE: limits.max_frame_size,
        Setting.MAX_HEADER_LIST_SIZE: limits.max_head_size,
        Setting.NO_RFC7540_PRIORITIES: 1,
    }
    if is_client:
        settings[Setting.ENABLE_PUSH] = 0
    else:
        settings[Setting.MAX_CONCURRENT_STREAMS] = limits.max_streams
    return b"".join(_SETTING.pack(*pair) for pair in sorted(settings.items()))


def decode_settings(payload: bytes, *, from_server: bool) -> dict[int, int]:
    """Return the settings of a frame, the last of each; raise `ConnectionFault` if one can't be."""
    if len(payload) % _SETTING.size:
        text = f"SETTINGS of {len(payload)} bytes are cut short"
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, text)
    if len(payload) > MAX_SETTINGS * _SETTING.size:
        text = f"SETTINGS has more than {MAX_SETTINGS} of them"
        raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, text)
    settings = {}
    for setting, value in _SETTING.iter_unpack(payload):
        _check(setting, value, from_server=from_server)
        settings[setting] = value
    return settings


def _check(setting: int, value: int, *, from_server: bool) -> None:
    code = ErrorCode.PROTOCOL_ERROR
    match setting:
        case Setting.ENABLE_PUSH:
            is_valid = value == 0 or (value == 1 and not from_server)
        case Setting.INITIAL_WINDOW_SIZE:
            is_valid = value <= MAX_WINDOW
            code = ErrorCode.FLOW_CONTROL_ERROR
        case Setting.MAX_FRAME_SIZE:
            is_valid = MIN_MAX_FRAME_SIZE <= value <= MAX_MAX_FRAME_SIZE
        case Setting.ENABLE_CONNECT_PROTOCOL | Setting.NO_RFC7540_PRIORITIES:
            is_valid = value in {0, 1}
        case _:
            is_valid = True
    if not is_valid:
        raise ConnectionFault(code, f"{Setting(setting).name} can't be {value}")
