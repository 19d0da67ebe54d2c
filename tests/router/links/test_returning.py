"""A site that was away for longer than its certificate comes back by itself, unless it may not."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import attrs
import pytest
import trio

from lab.network import network, wait_until
from tests.hostile.network_under_attack import shake_hands
from tests.router.links.restarting import authority_of, away, expired
from van.control import endpoints as api
from van.control.values.expulsions import ExpelSpec
from van.errors import CertificateError, CertificateExpired
from van.router.links.proof import prove
from van.router.reactor.message_stream import MessageStream
from van.router.site.audit import HOUR, AuditKind
from van.router.telemetry.events import EventKind
from van.tls.contexts import client_context
from van.tls.credentials import Credentials
from van.tls.grants import Grants
from van.tls.keys import generate_key, make_request
from van.wire.channel import Renew
from van.wire.join import (
    ALPN,
    CODEC,
    MAX_MESSAGE,
    JoinAccepted,
    JoinDeclined,
    JoinRequest,
)
from van.wire.lsa import LsaKind
from van.wire.revision import MAJOR

pytestmark = pytest.mark.slow("routers are started, linked, and restarted")


async def test_it_has_to_prove_its_key_in_the_connection_as_whoever_joins():
    async with network() as net:
        hub, west = await net.start("hub"), await net.start("west")
        await net.link(west, hub)
        west.scope.cancel()
        old = expired(west.router.trust.credentials, authority_of(hub))
        request = JoinRequest(MAJOR, "west", make_request(old.key), b"", ())
        endpoint = hub.router.link_port.endpoint
        assert endpoint is not None
        context = client_context(old.chain, old.key, old.root, (ALPN,))
        for is_proved in (False, True):
            tls = await shake_hands(endpoint, context)
            conversation = MessageStream(tls, CODEC, max_payload=MAX_MESSAGE)
            await conversation.send(prove(request, tls, old.key) if is_proved else request)
            answer = await conversation.receive()
            conversation.close()
            assert isinstance(answer, JoinAccepted if is_proved else JoinDeclined)


async def returned(hub, old):
    """Return to a site with an old certificate, and tell whether that was let in."""
    request = JoinRequest(MAJOR, old.site, make_request(old.key), b"", ())
    context = client_context(old.chain, old.key, old.root, (ALPN,))
    tls = await shake_hands(hub.router.link_port.endpoint, context)
    conversation = MessageStream(tls, CODEC, max_payload=MAX_MESSAGE)
    await conversation.send(prove(request, tls, old.key))
    answer = await conversation.receive()
    conversation.close()
    return isinstance(answer, JoinAccepted)


def recorded(hub):
    records = hub.router.site.audit.read().records
    return [(each.subject, each.text) for each in records if each.kind == AuditKind.SITE_CAME_BACK]


async def test_who_returns_over_and_over_is_counted_and_fills_no_trail(monkeypatch):
    monkeypatch.setattr("van.router.site.audit.MAX_COUNTED", 2)
    async with network() as net:
        hub = await net.start("hub")
        trust, old = hub.router.trust, {}
        for name in ("west", "east", "south"):
            site = await net.start(name)
            await net.link(site, hub)
            site.scope.cancel()
            old[name] = expired(site.router.trust.credentials, authority_of(hub))
        for name in ("west", "west", "east", "west"):
            assert await returned(hub, old[name])
        first = [f"key {old[name].identity.public_key_fingerprint[:16]}…" for name in old]
        assert recorded(hub) == [("west", first[0]), ("east", first[1])]
        clock = trust.clock
        trust.clock = lambda: clock() + HOUR
        assert await returned(hub, old["west"])
        more = f"{first[0]}; 2 times more since the record before"
        assert recorded(hub)[2:] == [("west", more)]
        for name in ("east", "south", "west", "west"):  # which are one too many to be counted
            assert await returned(hub, old[name])
        assert recorded(hub)[3:] == [("east", first[1]), ("south", first[2]), ("west", first[0])]


async def echo(stream):
    with suppress(trio.BrokenResourceError):
        async for data in stream:
            await stream.send_all(data)


def failures(site):
    events = site.router.control.events.after(0)
    return [each.text for each in events if each.kind is EventKind.LINK_FAILED]


async def is_refused(site, reason):
    await wait_until(lambda: any(reason in each for each in failures(site)), "it is told why")
    assert not site.router.links.up
    assert site.router.trust.identity.not_after < datetime.now(UTC)


@pytest.mark.parametrize("can_invite", [False, True])
async def test_it_comes_back_by_its_old_key(can_invite):
    async with network() as net:
        hub, west = await net.start("hub"), await net.start("west")
        await net.link(west, hub, can_invite=can_invite)
        before = west.router.trust.identity
        west = await away(net, west, authority_of(hub))
        assert west.router.trust.identity.not_after < datetime.now(UTC)
        await wait_until(lambda: "hub" in west.router.links.up, "it is back")
        after = west.router.trust.identity
        assert after.public_key_fingerprint == before.public_key_fingerprint
        assert after.grants == before.grants
        assert after.first_issued < after.issued_at - timedelta(days=20)
        assert after.not_after > datetime.now(UTC)
        assert Credentials.load(net.paths("west").identity_file).identity == after
        if can_invite:
            assert authority_of(west).not_after > datetime.now(UTC)


async def test_it_takes_nothing_but_what_it_had(monkeypatch):
    async with network() as net:
        hub, west = await net.start("hub"), await net.start("west")
        await net.link(west, hub)
        readmission = hub.router.control.join_server.readmission
        right = readmission._issuer.renew

        def renew(request, former):
            return right(request, attrs.evolve(former, grants=Grants(allow_bind=())))

        monkeypatch.setattr(readmission._issuer, "renew", renew)
        west = await away(net, west, authority_of(hub))
        await is_refused(west, "grants something else than the present one")
        monkeypatch.undo()
        await wait_until(lambda: "hub" in west.router.links.up, "it is back")


async def test_it_does_not_once_it_has_been_away_for_too_long():
    async with network() as net:
        hub, west = await net.start("hub"), await net.start("west")
        await net.link(west, hub)
        west = await away(net, west, authority_of(hub), ago=timedelta(days=33))  # 40 in all
        await is_refused(west, "which lets sites return for 30 days: accept a new token there")
        await wait_until(
            lambda: any(
                "which lets sites return for 30 days" in each.text
                for each in hub.router.control.events.after(0)
                if each.kind is EventKind.PEER_REFUSED
            ),
            "that is told at the hub as well",
        )
        settings = hub.router.site.settings
        settings.config = attrs.evolve(settings.config, return_days=40)
        await wait_until(lambda: "hub" in west.router.links.up, "it may, by that setting")


async def test_it_does_not_when_it_was_expelled():
    async with network() as net:
        hub, west = await net.start("hub"), await net.start("west")
        await net.link(west, hub)
        await hub.ask(api.EXPEL, ExpelSpec(site="west"))
        west = await away(net, west, authority_of(hub))
        await is_refused(west, "was expelled")


async def test_it_does_not_when_its_name_is_taken():
    async with network() as net:
        hub, west = await net.start("hub"), await net.start("west")
        await net.link(west, hub)
        west.scope.cancel()
        await wait_until(lambda: "hub" not in west.router.links.up, "it is away")
        hub.router.routes._engine._lsdb.remove(("west", LsaKind.IDENTITY))
        pins = hub.router.trust.pins
        pin = pins.get("west")
        assert pin is not None
        pins.restore([attrs.evolve(pin, key="0" * 64)])
        west = await away(net, west, authority_of(hub))
        await is_refused(west, "site name 'west' is taken")


async def test_what_is_open_ends_when_the_certificate_of_who_is_there_has_run_out():
    async with trio.open_nursery() as nursery, network() as net:
        hub, west = await net.start("hub"), await net.start("west")
        await net.link(west, hub)
        target = (await nursery.start(trio.serve_tcp, echo, 0))[0].socket.getsockname()[1]
        await west.expose("web:1", target)
        port = await hub.reach("web:1")
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            await client.send_all(b"x")
            assert await client.receive_some() == b"x"
            trust, alarms = hub.router.trust, hub.router.control.alarms
            alarms.ring_due()
            link = hub.router.links.up["west"]
            assert link.close_reason == ""
            now = trust.clock()
            trust.clock = lambda: now + timedelta(days=8)
            alarms.ring_due()
            assert "expired by the clock of site 'hub'" in link.close_reason
            with trio.fail_after(5), suppress(trio.BrokenResourceError):
                assert await client.receive_some() == b"", "it ends, or is reset"
        nursery.cancel_scope.cancel()


async def test_channels_from_end_to_end_end_though_the_links_are_others():
    async with trio.open_nursery() as nursery, network() as net:
        hub, middle, west = await net.line("hub", "middle", "west")
        target = (await nursery.start(trio.serve_tcp, echo, 0))[0].socket.getsockname()[1]
        await west.expose("web:1", target)
        port = await hub.reach("web:1")
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            await client.send_all(b"x")
            assert await client.receive_some() == b"x"
            await prolong(hub, middle)
            now = hub.router.trust.clock()
            hub.router.trust.clock = lambda: now + timedelta(days=8)
            hub.router.control.alarms.ring_due()
            with trio.fail_after(5), suppress(trio.BrokenResourceError):
                assert await client.receive_some() == b"", "it ends, or is reset"
        assert "middle" in hub.router.links.up
        nursery.cancel_scope.cancel()


async def test_what_is_open_goes_on_when_there_is_a_newer_certificate():
    async with network() as net:
        hub, west = await net.start("hub"), await net.start("west")
        await net.link(west, hub)
        await wait_until(lambda: knows(hub, "west"), "it is known")
        await prolong(hub, west)
        now = hub.router.trust.clock()
        hub.router.trust.clock = lambda: now + timedelta(days=8)
        hub.router.control.alarms.ring_due()
        assert hub.router.links.up["west"].close_reason == ""


async def test_what_is_open_goes_on_until_the_last_certificate_that_was_shown_ends(monkeypatch):
    async with network() as net:
        hub, west = await net.start("hub"), await net.start("west")
        await net.link(west, hub)
        hub.router.control.lapses.watch(valid_for_20_days(hub, west).identity)
        link, now = hub.router.links.up["west"], hub.router.trust.clock()
        for days, is_open in ((8, True), (21, False)):
            later = now + timedelta(days=days)
            monkeypatch.setattr(hub.router.trust, "clock", lambda later=later: later)
            hub.router.control.alarms.ring_due()
            assert (link.close_reason == "") is is_open


def valid_for_20_days(hub, site):
    """Return what a site holds with a certificate that is valid for so long."""
    ours = site.router.trust.credentials
    later = authority_of(hub).issue_site(
        make_request(ours.key),
        site=site.name,
        grants=ours.identity.grants,
        lifetime=timedelta(days=20),
    )
    return ours.with_chain(later)


async def prolong(hub, site):
    """Give a site a certificate that is valid for 20 days, and let the hub hear of it."""
    site.router.site.install(valid_for_20_days(hub, site))
    until = datetime.now(UTC) + timedelta(days=19)
    routes = hub.router.routes
    await wait_until(lambda: routes.identity_of(site.name).not_after > until, "it is told")


async def test_over_a_channel_no_certificate_is_renewed_that_has_run_out():
    async with network() as net:
        hub, west = await net.start("hub"), await net.start("west")
        await net.link(west, hub)
        await wait_until(lambda: knows(hub, "west"), "it is known")
        ours = west.router.trust.credentials
        request = Renew(make_request(ours.key), b"")
        reissue, trust = hub.router.control.reissue, hub.router.trust
        assert reissue.issue(ours.identity, request).chain
        now = trust.clock()
        trust.clock = lambda: now + timedelta(days=8)
        with pytest.raises(CertificateExpired, match="by the clock of site 'hub'"):
            reissue.issue(ours.identity, request)


def knows(site, name):
    return site.router.routes.identity_of(name) is not None


async def test_a_certificate_of_another_key_is_not_given():
    async with network() as net:
        hub, west = await net.start("hub"), await net.start("west")
        await net.link(west, hub)
        old = expired(west.router.trust.credentials, authority_of(hub))
        readmission = hub.router.control.join_server.readmission
        returning = readmission.returning(old.chain)
        assert returning is not None
        request = JoinRequest(MAJOR, "west", make_request(generate_key()), b"", ())
        with pytest.raises(CertificateError, match="renewed for the same key only"):
            readmission.check(returning, request)
        request = JoinRequest(MAJOR, "east", make_request(old.key), b"", ())
        with pytest.raises(CertificateError, match="is not that of site 'east'"):
            readmission.check(returning, request)
