"""Certificates are renewed while flows live on."""

from datetime import UTC, datetime, timedelta
from functools import partial

import attrs
import pytest
import trio
import trio.testing

from lab.network import network, wait_until
from lab.ports import free_port
from tests.router.links.restarting import restart_with
from van.config import SiteConfig
from van.errors import CertificateError, CertificateExpired, NameTaken, NotAllowed, Unreachable
from van.router.egress.stream import EgressStream
from van.router.links import renewal
from van.router.site.trust import utc_now
from van.sites import create_site
from van.tls.credentials import Credentials
from van.tls.grants import Grants
from van.tls.keys import generate_key, make_request
from van.wire.channel import Renew, Renewed


async def echo(stream):
    async with stream:
        async for data in stream:
            await stream.send_all(data)


def with_short_certificate(credentials, authority):
    """Return the same site with a certificate of which more than half is over."""
    chain = authority.issue_site(
        make_request(credentials.key),
        site=credentials.site,
        grants=credentials.identity.grants,
        lifetime=timedelta(minutes=4),
        now=datetime.now(UTC) - timedelta(minutes=3),
    )
    return credentials.with_chain(chain)


@pytest.mark.parametrize("renewed", ["root", "guest"])
async def test_a_certificate_is_renewed_and_kept_and_no_flow_is_lost(renewed):
    async with trio.open_nursery() as nursery, network() as net:
        root, guest = await net.line("root", "guest")
        target = free_port()
        await root.expose("echo:7", target)
        await nursery.start(trio.serve_tcp, echo, target)
        site = {"root": root, "guest": guest}[renewed]
        authority = root.router.trust.credentials.authority
        old = with_short_certificate(site.router.trust.credentials, authority)
        site = await restart_with(net, site, old)
        root, guest = net.sites["root"], net.sites["guest"]
        port = await guest.reach("echo:7")
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            await client.send_all(b"before")
            assert await client.receive_some() == b"before"
            await wait_until(
                lambda: site.router.trust.credentials.identity.not_after > old.identity.not_after,
                "the certificate has been renewed",
            )
            await client.send_all(b"after")
            assert await client.receive_some() == b"after"
        kept = Credentials.load(net.paths(site.name).identity_file)
        assert kept.chain == site.router.trust.credentials.chain
        assert kept.identity.public_key == old.identity.public_key
        nursery.cancel_scope.cancel()


async def test_a_renewal_carries_on_when_the_first_certificate_was_issued():
    async with network() as net:
        root, guest = await net.line("root", "guest")
        authority = root.router.trust.credentials.authority
        old = with_short_certificate(guest.router.trust.credentials, authority)
        guest.router.site.install(old)
        reply = root.router.control.reissue.issue(old.identity, Renew(make_request(old.key), b""))
        renewed = old.with_chain(reply.chain).identity
        assert renewed.first_issued == old.identity.first_issued < renewed.issued_at


async def test_nobody_renews_for_another_key():
    async with network() as net:
        root, guest = await net.line("root", "guest")
        request = Renew(make_request(generate_key()), b"")
        with pytest.raises(CertificateError, match="same key"):
            root.router.control.reissue.issue(guest.router.trust.identity, request)


async def test_a_flow_on_a_new_channel_uses_the_new_certificate():
    async with trio.open_nursery() as nursery, network() as net:
        root, guest = await net.line("root", "guest")
        target = free_port()
        await root.expose("echo:7", target)
        await nursery.start(trio.serve_tcp, echo, target)
        port = await guest.reach("echo:7")
        authority = root.router.trust.credentials.authority
        ours = guest.router.trust.credentials
        renewed = ours.with_chain(
            authority.issue_site(
                make_request(ours.key),
                site="guest",
                grants=ours.identity.grants,
                lifetime=timedelta(minutes=4),
            )
        )
        guest.router.site.install(renewed)
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            await client.send_all(b"x")
            assert await client.receive_some() == b"x"
            peers = {
                user.channel.peer.not_after
                for user in root.router.data.channels.table.users("guest")
                if isinstance(user, EgressStream)
            }
            assert peers == {renewed.identity.not_after}
        nursery.cancel_scope.cancel()


