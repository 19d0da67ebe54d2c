"""The tables of the flow protocol: total, reachable, and such that the two ends fit each other."""

import itertools
from collections import deque

import pytest

from van.errors import RemoteProtocolError
from van.wire.channel import Kind
from van.wire.flow_protocol import STREAM_INGRESS, FlowProtocol, FlowTable, receive_idle
from van.wire.flow_states import RECEIVED, SENT, FlowRole, Frame, State

PEERS = {
    FlowRole.INGRESS: FlowRole.EGRESS,
    FlowRole.UPSTREAM: FlowRole.DOWNSTREAM,
}
Situation = tuple[State, State, tuple[Frame, ...], tuple[Frame, ...]]
"""How both ends stand, and what is under way between them, each way."""
Step = tuple[bool, Frame]
"""Whether a frame is received, or sent."""
MAX_UNDER_WAY = 5
"""Frames in one direction that the search lets be under way: more than any two states differ by."""
NAMES = {role: role.value for role in FlowRole}
ALL_KINDS = [*map(int, Kind), 0, 77, 99]


@pytest.mark.parametrize("role", FlowRole, ids=NAMES.get)
@pytest.mark.parametrize("table", [RECEIVED, SENT], ids=["received", "sent"])
def test_every_frame_is_decided_in_every_state(table, role):
    assert table[role].keys() == set(State)
    for state in State:
        assert table[role][state].keys() == set(Frame)


def ways_to_every_state(role: FlowRole) -> dict[State, list[Step]]:
    """Return the steps that lead to each state that can be reached, by a shortest way."""
    found: dict[State, list[Step]] = {State.IDLE: []}
    pending = deque(found)
    while pending:
        state = pending.popleft()
        for table in (RECEIVED, SENT):
            for frame, after in table[role][state].items():
                if after is not None and after not in found:
                    found[after] = [*found[state], (table is RECEIVED, frame)]
                    pending.append(after)
    return found


@pytest.mark.parametrize("role", FlowRole, ids=NAMES.get)
def test_no_state_that_is_not_reached_decides_anything(role):
    reached = ways_to_every_state(role).keys()
    for state in set(State) - reached:
        for table in (RECEIVED, SENT):
            assert set(table[role][state].values()) == {None}


@pytest.mark.parametrize("role", FlowRole, ids=NAMES.get)
def test_every_state_that_is_reached_leads_to_idle(role):
    for start in ways_to_every_state(role):
        found, pending = {start}, [start]
        while pending:
            state = pending.pop()
            for table in (RECEIVED, SENT):
                for after in table[role][state].values():
                    if after is not None and after not in found:
                        found.add(after)
                        pending.append(after)
        assert State.IDLE in found, start


@pytest.mark.parametrize("first", PEERS, ids=NAMES.get)
def test_whatever_one_end_may_send_the_other_may_receive(first):
    """Try every order in which two ends can send, however long frames are on their way."""
    second = PEERS[first]
    start: Situation = (State.IDLE, State.IDLE, (), ())
    seen, pending = {start}, deque([start])
    while pending:
        ours, theirs, out, back = pending.popleft()
        following: list[Situation] = []
        if len(out) < MAX_UNDER_WAY:
            following += [
                (after, theirs, (*out, frame), back)
                for frame, after in SENT[first][ours].items()
                if after is not None
            ]
        if len(back) < MAX_UNDER_WAY:
            following += [
                (ours, after, out, (*back, frame))
                for frame, after in SENT[second][theirs].items()
                if after is not None
            ]
        if out:
            after = RECEIVED[second][theirs][out[0]]
            assert after is not None, f"{second} refuses {out[0]} while {theirs}"
            following.append((ours, after, out[1:], back))
        if back:
            after = RECEIVED[first][ours][back[0]]
            assert after is not None, f"{first} refuses {back[0]} while {ours}"
            following.append((after, theirs, out, back[1:]))
        for each in following:
            if each not in seen:
                seen.add(each)
                pending.append(each)
    assert len(seen) > 40


def kind_of(frame: Frame, role: FlowRole, payload: Kind) -> Kind:
    if frame is Frame.PAYLOAD:
        return payload
    if frame is Frame.OPEN and role in {FlowRole.UPSTREAM, FlowRole.DOWNSTREAM}:
        return Kind.BRANCH
    return Kind[frame.name]


