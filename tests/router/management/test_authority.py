"""Who holds what authority is shown, and a root that was lost is restored."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from lab.network import network, wait_until
from van.control import endpoints as api
from van.control.values.authority import AuthorityRestore
from van.control.values.expulsions import ExpelSpec
from van.errors import AlreadyExists, LocalError
from van.router.telemetry.events import EventKind
from van.tls.authority import Authority
from van.tls.backup import texts_of
from van.tls.credentials import Credentials
from van.tls.grants import FULL
from van.tls.keys import generate_key, make_request

pytestmark = pytest.mark.slow("routers are started, linked, and restarted")


def authority_of(site):
    return site.router.trust.credentials.authority


def secret(authority):
    return AuthorityRestore(**texts_of(authority))


async def known(site):
    found = await site.ask(api.AUTHORITIES)
    return [(each.site, each.kind, each.issued_by, each.sites) for each in found.known]


async def tree(net):
    """Start a hub that makes the VAN, a site below that it lets in others, and a leaf of that."""
    hub, below, leaf = [await net.start(name) for name in ("hub", "below", "leaf")]
    await net.link(below, hub, can_invite=True)
    await net.link(leaf, below)
    names = {"hub", "below", "leaf"}
    await wait_until(
        lambda: all(each.router.routes.identities().keys() >= names for each in (hub, below, leaf)),
        "all are known",
    )
    return hub, below, leaf


async def test_who_holds_what_is_shown_at_every_site():
    async with network() as net:
        hub, below, leaf = await tree(net)
        expected = [("hub", "root", "", 2), ("below", "intermediate", "", 1)]
        for site in (hub, below, leaf):
            assert await known(site) == expected
        shown = await below.ask(api.AUTHORITIES)
        assert shown.van == hub.router.trust.van_id
        assert shown.held == shown.known[1]
        assert shown.held.expires_at == authority_of(below).not_after
        assert (await leaf.ask(api.AUTHORITIES)).held is None
        held = (await hub.ask(api.AUTHORITIES)).held
        assert (held.kind, held.can_invite, held.allow_bind) == ("root", True, ("*",))


async def test_an_authority_that_is_away_is_known_by_whom_it_let_in():
    async with network() as net:
        hub, _below, leaf = await tree(net)
        await net.link(leaf, hub)
        for name in ("below", "hub"):
            net.sites[name].scope.cancel()
        await wait_until(lambda: not leaf.router.links.up, "they are away")
        for name in ("below", "hub"):
            forget(leaf, name)
        assert await known(leaf) == [("", "root", "", 0), ("below", "intermediate", "", 1)]


def forget(site, name):
    lsdb = site.router.routes._engine._lsdb
    for key in lsdb.sorted_keys():
        if key[0] == name:
            lsdb.remove(key)


def says(site, name, authority):
    """Tell whether a site is told that another one holds an authority of this chain."""
    body = site.router.routes.identities().get(name)
    return body is not None and body.authority == authority


async def test_what_a_site_says_falsely_of_itself_is_not_shown(monkeypatch):
    async with network() as net:
        hub, _below, leaf = await tree(net)
        stranger = Authority.create_root()
        key = generate_key()
        foreign = stranger.issue_intermediate(make_request(key), site="leaf", grants=FULL)
        others = authority_of(net.sites["below"]).chain
        for lie in (foreign, others, (b"x",)):
            monkeypatch.setattr(leaf.router.trust, "authority", lambda lie=lie: lie)
            leaf.router.routes.refresh_identity()
            await wait_until(partial(says, hub, "leaf", lie), "it is told")
            assert await known(hub) == [("hub", "root", "", 2), ("below", "intermediate", "", 1)]


async def test_a_member_is_given_the_root_by_a_back_up_and_does_what_the_root_may():
    async with network() as net:
        hub, below, leaf = await tree(net)
        await net.link(leaf, hub)
        before = leaf.router.trust.identity
        root = authority_of(hub)
        hub.scope.cancel()
        await wait_until(lambda: "hub" not in leaf.router.links.up, "the machine is lost")
        done = await leaf.ask(api.RESTORE_AUTHORITY, secret(root))
        assert (done.van, done.joined) == (before.van_id, False)
        after = leaf.router.trust.identity
        assert after.public_key_fingerprint == before.public_key_fingerprint
        assert (after.grants, after.authorities) == (FULL, ())
        assert Credentials.load(net.paths("leaf").identity_file).authority.is_root
        (event,) = [
            each
            for each in leaf.router.control.events.after(0)
            if each.kind is EventKind.AUTHORITY_CHANGED
        ]
        assert "it holds the root of VAN" in event.text
        # It lets in, renews, and expels.
        new = await net.start("new")
        await net.link(new, leaf)
        old = below.router.trust.identity
        later = old.issued_at + timedelta(days=1)
        for site in (below, leaf):
            site.router.trust.clock = lambda: later
        below.router.site.install(await below.router.renewer._renewed())
        assert below.router.trust.identity.certificate != old.certificate
        assert below.router.trust.identity.authorities == ()
        await wait_until(lambda: "below" in leaf.router.routes.fib.routes, "it is known")
        assert (await leaf.ask(api.EXPEL, ExpelSpec(site="below"))).is_new
        await wait_until(lambda: "below" not in leaf.router.links.up, "it is out")


async def test_a_new_site_takes_the_place_of_a_machine_that_is_lost():
    async with network() as net:
        hub, below, leaf = await tree(net)
        root = authority_of(hub)
        hub.scope.cancel()
        await wait_until(lambda: "hub" not in below.router.links.up, "the machine is lost")
        new = await net.start("standby")
        done = await new.ask(api.RESTORE_AUTHORITY, secret(root))
        assert (done.van, done.joined) == (root.van_id, True)
        await net.link(below, new)
        await wait_until(lambda: "standby" in leaf.router.routes.fib.routes, "it is a member")
        assert new.router.trust.van_id == leaf.router.trust.van_id
        await new.ask(api.EXPEL, ExpelSpec(site="leaf"))
        await wait_until(lambda: "leaf" not in below.router.links.up, "it expels as the root")


async def test_no_root_is_restored_over_one_nor_over_another_van():
    async with network() as net:
        hub, below, leaf = await tree(net)
        other = await net.start("other")
        guest = await net.start("guest")
        await net.link(guest, other)
        before = {each.name: each.router.trust.credentials for each in (hub, below, other, guest)}
        root = secret(authority_of(hub))
        with pytest.raises(AlreadyExists, match=r"site 'hub' holds the root of VAN .* already"):
            await hub.ask(api.RESTORE_AUTHORITY, root)
        for site in (other, guest):
            with pytest.raises(LocalError, match="which has other sites: restore at a site of"):
                await site.ask(api.RESTORE_AUTHORITY, root)
        with pytest.raises(LocalError, match="only a root can be restored"):
            await leaf.ask(api.RESTORE_AUTHORITY, secret(authority_of(below)))
        key = AuthorityRestore(key="x", certificates="", root=root.root)
        with pytest.raises(LocalError, match="this is no root: private key is malformed"):
            await leaf.ask(api.RESTORE_AUTHORITY, key)
        for name, credentials in before.items():
            assert net.sites[name].router.trust.credentials is credentials
            loaded = Credentials.load(net.paths(name).identity_file)
            assert loaded.chain == credentials.chain
            assert loaded.authority.root == credentials.root if loaded.authority else True


async def test_a_restored_root_lasts_as_long_as_it_did():
    async with network() as net:
        hub, leaf = await net.start("hub"), await net.start("leaf")
        await net.link(leaf, hub)
        await leaf.ask(api.RESTORE_AUTHORITY, secret(authority_of(hub)))
        found = (await leaf.ask(api.AUTHORITIES)).held
        assert found.expires_at == authority_of(hub).not_after > datetime.now(UTC)
        await wait_until(partial(says, hub, "leaf", ()), "it is told")
        assert await known(hub) == [("hub", "root", "", 2), ("leaf", "root", "", 2)]
