"""Who is turned away learns why and what to do, in every way in, and so do those who turn away."""

from datetime import UTC, datetime, timedelta

import attrs
import msgspec
import pytest

from lab.network import network, wait_until
from tests.router.links.restarting import restart_with
from van import __version__
from van.config import LinkConfig
from van.control import endpoints as api
from van.control.values.links import LinkAccept
from van.control.values.tokens import TokenCreate
from van.errors import RemoteError
from van.names import Endpoint
from van.router.links import join_client, join_server
from van.router.subscription import Subscribers
from van.tls.credentials import Credentials
from van.tls.grants import Grants
from van.tls.keys import make_request
from van.tls.tokens import encode_token, mint
from van.wire.revision import MAJOR

HOUR = timedelta(hours=1)


def now():
    return datetime.now(UTC)


def texts(site, kind):
    """Return what a site's events of a kind say, each with its subject before."""
    events = site.router.control.events.after(0)
    return [f"{each.subject}: {each.text}" for each in events if each.kind == kind]


async def told(site, kind, *parts):
    """Wait until an event of a site says all of these."""

    def is_told():
        return any(all(part in text for part in parts) for text in texts(site, kind))

    try:
        await wait_until(is_told, "it is told")
    except AssertionError:
        raise AssertionError(f"{parts} is not among {texts(site, kind)}") from None


async def refused(guest, token):
    """Accept a token in vain, and return why."""
    with pytest.raises(RemoteError) as caught:
        await guest.ask(api.ACCEPT_TOKEN, LinkAccept(token=token))
    return str(caught.value)


def let_nobody_return(site):
    """Have a site's authority give nothing to who was away for longer than its certificate."""
    settings = site.router.site.settings
    settings.config = attrs.evolve(settings.config, return_days=0)


def port_of(site) -> Endpoint:
    """Return the link port of a site, which is open."""
    endpoint: Endpoint | None = site.router.link_port.endpoint
    assert endpoint is not None
    return endpoint


def minted(hub, port, **when):
    """Return a token of the hub's that leads to a port."""
    authority = hub.router.trust.credentials.authority
    life = timedelta(minutes=5)
    return mint(
        authority, site="hub", addresses=(port,), grants=Grants(), cost=1, lifetime=life, **when
    )


async def token_of(hub, **options):
    return (await hub.ask(api.CREATE_TOKEN, TokenCreate(**options))).token


def old_certificate(site, authority):
    """Return the credentials of a site whose certificate ran out an hour ago."""
    ours = site.router.trust.credentials
    chain = authority.issue_site(
        make_request(ours.key),
        site=site.name,
        grants=ours.identity.grants,
        lifetime=timedelta(seconds=1),
        now=now() - HOUR,
    )
    return ours.with_chain(chain)


async def test_a_token_that_has_run_out_by_the_inviter_s_clock():
    """The guest's clock is behind, so that the token looks good there."""
    async with network() as net:
        hub, guest = await net.start("hub"), await net.start("guest")
        hub = await restart_with(net, hub, Credentials.create("hub", now=now() - 2 * HOUR))
        await token_of(hub)  # opens the link port
        guest.router.trust.clock = lambda: now() - 25 * HOUR
        token = minted(hub, port_of(hub), now=now() - HOUR)
        hub.router.site.ledger.add(token, 1)
        why = await refused(guest, encode_token(token))
        assert "site 'hub' declined" in why
        assert "expired at" in why
        assert "by the clock of site 'hub'" in why
        assert "van link create" in why
        await told(hub, "peer-refused", "guest: ", token.id, "expired at")


async def test_a_member_whose_certificate_has_run_out():
    async with network() as net:
        hub, guest = await net.line("hub", "guest")
        let_nobody_return(hub)
        old = old_certificate(guest, hub.router.trust.credentials.authority)
        guest = await restart_with(net, guest, old)
        wanted = ("certificate of site 'guest' expired at", "van link accept")
        await told(guest, "link-failed", "hub: ", "declined", "clock of site 'hub'", *wanted)
        await told(hub, "peer-refused", "guest: ", *wanted)