def check_step(flow: FlowProtocol, role: FlowRole, payload: Kind, step: Step) -> None:
    """Have a flow take a step, and see that it is as the tables say."""
    is_received, frame = step
    state, kind = flow.state, kind_of(frame, role, payload)
    if is_received:
        after = RECEIVED[role][state][frame]
        if after is None:
            with pytest.raises(RemoteProtocolError, match=f"{kind.name} came while the flow"):
                flow.receive(kind)
        else:
            assert flow.receive(kind) is state
    else:
        after = SENT[role][state][frame]
        if after is None:
            with pytest.raises(AssertionError, match=kind.name):
                flow.send(kind)
        else:
            flow.send(kind)
    state = after or state
    assert flow.state is state
    assert flow.may_send == (SENT[role][state][Frame.PAYLOAD] is not None)
    assert flow.takes_payload == (
        RECEIVED[role][state][Frame.PAYLOAD] is not None
        and state not in {State.IDLE, State.RESETTING}
    )


@pytest.mark.parametrize("role", FlowRole, ids=NAMES.get)
@pytest.mark.parametrize("payload", [Kind.DATA, Kind.DATAGRAM], ids=["tcp", "udp"])
def test_a_flow_does_as_the_tables_say(role, payload):
    """Try every frame, each way, in every state that can be reached, and once more behind it."""
    table = FlowTable(role, payload)
    steps = [(is_received, frame) for is_received in (True, False) for frame in Frame]
    for way in ways_to_every_state(role).values():
        for last in itertools.product(steps, repeat=2):
            flow = FlowProtocol(table)
            for step in (*way, *last):
                check_step(flow, role, payload, step)


@pytest.mark.parametrize("role", FlowRole, ids=NAMES.get)
@pytest.mark.parametrize("payload", [Kind.DATA, Kind.DATAGRAM], ids=["tcp", "udp"])
@pytest.mark.parametrize("state", State)
def test_frames_that_are_no_part_of_a_flow_are_out_of_place_in_it(role, payload, state):
    begins = Kind.BRANCH if role in {FlowRole.UPSTREAM, FlowRole.DOWNSTREAM} else Kind.OPEN
    parts = {begins, payload, *map(Kind.__getitem__, ("OPENED", "REFUSED", "EOF", "RESET", "DONE"))}
    parts.add(Kind.PENDING)
    for kind in ALL_KINDS:
        flow = FlowProtocol(FlowTable(role, payload))
        flow._node, flow.state = flow._table.nodes[state], state
        if kind not in parts:
            with pytest.raises(RemoteProtocolError):
                flow.receive(kind)
            assert flow.state is state


@pytest.mark.parametrize(
    "said",
    [
        "DATA", "EOF", "DONE", "OPEN", "DATAGRAM",
        "OPENED OPENED", "OPENED REFUSED", "OPENED DONE", "OPENED OPEN",
        "OPENED EOF DATA", "OPENED EOF EOF", "OPENED RESET EOF",
        "REFUSED DATA", "REFUSED REFUSED",
    ],
)  # fmt: skip
def test_an_egress_that_speaks_out_of_turn_is_told_from_one_that_does_not(said):
    flow = FlowProtocol(STREAM_INGRESS)
    flow.send(Kind.OPEN)
    *in_turn, last = (Kind[name] for name in said.split())
    for kind in in_turn:
        flow.receive(kind)
    with pytest.raises(RemoteProtocolError, match=f"{last.name} came while"):
        flow.receive(last)


def test_a_lost_channel_breaks_a_flow_and_leaves_one_that_is_over():
    flow = FlowProtocol(STREAM_INGRESS)
    flow.lose()
    assert repr(flow) == "<FlowProtocol idle>"
    flow.send(Kind.OPEN)
    flow.lose()
    assert repr(flow) == "<FlowProtocol broken>"
    assert flow.is_over
    assert not flow.may_send
    for kind in Kind:
        with pytest.raises(RemoteProtocolError):
            flow.receive(kind)


IDLE_EGRESS_SKIPS = {Kind.DATA, Kind.DATAGRAM, Kind.EOF, Kind.RESET}


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_an_idle_egress_skips_what_was_under_way_and_nothing_else(kind):
    if kind in IDLE_EGRESS_SKIPS:
        receive_idle(FlowRole.EGRESS, kind)
    else:
        with pytest.raises(RemoteProtocolError):
            receive_idle(FlowRole.EGRESS, kind)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_an_idle_ingress_takes_nothing(kind):
    with pytest.raises(RemoteProtocolError):
        receive_idle(FlowRole.INGRESS, kind)
