"""The dispatcher offers a flow of any protocol to instances, in the order that it promises.

The network is a real one, and so are its channels; the flow's protocol is the test's, which says
what becomes of the flow each time that it is carried.
"""

import contextlib

import attrs
import pytest
import trio

from lab.network import Site, network, wait_until
from van.router.flow.outcome import Ending, Outcome
from van.router.ingress.attempt import FlowAttempt
from van.router.reactor.supervisor import DEFECT
from van.wire.channel import Reason
from van.wire.lsa import Distribution

SERVICE = ("tcp", "db:1")
FULL = Outcome(Ending.REFUSED, "full", Reason.BUSY, is_channel_clean=True)
LOST = Outcome(Ending.REFUSED, "path lost")
DONE = Outcome(Ending.FINISHED, is_channel_clean=True)


class ScriptedFlow(FlowAttempt):
    """Meets with the outcomes that it is given, one after the other, and then with none."""

    def __init__(self, ingress, outcomes=()):
        flow = ingress._dispatcher.begin(SERVICE, "client")
        ingress._context.flows.remove(flow)
        super().__init__(ingress._context.loop, ingress.ranking.balancer, SERVICE, flow)
        self.outcomes = list(outcomes)
        self.calls = []

    def carry(self, channel, request, on_end):
        assert (request.protocol, request.address) == SERVICE
        self._carried(channel.site, on_end)

    def carry_here(self, on_end):
        self._carried("here", on_end)

    def _carried(self, site, on_end):
        self.calls.append(site)
        self.on_end = on_end
        if self.outcomes:
            on_end(self.outcomes.pop(0))

    def carry_to_all(self):
        self.calls.append("all")

    def take_back(self):
        self.calls.append("take back")

    def judge(self, outcome):
        return outcome.ending is Ending.RESET

    def refuse(self, reason):
        self.calls.append(f"refuse: {reason}")

    def abort(self, reason):
        self.calls.append(f"abort: {reason}")

    def close(self):
        self.calls.append("close")


@attrs.define
class Scene:
    """A hub whose dispatcher is looked at, and the sites around it that serve an address."""

    hub: Site
    sites: dict[str, Site]

    @property
    def dispatcher(self):
        return self.hub.router.data.ingress._dispatcher

    @property
    def outstanding(self):
        return self.hub.router.data.ingress.ranking.balancer.outstanding(SERVICE)

    def bundles(self, site):
        return self.hub.router.data.channels.bundles.pool(site)

    def flows(self, site):
        return self.bundles(site).flows

    def flow(self, *outcomes):
        return ScriptedFlow(self.hub.router.data.ingress, outcomes)

    def dispatch(self, flow):
        self.dispatcher.dispatch(flow)


@contextlib.asynccontextmanager
async def scene(*names, **options):
    async with network() as net:
        hub = await net.start("hub")
        sites = {}
        for name in names:
            sites[name] = await net.start(name)
            await net.link(sites[name], hub)
            sites[name].claim("db:1", 9, **options)
        found = Scene(hub, sites)
        routes, wanted = hub.router.routes, tuple(sorted(names))
        await wait_until(lambda: routes.fib.services.get(SERVICE, ()) == wanted, "all are known")
        await hub.bind("db:1")
        pools = hub.router.data.channels.pools
        spares = hub.router.data.loop.limits.remote_spares
        await wait_until(
            lambda: all(pools.ready(each) >= spares for each in names), "channels are ready"
        )
        yield found


async def test_a_flow_is_offered_to_one_site_after_the_other_until_one_takes_it():
    async with scene("east", "west") as stage:
        transport = stage.flow(FULL, DONE)
        stage.dispatch(transport)
        first, *between, second, last = transport.calls
        assert {first, second} == {"east", "west"}
        assert (between, last) == (["take back"], "close")
        assert not stage.outstanding
        assert [stage.flows(site) for site in ("east", "west")] == [0, 0]


async def test_a_flow_that_every_site_refuses_is_told_why():
    async with scene("east", "west") as stage:
        transport = stage.flow(FULL, FULL)
        refused = stage.hub.router.flows.refused
        stage.dispatch(transport)
        await wait_until(lambda: len(transport.calls) == 5, "it is refused")
        assert transport.calls[1::2] == ["take back", "take back"]
        assert set(transport.calls[-1].removeprefix("refuse: ").split("; ")) == {
            "east: full",
            "west: full",
        }
        assert stage.hub.router.flows.refused == refused + 1
        assert not stage.outstanding


async def test_a_site_that_a_flow_did_not_get_to_is_tried_again():
    async with scene("east") as stage:
        transport = stage.flow(LOST, LOST, DONE)
        stage.dispatch(transport)
        await wait_until(lambda: "close" in transport.calls, "it is over")
        assert transport.calls == ["east", "take back"] * 2 + ["east", "close"]
        assert stage.flows("east") == 0


async def test_a_flow_goes_to_a_target_of_this_site_without_a_channel():
    async with scene() as stage:
        stage.hub.claim("db:1", 9)
        transport = stage.flow(DONE)
        stage.dispatch(transport)
        assert transport.calls == ["here", "close"]
        assert not stage.outstanding


async def test_a_flow_counts_as_work_as_long_as_an_instance_has_it():
    async with scene("east") as stage:
        transport = stage.flow()
        stage.dispatch(transport)
        assert stage.outstanding == {"east": 1}
        assert stage.flows("east") == 1
        transport.on_end(Outcome(Ending.RESET, "gone", is_channel_clean=True))
        assert transport.calls == ["east", "close"]
        assert not stage.outstanding
        assert stage.flows("east") == 0


async def test_a_multicast_flow_is_carried_to_all_and_left_to_its_transport():
    async with scene("east", distribution=Distribution.MULTICAST) as stage:
        transport = stage.flow()
        stage.dispatch(transport)
        assert transport.calls == ["all"]
        assert not stage.outstanding


async def test_what_ends_while_it_waits_takes_no_channel():
    async with scene("east") as stage:
        pool = stage.bundles("east").channels
        taken = [pool.take() for _ in range(pool.size)]
        late = stage.flow()
        stage.dispatch(late)
        with trio.fail_after(5):
            while not pool.is_waited_for:
                await trio.sleep(0)
        late.is_live = False
        for each in taken:
            pool.release(each)
        await wait_until(lambda: stage.bundles("east").size == 1, "there is a bundle")
        await wait_until(lambda: not stage.flows("east"), "it carries nothing")
        assert not late.calls
        assert not stage.outstanding


@pytest.mark.parametrize("place", ["carry", "take_back"])
async def test_a_defect_in_a_transport_ends_its_flow_alone(place, monkeypatch, caplog):
    async with scene("east") as stage:

        def fail(*args):
            raise ZeroDivisionError

        transport, other = stage.flow(FULL), stage.flow(DONE)
        monkeypatch.setattr(ScriptedFlow, place, fail)
        with contextlib.suppress(ZeroDivisionError):
            stage.dispatch(transport)
        monkeypatch.undo()
        assert f"abort: {DEFECT}" in transport.calls
        assert "ZeroDivisionError" in caplog.text
        assert not stage.outstanding
        assert stage.flows("east") == 0
        stage.dispatch(other)
        await wait_until(lambda: other.calls == ["east", "close"], "the next one is carried")
