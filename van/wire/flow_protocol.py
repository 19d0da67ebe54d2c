"""The state of a flow, as frames on its channel change it: sans-IO, for both ends.

What may be sent and received when is decided here and nowhere else. An end has a `FlowProtocol` for
each flow, and tells it of every frame that it receives, before it acts on it, and of every frame
that it sends. The states are those of streams in HTTP/2 (RFC 9113, section 5.1), with OPENING split
by what the ingress has sent ahead of the answer, and with RESETTING, in which an end has reset the
flow and waits for the other to be through with it. DONE and REFUSED make the channel idle again.

Each end has its own table. Two tables fit each other if whatever one end may send, the other may
receive, however long the frames are on their way; a test tries all that can happen.

A *branch* of a multicast tree is a flow in one direction. It needs no answer to be open, and what
comes against it is a RESET at the most, which says that the tree has lost a part, and ends nothing.
"""

import enum
from typing import Final

from van.errors import RemoteProtocolError
from van.wire.channel import Kind


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
_OPENING_HC: Final = State.OPENING_HALF_CLOSED
_OPENING_RST: Final = State.OPENING_RESET
_OPEN: Final = State.OPEN
_LOCAL: Final = State.HALF_CLOSED_LOCAL
_REMOTE: Final = State.HALF_CLOSED_REMOTE
_CLOSING: Final = State.CLOSING
_RESETTING: Final = State.RESETTING
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

# fmt: off
RECEIVED: Final = _table({
    FlowRole.INGRESS: {
        #                  OPEN OPENED      REFUSED payload     EOF         RESET    DONE
        _OPENING:     _row(_,   _OPEN,      _IDLE,  _,          _,          _,       _),
        _OPENING_HC:  _row(_,   _LOCAL,     _IDLE,  _,          _,          _,       _),
        _OPENING_RST: _row(_,   _RESETTING, _IDLE,  _,          _,          _,       _),
        _OPEN:        _row(_,   _,          _,      _OPEN,      _REMOTE,    _RESET,  _),
        _LOCAL:       _row(_,   _,          _,      _LOCAL,     _CLOSING,   _RESET,  _),
        _REMOTE:      _row(_,   _,          _,      _,          _,          _RESET,  _),
        _CLOSING:     _row(_,   _,          _,      _,          _,          _RESET,  _IDLE),
        _RESETTING:   _row(_,   _,          _,      _RESETTING, _RESETTING, _RESET,  _IDLE),
        _RESET:       _row(_,   _,          _,      _,          _,          _,       _IDLE),
    },
    FlowRole.EGRESS: {
        # An idle egress skips what the ingress sent before it knew that the flow had ended.
        #                  OPEN      OPENED REFUSED payload     EOF          RESET         DONE
        _IDLE:        _row(_OPENING, _,     _,      _IDLE,      _IDLE,       _IDLE,        _),
        _OPENING:     _row(_,        _,     _,      _OPENING,   _OPENING_HC, _OPENING_RST, _),
        _OPENING_HC:  _row(_,        _,     _,      _,          _,           _OPENING_RST, _),
        _OPEN:        _row(_,        _,     _,      _OPEN,      _REMOTE,     _RESET,       _),
        _LOCAL:       _row(_,        _,     _,      _LOCAL,     _CLOSING,    _RESET,       _),
        _REMOTE:      _row(_,        _,     _,      _,          _,           _RESET,       _),
        _CLOSING:     _row(_,        _,     _,      _,          _,           _RESET,       _),
        _RESETTING:   _row(_,        _,     _,      _RESETTING, _RESETTING,  _RESETTING,   _),
    },
    FlowRole.UPSTREAM: {
        #                  OPEN OPENED REFUSED payload EOF RESET     DONE
        _OPEN:        _row(_,   _,     _,      _,      _,  _REMOTE,  _),
        _LOCAL:       _row(_,   _,     _,      _,      _,  _CLOSING, _IDLE),
        _CLOSING:     _row(_,   _,     _,      _,      _,  _,        _IDLE),
    },
    FlowRole.DOWNSTREAM: {
        #                  OPEN   OPENED REFUSED payload EOF       RESET  DONE
        _IDLE:        _row(_OPEN, _,     _,      _IDLE,  _IDLE,    _IDLE, _),
        _OPEN:        _row(_,     _,     _,      _OPEN,  _REMOTE,  _,     _),
        _LOCAL:       _row(_,     _,     _,      _LOCAL, _CLOSING, _,     _),
    },
})
"""What follows when an end receives a frame; None where that ends the connection."""

