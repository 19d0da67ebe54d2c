"""Who passed on a lie is named in the events, once, however often it is told."""

import pytest

from lab.network import wait_until
from tests.hostile.network_under_attack import network_under_attack
from tests.hostile.test_bad_links import advertise, dropped
from van.router.telemetry.events import EventKind
from van.wire import link
from van.wire.lsa import AdjacenciesBody, Adjacency, IdentityBody

pytestmark = pytest.mark.slow("each test sets up three sites, their links, and a live flow")


async def test_a_forged_advertisement_names_its_sender_and_whom_it_speaks_for():
    async with network_under_attack() as attacked:
        mallory = attacked.member()
        conversation = await attacked.link(mallory)
        identity = advertise(mallory, IdentityBody(mallory.chain))
        lie = AdjacenciesBody((Adjacency("mallory", 1, 0),))
        forged = [
            advertise(mallory, lie, origin="east", version=(2**30, each)) for each in range(5)
        ]
        await conversation.send(link.Advertisements((identity, *forged)))
        await wait_until(lambda: dropped(attacked).get("forged", 0) >= 5, "all are dropped")
        told = [
            (each.subject, each.text)
            for each in attacked.hub.router.control.events.after(0)
            if each.kind is EventKind.ADVERTISEMENT_DROPPED
        ]
        assert [subject for subject, _ in told] == ["mallory"]
        assert told[0][1].startswith("origin east, passed on by mallory: forged: ")
        conversation.close()


async def test_probes_that_can_not_be_harm_nobody_and_are_counted():
    async with network_under_attack() as attacked:
        conversation = await attacked.link(attacked.member())
        for probe in (
            link.Probe(1, ("east",), "west", 9),
            link.Probe(1, ("hub", "mallory"), "west", 9),
            link.ProbeReply(1, ("hub", "mallory"), 1),
            link.ProbeReply(1, ("west", "hub", "east"), 1),
        ):
            await conversation.send(probe)
        for _ in range(3000):
            await conversation.send(link.Probe(1, ("mallory",), "west", 9))
        tracer = attacked.hub.router.control.tracer
        await wait_until(lambda: tracer.dropped.get("too-many"), "what is too much is dropped")
        assert tracer.dropped["implausible"] == 3
        assert tracer.dropped["unknown"] == 1
        await attacked.unharmed()
        conversation.close()
