"""An authority that is second to the root: the VAN outlives the machine that holds the root."""

from datetime import UTC, datetime, timedelta
from functools import partial

import attrs
import pytest

from lab.network import network, wait_until
from tests.router.links.restarting import restart_with
from van.control import endpoints as api
from van.control.values.authority import AuthorityGrantSpec
from van.control.values.expulsions import ExpelSpec
from van.errors import LocalError, NotAllowed, NotFound, Unreachable
from van.router.links import granting
from van.tls.authority import Authority
from van.tls.credentials import Credentials
from van.tls.grants import FULL
from van.tls.keys import generate_key, make_request
from van.wire.link import AuthorityGrant

pytestmark = pytest.mark.slow("routers are started, linked, and restarted")


def authority_of(site):
    return site.router.trust.credentials.authority


async def grant(site, name):
    return (await site.ask(api.GRANT_AUTHORITY, AuthorityGrantSpec(site=name))).state


def knows(site, *names):
    return site.router.routes.identities().keys() >= set(names)


async def chain_of_three(net):
    """Start a hub that makes the VAN, and two sites behind it, one behind the other."""
    hub, middle, far = [await net.start(name) for name in ("hub", "middle", "far")]
    await net.link(middle, hub, can_invite=True)
    await net.link(far, middle)
    sites = (hub, middle, far)
    names = {each.name for each in sites}
    await wait_until(
        lambda: all(each.router.routes.fib.routes.keys() >= names for each in sites),
        "all are known",
    )
    return sites


async def test_it_is_granted_over_others_and_kept():
    async with network() as net:
        hub, middle, far = await chain_of_three(net)
        before = far.router.trust.identity
        assert await grant(hub, "far") == "granted"
        held = authority_of(far)
        assert (held.is_granted, held.is_root, held.grants) == (True, False, FULL)
        assert held.not_after == authority_of(hub).not_after
        after = far.router.trust.identity
        assert after.public_key_fingerprint == before.public_key_fingerprint
        assert after.first_issued == before.first_issued
        assert (before.depth, after.depth) == (1, 0)
        assert Credentials.load(net.paths("far").identity_file).authority.is_granted
        assert await grant(hub, "far") == "already"
        assert authority_of(far) is held
        for site in (hub, middle, far):
            found = (await site.ask(api.AUTHORITIES)).known
            assert {(each.site, each.kind) for each in found} == {
                ("hub", "root"), ("middle", "intermediate"), ("far", "granted"),
            }  # fmt: skip


async def test_what_is_lost_on_its_way_is_sent_again(monkeypatch):
    monkeypatch.setattr(granting, "RESEND", 0.1)
    async with network() as net:
        hub, _, far = await chain_of_three(net)
        sent, send = [], hub.router.control.granting._send

        def lose_the_first(neighbor, message):
            sent.append(message)
            if len(sent) > 1:
                send(neighbor, message)

        monkeypatch.setattr(hub.router.control.granting, "_send", lose_the_first)
        assert await grant(hub, "far") == "granted"
        assert authority_of(far).is_granted
        assert sent[0] == sent[1]


async def test_everything_goes_on_when_the_root_is_lost():
    async with network() as net:
        hub, middle, far = await chain_of_three(net)
        assert await grant(hub, "far") == "granted"
        hub.scope.cancel()
        await wait_until(lambda: "hub" not in middle.router.links.up, "the root is lost")
        tonight, clock = datetime.now(UTC) + timedelta(hours=12), far.router.trust.clock
        for site in (far, middle):
            site.router.trust.clock = lambda: tonight
        # Its own certificate, that of another, and an authority below it.
        for site in (far, middle):
            old = site.router.trust.identity
            await renew(site)
            new = site.router.trust.identity
            assert new.certificate != old.certificate
            assert (new.depth, new.issuers) == (0, ("far",))
        assert authority_of(middle).chain[1:] == authority_of(far).chain
        for site in (far, middle):
            site.router.trust.clock = clock
        new = await net.start("new")
        await net.link(new, far, can_invite=True)
        await wait_until(lambda: "new" in middle.router.routes.fib.routes, "it is let in")
        newer = await net.start("newer")
        await net.link(newer, new)
        await wait_until(lambda: "newer" in middle.router.routes.fib.routes, "it lets in")
        await wait_until(partial(rests_on, far, "middle", "far"), "it is told")
        assert (await far.ask(api.EXPEL, ExpelSpec(site="middle"))).is_new
        await wait_until(lambda: "middle" not in far.router.links.up, "it is out")


async def renew(site):
    """Have a site renew its certificate now."""
    site.router.site.install(await site.router.renewer._renewed())


