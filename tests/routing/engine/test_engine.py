"""One engine, whose neighbours are played by the test."""

import math

import pytest

from lab.routing.conversation import ALL_BUCKETS, Conversation, lsas, messages, of_type
from van.errors import LocalError
from van.routing.actions import (
    AdvertisementDropped,
    FibChanged,
    NeighborSilent,
    OwnIncarnationAdvanced,
    Send,
)
from van.routing.adjacency.neighborhood import MAX_NEIGHBORS
from van.routing.database.lsdb import bucket_of
from van.routing.schedule.timers import Timers
from van.wire.link import Advertisements, Digest, DigestEntry, Heartbeat, Request, Summary
from van.wire.lsa import (
    MAX_BODY,
    AddressesBody,
    AdjacenciesBody,
    Adjacency,
    IdentityBody,
    LsaKind,
    Service,
    decode_body,
    encode_body,
)

DB = Service("db:5432", "tcp")


def test_open_link_begins_with_heartbeat_and_summary_of_all_that_is_held():
    talk = Conversation()
    talk.engine.link_opened("b", cost=1, hold_time=1.0, now=talk.now)
    first, second, *rest = talk.actions()
    assert isinstance(first, Send)
    assert isinstance(first.message, Heartbeat)
    assert isinstance(second, Send)
    assert isinstance(second.message, Summary)
    assert not of_type(rest, Send)


def test_nothing_is_flooded_before_the_peer_s_digest():
    talk = Conversation()
    talk.engine.link_opened("b", cost=1, hold_time=1.0, now=talk.now)
    talk.wait(0.2)
    assert not messages(talk.actions(), Advertisements)
    talk.engine.receive("b", Digest(ALL_BUCKETS, (), is_last=True), now=talk.now)
    assert [lsa.kind for lsa in lsas(talk.actions(), "b")] == list(LsaKind)


def test_summary_is_answered_with_a_digest_of_what_differs():
    talk = Conversation()
    talk.engine.link_opened("b", cost=1, hold_time=1.0, now=talk.now)
    (ours,) = messages(talk.actions(), Summary)
    talk.wait(0.05)  # meanwhile there is a new version of our adjacencies
    talk.actions()
    talk.engine.receive("b", ours, now=talk.now)
    (digest,) = messages(talk.actions(), Digest)
    assert digest.buckets == bytes([bucket_of("us")])
    assert digest.entries == talk.engine.held()
    talk.engine.receive("b", Summary(bytes(512)), now=talk.now)
    (digest,) = messages(talk.actions(), Digest)
    assert digest.entries == talk.engine.held()


def test_peer_that_turns_out_to_have_more_later_is_asked_for_it():
    talk = Conversation()
    talk.open("b")
    entry = DigestEntry("far", LsaKind.IDENTITY, 1, 7)
    talk.engine.receive("b", Digest(ALL_BUCKETS, (entry,), is_last=True), now=talk.now)
    (request,) = messages(talk.actions(), Request)
    assert [(each.origin, each.sequence) for each in request.entries] == [("far", 0)]


def test_neighbors_are_told_in_turn_what_is_held():
    talk = Conversation()
    talk.open("b", "c")
    talk.wait(50.0)
    told = [
        action.neighbor
        for action in of_type(talk.actions(), Send)
        if isinstance(action.message, Summary)
    ]
    assert sorted(told[:2]) == ["b", "c"]


def test_digest_is_answered_with_what_the_peer_lacks():
    talk = Conversation()
    identity, _, addresses = talk.engine.held()
    older = DigestEntry("us", LsaKind.ADDRESSES, 0, addresses.sequence)
    talk.engine.link_opened("b", cost=1, hold_time=1.0, now=talk.now)
    talk.actions()
    talk.engine.receive("b", Digest(ALL_BUCKETS, (identity, older), is_last=True), now=talk.now)
    assert [lsa.kind for lsa in lsas(talk.actions())] == [LsaKind.ADJACENCIES, LsaKind.ADDRESSES]


