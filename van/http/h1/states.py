"""The states of a connection of HTTP/1, and the table of what leads from one to another.

It is one table for both ends, the client's and the target's: an exchange is a request and its final
answer, one at a time.
"""

import enum
from typing import Final


class State(enum.IntEnum):
    """How a connection stands."""

    IDLE = 0
    """No request is under way; part of one's head may be there."""
    OPEN = 1
    """A request is under way, with its body, and its answer may be."""
    ANSWERING = 2
    """The request is over, and the answer is not."""
    TUNNEL = 3
    """The connection was switched to another protocol: all bytes pass as they are."""
    CLOSED = 4
    """Nothing further is read or written: it is to be closed after what is under way."""


class Event(enum.IntEnum):
    """What changes it."""

    REQUEST = 0
    """A request's head has come."""
    REQUEST_END = 1
    ANSWER_END = 2
    SWITCH = 3
    """The target has answered that it switches."""
    CLOSE = 4


_IDLE: Final = State.IDLE
_OPEN: Final = State.OPEN
_ANSW: Final = State.ANSWERING
_TUNL: Final = State.TUNNEL
_CLSD: Final = State.CLOSED
_: Final = None
"""Out of place."""

# fmt: off
TRANSITIONS: Final = (
    # REQUEST REQUEST_END ANSWER_END SWITCH CLOSE
    (_OPEN,   _,          _,         _,     _CLSD),  # IDLE
    # Behind an answer that did not wait for the request's end, nobody knows what follows.
    (_,       _ANSW,      _CLSD,     _,     _CLSD),  # OPEN
    (_,       _,          _IDLE,     _TUNL, _CLSD),  # ANSWERING
    (_,       _,          _,         _,     _CLSD),  # TUNNEL
    (_,       _,          _,         _,     _CLSD),  # CLOSED
)
"""What follows in each state on each event; None for what must not be, which is a defect of the
caller."""
# fmt: on


def following(event: Event) -> dict[State, State]:
    """Return what follows on an event in each state in which it may be, for who asks often; to look
    another one up is a defect, and raises `KeyError`."""
    rows = zip(State, TRANSITIONS, strict=True)
    return {state: after for state, row in rows if (after := row[event]) is not None}