def rests_on(site, name, issuer):
    identity = site.router.routes.identity_of(name)
    return identity is not None and identity.issuers[:1] == (issuer,)


async def test_the_root_can_expel_it_and_all_that_it_has_let_in():
    async with network() as net:
        hub, middle, far = await chain_of_three(net)
        assert await grant(hub, "far") == "granted"
        new = await net.start("new")
        await net.link(new, far)
        await wait_until(lambda: "new" in hub.router.routes.fib.routes, "it is let in")
        with pytest.raises(NotAllowed, match="does not rest on this site's authority"):
            await far.ask(api.EXPEL, ExpelSpec(site="hub"))
        assert (await hub.ask(api.EXPEL, ExpelSpec(site="far"))).invited == ("new",)
        await wait_until(lambda: "far" not in middle.router.links.up, "it is out")
        assert not knows(hub, "far")
        assert not knows(hub, "new")


async def test_only_the_root_grants_and_only_to_who_is_there(monkeypatch):
    monkeypatch.setattr(granting, "TIMEOUT", 0.1)
    async with network() as net:
        hub, middle, far = await chain_of_three(net)
        for site in (middle, far):
            with pytest.raises(NotAllowed, match="does not hold the root of the VAN"):
                await grant(site, "hub")
        with pytest.raises(LocalError, match="holds the root itself"):
            await grant(hub, "hub")
        with pytest.raises(NotFound, match="'nobody' is not known here"):
            await grant(hub, "nobody")
        far.scope.cancel()
        with pytest.raises(Unreachable, match="did not say within"):
            await grant(hub, "far")
        pod = await net.start("pod")
        await net.link(pod, hub, is_ephemeral=True)
        await wait_until(partial(knows, hub, "pod"), "it is known")
        with pytest.raises(LocalError, match="is ephemeral"):
            await grant(hub, "pod")


async def test_nothing_is_taken_that_the_root_has_not_granted_to_this_site():
    async with network() as net:
        hub, _, far = await chain_of_three(net)
        root, ours = authority_of(hub), far.router.trust.credentials
        key, now = ours.key.public_key(), datetime.now(UTC)
        since = ours.identity.first_issued
        stranger = Authority.create_root()
        intermediate = root.issue_intermediate(make_request(ours.key), site="far", grants=FULL)
        bad = {
            "stranger": stranger.issue_authority(key, site="far", first_issued=since),
            "name": root.issue_authority(key, site="middle", first_issued=since),
            "key": root.issue_authority(
                generate_key().public_key(), site="far", first_issued=since
            ),
            "kind": intermediate,
            "not yet": root.issue_authority(
                key, site="far", first_issued=since, now=now + timedelta(days=9)
            ),
            "none": (),
            "garbage": (b"x",),
        }
        link = far.router.links.up["middle"]
        for each in bad.values():
            far.router.control.granting.receive(link, AuthorityGrant("far", each, 1))
            assert far.router.trust.credentials is ours
        good = root.issue_authority(key, site="far", first_issued=since)
        far.router.control.granting.receive(link, AuthorityGrant("far", good, 1))
        held = far.router.trust.credentials
        assert held.authority.is_granted
        far.router.control.granting.receive(link, AuthorityGrant("far", good, 1))
        assert far.router.trust.credentials is held


async def test_what_is_for_another_goes_no_further_than_it_may():
    async with network() as net:
        _hub, middle, far = await chain_of_three(net)
        sent = []
        middle.router.control.granting._send = lambda to, message: sent.append((to, message))
        link = middle.router.links.up["hub"]
        receive = middle.router.control.granting.receive
        receive(link, AuthorityGrant("far", (b"x",), 0))
        receive(link, AuthorityGrant("nobody", (b"x",), 5))
        assert sent == []
        receive(link, AuthorityGrant("far", (b"x",), 5))
        assert sent == [("far", AuthorityGrant("far", (b"x",), 4))]
        assert authority_of(far) is None


async def test_one_that_was_away_for_long_renews_itself():
    async with network() as net:
        hub, _, far = await chain_of_three(net)
        assert await grant(hub, "far") == "granted"
        ours = far.router.trust.credentials
        ended = datetime.now(UTC) - timedelta(days=400)
        chain = ours.authority.issue_site(
            make_request(ours.key), site="far", grants=FULL, now=ended - timedelta(days=7)
        )
        far = await restart_with(net, far, attrs.evolve(ours, chain=chain))
        await wait_until(
            lambda: far.router.trust.identity.not_after > datetime.now(UTC), "it has renewed itself"
        )
        await wait_until(lambda: "middle" in far.router.links.up, "it is back")
