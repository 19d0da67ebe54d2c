"""Who says goodbye for good is forgotten at once, and its name is free."""

from functools import partial

import pytest

from lab.network import network, wait_until
from tests.router.links.restarting import restart_with
from van.control import endpoints as api
from van.control.values.maintenance import StopSpec
from van.errors import JoinRefused
from van.router.links.names import VANISHED
from van.router.telemetry.events import EventKind
from van.wire.lsa import LsaKind

pytestmark = pytest.mark.slow("routers are started, linked, and stopped")


async def stop(net, site, **options):
    """Stop a site's router, as a command does."""
    await site.ask(api.STOP, StopSpec(grace=0, **options))
    path = net.paths(site.name).control_socket
    await wait_until(lambda: not path.exists(), "the router has stopped")


async def make_anew(net, name):
    """Start a site of the same name, with another key."""
    paths = net.paths(name)
    for each in (paths.identity_file, paths.config_file):
        each.unlink()
    return await net.start(name)


def is_known(site, name):
    routes = site.router.routes
    return routes.identity_of(name) is not None or name in routes.identities()


def is_forgotten(site, name):
    return not is_known(site, name)


def told(site, kind):
    return [each.subject for each in site.router.control.events.after(0) if each.kind is kind]


@pytest.mark.parametrize("how", ["deleted", "ephemeral"])
async def test_the_network_forgets_who_goes_for_good_and_its_name_is_free(how):
    async with network() as net:
        far, hub, west = [await net.start(name) for name in ("far", "hub", "west")]
        await net.link(hub, far, can_invite=True)
        await net.link(west, hub, is_ephemeral=how == "ephemeral")
        await wait_until(lambda: "west" in far.router.routes.fib.routes, "it is known")
        await stop(net, west, is_for_good=how == "deleted")
        for site in (hub, far):
            await wait_until(partial(is_forgotten, site, "west"), "it is forgotten")
        assert told(hub, EventKind.SITE_LEFT) == ["west"]
        hub = await restart_with(net, hub, hub.router.trust.credentials)
        await wait_until(lambda: "far" in hub.router.links.up, "the hub is back")
        west = await make_anew(net, "west")
        await net.link(west, hub)
        await wait_until(lambda: is_known(far, "west"), "another one has the name")
        key = west.router.trust.identity.public_key_fingerprint
        assert far.router.routes.identity_of("west").public_key_fingerprint == key


async def test_who_was_away_hears_of_it_when_it_is_back():
    async with network() as net:
        far, hub, west = [await net.start(name) for name in ("far", "hub", "west")]
        await net.link(far, hub)
        await net.link(west, hub)
        await wait_until(lambda: "west" in far.router.routes.fib.routes, "it is known")
        pins = far.router.trust.pins
        assert pins.holder("west") is not None
        far.scope.cancel()
        await wait_until(lambda: "far" not in hub.router.links.up, "it is away")
        await stop(net, west, is_for_good=True)
        await wait_until(lambda: not is_known(hub, "west"), "it is forgotten")
        hub.router.routes.engine._lsdb.remove(("west", LsaKind.IDENTITY))  # as after some time
        far = await net.start("far")
        await wait_until(lambda: far.router.trust.pins.holder("west") is None, "it has heard")


async def test_who_only_stops_keeps_its_name():
    async with network() as net:
        hub, west = await net.start("hub"), await net.start("west")
        await net.link(west, hub)
        await wait_until(lambda: is_known(hub, "west"), "it is known")
        await stop(net, west)
        assert told(hub, EventKind.SITE_LEFT) == []
        hub = await restart_with(net, hub, hub.router.trust.credentials)
        west = await make_anew(net, "west")
        with pytest.raises(JoinRefused, match="is taken in this VAN"):
            await net.link(west, hub)


async def test_what_is_ephemeral_may_come_back_with_its_key():
    async with network() as net:
        hub, west = await net.start("hub"), await net.start("west")
        await net.link(west, hub, is_ephemeral=True)
        await wait_until(lambda: is_known(hub, "west"), "it is known")
        await stop(net, west)
        await wait_until(lambda: not is_known(hub, "west"), "it is forgotten")
        assert not list(hub.router.trust.expulsions)
        await net.start("west")
        await wait_until(lambda: "west" in hub.router.routes.fib.routes, "it is back")