SENT: Final = _table({
    FlowRole.INGRESS: {
        #                  OPEN      OPENED REFUSED payload   EOF          RESET         DONE
        _IDLE:        _row(_OPENING, _,     _,      _,        _,           _,            _),
        _OPENING:     _row(_,        _,     _,      _OPENING, _OPENING_HC, _OPENING_RST, _),
        _OPENING_HC:  _row(_,        _,     _,      _,        _,           _OPENING_RST, _),
        _OPEN:        _row(_,        _,     _,      _OPEN,    _LOCAL,      _RESETTING,   _),
        _LOCAL:       _row(_,        _,     _,      _,        _,           _RESETTING,   _),
        _REMOTE:      _row(_,        _,     _,      _REMOTE,  _CLOSING,    _RESETTING,   _),
        _CLOSING:     _row(_,        _,     _,      _,        _,           _RESETTING,   _),
    },
    FlowRole.EGRESS: {
        #                  OPEN OPENED   REFUSED payload  EOF       RESET       DONE
        _OPENING:     _row(_,   _OPEN,   _IDLE,  _,       _,        _,          _),
        _OPENING_HC:  _row(_,   _REMOTE, _IDLE,  _,       _,        _,          _),
        _OPENING_RST: _row(_,   _RESET,  _IDLE,  _,       _,        _,          _),
        _OPEN:        _row(_,   _,       _,      _OPEN,   _LOCAL,   _RESETTING, _),
        _LOCAL:       _row(_,   _,       _,      _,       _,        _RESETTING, _),
        _REMOTE:      _row(_,   _,       _,      _REMOTE, _CLOSING, _RESETTING, _),
        _CLOSING:     _row(_,   _,       _,      _,       _,        _RESETTING, _IDLE),
        _RESETTING:   _row(_,   _,       _,      _,       _,        _,          _IDLE),
        _RESET:       _row(_,   _,       _,      _,       _,        _,          _IDLE),
    },
    FlowRole.UPSTREAM: {
        #                  OPEN   OPENED REFUSED payload  EOF       RESET DONE
        _IDLE:        _row(_OPEN, _,     _,      _,       _,        _,    _),
        _OPEN:        _row(_,     _,     _,      _OPEN,   _LOCAL,   _,    _),
        _REMOTE:      _row(_,     _,     _,      _REMOTE, _CLOSING, _,    _),
    },
    FlowRole.DOWNSTREAM: {
        #                  OPEN OPENED REFUSED payload EOF RESET     DONE
        _OPEN:        _row(_,   _,     _,      _,      _,  _LOCAL,   _),
        _REMOTE:      _row(_,   _,     _,      _,      _,  _CLOSING, _IDLE),
        _CLOSING:     _row(_,   _,     _,      _,      _,  _,        _IDLE),
    },
})
"""What follows when an end sends a frame; None where it must not, which is a defect of its own."""
# fmt: on

_RESET_STATES: Final = frozenset({State.OPENING_RESET, State.RESETTING, State.RESET})
_OPENING_STATES: Final = frozenset({State.OPENING, State.OPENING_HALF_CLOSED, State.OPENING_RESET})
_ESTABLISHED: Final = frozenset({State.OPEN, State.HALF_CLOSED_LOCAL, State.HALF_CLOSED_REMOTE})


class _Node:
    """A state of one role, with what follows it, by the kinds of frames."""

    __slots__ = (
        "is_answered", "is_established", "is_over", "is_reset", "may_send", "received", "sent",
        "state", "takes_payload",
    )  # fmt: skip

    def __init__(self, role: FlowRole, state: State) -> None:
        self.state = state
        self.received: dict[int, _Node] = {}
        self.sent: dict[int, _Node] = {}
        skips = state in {State.IDLE, State.RESETTING}
        self.takes_payload = RECEIVED[role][state][Frame.PAYLOAD] is not None and not skips
        self.may_send = SENT[role][state][Frame.PAYLOAD] is not None
        self.is_answered = state not in _OPENING_STATES
        self.is_established = state in _ESTABLISHED
        self.is_reset = state in _RESET_STATES
        self.is_over = state in {State.IDLE, State.BROKEN}


