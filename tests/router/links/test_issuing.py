"""What a token gives to a site that is a member already."""

from datetime import UTC, datetime, timedelta

import pytest
import trio

from lab.network import network, wait_until
from lab.ports import free_port
from van.control import endpoints as api
from van.control.values.links import LinkAccept
from van.control.values.tokens import TokenCreate
from van.errors import CertificateError, NotAllowed
from van.router.links.issuing import Issuer
from van.tls.credentials import Credentials
from van.tls.grants import Grants
from van.tls.keys import generate_key, make_request
from van.wire.join import JoinRequest
from van.wire.revision import MAJOR


async def accept(site, hub, **grants):
    created = await hub.ask(api.CREATE_TOKEN, TokenCreate(**grants))
    return await site.ask(api.ACCEPT_TOKEN, LinkAccept(token=created.token))


def member_for_long(guest, hub):
    """Return what a guest holds that was let in long ago."""
    ours = guest.router.trust.credentials
    chain = hub.router.trust.credentials.authority.issue_site(
        make_request(ours.key),
        site=ours.site,
        grants=ours.identity.grants,
        first_issued=datetime.now(UTC).replace(microsecond=0) - timedelta(days=100),
    )
    return ours.with_chain(chain)


async def test_a_member_gains_what_a_token_allows_beyond_what_it_may_do():
    async with network() as net:
        hub, guest = await net.start("hub"), await net.start("guest")
        await net.link(guest, hub, allow_expose=("web",), allow_bind=("db", "web"))
        with pytest.raises(NotAllowed):
            await guest.expose("db:5432", 9)
        guest.router.site.install(member_for_long(guest, hub))
        before = guest.router.trust.credentials
        accepted = await accept(
            guest, hub, allow_expose=("db:5432",), allow_bind=(), can_invite=True
        )
        assert (accepted.joined, accepted.has_gained, accepted.note) == (False, True, "")
        assert accepted.is_up
        assert accepted.allow_expose == ("web", "db:5432")
        assert accepted.allow_bind == ("db", "web")
        guest.claim("db:5432", 9)
        assert guest.router.trust.identity.public_key == before.identity.public_key
        assert guest.router.trust.identity.first_issued == before.identity.first_issued
        kept = Credentials.load(net.paths("guest").identity_file)
        assert kept.chain == guest.router.trust.credentials.chain
        assert kept.authority is not None
        # And everybody believes it: guest's advertisement at the hub, a third site's at all.
        served = hub.router.routes
        await wait_until(lambda: ("tcp", "db:5432") in served.fib.services, "the hub believes it")
        third = await net.start("third")
        await net.link(third, guest, allow_expose=("web",), allow_bind=())
        await wait_until(lambda: "third" in served.fib.routes, "the hub knows the third")


async def test_a_token_that_allows_no_more_leaves_the_certificate_as_it_is():
    async with network() as net:
        hub, guest = await net.line("hub", "guest")
        before = guest.router.trust.credentials
        accepted = await accept(guest, hub, allow_expose=("web",))
        assert (accepted.has_gained, accepted.note) == (False, "")
        assert guest.router.trust.credentials is before
        assert accepted.can_invite


async def test_what_a_site_can_not_give_it_says_and_what_that_would_take():
    async with network() as net:
        root, hub, guest = [await net.start(name) for name in ("root", "hub", "guest")]
        await net.link(hub, root, can_invite=True, allow_expose=("web",))
        await net.link(guest, root, allow_expose=("db",))
        before = guest.router.trust.credentials
        accepted = await accept(guest, hub, can_invite=True, allow_expose=("web",))
        assert accepted.is_up
        assert not accepted.has_gained
        assert "can't be given by site 'hub'" in accepted.note
        assert "accept such a token of the site that made the VAN" in accepted.note
        assert guest.router.trust.credentials is before
        accepted = await accept(guest, root, can_invite=True, allow_expose=("web",))
        assert accepted.allow_expose == ("db", "web")
        assert guest.router.trust.can_invite


async def test_a_member_that_gains_keeps_its_flows_and_its_own_authority():
    async with trio.open_nursery() as nursery, network() as net:
        root, hub = await net.start("root"), await net.start("hub")
        await net.link(hub, root, can_invite=True, allow_expose=("web",))
        authority = hub.router.trust.credentials.authority
        port = free_port()
        await root.expose("echo:7", port)
        await nursery.start(trio.serve_tcp, echo, port)
        async with await trio.open_tcp_stream("127.0.0.1", await hub.reach("echo:7")) as client:
            await client.send_all(b"before")
            assert await client.receive_some() == b"before"
            assert (await accept(hub, root, allow_expose=("db",))).has_gained
            await client.send_all(b"after")
            assert await client.receive_some() == b"after"
        after = hub.router.trust.credentials.authority
        assert after.key.public_key() == authority.key.public_key()
        assert after.grants.allow_expose == ("web", "db")
        nursery.cancel_scope.cancel()


async def echo(stream):
    async with stream:
        async for data in stream:
            await stream.send_all(data)


async def test_a_member_can_not_have_its_certificate_for_another_key():
    async with network() as net:
        hub, guest = await net.line("hub", "guest")
        other = make_request(generate_key())
        request = JoinRequest(MAJOR, "guest", other, b"", guest.router.trust.credentials.chain)
        with pytest.raises(CertificateError, match="another key"):
            Issuer(hub.router.trust).identify(request)


def test_a_union_allows_what_either_does_and_says_it_once():
    narrow = Grants(allow_expose=("web", "db:5432"), allow_bind=())
    wide = Grants(can_invite=True, allow_expose=("db", "*.shop"), allow_bind=("a.shop",))
    both = narrow.union(wide)
    assert both == Grants(True, ("web", "db", "*.shop"), ("a.shop",))
    assert both.covers(narrow)
    assert both.covers(wide)


async def test_what_is_issued_is_dated_by_the_clock_of_who_issues_it():
    ahead = timedelta(hours=3)
    async with network() as net:
        hub, guest = await net.start("hub"), await net.start("guest")
        hub.router.trust.clock = lambda: datetime.now(UTC) + ahead
        await net.link(guest, hub, can_invite=True)
        given = guest.router.trust.identity.issued_at - datetime.now(UTC)
        assert ahead - timedelta(minutes=2) < given <= ahead
        authority = guest.router.trust.credentials.authority
        assert authority is not None
        (record,) = hub.router.site.ledger.records()
        assert record.expires - datetime.now(UTC) > ahead