async def test_a_site_whose_certificate_has_run_out_comes_back_by_a_token():
    async with network() as net:
        root, guest = await net.line("root", "guest")
        settings = root.router.site.settings
        settings.config = attrs.evolve(settings.config, return_days=0)
        ours = guest.router.trust.credentials
        authority = root.router.trust.credentials.authority
        expired = ours.with_chain(
            authority.issue_site(
                make_request(ours.key),
                site="guest",
                grants=ours.identity.grants,
                lifetime=timedelta(seconds=1),
                now=datetime.now(UTC) - timedelta(hours=1),
            )
        )
        guest = await restart_with(net, guest, expired)
        assert not await guest.router.links.table.wait_up("root", 0.3)
        await net.link(guest, root)
        renewed = guest.router.trust.credentials.identity
        assert renewed.not_after > datetime.now(UTC)
        assert renewed.public_key == expired.identity.public_key


async def test_nobody_renews_for_a_site_whose_name_is_another_one_s():
    async with network() as net:
        root, _ = await net.line("root", "guest")
        await wait_until(lambda: root.router.routes.identity_of("guest"), "it is known")
        key, authority = generate_key(), root.router.trust.credentials.authority
        chain = authority.issue_site(make_request(key), site="guest", grants=Grants())
        other = Credentials.joined(key, chain, authority.root)
        with pytest.raises(NameTaken, match="that of another key"):
            root.router.control.reissue.issue(other.identity, Renew(make_request(key), b""))


async def test_a_certificate_is_renewed_by_an_authority_that_is_no_neighbor():
    async with network() as net:
        root, _, _, guest = await net.line("root", "first", "second", "guest")
        authority = root.router.trust.credentials.authority
        old = with_short_certificate(guest.router.trust.credentials, authority)
        guest = await restart_with(net, guest, old)
        assert "root" not in guest.router.links.up
        await wait_until(lambda: is_renewed(guest, old), "the certificate has been renewed")


def is_renewed(site, old):
    identity = site.router.trust.identity
    return identity.not_after > old.identity.not_after + timedelta(days=6)


def tomorrow():
    return datetime.now(UTC) + timedelta(days=1)


async def branch(net):
    """Start a site that was let in by another one than the root, and is linked to both."""
    root, inviter, guest = [await net.start(name) for name in ("root", "inviter", "guest")]
    await net.link(inviter, root, can_invite=True)
    await net.link(guest, inviter)
    await net.link(guest, root)
    routes = guest.router.routes
    await wait_until(lambda: {"root", "inviter"} <= routes.fib.routes.keys(), "both are known")
    for site in (root, inviter, guest):  # so that a new certificate is another one
        site.router.trust.clock = tomorrow
    return root, inviter, guest