def test_neighbor_is_advertised_as_soon_as_its_link_is_open():
    talk = Conversation()
    sent = lsas(talk.open("b", cost=7))
    *_, body = [decode_body(lsa.kind, lsa.body) for lsa in sent if lsa.kind == LsaKind.ADJACENCIES]
    assert isinstance(body, AdjacenciesBody)
    assert [(each.neighbor, each.cost) for each in body.adjacencies] == [("b", 7)]


def test_neighbor_counts_only_when_it_advertises_us_too():
    talk = Conversation()
    b = talk.author("b")
    talk.open("b")
    talk.receive("b", b.identity(), b.adjacencies({}))
    assert "b" not in talk.engine.fib.routes
    (change,) = of_type(talk.receive("b", b.adjacencies({"us": 1}, 2)), FibChanged)
    assert change.fib is talk.engine.fib
    assert change.fib.next_hop("b") == "b"
    assert "b" not in change.previous.routes


def test_closed_link_is_not_used_from_that_moment():
    talk = Conversation()
    b = talk.author("b")
    talk.open("b")
    talk.receive("b", b.identity(), b.adjacencies({"us": 1}))
    talk.engine.link_closed("b", now=talk.now)
    assert "b" not in talk.engine.fib.routes
    assert "b" in talk.engine.fib.sites
    assert talk.engine.neighbors() == ()


def test_newer_advertisement_is_flooded_to_all_but_its_sender():
    talk = Conversation()
    b = talk.author("b")
    talk.open("b", "c", "d")
    sent = talk.receive("b", b.identity())
    assert lsas(sent, "b") == []
    assert lsas(sent, "c") == lsas(sent, "d") != []


def test_same_advertisement_is_flooded_and_verified_once():
    talk = Conversation()
    b = talk.author("b")
    talk.open("b", "c", "d")
    talk.receive("b", b.identity())
    verified = talk.keyring.verified
    assert lsas(talk.receive("c", b.identity())) == []
    assert lsas(talk.receive("b", b.identity())) == []
    assert talk.keyring.verified == verified


def test_older_advertisement_is_answered_with_the_newer_one():
    talk = Conversation()
    b = talk.author("b")
    talk.open("b", "c")
    talk.receive("b", b.identity(), b.adjacencies({"us": 1}, 5))
    sent = talk.receive("c", b.adjacencies({"c": 1}, 4))
    assert lsas(sent, "b") == []
    assert [lsa.sequence for lsa in lsas(sent, "c")] == [5]
    assert talk.engine.fib.sites["b"] == ("us",)


def test_higher_incarnation_wins_over_higher_sequence():
    talk = Conversation()
    b = talk.author("b")
    talk.open("b")
    talk.receive("b", b.identity(), b.adjacencies({"us": 1}, 500))
    talk.receive("b", b.adjacencies({"us": 1, "x": 1}, 1, incarnation=2))
    assert talk.engine.fib.sites["b"] == ("us", "x")


def test_burst_travels_as_one_batch_with_only_the_newest_of_each():
    talk = Conversation()
    b = talk.author("b")
    talk.open("b", "c")
    talk.receive("b", b.identity())
    for sequence in range(1, 20):
        lsa = b.adjacencies({"us": sequence}, sequence)
        talk.engine.receive("b", Advertisements((lsa,)), now=talk.now)
    talk.wait(0.1)
    assert [lsa.sequence for lsa in lsas(talk.actions(), "c")] == [1, 19]


def test_identities_leave_before_what_they_sign():
    talk = Conversation()
    b, x = talk.author("b"), talk.author("x")
    talk.open("b", "c")
    talk.receive("b", b.identity())
    sent = lsas(talk.receive("b", b.addresses(["db:1"]), x.identity(), x.adjacencies({})), "c")
    assert [lsa.kind for lsa in sent] == sorted(lsa.kind for lsa in sent)


