"""Traces: what the answers of the hops are put together to, and traces between real routers."""

import pytest
import trio

from lab.network import network, wait_until
from van.errors import LocalError
from van.router.telemetry import traceroute as tracing
from van.router.telemetry.traceroute import Attempt, Hop, Tracer, summarize
from van.wire.link import Probe, ProbeOutcome, ProbeReply

PATH = ("west", "hub", "east")
ARRIVED, EXPIRED, NO_PATH = ProbeOutcome


def attempt(hop_limit, *path, outcome=EXPIRED, round_trip=0.001):
    """Return a probe toward east; with a path, answered."""
    reply = ProbeReply(7, ("west", *path), outcome) if path else None
    return Attempt("east", hop_limit, 0.0, round_trip, reply)


def full_round(round_trip=0.001):
    return [
        attempt(0, "hub", round_trip=round_trip),
        attempt(1, "hub", "east", outcome=ARRIVED, round_trip=2 * round_trip),
    ]


def test_the_median_of_the_rounds_counts():
    traced = summarize(PATH, [full_round(0.5), full_round(0.001), full_round(0.002)])
    assert traced.hops == (Hop("hub", 0.002), Hop("east", 0.004))
    assert traced.outcome is ARRIVED


def test_a_hop_that_does_not_answer_has_its_name_from_routing():
    rounds = [[attempt(0), attempt(1, "hub", "east", outcome=ARRIVED)]]
    assert summarize(PATH, rounds).hops == (Hop("hub", None), Hop("east", 0.001))


def test_silence_at_the_end_is_no_arrival():
    traced = summarize(PATH, [[attempt(0, "hub"), attempt(1)]])
    assert traced.hops == (Hop("hub", 0.001), Hop("east", None))
    assert traced.outcome is None


def test_silence_from_the_beginning_names_every_hop():
    traced = summarize(PATH, [[attempt(0), attempt(1)]] * 3)
    assert traced.hops == (Hop("hub", None), Hop("east", None))
    assert traced.outcome is None


def test_a_trace_ends_where_no_path_is_known():
    lost = attempt(1, "hub", outcome=NO_PATH)
    traced = summarize(PATH, [[attempt(0, "hub"), lost]])
    assert [hop.site for hop in traced.hops] == ["hub"]
    assert traced.outcome is NO_PATH


def test_of_two_paths_the_later_one_is_shown():
    moved = [
        attempt(0, "far", round_trip=0.2),
        attempt(1, "far", "east", outcome=ARRIVED, round_trip=0.3),
    ]
    traced = summarize(PATH, [full_round(), moved])
    assert traced.hops[0] == Hop("far", 0.2)
    assert traced.hops[1].site == "east"


def test_a_path_that_became_longer_is_told():
    traced = summarize(PATH, [[attempt(0, "hub"), attempt(1, "hub", "far")]])
    assert [hop.site for hop in traced.hops] == ["hub", "far"]
    assert traced.outcome is EXPIRED


def test_a_path_that_became_shorter_ends_where_it_arrives():
    direct = [attempt(limit, "east", outcome=ARRIVED) for limit in (0, 1)]
    assert [hop.site for hop in summarize(PATH, [direct]).hops] == ["east"]


def test_an_outcome_of_a_later_revision_counts_as_no_path():
    assert summarize(PATH, [[attempt(0, "hub", outcome=77)]]).outcome is NO_PATH


@pytest.mark.parametrize(
    "reply",
    [
        ProbeReply(7, ("west", "hub", "far", "east"), ARRIVED),  # beyond its hop limit
        ProbeReply(7, ("west", "hub", "far"), ARRIVED),  # not at its destination
        ProbeReply(7, ("west", "hub", "east"), NO_PATH),  # at its destination
        ProbeReply(7, ("west", "hub"), EXPIRED),  # short of its hop limit
    ],
)
def test_a_reply_that_its_probe_can_not_have_is_not_taken(reply):
    probe = attempt(1)
    assert not probe.receive(reply, now=1.0)
    assert probe.reply is None


class Neighborhood:
    """A tracer at west whose neighbour hub answers as a test wants."""

    def __init__(self, answer):
        self.answer = answer
        self.tracer = Tracer("west", next_hop=lambda site: "hub", send=self.receive)

    def receive(self, neighbor, probe):
        assert (neighbor, probe.path) == ("hub", ("west",))
        for reply in self.answer(probe):
            self.replies.start_soon(self.deliver, reply)

    async def deliver(self, reply):
        await trio.lowlevel.checkpoint()
        self.tracer.receive("hub", reply)

    async def trace(self):
        async with trio.open_nursery() as self.replies:
            return await self.tracer.trace(PATH)


def right(probe):
    if probe.hop_limit == 0:
        return ProbeReply(probe.id, ("west", "hub"), EXPIRED)
    return ProbeReply(probe.id, PATH, ARRIVED)


async def test_a_trace_that_is_answered_takes_no_longer_than_the_answers(autojump_clock):
    began = trio.current_time()
    traced = await Neighborhood(lambda probe: [right(probe)]).trace()
    assert traced.outcome is ARRIVED
    assert trio.current_time() == began


async def test_a_trace_that_nobody_answers_ends_in_a_few_seconds(autojump_clock):
    there = Neighborhood(lambda probe: [])
    began = trio.current_time()
    traced = await there.trace()
    assert traced.outcome is None
    waited = trio.current_time() - began
    assert waited == pytest.approx(tracing.ROUNDS * tracing.PROBE_TIMEOUT)
    assert not there.tracer._pending


async def test_replies_that_were_not_asked_for_are_dropped_and_counted():
    def answer(probe):
        stranger = ProbeReply(probe.id ^ 1, ("west", "hub"), EXPIRED)
        return [right(probe), right(probe), stranger]

    there = Neighborhood(answer)
    assert (await there.trace()).outcome is ARRIVED
    assert there.tracer.dropped == {"unknown": 12}


async def test_traces_without_end_are_declined(autojump_clock, monkeypatch):
    monkeypatch.setattr(tracing, "MAX_PENDING", 5)
    there = Neighborhood(lambda probe: [])
    async with trio.open_nursery() as there.replies:
        for _ in range(2):
            there.replies.start_soon(there.tracer.trace, PATH)
        await trio.sleep(0.1)
        with pytest.raises(LocalError, match="too many traces"):
            await there.tracer.trace(PATH)


async def test_a_trace_between_real_routers_times_every_hop():
    async with network() as net:
        west, hub, east = await net.line("west", "hub", "east")
        await wait_until(lambda: "east" in west.router.routes.fib.routes, "a path")
        traced = await west.router.control.tracer.trace(PATH)
        assert [hop.site for hop in traced.hops] == ["hub", "east"]
        assert traced.outcome is ARRIVED
        times = [hop.round_trip or 0.0 for hop in traced.hops]
        assert all(0.0 < each < tracing.PROBE_TIMEOUT for each in times)
        for site in (west, hub, east):
            assert not site.router.control.tracer.dropped


async def test_a_probe_in_anothers_name_goes_nowhere():
    async with network() as net:
        west, hub, _east = await net.line("west", "hub", "east")
        await wait_until(lambda: "east" in west.router.routes.fib.routes, "a path")
        west.router.links.table.send("hub", Probe(7, ("east",), "east", 3))
        await wait_until(lambda: hub.router.control.tracer.dropped, "it is dropped")
        assert hub.router.control.tracer.dropped == {"implausible": 1}
        assert "hub" in west.router.links.up
