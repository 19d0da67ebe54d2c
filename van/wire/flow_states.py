"""The states of a flow, and the tables of what leads from one to another.

Each end has its own table. Two tables fit each other if whatever one end may send, the other may
receive, however long the frames are on their way; a test tries all that can happen.

PENDING changes no state: it says that a word which the egress owes has yet to wait for the target.

A *branch* of a multicast tree is a flow in one direction. What comes against it but OPENED is a
RESET at the most, which says that the tree has lost a part, and ends nothing.
"""

import enum
from typing import Final


class FlowRole(enum.Enum):
    """Which end of a flow or branch this is."""

    INGRESS = "ingress"
    EGRESS = "egress"
    UPSTREAM = "upstream"
    """The end of a branch from which its datagrams come."""
    DOWNSTREAM = "downstream"


class Frame(enum.Enum):
    """What changes a flow's state, whatever its protocol."""

    OPEN = "OPEN"
    """Begins a flow; on a branch this is BRANCH."""
    OPENED = "OPENED"
    REFUSED = "REFUSED"
    PAYLOAD = "payload"
    """DATA in a flow of TCP, DATAGRAM in one of UDP and on a branch."""
    EOF = "EOF"
    RESET = "RESET"
    DONE = "DONE"
    PENDING = "PENDING"


class State(enum.Enum):
    """How a flow stands, as one end knows it."""

    IDLE = "idle"
    """There is no flow on the channel: not yet, or no more."""
    OPENING = "opening"
    """The egress has not answered yet."""
    OPENING_HALF_CLOSED = "opening, half-closed"
    """Likewise, and the ingress has ended its direction."""
    OPENING_RESET = "opening, reset"
    """Likewise, and the ingress has reset the flow."""
    OPEN = "open"
    HALF_CLOSED_LOCAL = "half-closed (local)"
    """This end has ended its direction."""
    HALF_CLOSED_REMOTE = "half-closed (remote)"
    """The other end has ended its direction."""
    CLOSING = "closing"
    """Both directions have ended, and DONE is due."""
    RESETTING = "resetting"
    """This end has reset the flow. What the other one sent before it knew is skipped."""
    RESET = "reset"
    """The other end has reset the flow, and DONE is due."""
    BROKEN = "broken"
    """The channel is lost, and the flow with it."""


_IDLE: Final = State.IDLE
_OPENING: Final = State.OPENING
_OPNG_HC: Final = State.OPENING_HALF_CLOSED
_OPNG_RST: Final = State.OPENING_RESET
_OPEN: Final = State.OPEN
_LOCAL: Final = State.HALF_CLOSED_LOCAL
_REMOTE: Final = State.HALF_CLOSED_REMOTE
_CLOSING: Final = State.CLOSING
_RSTTNG: Final = State.RESETTING
_RESET: Final = State.RESET

Row = dict[Frame, State | None]
Table = dict[FlowRole, dict[State, Row]]


def _table(rows: Table) -> Table:
    """Fill in the states that a role is never in, or in which it takes nothing."""
    nothing = _row(*[None] * len(Frame))
    return {role: {state: rows[role].get(state, nothing) for state in State} for role in rows}


def _row(*states: State | None) -> Row:
    """Return what follows on each frame, in the order of `Frame`; None for what is out of place."""
    return dict(zip(Frame, states, strict=True))


_: Final = None
"""Out of place."""

# fmt: off
RECEIVED: Final = _table({
    FlowRole.INGRESS: {
        #               OPEN OPENED   REFUSED payload  EOF       RESET   DONE   PENDING
        _OPENING:  _row(_,   _OPEN,   _IDLE,  _,       _,        _,      _,     _OPENING),
        _OPNG_HC:  _row(_,   _LOCAL,  _IDLE,  _,       _,        _,      _,     _OPNG_HC),
        _OPNG_RST: _row(_,   _RSTTNG, _IDLE,  _,       _,        _,      _,     _OPNG_RST),
        _OPEN:     _row(_,   _,       _,      _OPEN,   _REMOTE,  _RESET, _,     _),
        _LOCAL:    _row(_,   _,       _,      _LOCAL,  _CLOSING, _RESET, _,     _),
        _REMOTE:   _row(_,   _,       _,      _,       _,        _RESET, _,     _REMOTE),
        _CLOSING:  _row(_,   _,       _,      _,       _,        _RESET, _IDLE, _CLOSING),
        _RSTTNG:   _row(_,   _,       _,      _RSTTNG, _RSTTNG,  _RESET, _IDLE, _RSTTNG),
        _RESET:    _row(_,   _,       _,      _,       _,        _,      _IDLE, _),
    },
    FlowRole.EGRESS: {
        # An idle egress skips what the ingress sent before it knew that the flow had ended.
        #               OPEN      OPENED REFUSED payload   EOF       RESET      DONE PENDING
        _IDLE:     _row(_OPENING, _,     _,      _IDLE,    _IDLE,    _IDLE,     _,   _),
        _OPENING:  _row(_,        _,     _,      _OPENING, _OPNG_HC, _OPNG_RST, _,   _),
        _OPNG_HC:  _row(_,        _,     _,      _,        _,        _OPNG_RST, _,   _),
        _OPEN:     _row(_,        _,     _,      _OPEN,    _REMOTE,  _RESET,    _,   _),
        _LOCAL:    _row(_,        _,     _,      _LOCAL,   _CLOSING, _RESET,    _,   _),
        _REMOTE:   _row(_,        _,     _,      _,        _,        _RESET,    _,   _),
        _CLOSING:  _row(_,        _,     _,      _,        _,        _RESET,    _,   _),
        _RSTTNG:   _row(_,        _,     _,      _RSTTNG,  _RSTTNG,  _RSTTNG,   _,   _),
    },
    FlowRole.UPSTREAM: {
        #               OPEN OPENED  REFUSED payload EOF RESET     DONE   PENDING
        _OPENING:  _row(_,   _OPEN,  _,      _,      _,  _,        _,     _),
        _OPNG_HC:  _row(_,   _LOCAL, _,      _,      _,  _,        _,     _),
        _OPEN:     _row(_,   _,      _,      _,      _,  _REMOTE,  _,     _),
        _LOCAL:    _row(_,   _,      _,      _,      _,  _CLOSING, _IDLE, _),
        _CLOSING:  _row(_,   _,      _,      _,      _,  _,        _IDLE, _),
    },
    FlowRole.DOWNSTREAM: {
        #               OPEN      OPENED REFUSED payload   EOF       RESET  DONE PENDING
        _IDLE:     _row(_OPENING, _,     _,      _IDLE,    _IDLE,    _IDLE, _,   _),
        _OPENING:  _row(_,        _,     _,      _OPENING, _OPNG_HC, _,     _,   _),
        _OPEN:     _row(_,        _,     _,      _OPEN,    _REMOTE,  _,     _,   _),
        _LOCAL:    _row(_,        _,     _,      _LOCAL,   _CLOSING, _,     _,   _),
    },
})
"""What follows when an end receives a frame; None where that ends the connection."""


