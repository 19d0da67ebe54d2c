"""What is known of a site is shown: whether it is there, away, or out."""

from functools import partial

import pytest

from lab.network import network, wait_until
from van import __version__
from van.control import endpoints as api
from van.control.values.expulsions import ExpelSpec, ForgetSpec
from van.errors import InvalidName, NotFound
from van.router.site import incarnation

pytestmark = pytest.mark.slow("routers are started, linked, and stopped")


async def show(site, name):
    return await site.ask(api.SHOW_SITE, site=name)


def key_of(site):
    return site.router.trust.identity.public_key_fingerprint


def is_reached(site, name):
    return name in site.router.routes.fib.routes


async def test_every_site_says_which_version_it_has(monkeypatch):
    async with network() as net:
        hub = await net.start("hub")
        monkeypatch.setattr(incarnation, "__version__", "9.9")
        west = await net.start("west")
        monkeypatch.undo()
        east = await net.start("east")
        await net.link(west, hub, can_invite=True)
        await net.link(east, west)
        versions = {"hub": __version__, "west": "9.9", "east": __version__}
        for site in (hub, west, east):
            for name in versions:
                await wait_until(partial(is_reached, site, name), "it is known")
            status = await site.ask(api.STATUS)
            assert {each.site: each.version for each in status.sites} == versions
            assert (await show(site, "west")).version == "9.9"
        assert hub.router.links.up["west"].hello.software == "9.9"
        assert west.router.links.up["hub"].hello.software == __version__


async def test_a_site_is_shown_while_it_is_up_away_and_out():
    async with network() as net:
        hub, west, east = [await net.start(name) for name in ("hub", "west", "east")]
        await net.link(west, hub, can_invite=True, tags=("prod",), allow_bind=("db",))
        await net.link(east, west, allow_bind=())
        await wait_until(partial(is_reached, hub, "east"), "it is known")
        shown = await show(hub, "west")
        (token,) = hub.router.site.ledger.records()
        assert (shown.state, shown.key, shown.seen) == ("up", key_of(west), None)
        assert shown.pinned_since is not None
        assert shown.tokens == (token.id,)
        assert shown.statements == ()
        said = shown.certificate
        assert said is not None
        assert said.id == f"spiffe://{hub.router.trust.van_id}/site/west"
        assert (said.tags, said.allow_bind, said.issued_by) == (("prod",), ("db",), ())
        identity = west.router.trust.identity
        assert (said.first_issued, said.expires_at) == (identity.first_issued, identity.not_after)
        below = await show(hub, "east")
        assert below.certificate is not None
        assert (below.certificate.issued_by, below.tokens) == (("west",), ())
        own = await show(hub, "hub")
        assert (own.state, own.key, own.pinned_since) == ("up", key_of(hub), None)

        assert (shown.version, own.version) == (__version__, __version__)

        east.scope.cancel()
        await wait_until(lambda: not is_reached(hub, "east"), "it is gone")
        away = await show(hub, "east")
        assert (away.state, away.key) == ("away", key_of(east))
        assert away.seen is not None
        assert away.seen >= away.pinned_since
        await hub.ask(api.FORGET, ForgetSpec(site="east"))
        out = await show(hub, "east")
        assert (out.state, out.key, out.certificate) == ("forgotten", key_of(east), None)
        assert "was given up by" in out.statements[0]
        await hub.ask(api.EXPEL, ExpelSpec(site="west", reason="stolen"))
        out = await show(hub, "west")
        assert (out.state, out.statements[-1].endswith(": stolen")) == ("expelled", True)
        new = await net.start("new")
        assert await hub.ask(api.SITE_NAMES) == ("east", "hub", "west")
        new.scope.cancel()


async def test_what_was_said_of_an_earlier_key_is_told_from_what_is_said_of_the_present_one():
    async with network() as net:
        hub, west = [await net.start(name) for name in ("hub", "west")]
        await net.link(west, hub)
        await wait_until(partial(is_reached, hub, "west"), "it is known")
        before = key_of(west)
        await hub.ask(api.EXPEL, ExpelSpec(site="west", reason="stolen"))
        assert (await show(hub, "west")).statements[0].startswith("site 'west' was expelled")
        west.scope.cancel()
        await wait_until(lambda: west.router.links.up == {}, "it is down")
        for each in (net.paths("west").identity_file, net.paths("west").config_file):
            each.unlink()
        west = await net.start("west")
        await net.link(west, hub)
        await wait_until(partial(is_reached, hub, "west"), "it is a member")
        shown = await show(hub, "west")
        assert (shown.state, shown.key) == ("up", key_of(west))
        assert shown.statements[0].startswith(f"with an earlier key, {before[:16]}…: site 'west'")


async def test_a_site_that_nobody_knows_is_not_shown():
    async with network() as net:
        hub = await net.start("hub")
        with pytest.raises(NotFound, match="'nobody' is not known here"):
            await show(hub, "nobody")
        with pytest.raises(InvalidName):
            await show(hub, "no_body")
