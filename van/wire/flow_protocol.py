"""The state of a flow, as frames on its channel change it: sans-IO, for both ends.

What may be sent and received when is decided here and nowhere else. An end has a `FlowProtocol` for
each flow, and tells it of every frame that it receives, before it acts on it, and of every frame
that it sends. The states are those of streams in HTTP/2 (RFC 9113, section 5.1), with OPENING split
by what the ingress has sent ahead of the answer, and with RESETTING, in which an end has reset the
flow and waits for the other to be through with it. DONE and REFUSED make the channel idle again.
The states and what leads from one to another are in `van.wire.flow_states`.
"""

from typing import Final

from van.errors import RemoteProtocolError
from van.wire.channel import Kind
from van.wire.flow_states import RECEIVED, SENT, FlowRole, Frame, State

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


class FlowTable:
    """The table of a role as nodes that lead to each other, so that a step is one look-up."""

    __slots__ = ("broken", "idle", "nodes")

    def __init__(self, role: FlowRole, payload: Kind, begin: Kind = Kind.OPEN) -> None:
        """`payload` is DATA for a flow of TCP, and DATAGRAM for one of UDP, a branch, or a channel
        that is shared; `begin` is what opens it, if it is no branch."""
        is_branch = role in {FlowRole.UPSTREAM, FlowRole.DOWNSTREAM}
        kinds = {
            Frame.OPEN: Kind.BRANCH if is_branch else begin,
            Frame.OPENED: Kind.OPENED,
            Frame.REFUSED: Kind.REFUSED,
            Frame.PAYLOAD: payload,
            Frame.EOF: Kind.EOF,
            Frame.RESET: Kind.RESET,
            Frame.DONE: Kind.DONE,
            Frame.PENDING: Kind.PENDING,
        }
        self.nodes = {state: _Node(role, state) for state in State}
        self.idle = self.nodes[State.IDLE]
        self.broken = self.nodes[State.BROKEN]
        for state, node in self.nodes.items():
            for frame, kind in kinds.items():
                if (after := RECEIVED[role][state][frame]) is not None:
                    node.received[int(kind)] = self.nodes[after]
                if (after := SENT[role][state][frame]) is not None:
                    node.sent[int(kind)] = self.nodes[after]


STREAM_INGRESS: Final = FlowTable(FlowRole.INGRESS, Kind.DATA)
STREAM_EGRESS: Final = FlowTable(FlowRole.EGRESS, Kind.DATA)
SESSION_INGRESS: Final = FlowTable(FlowRole.INGRESS, Kind.DATAGRAM)
SESSION_EGRESS: Final = FlowTable(FlowRole.EGRESS, Kind.DATAGRAM)
BRANCH_UPSTREAM: Final = FlowTable(FlowRole.UPSTREAM, Kind.DATAGRAM)
BRANCH_DOWNSTREAM: Final = FlowTable(FlowRole.DOWNSTREAM, Kind.DATAGRAM)
_IDLE: Final = {
    FlowRole.INGRESS: (STREAM_INGRESS.idle, SESSION_INGRESS.idle),
    FlowRole.EGRESS: (STREAM_EGRESS.idle, SESSION_EGRESS.idle),
}


class FlowProtocol:
    """One end's view of one flow. Not thread-safe: it belongs to whoever carries the flow.

    Call `receive` with each frame that came before acting on it, `send` with each that goes out
    before it does, and `lose` when the channel is lost. Kinds of frames are those of
    `van.wire.channel.Kind`.
    """

    __slots__ = ("_node", "_table", "is_answered", "may_send", "state", "takes_payload")

    def __init__(self, table: FlowTable) -> None:
        """Begin idle."""
        self._table = table
        self._node = table.idle
        self.state = table.idle.state
        """How the flow stands; like the next three no property, as each message asks."""
        self.takes_payload = False
        """Whether payload that comes now is wanted at this end's program."""
        self.may_send = False
        """Whether payload, and EOF behind it, may be sent now."""
        self.is_answered = table.idle.is_answered
        """Whether the egress has taken the flow."""

    def __repr__(self) -> str:
        return f"<FlowProtocol {self.state.value}>"

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

    def receive(self, kind: int) -> State:
        """Take a frame from the other end, and return how the flow stood before.

        Raises `RemoteProtocolError` if it is out of place.
        """
        before = self._node
        try:
            node = before.received[kind]
        except KeyError:
            raise _out_of_place(kind, before.state) from None
        self._node = node
        self.state = node.state
        self.takes_payload = node.takes_payload
        self.may_send = node.may_send
        self.is_answered = node.is_answered
        return before.state

    def send(self, kind: int) -> None:
        """Take note of a frame that goes out; raise `AssertionError` if it must not."""
        try:
            node = self._node.sent[kind]
        except KeyError:
            text = f"{_name(kind)} must not be sent: the flow is {self.state.value}"
            raise AssertionError(text) from None
        self._node = node
        self.state = node.state
        self.takes_payload = node.takes_payload
        self.may_send = node.may_send
        self.is_answered = node.is_answered

    def lose(self) -> None:
        """Take note that the channel is lost; a flow that is over stays as it is."""
        if self._node is not self._table.idle:
            self._node = self._table.broken
            self.state = State.BROKEN
            self.takes_payload = self.may_send = False
            self.is_answered = self._node.is_answered


def receive_idle(role: FlowRole, kind: int) -> None:
    """Take a frame that came while no flow is on the channel, and that begins none.

    Raises `RemoteProtocolError` unless it is to be skipped.
    """
    for idle in _IDLE[role]:
        if idle.received.get(kind) is idle:
            return
    raise _out_of_place(kind, State.IDLE)


def _out_of_place(kind: int, state: State) -> RemoteProtocolError:
    return RemoteProtocolError(f"{_name(kind)} came while the flow was {state.value}")


def _name(kind: int) -> str:
    return Kind(kind).name if kind in set(Kind) else f"frame of kind {kind}"
