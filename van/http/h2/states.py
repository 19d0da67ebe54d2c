"""The states of a stream, and the tables of what leads from one to another (RFC 9113, section 5.1).

The two directions of a stream are apart: each has a phase, and a table. The states of the RFC are
pairs of phases: *open* is BODY or HEAD in both, *half-closed (remote)* is ENDED in what is
received, *half-closed (local)* in what is sent; a stream of which both are ENDED is CLOSED. Nothing
is reserved, as no end lets the other push.
"""

import enum
from typing import Final


class Phase(enum.IntEnum):
    """How one direction of a stream stands."""

    IDLE = 0
    """The stream was never used."""
    HEAD = 1
    """The head has yet to come; words before a final response may."""
    BODY = 2
    """The head has come. DATA or trailers may."""
    ENDED = 3
    """All has come."""
    CLOSED = 4
    """The stream is over: both directions have ended, or the peer has reset it."""
    RESET = 5
    """We have reset the stream. What comes was sent before the peer knew."""


class Verdict(enum.IntEnum):
    """What is made of a frame that leads to no phase; below zero, where phases are not."""

    IGNORED = -1
    STREAM_PROTOCOL = -2
    """It ends the stream, with PROTOCOL_ERROR."""
    STREAM_CLOSED = -3
    """It ends the stream, with STREAM_CLOSED."""
    CONNECTION_PROTOCOL = -4
    """It ends the connection, with PROTOCOL_ERROR."""
    CONNECTION_CLOSED = -5
    """It ends the connection, with STREAM_CLOSED."""
    MISUSE = -6
    """It must not be sent: a defect of our own."""


class Part(enum.IntEnum):
    """What changes a phase: a frame, with what it carries."""

    INFORMATIONAL = 0
    """HEADERS of a response below 200."""
    HEADERS = 1
    HEADERS_END = 2
    """HEADERS with END_STREAM: a message that is all head, or trailers."""
    DATA = 3
    DATA_END = 4
    RST_STREAM = 5
    WINDOW_UPDATE = 6


Outcome = Phase | Verdict
Row = tuple[Outcome, ...]
Table = tuple[Row, ...]
"""Indexed by the phase, then by the part."""

_IDLE, _HEAD, _BODY, _ENDED, _CLOSED, _RESET = Phase
_IGNORED, _S_PROTO, _S_CLOSED, _C_PROTO, _C_CLOSED, _MISUSE = Verdict


def _table(rows: dict[Phase, Row]) -> Table:
    table = tuple(rows[phase] for phase in Phase)
    assert all(len(row) == len(Part) for row in table)
    return table


# fmt: off
RECEIVED_BY_SERVER: Final = _table({
    #         1xx         HEADERS     HEADERS end DATA        DATA end    RST_STREAM  WINDOW_UPDATE
    _IDLE:   (_C_PROTO,   _BODY,      _ENDED,     _C_PROTO,   _C_PROTO,   _C_PROTO,   _C_PROTO),
    _HEAD:   (_S_PROTO,   _BODY,      _ENDED,     _S_PROTO,   _S_PROTO,   _CLOSED,    _HEAD),
    _BODY:   (_S_PROTO,   _S_PROTO,   _ENDED,     _BODY,      _ENDED,     _CLOSED,    _BODY),
    _ENDED:  (_S_CLOSED,  _S_CLOSED,  _S_CLOSED,  _S_CLOSED,  _S_CLOSED,  _CLOSED,    _ENDED),
    _CLOSED: (_C_CLOSED,  _C_CLOSED,  _C_CLOSED,  _S_CLOSED,  _S_CLOSED,  _IGNORED,   _IGNORED),
    _RESET:  (_IGNORED,   _IGNORED,   _IGNORED,   _IGNORED,   _IGNORED,   _IGNORED,   _IGNORED),
})
"""What follows when a server receives a part."""

RECEIVED_BY_CLIENT: Final = _table({
    #         1xx         HEADERS     HEADERS end DATA        DATA end    RST_STREAM  WINDOW_UPDATE
    _IDLE:   (_C_PROTO,   _C_PROTO,   _C_PROTO,   _C_PROTO,   _C_PROTO,   _C_PROTO,   _C_PROTO),
    _HEAD:   (_HEAD,      _BODY,      _ENDED,     _S_PROTO,   _S_PROTO,   _CLOSED,    _HEAD),
    _BODY:   (_S_PROTO,   _S_PROTO,   _ENDED,     _BODY,      _ENDED,     _CLOSED,    _BODY),
    _ENDED:  (_S_CLOSED,  _S_CLOSED,  _S_CLOSED,  _S_CLOSED,  _S_CLOSED,  _CLOSED,    _ENDED),
    _CLOSED: (_C_CLOSED,  _C_CLOSED,  _C_CLOSED,  _S_CLOSED,  _S_CLOSED,  _IGNORED,   _IGNORED),
    _RESET:  (_IGNORED,   _IGNORED,   _IGNORED,   _IGNORED,   _IGNORED,   _IGNORED,   _IGNORED),
})
"""What follows when a client receives a part."""

SENT: Final = _table({
    #         1xx         HEADERS     HEADERS end DATA        DATA end    RST_STREAM  WINDOW_UPDATE
    _IDLE:   (_MISUSE,    _BODY,      _ENDED,     _MISUSE,    _MISUSE,    _MISUSE,    _MISUSE),
    _HEAD:   (_HEAD,      _BODY,      _ENDED,     _MISUSE,    _MISUSE,    _RESET,     _HEAD),
    _BODY:   (_MISUSE,    _MISUSE,    _ENDED,     _BODY,      _ENDED,     _RESET,     _BODY),
    _ENDED:  (_MISUSE,    _MISUSE,    _MISUSE,    _MISUSE,    _MISUSE,    _RESET,     _ENDED),
    _CLOSED: (_IGNORED,   _IGNORED,   _IGNORED,   _IGNORED,   _IGNORED,   _IGNORED,   _IGNORED),
    _RESET:  (_IGNORED,   _IGNORED,   _IGNORED,   _IGNORED,   _IGNORED,   _IGNORED,   _IGNORED),
})
"""What follows when an end sends a part: a client from IDLE on, a server from HEAD. What goes to a
stream that is over is dropped, as the peer may end one while our own are on their way to it."""
# fmt: on