def test_advertisement_of_unknown_origin_is_dropped_and_requested():
    talk = Conversation()
    b = talk.author("b")
    talk.open("b", "c")
    actions = talk.receive("c", b.adjacencies({"us": 1}))
    (dropped,) = of_type(actions, AdvertisementDropped)
    assert (dropped.neighbor, dropped.origin, dropped.cause) == ("c", "b", "unknown-origin")
    (request,) = messages(actions, Request, "c")
    assert [entry.kind for entry in request.entries] == [LsaKind.IDENTITY, LsaKind.ADJACENCIES]
    assert not messages(talk.receive("c", b.adjacencies({"us": 1})), Request)


def test_request_is_answered_with_the_identity_first():
    talk = Conversation()
    talk.open("b", "c")
    entries = tuple(
        DigestEntry("us", kind, 0, 0) for kind in (LsaKind.ADJACENCIES, LsaKind.IDENTITY)
    )
    talk.engine.receive("b", Request(entries), now=talk.now)
    talk.wait(0.1)
    actions = talk.actions()
    assert [lsa.kind for lsa in lsas(actions, "b")] == [LsaKind.IDENTITY, LsaKind.ADJACENCIES]
    assert lsas(actions, "c") == []


def test_change_of_addresses_runs_no_spf(monkeypatch):
    talk = Conversation()
    b = talk.author("b")
    talk.open("b")
    talk.receive("b", b.identity(), b.adjacencies({"us": 1}))
    routes = talk.engine.fib.routes
    monkeypatch.delattr("van.routing.engine.route_computation.shortest_paths")
    talk.receive("b", b.addresses(["db:5432"]))
    talk.engine.set_addresses([DB], [], now=talk.now)
    talk.wait(0.2)
    assert talk.engine.fib.services == {("tcp", "db:5432"): ("b", "us")}
    assert talk.engine.fib.routes is routes
    with pytest.raises(NameError):
        talk.receive("b", b.adjacencies({"us": 2}, 2))


def test_unchanged_addresses_are_not_advertised_again():
    talk = Conversation()
    talk.open("b")
    talk.engine.set_addresses([DB, Service("a:1", "tcp")], [], now=talk.now)
    assert len(lsas(talk.actions())) == 1
    talk.engine.set_addresses([Service("a:1", "tcp"), DB, DB], [], now=talk.now)
    assert talk.actions() == []


