"""Probes pass from router to router without a network, and what is not plausible goes nowhere."""

from functools import partial

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.router.telemetry.probe import BURST, RATE, Forward, Probing, TokenBucket
from van.wire.link import MAX_PROBE_PATH, Probe, ProbeOutcome, ProbeReply

NAMES = ["s0", "s1", "s2", "s3", "s4", "s5"]
edges = st.sets(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(len))


def hub(**next_hops):
    """Return a router between west and east."""
    return Probing("hub", ({"west": "west", "east": "east"} | next_hops).get)


def carry(routers, origin, destination, hop_limit):
    """Carry one probe of an origin and its reply to the end; return the reply and the messages."""
    carried = [
        Forward(routers[origin]._next_hop(destination), Probe(7, (origin,), destination, hop_limit))
    ]
    sender = origin
    while True:
        neighbor, message = carried[-1].neighbor, carried[-1].message
        router = routers[neighbor]
        if isinstance(message, Probe):
            decided = router.receive_probe(sender, message, now=0.0)
        else:
            decided = router.receive_reply(sender, message, now=0.0)
        if not isinstance(decided, Forward):
            return decided, carried
        carried.append(decided)
        sender = neighbor


def next_hop(paths, destination):
    path = paths.get(destination, [])
    return path[1] if len(path) > 1 else None


@given(edges, st.integers(0, 6))
def test_a_probe_comes_back_from_where_its_hop_limit_ends(found, hop_limit):
    graph = nx.Graph()
    graph.add_nodes_from(NAMES)
    graph.add_edges_from((a, b) for a, b in found if a != b)
    paths = dict(nx.all_pairs_shortest_path(graph))
    routers = {name: Probing(name, partial(next_hop, paths[name])) for name in NAMES}
    for destination in NAMES[1:]:
        path = paths["s0"].get(destination)
        if path is None:
            continue
        reply, carried = carry(routers, "s0", destination, hop_limit)
        reached = min(hop_limit + 1, len(path) - 1)
        arrived = reached == len(path) - 1
        assert reply.id == 7
        assert len(reply.path) == reached + 1
        assert (reply.path[0], reply.path[-1] == destination) == ("s0", arrived)
        assert reply.outcome == (ProbeOutcome.ARRIVED if arrived else ProbeOutcome.EXPIRED)
        assert len(carried) == 2 * reached, "each link is crossed once in each direction"


def test_a_site_that_knows_no_path_says_so():
    answer = hub().receive_probe("west", Probe(7, ("west",), "moon", 9), now=0.0)
    assert answer == Forward("west", ProbeReply(7, ("west", "hub"), ProbeOutcome.NO_PATH))


def test_a_path_that_leads_back_is_none():
    answer = hub(moon="west").receive_probe("west", Probe(7, ("west",), "moon", 9), now=0.0)
    assert answer == Forward("west", ProbeReply(7, ("west", "hub"), ProbeOutcome.NO_PATH))


LONG = tuple(f"s{number}" for number in range(MAX_PROBE_PATH - 1))


@pytest.mark.parametrize(
    ("probe", "cause"),
    [
        (Probe(7, ("east",), "west", 9), "implausible"),  # not the neighbour that sent it
        (Probe(7, ("east", "far", "east", "west"), "east", 9), "implausible"),  # a repeat
        (Probe(7, ("hub", "west"), "east", 9), "implausible"),  # it has been here
        (Probe(7, (*LONG, "west"), "east", 9), "too-long"),
    ],
)
def test_a_probe_that_is_not_plausible_is_dropped_and_counted(probe, cause):
    router = hub()
    assert router.receive_probe("west", probe, now=0.0) is None
    assert router.dropped == {cause: 1}


@pytest.mark.parametrize(
    "path",
    [
        ("west", "hub", "far"),  # it should have come from far
        ("west", "east"),  # it should not have come here
        ("west", "east", "hub"),  # ours is the end of it, and we have sent it already
        ("west", "hub", "east", "west"),  # a repeat
    ],
)
def test_a_reply_that_is_not_plausible_is_dropped_and_counted(path):
    router = hub()
    assert router.receive_reply("east", ProbeReply(7, path, 1), now=0.0) is None
    assert router.dropped == {"implausible": 1}


def test_a_neighbour_sends_no_more_than_its_share_through_a_router():
    router = hub()
    probe = Probe(7, ("west",), "east", 9)
    passed = sum(router.receive_probe("west", probe, now=0.0) is not None for _ in range(999))
    assert passed == BURST
    assert router.dropped == {"too-many": 999 - BURST}
    reply = ProbeReply(7, ("east", "hub", "west"), 1)
    assert router.receive_reply("west", reply, now=0.0) is None, "replies count as well"
    assert router.receive_reply("east", ProbeReply(7, ("west", "hub", "east"), 1), now=0.0)
    assert router.receive_probe("west", probe, now=1 / RATE)


@given(st.lists(st.floats(0.0, 3.0), max_size=200))
def test_a_bucket_lets_no_more_pass_than_its_rate_and_burst(gaps):
    bucket = TokenBucket(10.0, 5.0, filled_at=0.0)
    now, passed = 0.0, 0
    for gap in gaps:
        now += gap
        passed += bucket.take(now)
        assert passed <= 5.0 + 10.0 * now + 1e-6


def test_a_neighbour_whose_link_ended_is_forgotten():
    router = hub()
    router.receive_probe("west", Probe(7, ("west",), "east", 9), now=0.0)
    router.link_closed("west")
    assert not router._buckets


def test_a_long_pause_saves_up_one_burst():
    bucket = TokenBucket(10.0, 5.0, filled_at=0.0)
    assert sum(bucket.take(1000.0) for _ in range(99)) == 5
