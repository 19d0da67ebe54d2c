"""Certificates are renewed while flows live on."""

import random
from datetime import UTC, datetime, timedelta

import attrs
import pytest
import trio

from lab.network import network, wait_until
from lab.ports import free_port
from tests.router.links.restarting import restart_with
from van.errors import CertificateError
from van.router.channels.channel import Channel
from van.router.egress.stream import EgressStream
from van.router.links import renewal
from van.tls.credentials import Credentials
from van.tls.identity import generate_key, make_request
from van.wire.link import RenewReply, RenewRequest


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
        known = root.router.routes.identity_of
        await wait_until(lambda: known("guest") == old.identity, "root knows the old one")
        request = RenewRequest(make_request(old.key), b"")
        reply = root.router.control.renewer._issue("guest", request)
        renewed = old.with_chain(reply.chain).identity
        assert renewed.first_issued == old.identity.first_issued < renewed.issued_at


async def test_nobody_renews_for_another_key():
    async with network() as net:
        root, _ = await net.line("root", "guest")
        known = root.router.routes.engine.origin
        await wait_until(lambda: known("guest"), "the identity of guest is known")
        request = RenewRequest(make_request(generate_key()), b"")
        with pytest.raises(CertificateError, match="same key"):
            root.router.control.renewer._issue("guest", request)


async def test_a_flow_on_a_new_channel_uses_the_new_certificate():
    async with trio.open_nursery() as nursery, network() as net:
        root, guest = await net.line("root", "guest")
        target = free_port()
        await root.expose("echo:7", target)
        await nursery.start(trio.serve_tcp, echo, target)
        port = await guest.reach("echo:7")
        authority = root.router.trust.credentials.authority
        renewed = with_short_certificate(guest.router.trust.credentials, authority)
        guest.router.site.install(renewed)
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            await client.send_all(b"x")
            assert await client.receive_some() == b"x"
            peers = {
                channel.peer.not_after
                for channels in root.router.data.channels.table._by_neighbor.values()
                for channel in channels
                if isinstance(channel, Channel) and isinstance(channel.user, EgressStream)
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


async def test_an_issuer_that_is_silent_or_declines_leaves_it_to_another(monkeypatch):
    monkeypatch.setattr(renewal, "REPLY_TIMEOUT", 0.1)
    async with network() as net:
        root, silent, guest = [await net.start(name) for name in ("root", "silent", "guest")]
        await net.link(silent, root, can_invite=True)
        await net.link(guest, root)
        await net.link(guest, silent)
        monkeypatch.setattr(random, "sample", lambda issuers, _: sorted_last(issuers))
        asked: list[str] = []
        for kind in ("silent", "declining"):

            def receive(link, request, kind=kind):
                asked.append(kind)
                if kind == "declining":
                    link.send(RenewReply((), (), "it is not well"))

            silent.router.links.handle(RenewRequest, receive)
            credentials = await guest.router.control.renewer._request_renewal()
            assert credentials.identity.not_after > guest.router.trust.identity.not_before
        assert asked == ["silent", "declining"]


def sorted_last(issuers):
    return sorted(issuers, key=lambda link: link.neighbor, reverse=True)
