import pytest

from van.routing.adjacency.neighbor import (
    MAX_REQUESTED,
    REQUEST_INTERVAL,
    SETTLING_TIME,
    Neighbor,
    RoundTrip,
)
from van.wire.link import Heartbeat


def neighbor(since: float = 100.0) -> Neighbor:
    return Neighbor(name="b", cost_setting=3, hold_time=1.0, heartbeat_interval=0.3, since=since)


def test_round_trip_leaves_out_the_time_the_peer_took():
    peer = neighbor()
    sent = peer.heartbeat(now=100.0)
    peer.receive_heartbeat(Heartbeat(5.0, echo=sent.sent_at, echo_delay=0.25), now=100.27)
    assert peer.round_trip.estimate == pytest.approx(0.02)


def test_heartbeat_echoes_the_peer_s_clock_once_and_how_old_that_is():
    peer = neighbor()
    assert peer.heartbeat(now=100.0) == Heartbeat(100.0, 0.0, 0.0)
    peer.receive_heartbeat(Heartbeat(5.0, 0.0, 0.0), now=100.25)
    assert peer.heartbeat(now=100.75) == Heartbeat(100.75, 5.0, 0.5)
    peer.receive_heartbeat(Heartbeat(), now=101.0)
    assert peer.heartbeat(now=101.25).echo == 0.0


def test_a_new_link_is_measured_by_each_heartbeat_and_later_now_and_then():
    peer = neighbor(since=100.0)
    times = [100.0 + 0.25 * tick for tick in range(60)]
    asked = [now for now in times if peer.heartbeat(now=now).sent_at]
    assert asked == [100.0, 100.25, 100.5, 100.75, 103.75, 106.75, 109.75, 112.75]
    assert peer.heartbeat(now=115.0).may_wait


def test_who_answers_a_measurement_makes_one_too_unless_there_was_one_just_now():
    peer = neighbor(since=100.0)
    peer.heartbeat(now=100.75)
    for now, is_asking in ((101.75, False), (102.25, True), (103.25, False), (103.75, True)):
        peer.receive_heartbeat(Heartbeat(5.0, 0.0, 0.0), now=now)
        sent = peer.heartbeat(now=now)
        assert sent.echo == 5.0
        assert bool(sent.sent_at) == is_asking
        assert not sent.may_wait


def test_what_waited_counts_from_when_it_came():
    peer = neighbor(since=100.0)
    peer.heard(101.0)
    peer.heard(100.5)  # it was read later
    assert peer.last_heard == 101.0


@pytest.mark.parametrize(
    ("echo", "delay"),
    [(0.0, 0.0), (50.0, 0.0), (101.0, 0.0), (100.0, 7.0)],
    ids=["none", "before the link", "from the future", "delay too long"],
)
def test_impossible_echo_is_no_sample(echo, delay):
    peer = neighbor()
    peer.receive_heartbeat(Heartbeat(5.0, echo, delay), now=100.5)
    assert peer.round_trip.estimate is None


def test_round_trip_is_smoothed():
    trip = RoundTrip(settled_at=0.0)
    trip.add_sample(0.1, 0.0)
    trip.add_sample(0.9, 0.3)
    assert trip.estimate == pytest.approx(0.2)


def settled(sample: float) -> RoundTrip:
    trip = RoundTrip(settled_at=0.0)
    trip.add_sample(sample, 0.0)
    trip.advertise(0.0)
    assert trip.advertised == sample
    return trip


def test_first_round_trip_is_advertised_once_settled():
    peer = neighbor(since=100.0)
    peer.round_trip.add_sample(0.0001, 100.1)
    assert not peer.round_trip.is_news(100.5)
    peer.round_trip.advertise(100.5)
    assert peer.advertised().round_trip == 0
    assert peer.round_trip.is_news(100.0 + SETTLING_TIME)
    peer.round_trip.advertise(100.0 + SETTLING_TIME)
    assert peer.advertised().round_trip == 100


@pytest.mark.parametrize(
    ("before", "after", "is_news"),
    [(0.1, 0.12, False), (0.1, 0.13, True), (0.0001, 0.0009, False), (0.1, 0.05, True)],
)
def test_round_trip_is_advertised_anew_if_it_differs_much(before, after, is_news):
    trip = settled(before)
    trip.add_sample(after, 100.0)  # when the first sample counts no more
    assert trip.is_news(100.0) is is_news


def test_busy_moment_is_no_news():
    trip = settled(0.001)
    for number in range(100):
        trip.add_sample(0.5 if number % 10 else 0.001, number * 0.3)
        assert not trip.is_news(number * 0.3)


def test_absurd_round_trip_still_fits_its_field():
    peer = neighbor(since=0.0)
    peer.round_trip.add_sample(1e8, 0.0)
    peer.round_trip.advertise(SETTLING_TIME)
    assert peer.advertised().round_trip == 2**32 - 1


def test_request_is_not_repeated_soon():
    peer = neighbor()
    assert peer.may_request("x", now=0.0)
    assert not peer.may_request("x", now=REQUEST_INTERVAL - 1)
    assert peer.may_request("x", now=REQUEST_INTERVAL)


def test_remembered_requests_are_bounded():
    peer = neighbor()
    asked = [peer.may_request(f"x{i}", now=0.0) for i in range(MAX_REQUESTED + 5)]
    assert asked == [True] * MAX_REQUESTED + [False] * 5
    assert peer.may_request("y", now=REQUEST_INTERVAL)