SENT: Final = _table({
    FlowRole.INGRESS: {
        #               OPEN      OPENED REFUSED payload   EOF       RESET      DONE PENDING
        _IDLE:     _row(_OPENING, _,     _,      _,        _,        _,         _,   _),
        _OPENING:  _row(_,        _,     _,      _OPENING, _OPNG_HC, _OPNG_RST, _,   _),
        _OPNG_HC:  _row(_,        _,     _,      _,        _,        _OPNG_RST, _,   _),
        _OPEN:     _row(_,        _,     _,      _OPEN,    _LOCAL,   _RSTTNG,   _,   _),
        _LOCAL:    _row(_,        _,     _,      _,        _,        _RSTTNG,   _,   _),
        _REMOTE:   _row(_,        _,     _,      _REMOTE,  _CLOSING, _RSTTNG,   _,   _),
        _CLOSING:  _row(_,        _,     _,      _,        _,        _RSTTNG,   _,   _),
    },
    FlowRole.EGRESS: {
        #               OPEN OPENED   REFUSED payload  EOF       RESET    DONE   PENDING
        _OPENING:  _row(_,   _OPEN,   _IDLE,  _,       _,        _,       _,     _OPENING),
        _OPNG_HC:  _row(_,   _REMOTE, _IDLE,  _,       _,        _,       _,     _OPNG_HC),
        _OPNG_RST: _row(_,   _RESET,  _IDLE,  _,       _,        _,       _,     _OPNG_RST),
        _OPEN:     _row(_,   _,       _,      _OPEN,   _LOCAL,   _RSTTNG, _,     _),
        _LOCAL:    _row(_,   _,       _,      _,       _,        _RSTTNG, _,     _LOCAL),
        _REMOTE:   _row(_,   _,       _,      _REMOTE, _CLOSING, _RSTTNG, _,     _),
        _CLOSING:  _row(_,   _,       _,      _,       _,        _RSTTNG, _IDLE, _),
        _RSTTNG:   _row(_,   _,       _,      _,       _,        _,       _IDLE, _),
        _RESET:    _row(_,   _,       _,      _,       _,        _,       _IDLE, _),
    },
    FlowRole.UPSTREAM: {
        #               OPEN      OPENED REFUSED payload   EOF       RESET DONE PENDING
        _IDLE:     _row(_OPENING, _,     _,      _,        _,        _,    _,   _),
        _OPENING:  _row(_,        _,     _,      _OPENING, _OPNG_HC, _,    _,   _),
        _OPEN:     _row(_,        _,     _,      _OPEN,    _LOCAL,   _,    _,   _),
        _REMOTE:   _row(_,        _,     _,      _REMOTE,  _CLOSING, _,    _,   _),
    },
    FlowRole.DOWNSTREAM: {
        #               OPEN OPENED   REFUSED payload EOF RESET     DONE   PENDING
        _OPENING:  _row(_,   _OPEN,   _,      _,      _,  _,        _,     _),
        _OPNG_HC:  _row(_,   _REMOTE, _,      _,      _,  _,        _,     _),
        _OPEN:     _row(_,   _,       _,      _,      _,  _LOCAL,   _,     _),
        _REMOTE:   _row(_,   _,       _,      _,      _,  _CLOSING, _IDLE, _),
        _CLOSING:  _row(_,   _,       _,      _,      _,  _,        _IDLE, _),
    },
})
"""What follows when an end sends a frame; None where it must not, which is a defect of its own."""
# fmt: on
