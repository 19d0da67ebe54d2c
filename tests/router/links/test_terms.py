"""What is agreed of a link, its cost and its hold time, counts at both ends and is kept."""

import time
import tomllib

import pytest

from lab.network import network, wait_until
from van.control import endpoints as api
from van.control.values.links import LinkAccept, LinkCost, LinkHold
from van.control.values.tokens import TokenCreate
from van.errors import NotFound
from van.routing.adjacency.cost import UNKNOWN
from van.routing.adjacency.damping import Penalty


async def link_of(site):
    """Return a site's one link, as its status shows it."""
    (link,) = (await site.ask(api.STATUS)).links
    return link


def kept(net, name):
    """Return the one link of a site, as its configuration's file has it."""
    (link,) = tomllib.loads(net.paths(name).config_file.read_text())["link"]
    return link


async def test_a_link_is_made_with_the_cost_and_hold_time_of_the_site_that_accepts():
    async with network() as net:
        hub, edge = await net.start("hub"), await net.start("edge")
        token = await hub.ask(api.CREATE_TOKEN, TokenCreate(cost=3))
        spec = LinkAccept(token=token.token, cost="auto", hold=2.0)
        assert (await edge.ask(api.ACCEPT_TOKEN, spec)).is_up
        assert (kept(net, "edge")["cost"], kept(net, "edge")["hold"]) == ("auto", 2.0)
        for site in (hub, edge):
            link = await link_of(site)
            assert link.is_auto_cost
            assert 1 <= link.cost <= UNKNOWN
            assert link.hold_time == pytest.approx(2.0, abs=0.5)


async def test_a_cost_that_becomes_auto_does_so_at_both_ends_and_on_disk():
    async with network() as net:
        hub, edge = await net.line("hub", "edge")
        assert not (await link_of(edge)).is_auto_cost
        await hub.ask(api.SET_COST, LinkCost(cost="auto"), site="edge")
        await wait_until(lambda: kept(net, "edge")["cost"] == "auto", "the dialler has kept it")
        for site in (hub, edge):
            link = await link_of(site)
            assert link.is_auto_cost
            assert link.cost > 0, "status tells the number in use"
        await edge.ask(api.SET_COST, LinkCost(cost=9), site="hub")
        await wait_until(lambda: hub.router.links.up["edge"].cost == 9, "the other end has it")
        assert kept(net, "edge")["cost"] == 9
        assert not (await link_of(hub)).is_auto_cost


@pytest.mark.parametrize("changing", [0, 1])
async def test_a_changed_hold_time_counts_at_both_ends_and_on_disk(changing):
    async with network() as net:
        sites = await net.line("hub", "edge")
        site, other = sites[changing], sites[1 - changing]
        await site.ask(api.SET_HOLD, LinkHold(hold=5.0), site=other.name)
        await wait_until(
            lambda: other.router.links.up[site.name].hold_time == pytest.approx(5.0),
            "the other end has it",
        )
        assert kept(net, "edge")["hold"] == pytest.approx(5.0)
        for each in sites:
            assert (await link_of(each)).hold_time >= 4.99
        with pytest.raises(NotFound):
            await site.ask(api.SET_HOLD, LinkHold(hold=5.0), site="mars")


async def test_a_link_that_flapped_is_up_but_shown_as_damped():
    async with network() as net:
        hub, edge = await net.line("hub", "edge")
        past = Penalty()
        while not past.is_suppressed:
            past.lost(time.monotonic())
        hub.router.routes.engine._neighborhood._penalties["edge"] = past
        before = hub.router.links.up["edge"]
        edge.router.links.up["hub"].close("for a test")
        await wait_until(
            lambda: hub.router.links.up.get("edge") not in (None, before), "it is up again"
        )
        link = await link_of(hub)
        assert link.state == "damped"
        assert link.detail.startswith("it comes and goes: not used for")
        assert hub.router.routes.next_hop("edge") is None