async def test_an_inviter_whose_certificate_has_run_out():
    async with network() as net:
        root, hub, guest = await net.line("root", "hub", "guest")
        root.scope.cancel()  # or it would renew it
        old = old_certificate(hub, root.router.trust.credentials.authority)
        port = port_of(hub)
        hub = await restart_with(net, hub, old)
        await wait_until(lambda: hub.router.link_port.endpoint == port, "the link port is open")
        wanted = ("certificate of site 'hub' expired at", "van link accept")
        await told(guest, "link-failed", "hub: ", "clock of site 'guest'", *wanted)
        await told(hub, "peer-refused", "guest: ", "declined", "clock of site 'guest'", *wanted)


async def test_an_inviter_whose_certificate_has_run_out_and_a_token():
    async with network() as net:
        hub, guest = await net.start("hub"), await net.start("guest")
        token = await token_of(hub)
        old = old_certificate(hub, hub.router.trust.credentials.authority)
        hub.router.trust.replaced = Subscribers()  # or it would renew it
        hub.router.trust.replace(old)
        why = await refused(guest, token)
        wanted = ("certificate of site 'hub' expired at", "clock of site 'guest'")
        assert all(part in why for part in (*wanted, "set the clock right"))
        await told(hub, "peer-refused", "127.0.0.1: ", "declined", *wanted)


async def test_a_certificate_that_is_not_valid_yet_by_the_other_s_clock():
    async with network() as net:
        hub, guest = await net.line("hub", "guest")
        hub.router.trust.clock = lambda: now() - 25 * HOUR
        guest.router.links.dial(guest.router.site.settings.config.links[0])
        wanted = ("certificate of site 'guest' is not valid before", "clock of site 'hub'")
        await told(guest, "link-failed", "hub: ", "declined", "set the clock", *wanted)
        await told(hub, "peer-refused", "guest: ", *wanted)


async def test_a_token_whose_address_leads_to_another_van():
    async with network() as net:
        hub, other, guest = [await net.start(name) for name in ("hub", "other", "guest")]
        await token_of(other)  # opens its link port
        token = minted(hub, port_of(other))
        why = await refused(guest, encode_token(token))
        assert str(port_of(other)) in why
        assert "is of another VAN" in why
        assert "ask site 'hub' for a new token" in why
        assert "check that its router is up" not in why
        await told(other, "peer-refused", "127.0.0.1", "of another VAN")


async def test_a_link_whose_address_leads_to_another_van():
    async with network() as net:
        other, guest = await net.start("other"), await net.start("guest")
        await token_of(other)
        port = port_of(other)
        guest.router.links.dial(LinkConfig("hub", (port,), 1))
        await told(guest, "link-failed", "hub: ", str(port), "is of another VAN", "config.toml")
        await told(other, "peer-refused", "127.0.0.1", "of another VAN")


async def test_a_name_that_is_taken():
    async with network() as net:
        hub, guest = await net.line("hub", "guest")
        token = await token_of(hub)
        (net.directory / "again").mkdir()
        again, net.directory = net.directory, net.directory / "again"
        second = await net.start("guest")
        why = await refused(second, token)
        net.directory = again
        assert "site name 'guest' is taken in this VAN" in why
        assert "van init" in why
        await told(hub, "peer-refused", "guest: ", "site name 'guest' is taken")
        assert guest.router.links.up


async def test_a_token_that_was_revoked_or_used_up():
    async with network() as net:
        hub, guest = await net.line("hub", "guest")
        third = await net.start("third")
        revoked = await hub.ask(api.CREATE_TOKEN, TokenCreate())
        await hub.ask(api.REVOKE_TOKEN, id=revoked.id)
        used = await token_of(hub)
        await guest.ask(api.ACCEPT_TOKEN, LinkAccept(token=used))
        for token, state in ((revoked.token, "revoked"), (used, "used up")):
            why = await refused(third, token)
            assert f"is {state}: ask for a new one" in why
            await told(hub, "peer-refused", "third: ", f"is {state}")