def _compile(role: FlowRole, payload: Kind) -> dict[State, _Node]:
    """Return the table of a role as nodes that lead to each other: a step is one look-up."""
    is_branch = role in {FlowRole.UPSTREAM, FlowRole.DOWNSTREAM}
    kinds = {
        Frame.OPEN: Kind.BRANCH if is_branch else Kind.OPEN,
        Frame.OPENED: Kind.OPENED,
        Frame.REFUSED: Kind.REFUSED,
        Frame.PAYLOAD: payload,
        Frame.EOF: Kind.EOF,
        Frame.RESET: Kind.RESET,
        Frame.DONE: Kind.DONE,
    }
    nodes = {state: _Node(role, state) for state in State}
    for state, node in nodes.items():
        for frame, kind in kinds.items():
            if (after := RECEIVED[role][state][frame]) is not None:
                node.received[int(kind)] = nodes[after]
            if (after := SENT[role][state][frame]) is not None:
                node.sent[int(kind)] = nodes[after]
    return nodes


_NODES: Final = {
    (role, payload): _compile(role, payload)
    for role in FlowRole
    for payload in (Kind.DATA, Kind.DATAGRAM)
}


class FlowProtocol:
    """One end's view of one flow. Not thread-safe: it belongs to whoever carries the flow.

    Call `receive` with each frame that came before acting on it, `send` with each that goes out,
    and `lose` when the channel is lost. `takes_payload` and `may_send` are kept as attributes, as
    they are looked at for every message.
    """

    __slots__ = ("_node", "_nodes", "may_send", "takes_payload")

    def __init__(self, role: FlowRole, payload: Kind) -> None:
        """Begin idle; `payload` is DATA for a flow of TCP, and DATAGRAM for one of UDP."""
        self._nodes = _NODES[role, payload]
        self._node = self._nodes[State.IDLE]
        self.takes_payload = False
        """Whether payload that comes now is wanted at this end's program."""
        self.may_send = False
        """Whether payload, and EOF behind it, may be sent now."""

    def __repr__(self) -> str:
        return f"<FlowProtocol {self.state.value}>"

    @property
    def state(self) -> State:
        """Return how the flow stands."""
        return self._node.state

    @property
    def is_answered(self) -> bool:
        """Tell whether the egress has taken the flow."""
        return self._node.is_answered

    @property
    def is_established(self) -> bool:
        """Tell whether the egress has taken the flow, and it is neither reset nor through."""
        return self._node.is_established

    @property
    def is_reset(self) -> bool:
        """Tell whether either end has reset the flow."""
        return self._node.is_reset

    @property
    def is_over(self) -> bool:
        """Tell whether the channel is idle again, or lost."""
        return self._node.is_over

    def receive(self, kind: int) -> None:
        """Take a frame from the other end; raise `RemoteProtocolError` if it is out of place."""
        node = self._node.received.get(kind)
        if node is None:
            raise _out_of_place(kind, self._node.state)
        self._enter(node)

    def send(self, kind: int) -> None:
        """Take note of a frame that goes out; raise `AssertionError` if it must not."""
        node = self._node.sent.get(kind)
        if node is None:
            raise AssertionError(f"{_name(kind)} must not be sent: the flow is {self.state.value}")
        self._enter(node)

    def lose(self) -> None:
        """Take note that the channel is lost; a flow that is over stays as it is."""
        if self._node.state is not State.IDLE:
            self._enter(self._nodes[State.BROKEN])

    def _enter(self, node: _Node) -> None:
        self._node = node
        self.takes_payload = node.takes_payload
        self.may_send = node.may_send


def receive_idle(role: FlowRole, kind: int) -> None:
    """Take a frame that came while no flow is on the channel, and that begins none.

    Raises `RemoteProtocolError` unless it is to be skipped.
    """
    for payload in (Kind.DATA, Kind.DATAGRAM):
        idle = _NODES[role, payload][State.IDLE]
        if idle.received.get(kind) is idle:
            return
    raise _out_of_place(kind, State.IDLE)


def _out_of_place(kind: int, state: State) -> RemoteProtocolError:
    return RemoteProtocolError(f"{_name(kind)} came while the flow was {state.value}")


def _name(kind: int) -> str:
    return Kind(kind).name if kind in set(Kind) else f"frame of kind {kind}"