LIES = {
    "declines": lambda *_: Renewed((), (), "it is not well"),
    "another name": lambda issue, *_: issue("other"),
    "more": lambda issue, grants: issue("guest", attrs.evolve(grants, can_invite=True)),
    "less": lambda issue, grants: issue("guest", attrs.evolve(grants, allow_bind=())),
    "shorter": lambda issue, grants: issue("guest", grants, lifetime=timedelta(days=1)),
    "later": lambda issue, grants: issue("guest", grants, ahead=timedelta(days=2)),
    "no certificate": lambda *_: Renewed((b"x",), (), ""),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_an_authority_that_answers_with_something_else_leaves_it_to_another(lie, monkeypatch):
    async with network() as net:
        _, inviter, guest = await branch(net)
        asked: list[str] = []

        def answer(peer, request):
            def issue(site, grants=peer.grants, *, ahead=timedelta(), **lives):
                authority = inviter.router.trust.credentials.authority
                now = tomorrow() + ahead
                chain = authority.issue_site(
                    request.request,
                    site=site,
                    grants=grants,
                    now=now,
                    first_issued=peer.first_issued,
                    **lives,
                )
                return Renewed(chain, (), "")

            asked.append(peer.site)
            return lie(issue, peer.grants)

        monkeypatch.setattr(inviter.router.control.reissue, "issue", answer)
        renewed = await guest.router.renewer._renewed()
        assert asked == ["guest"]
        assert renewed.identity.issuers == ()
        assert renewed.identity.grants == guest.router.trust.identity.grants


async def test_an_authority_that_is_silent_leaves_it_to_another(monkeypatch):
    for limit in ("MIN_WAIT", "MAX_WAIT"):
        monkeypatch.setattr(renewal, limit, timedelta(seconds=0.5))
    async with network() as net:
        _, inviter, guest = await branch(net)
        asked: list[str] = []

        async def serve(channel, request):
            asked.append(channel.site)
            await trio.sleep_forever()

        handlers = inviter.router.data.channels.acceptor._handlers
        monkeypatch.setattr(handlers[Renew].__self__, "_serve", serve)
        renewed = await guest.router.renewer._renewed()
        assert asked == ["guest"]
        assert renewed.identity.issuers == ()


async def test_a_certificate_is_renewed_as_soon_as_an_authority_can_be_reached(monkeypatch):
    monkeypatch.setattr(renewal, "FIRST_PAUSE", renewal.MAX_PAUSE)
    async with network() as net:
        root, guest = await net.line("root", "guest")
        ours = guest.router.trust.credentials
        chain = root.router.trust.credentials.authority.issue_site(
            make_request(ours.key),
            site="guest",
            grants=ours.identity.grants,
            lifetime=timedelta(days=7),
            now=datetime.now(UTC) - timedelta(days=5),
        )
        root.scope.cancel()
        guest = await restart_with(net, guest, ours.with_chain(chain))
        await wait_until(lambda: guest.router.renewer._attempts, "it has tried")
        await net.start("root")
        await wait_until(
            lambda: (
                is_renewed(guest, ours.with_chain(chain)) is False
                and guest.router.trust.credentials.chain != chain
            ),
            "the certificate has been renewed",
        )


def is_later(trust, old):
    return trust.identity.not_after > old.not_after


@pytest.mark.slow("waits for certificates of ten seconds to be renewed, by the wall clock")
async def test_certificates_of_seconds_are_renewed_and_no_link_is_lost():
    async with network() as net:
        create_site("root", net.paths("root"), SiteConfig(), certificate_life=10)
        root, _, guest = await net.line("root", "middle", "guest")
        first = {each.name: each.router.trust.identity for each in (root, guest)}
        assert {each.grants.life for each in first.values()} == {timedelta(seconds=10)}
        link = guest.router.links.up["middle"]
        for each in (root, guest):
            trust, old = each.router.trust, first[each.name]
            await wait_until(partial(is_later, trust, old), "it is renewed")
            assert trust.identity.not_after - trust.identity.issued_at == timedelta(seconds=10)
        last = max(each.not_after for each in first.values())
        await trio.sleep((last - utc_now()).total_seconds())
        guest.router.control.alarms.ring_due()
        assert guest.router.links.up["middle"] is link
        assert link.close_reason == ""


async def test_what_is_ephemeral_is_not_renewed(monkeypatch):
    async with network() as net:
        root, pod = await net.start("root"), await net.start("pod")
        await net.link(pod, root, is_ephemeral=True)
        identity, now = pod.router.trust.identity, utc_now()
        assert identity.grants.is_ephemeral
        request = Renew(make_request(pod.router.trust.credentials.key), b"")
        with pytest.raises(NotAllowed, match="is ephemeral"):
            root.router.control.reissue.issue(identity, request)
        asked: list[str] = []

        async def ask(site, request, timeout):
            asked.append(site)
            raise Unreachable("it is not there")

        monkeypatch.setattr(pod.router.renewer, "_ask", ask)
        await wait_until(pod.router.renewer._authorities, "it knows whom it could ask")
        pod.router.trust.clock = lambda: now + timedelta(days=6)
        pod.router.renewer._wake()
        await trio.testing.wait_all_tasks_blocked()
        assert not asked
        root.router.trust.clock = lambda: now + timedelta(days=8)
        with pytest.raises(CertificateExpired, match="as it is ephemeral"):
            root.router.control.join_server.readmission.returning(identity.chain)


def test_in_one_attempt_the_best_are_asked_and_some_others():
    every = [str(number) for number in range(100)]
    attempts = [list(renewal.asked_of(every)) for _ in range(50)]
    assert all(asked[:3] == ["0", "1", "2"] and len(set(asked)) == 6 for asked in attempts)
    assert len({each for asked in attempts for each in asked}) > 50
    assert list(renewal.asked_of(every[:2])) == ["0", "1"]
    assert list(renewal.asked_of([])) == []