REVISIONS = pytest.mark.parametrize("major", [MAJOR - 1, MAJOR + 1], ids=["older", "newer"])


def mismatch(site, other, major, *, software=""):
    """Return what is said of a site of another revision, by the other one."""
    told_of = f"site {site!r} (van {software})" if software else f"site {site!r}"
    if major < MAJOR:
        old, new, where = (major, told_of), (MAJOR, f"site {other!r}"), site
    else:
        old, new, where = (MAJOR, f"site {other!r}"), (major, told_of), other
    return (
        f"{old[1]} speaks revision {old[0]} of the protocol, which is older than revision "
        f"{new[0]} of {new[1]}: upgrade van at site {where!r}"
    )


def speak(monkeypatch, site, major):
    """Have a site greet its neighbours with another revision than it speaks."""
    links = site.router.links
    hello = links._hello
    monkeypatch.setattr(
        links, "_hello", lambda dialer: msgspec.structs.replace(hello(dialer), major=major)
    )


@REVISIONS
async def test_a_site_of_another_revision_that_dials(monkeypatch, major):
    async with network() as net:
        hub, guest = await net.line("hub", "guest")
        speak(monkeypatch, guest, major)
        guest.router.links.dial(guest.router.site.settings.config.links[0])
        wanted = mismatch("guest", "hub", major, software=__version__)
        await told(guest, "link-failed", "hub: ", f"site 'hub' declined: {wanted}")
        await told(hub, "peer-refused", "guest: ", wanted)
        (link,) = (await guest.ask(api.STATUS)).links
        assert wanted in link.detail
        assert hub.router.link_port.refused["other-revision"]
        monkeypatch.undo()
        await wait_until(lambda: guest.router.links.up, "it is linked when it speaks as it should")


@REVISIONS
async def test_a_site_of_another_revision_that_is_dialled(monkeypatch, major):
    """It does not look itself, as those of the first revision don't, but hears what is said."""
    async with network() as net:
        hub, guest = await net.line("hub", "guest")
        speak(monkeypatch, hub, major)
        guest.router.links.dial(guest.router.site.settings.config.links[0])
        wanted = mismatch("hub", "guest", major, software=__version__)
        await told(guest, "link-failed", "hub: ", wanted)
        await told(hub, "link-down", "guest: ", wanted)
        (link,) = (await guest.ask(api.STATUS)).links
        assert wanted in link.detail


@REVISIONS
async def test_a_guest_of_another_revision(monkeypatch, major):
    async with network() as net:
        hub, guest = await net.start("hub"), await net.start("guest")
        token = await token_of(hub)
        monkeypatch.setattr(join_client, "MAJOR", major)
        why = await refused(guest, token)
        wanted = mismatch("guest", "hub", major)
        assert why == f"site 'hub' declined: {wanted}"
        await told(hub, "peer-refused", "guest: ", wanted)
        (record,) = await hub.ask(api.LIST_TOKENS)
        assert not record.used_by
        monkeypatch.undo()
        await guest.ask(api.ACCEPT_TOKEN, LinkAccept(token=token))


@REVISIONS
async def test_an_inviter_of_another_revision(monkeypatch, major):
    """It does not look itself, as those of the first revision don't."""
    async with network() as net:
        hub, guest = await net.start("hub"), await net.start("guest")
        before = guest.router.trust.credentials
        monkeypatch.setattr(join_server, "MAJOR", major)
        assert await refused(guest, await token_of(hub)) == mismatch("hub", "guest", major)
        assert guest.router.trust.credentials is before


async def test_who_comes_again_and_again_for_one_reason_is_told_of_once():
    async with network() as net:
        hub, guest = await net.line("hub", "guest")
        let_nobody_return(hub)
        old = old_certificate(guest, hub.router.trust.credentials.authority)
        await restart_with(net, guest, old)
        await wait_until(lambda: hub.router.link_port.refused["join-refused"] > 2, "it tries again")
        assert len(texts(hub, "peer-refused")) == 1
