"""Two routers with the keys of one site, as of a cloned machine; and one that starts anew."""

import shutil
from functools import partial

import pytest

from lab.network import network, wait_until
from tests.router.links.test_links import config_of, converse, forget
from van.control import endpoints as api
from van.control.values.links import LinkAccept
from van.control.values.tokens import TokenCreate
from van.errors import LinkLost
from van.names import Endpoint
from van.router.links import copies
from van.router.telemetry.events import EventKind


async def copy_of(net, site):
    """Start a router with a copy of another one's files, and return it."""
    shared = net.directory
    net.directory = shared / "copy"
    for part in ("c", "s"):
        shutil.copytree(
            shared / part / site.name,
            net.directory / part / site.name,
            ignore=shutil.ignore_patterns("*.sock"),
        )
    try:
        return await net.start(site.name)
    finally:
        net.directory = shared


async def line(net):
    """Return a hub, and a guest that dials it."""
    hub, guest = await net.line("hub", "guest")
    forget(hub, "guest")
    if not guest.router.links.dialers:
        guest.router.links.dial(config_of(hub))
    await wait_until(lambda: "guest" in hub.router.links.up, "the link is up")
    return hub, guest


def is_linked(hub, run):
    link = hub.router.links.up.get("guest")
    return link is not None and link.hello.run == run


def told(site, kind):
    return [each.text for each in site.router.control.events.after(0) if each.kind is kind]


async def test_a_copy_is_refused_and_everybody_is_told():
    async with network() as net:
        hub, guest = await line(net)
        present = hub.router.links.up["guest"]
        clone = await copy_of(net, guest)
        dialer = clone.router.links.dialers["hub"]
        await wait_until(lambda: "is running, at" in dialer.detail, "the copy is refused")
        await wait_until(
            lambda: all(told(site, EventKind.IDENTITY_SHARED) for site in (hub, guest)),
            "the first one is told, and its neighbour",
        )
        assert "site 'hub' declined: another router with the keys of site 'guest'" in dialer.detail
        assert "van site delete guest" in dialer.detail
        assert "van init" in dialer.detail
        for site in (hub, guest):
            (text,) = told(site, EventKind.IDENTITY_SHARED)
            assert "one machine is a copy of the other" in text
            assert "van site delete guest" in text
        asked = hub.router.link_port.refused["conversation"]
        await wait_until(
            lambda: hub.router.link_port.refused["conversation"] > asked + 1, "it tries again"
        )
        assert hub.router.links.up["guest"] is present
        for site in (hub, guest):
            assert len(told(site, EventKind.LINK_UP)) == 1
            assert len(told(site, EventKind.IDENTITY_SHARED)) == 1
        assert told(clone, EventKind.LINK_UP) == []
        assert len(told(clone, EventKind.LINK_FAILED)) == 1


async def test_the_copy_that_was_quicker_makes_way_for_the_first():
    async with network() as net:
        hub, guest = await line(net)
        forget(guest, "hub")
        hub.router.links.up["guest"].close("for a test")
        await wait_until(lambda: not hub.router.links.up, "the link is gone")
        clone = await copy_of(net, guest)
        clone.router.links.dial(config_of(hub))
        await wait_until(lambda: "guest" in hub.router.links.up, "the copy is in")
        guest.router.links.dial(config_of(hub))
        ours = guest.router.site.run.id
        await wait_until(
            lambda: (
                "guest" in hub.router.links.up and hub.router.links.up["guest"].hello.run == ours
            ),
            "the first one has its link",
        )
        await wait_until(
            lambda: "has run for longer" in clone.router.links.dialers["hub"].detail,
            "the copy is told",
        )
        assert told(hub, EventKind.IDENTITY_SHARED)


async def test_a_router_that_starts_anew_is_no_copy():
    async with network() as net:
        hub, guest = await line(net)
        for _ in range(3):
            guest.scope.cancel()  # without a word, as by SIGKILL
            await wait_until(
                lambda: not net.paths("guest").control_socket.exists(), "the router is gone"
            )
            guest = await net.start("guest")
            ours = guest.router.site.run.id
            await wait_until(partial(is_linked, hub, ours), "the link is up again")
        assert told(hub, EventKind.IDENTITY_SHARED) == []


@pytest.mark.parametrize("is_same_run", [True, False])
async def test_a_link_whose_other_end_is_gone_without_a_trace_is_replaced(monkeypatch, is_same_run):
    monkeypatch.setattr(copies, "ANSWER_TIMEOUT", 0.1)
    monkeypatch.setattr(copies, "QUICK_TIMEOUT", 0.1)
    async with network() as net:
        hub, guest = await line(net)
        forget(guest, "hub")
        hub.router.links.up["guest"].close("for a test")
        await wait_until(lambda: not hub.router.links.up, "the link is gone")
        # One that says hello and then nothing, nor that it ends.
        mute = await converse(hub, by=guest)
        await wait_until(lambda: "guest" in hub.router.links.up, "it is up")
        silent = hub.router.links.up["guest"]
        if not is_same_run:
            guest.scope.cancel()
            await wait_until(
                lambda: not net.paths("guest").control_socket.exists(), "the router is gone"
            )
            guest = await net.start("guest")
        guest.router.links.dial(config_of(hub))
        await wait_until(
            lambda: hub.router.links.up.get("guest") not in (None, silent), "it is replaced"
        )
        assert told(hub, EventKind.IDENTITY_SHARED) == []
        mute.close()


@pytest.mark.slow("two routers outbid each other once a second")
async def test_copies_with_different_neighbours_are_told_of_everywhere_and_the_younger_makes_way():
    async with network() as net:
        near, far = await net.line("near", "far")
        guest = await net.start("guest")
        await net.link(guest, near)
        await wait_until(lambda: "guest" in far.router.routes.fib.routes, "it is known")
        token = await far.ask(api.CREATE_TOKEN, TokenCreate())
        clone = await copy_of(net, guest)
        forget(clone, "near")
        forget(guest, "far")
        await clone.ask(api.ACCEPT_TOKEN, LinkAccept(token=token.token))
        await wait_until(lambda: "far" in clone.router.links.up, "the copy has a link")
        await wait_until(lambda: not clone.router.links.up, "the copy has made way")
        assert any("This one makes way" in each for each in told(clone, EventKind.IDENTITY_SHARED))
        assert "van site delete guest" in clone.router.links.dialers["far"].detail
        for site in (near, far, guest):
            await wait_until(partial(told, site, EventKind.IDENTITY_SHARED), "all are told")
            assert len(told(site, EventKind.IDENTITY_SHARED)) == 1
        await wait_until(partial(told, far, EventKind.LINK_DOWN), "its neighbour is told why")
        (left,) = told(far, EventKind.LINK_DOWN)
        assert "another router with the keys of site 'guest' is running" in left
        assert "near" in guest.router.links.up
        assert clone.router.links.dialers["far"].is_stopped is False
        # It declines links, too.
        with pytest.raises(LinkLost, match="another router with the keys"):
            await converse_with_copy(near, clone)


async def converse_with_copy(by, clone):
    """Have a site dial a copy that makes way."""
    if clone.router.link_port.endpoint is None:
        await clone.router.link_port.open(Endpoint("127.0.0.1", 0))
    await converse(clone, by=by)