def test_more_addresses_than_an_advertisement_holds_are_refused():
    talk = Conversation()
    many = [Service(f"{'x' * 60}.{number}:1", "tcp") for number in range(MAX_BODY // 60)]
    with pytest.raises(LocalError, match="addresses of this site need"):
        talk.engine.set_addresses(many, [], now=talk.now)
    assert talk.engine.fib.services == {}


def test_refreshed_advertisement_that_says_the_same_changes_no_table():
    talk = Conversation()
    b = talk.author("b")
    talk.open("b", "c")
    talk.receive("b", b.identity(), b.adjacencies({"us": 1}), b.addresses(["db:1"]))
    actions = talk.receive(
        "b", b.identity(2), b.adjacencies({"us": 1}, 2), b.addresses(["db:1"], sequence=2)
    )
    assert not of_type(actions, FibChanged)
    assert len(lsas(actions, "c")) == 3


def test_set_cost_is_used_and_advertised():
    talk = Conversation()
    b = talk.author("b")
    talk.open("b")
    talk.receive("b", b.identity(), b.adjacencies({"us": 1}))
    talk.wait(5.0)
    talk.actions()
    talk.engine.set_link_cost("b", 9, now=talk.now)
    assert talk.engine.fib.routes["b"].cost == 9
    assert talk.engine.neighbors()[0].cost == 9
    assert [lsa.kind for lsa in lsas(talk.actions())] == [LsaKind.ADJACENCIES]
    talk.engine.set_link_cost("b", 9, now=talk.now)
    talk.engine.set_link_cost("nobody", 9, now=talk.now)
    assert talk.actions() == []


@pytest.mark.parametrize("cost", [-1, 65536])
def test_impossible_cost_is_refused(cost):
    talk = Conversation()
    with pytest.raises(LocalError, match="link cost"):
        talk.engine.link_opened("b", cost=cost, hold_time=1.0, now=talk.now)


def test_site_can_not_be_its_own_neighbor():
    talk = Conversation()
    with pytest.raises(LocalError, match="its own neighbour"):
        talk.engine.link_opened("us", cost=1, hold_time=1.0, now=talk.now)


def test_as_many_neighbors_as_there_may_be_fit_into_an_advertisement():
    longest = Adjacency("x" * 63, 65535, 2**32 - 1)
    assert len(encode_body(AdjacenciesBody((longest,) * MAX_NEIGHBORS))) <= MAX_BODY


def test_number_of_neighbors_is_bounded(monkeypatch):
    monkeypatch.setattr("van.routing.adjacency.neighborhood.MAX_NEIGHBORS", 2)
    talk = Conversation()
    talk.open("x", "y")
    with pytest.raises(LocalError, match="links already"):
        talk.engine.link_opened("b", cost=1, hold_time=1.0, now=talk.now)


# Liveness


def test_heartbeats_go_out_at_each_interval():
    talk = Conversation(timers=Timers(heartbeat_interval=0.5))
    talk.open("b", hold_time=100.0)
    talk.wait(5.0)
    assert len(messages(talk.actions(), Heartbeat)) == 10


def test_silence_is_reported_once_after_the_hold_time():
    talk = Conversation()
    talk.open("b", hold_time=1.0)
    talk.wait(5.0)
    (silent,) = of_type(talk.actions(), NeighborSilent)
    assert silent.neighbor == "b"
    assert silent.silence == pytest.approx(1.0)


def test_a_neighbor_that_is_heard_costs_no_timer_of_its_own():
    talk = Conversation(timers=Timers(heartbeat_interval=0.25))
    talk.open("b", "c", hold_time=1.0)
    wakes = []
    for _ in range(200):
        talk.now = talk.engine.next_timer()
        wakes.append(talk.now)
        for neighbor in ("b", "c"):
            talk.engine.receive(neighbor, Heartbeat(), now=talk.now, age=0.2)
        talk.engine.handle_timer(now=talk.now)
    talk.actions()
    ticks = 1 + (wakes[-1] - wakes[0]) / 0.25
    assert len(wakes) < 1.25 * ticks  # the rest are summaries and sweeps


def test_silence_counts_from_when_the_last_message_came():
    talk = Conversation()
    talk.open("b", hold_time=1.0)
    talk.now += 0.4
    talk.engine.receive("b", Heartbeat(), now=talk.now, age=0.25)
    began = talk.now
    while not (silent := of_type(talk.actions(), NeighborSilent)):
        talk.now = talk.engine.next_timer()
        talk.engine.handle_timer(now=talk.now)
    assert talk.now - began == pytest.approx(0.75)
    assert silent[0].silence == pytest.approx(1.0)


def test_any_message_is_a_proof_of_life():
    talk = Conversation()
    talk.open("b", "c", hold_time=1.0)
    for _ in range(10):
        talk.wait(0.4)
        talk.engine.receive("b", Advertisements(()), now=talk.now)
        talk.engine.heard("c", now=talk.now)
    assert not of_type(talk.actions(), NeighborSilent)


def test_router_that_was_stopped_gives_its_neighbors_time():
    talk = Conversation()
    talk.open("b", "c", hold_time=1.0)
    talk.now += 60.0
    talk.engine.handle_timer(now=talk.now)
    talk.engine.receive("b", Heartbeat(1.0, 0.0, 0.0), now=talk.now)
    assert not of_type(talk.actions(), NeighborSilent)
    talk.wait(0.9)
    (silent,) = of_type(talk.actions(), NeighborSilent)
    assert silent.neighbor == "c"


def test_router_that_is_a_little_late_still_reports_silence():
    talk = Conversation()
    talk.open("b", hold_time=1.0)
    talk.wait(0.7)
    talk.now += 0.4
    talk.engine.handle_timer(now=talk.now)
    assert of_type(talk.actions(), NeighborSilent)


def test_message_of_a_closed_link_is_ignored():
    talk = Conversation()
    b = talk.author("b")
    talk.open("b")
    talk.engine.link_closed("b", now=talk.now)
    talk.engine.link_closed("b", now=talk.now)
    talk.actions()
    assert talk.receive("b", b.identity()) == []
    assert "b" not in talk.engine.fib.sites


def test_reopened_link_begins_anew():
    talk = Conversation()
    talk.open("b", hold_time=1.0)
    talk.engine.receive(
        "b", Digest(ALL_BUCKETS, talk.engine.held()[:1], is_last=False), now=talk.now
    )
    talk.wait(0.5)
    talk.actions()
    talk.engine.link_opened("b", cost=2, hold_time=1.0, now=talk.now)
    assert len(messages(talk.actions(), Summary)) == 1
    talk.engine.receive(
        "b", Digest(ALL_BUCKETS, talk.engine.held()[:1], is_last=True), now=talk.now
    )
    talk.wait(0.9)
    actions = talk.actions()
    assert not of_type(actions, NeighborSilent)
    assert len(lsas(actions)) >= 2
    (status,) = talk.engine.neighbors()
    assert status.cost == 2


def test_engine_without_links_only_waits_to_age():
    talk = Conversation()
    talk.wait(0.1)
    assert talk.now < talk.engine.next_timer() < math.inf


def test_round_trip_is_measured_and_advertised():
    talk = Conversation()
    b = talk.author("b")
    talk.open("b", hold_time=100.0)
    talk.receive("b", b.identity(), b.adjacencies({"us": 1}))
    routes = talk.engine.fib.routes
    talk.wait(1.0)
    talk.engine.receive("b", Heartbeat(5.0, talk.now - 0.05, 0.03), now=talk.now)
    talk.wait(0.1)
    assert talk.engine.neighbors()[0].round_trip == pytest.approx(0.02)
    assert [each.round_trip for each in talk.engine.fib.adjacencies["us"]] == [20000]
    assert talk.engine.fib.routes is routes


# Age


def test_own_advertisements_are_refreshed_before_they_die():
    talk = Conversation(timers=Timers(heartbeat_interval=100.0))
    talk.open("b", hold_time=1e6)
    talk.wait(900.0)
    sent = lsas(talk.actions())
    for kind in LsaKind:
        assert 3 <= len([lsa for lsa in sent if lsa.kind is kind]) <= 6


def test_advertisement_that_is_not_refreshed_is_purged():
    talk = Conversation(timers=Timers(heartbeat_interval=100.0))
    b = talk.author("b")
    talk.open("b", hold_time=1e6)
    talk.receive("b", b.identity(), b.adjacencies({"us": 1}))
    talk.receive("b", b.adjacencies({"us": 1}, 2, lifetime=50.0))
    talk.wait(40.0)
    assert "b" in talk.engine.fib.routes
    talk.wait(10.1)
    assert "b" not in talk.engine.fib.routes
    assert "b" in talk.engine.fib.sites
    talk.wait(850.0)
    assert "b" not in talk.engine.fib.sites
    assert len(talk.engine.held()) == 3


def test_lifetime_is_lowered_by_the_time_held():
    talk = Conversation(timers=Timers(heartbeat_interval=100.0))
    b = talk.author("b")
    talk.open("b", hold_time=1e6)
    talk.receive("b", b.identity(lifetime=500.0))
    talk.wait(200.0)
    sent = [lsa for lsa in lsas(talk.open("c", hold_time=1e6), "c") if lsa.origin == "b"]
    assert [lsa.lifetime for lsa in sent] == [pytest.approx(300.0, abs=1.0)]


def test_lifetime_from_a_peer_is_capped():
    talk = Conversation(timers=Timers(heartbeat_interval=1000.0))
    b = talk.author("b")
    talk.open("b", hold_time=1e6)
    talk.receive("b", b.identity(lifetime=1e9))
    talk.wait(Timers().lifetime + 1.0)
    assert "b" not in talk.engine.fib.sites


def test_dead_advertisement_is_not_taken():
    talk = Conversation()
    b = talk.author("b")
    talk.open("b")
    talk.receive("b", b.identity(lifetime=0.0))
    assert talk.engine.dropped == {"expired": 1}


def test_site_that_stays_unreachable_is_forgotten_even_if_it_speaks():
    talk = Conversation(timers=Timers(heartbeat_interval=1000.0))
    b = talk.author("b")
    talk.open("b", hold_time=1e6)
    for sequence in range(1, 12):
        talk.receive("b", b.identity(sequence), b.adjacencies({"x": 1}, sequence))
        talk.wait(80.0)
    assert "b" in talk.engine.fib.sites
    talk.wait(60.0)
    assert "b" not in talk.engine.fib.sites


# Leaving, and coming back


def test_withdrawn_site_advertises_nothing_at_once():
    talk = Conversation()
    talk.engine.set_addresses([DB], [], now=talk.now)
    talk.open("b")
    talk.engine.set_link_cost("b", 5, now=talk.now)
    talk.actions()
    talk.engine.withdraw(now=talk.now)
    bodies = [decode_body(lsa.kind, lsa.body) for lsa in lsas(talk.actions(), "b")]
    assert bodies == [AdjacenciesBody(()), AddressesBody((), ())]


def test_withdrawn_site_says_nothing_more():
    talk = Conversation()
    talk.open("b", "c", hold_time=1e6)
    talk.engine.withdraw(now=talk.now)
    talk.actions()
    talk.engine.link_closed("c", now=talk.now)
    talk.engine.set_addresses([DB], [], now=talk.now)
    talk.wait(400.0)
    assert lsas(talk.actions()) == []


def test_renewed_identity_is_advertised_and_all_is_signed_anew():
    talk = Conversation()
    talk.open("b")
    talk.keyring.renew(expose=["web"])
    talk.engine.refresh_identity(now=talk.now)
    sent = lsas(talk.actions(), "b")
    assert [lsa.kind for lsa in sent] == list(LsaKind)
    assert decode_body(sent[0].kind, sent[0].body) == IdentityBody(talk.keyring.chain())


def test_site_that_lost_its_state_outbids_its_former_self():
    talk = Conversation()
    former = talk.author("us")
    former.keyring = talk.keyring
    talk.open("b")
    actions = talk.receive("b", former.adjacencies({"b": 1}, 3, incarnation=7))
    assert of_type(actions, OwnIncarnationAdvanced) == [OwnIncarnationAdvanced(8)]
    sent = lsas(actions, "b")
    assert [lsa.kind for lsa in sent] == list(LsaKind)
    assert {lsa.incarnation for lsa in sent} == {8}


def test_another_key_in_our_name_is_not_outbid_and_its_sender_gets_ours():
    talk = Conversation()
    other = talk.author("us")
    talk.open("b", hold_time=1e6)
    held = talk.engine.held()
    sent = lsas(talk.receive("b", other.identity(incarnation=7)), "b")
    assert [(lsa.origin, lsa.kind, lsa.incarnation) for lsa in sent] == [
        ("us", LsaKind.IDENTITY, 1)
    ]
    assert talk.engine.held() == held
    assert talk.engine.dropped == {"name-taken": 1}
    # And not as often as it likes, for it may believe the other one.
    again = [lsas(talk.receive("b", other.identity(incarnation=7 + n)), "b") for n in range(50)]
    assert not any(again)


def test_two_routers_with_one_key_do_not_outbid_each_other_without_end():
    talk = Conversation()
    other = talk.author("us")
    other.keyring = talk.keyring
    talk.open("b", hold_time=1e6)
    advances = 0
    for _ in range(100):
        incarnation = talk.engine.held()[0].incarnation
        actions = talk.receive("b", other.identity(incarnation=incarnation + 1))
        advances += len(of_type(actions, OwnIncarnationAdvanced))
    assert 2 <= advances <= 11


def test_engine_shows_itself_in_one_line():
    talk = Conversation()
    talk.open("b")
    assert repr(talk.engine) == "<Engine 'us' incarnation=1 neighbors=1 lsas=3>"
    assert repr(talk.engine.fib) == "<Fib of 'us' sites=1 reachable=1 services=0>"