async def test_nobody_gives_a_key_up_but_who_has_let_the_site_in():
    async with network() as net:
        hub, inviter, west = [await net.start(name) for name in ("hub", "inviter", "west")]
        await net.link(inviter, hub, can_invite=True)
        await net.link(west, inviter)
        await net.link(west, hub)
        pins = hub.router.trust.pins
        await wait_until(lambda: pins.holder("west"), "it is known")
        inviter.scope.cancel()
        await wait_until(lambda: "inviter" not in hub.router.links.up, "it is away")
        await stop(net, west, is_for_good=True)
        await wait_until(lambda: told(hub, EventKind.SITE_LEFT), "it has said goodbye")
        assert pins.get("west") is None
        assert not list(hub.router.trust.expulsions)


async def killed(net, site, *, near):
    """Kill a site's router, which says no goodbye, and wait until it is missed."""
    site.scope.cancel()
    for each in near:
        await wait_until(lambda: site.name not in each.router.routes.fib.routes, "missed")  # noqa: B023


def later(monkeypatch, site):
    """Have a minute pass, of which only names know."""
    absences = site.router.control.names._absences
    for each in site.router.routes.identities():
        absences.lasts(each)  # since now, at the latest
    clock = absences._clock
    monkeypatch.setattr(absences, "_clock", lambda: clock() + VANISHED)


async def test_the_name_of_an_ephemeral_site_that_was_killed_is_free_soon(monkeypatch):
    async with network() as net:
        hub, far, pod = [await net.start(name) for name in ("hub", "far", "pod")]
        await net.link(far, hub)
        await net.link(pod, hub, is_ephemeral=True)
        for each in (hub, far):
            await wait_until(lambda: "pod" in each.router.routes.fib.routes, "it is reached")  # noqa: B023
        first = pod.router.trust.identity.public_key_fingerprint
        later(monkeypatch, hub)
        assert hub.router.control.names.holders("pod", for_ephemeral=True)  # while it is there
        monkeypatch.undo()
        await killed(net, pod, near=(hub, far))
        other = await make_anew(net, "pod")
        with pytest.raises(JoinRefused, match="is taken in this VAN"):
            await net.link(other, hub, is_ephemeral=True)
        later(monkeypatch, far)  # which can let nobody in
        assert far.router.control.names.holders("pod", for_ephemeral=True)
        later(monkeypatch, hub)
        with pytest.raises(JoinRefused, match="is taken in this VAN"):  # it would be remembered
            await net.link(other, hub)
        await net.link(other, hub, is_ephemeral=True)
        key = other.router.trust.identity.public_key_fingerprint
        await wait_until(
            lambda: (
                "pod" in far.router.routes.fib.routes
                and far.router.routes.identity_of("pod").public_key_fingerprint == key != first
            ),
            "another one has the name everywhere",
        )


async def test_who_is_nearer_to_the_root_gives_no_name_of_a_vanished_site_away(monkeypatch):
    async with network() as net:
        hub, inviter, pod = [await net.start(name) for name in ("hub", "inviter", "pod")]
        await net.link(inviter, hub, can_invite=True)
        await net.link(pod, inviter, is_ephemeral=True)
        await wait_until(lambda: is_known(hub, "pod"), "it is known")
        await killed(net, pod, near=(hub, inviter))
        other = await make_anew(net, "pod")
        for each in (hub, inviter):
            later(monkeypatch, each)
        with pytest.raises(JoinRefused, match="is taken in this VAN"):
            await net.link(other, hub, is_ephemeral=True)
        await net.link(other, inviter, is_ephemeral=True)


async def test_a_site_that_is_not_ephemeral_leaves_no_name_though_nobody_remembers_it(monkeypatch):
    monkeypatch.setattr("van.tls.pins.MAX_PINS", 0)
    async with network() as net:
        hub, far, side, db = [await net.start(name) for name in ("hub", "far", "side", "db")]
        for each in (far, side):
            await net.link(each, hub, can_invite=True)
        await net.link(db, far)  # so that it is not in the ledger of who is asked for its name
        await wait_until(lambda: "db" in side.router.routes.fib.routes, "it is reached")
        assert side.router.trust.pins.holder("db") is None
        await killed(net, db, near=(hub, far, side))
        other = await make_anew(net, "db")
        later(monkeypatch, side)
        with pytest.raises(JoinRefused, match="is taken in this VAN"):
            await net.link(other, side, is_ephemeral=True)
