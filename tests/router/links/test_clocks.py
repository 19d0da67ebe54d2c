"""Sites whose wall clocks differ: the one that judges is named, and people are told."""

from datetime import timedelta

import pytest

from lab.network import network, wait_until
from van.control import endpoints as api
from van.control.values.links import LinkAccept
from van.control.values.tokens import TokenCreate
from van.errors import JoinRefused
from van.router.links.clocks import describe_offset
from van.router.site import alarms
from van.router.site.trust import utc_now
from van.router.telemetry.events import EventKind
from van.tls.grants import Grants
from van.tls.tokens import encode_token, mint


def set_clock(site, ahead):
    """Set a site's clock so far ahead of this machine's."""
    site.router.trust.clock = lambda: utc_now() + timedelta(seconds=ahead)


def told(site):
    """Return what a site was told of clocks."""
    events = site.router.control.events.after(0)
    return [(each.subject, each.text) for each in events if each.kind is EventKind.CLOCKS_DIFFER]


@pytest.mark.parametrize(
    ("ahead", "how"),
    [
        (20 * 60, "20 minutes ahead of"),
        (-20 * 60, "20 minutes behind"),
        (13 * 3600, "13 hours ahead of"),
        (-13 * 3600, "13 hours behind"),
        (3 * 86400, "3 days ahead of"),
    ],
)
async def test_a_token_minted_now_lets_in_a_guest_whose_clock_is_off(ahead, how):
    async with network() as net:
        host, guest = await net.start("host"), await net.start("guest")
        set_clock(guest, ahead)
        token = await host.ask(api.CREATE_TOKEN, TokenCreate())
        accepted = await guest.ask(api.ACCEPT_TOKEN, LinkAccept(token=token.token))
        assert accepted.joined
        assert accepted.is_up
        assert f"this site's clock is {how} that of site 'host'" in accepted.warning
        assert "set the one that is wrong" in accepted.warning
        (link,) = (await guest.ask(api.STATUS)).links
        assert link.clock_offset == pytest.approx(-ahead, abs=30)
        assert told(guest) == [("host", accepted.warning)]
        await wait_until(lambda: told(host), "the host is told as well")
        await wait_until(lambda: "guest" in host.router.routes.fib.routes, "they know each other")
        await wait_until(lambda: "host" in guest.router.routes.fib.routes, "they know each other")


async def test_clocks_that_agree_are_not_told_of():
    async with network() as net:
        host, guest = await net.line("host", "guest")
        assert told(host) == told(guest) == []
        (link,) = (await guest.ask(api.STATUS)).links
        assert link.clock_offset == pytest.approx(0, abs=30)


@pytest.mark.parametrize("ahead", [0, -30 * 86400])
async def test_a_token_has_expired_when_the_host_says_so(ahead):
    async with network() as net:
        host, guest = await net.start("host"), await net.start("guest")
        await host.ask(api.CREATE_TOKEN, TokenCreate())  # which opens the link port
        authority, endpoint = (
            host.router.trust.credentials.authority,
            host.router.link_port.endpoint,
        )
        assert authority
        assert endpoint
        token = mint(
            authority,
            site="host",
            addresses=(endpoint,),
            grants=Grants(),
            cost=1,
            lifetime=timedelta(seconds=1),
            now=utc_now() - timedelta(hours=1),
        )
        host.router.site.ledger.add(token, 1)
        set_clock(guest, ahead)
        with pytest.raises(
            JoinRefused, match=r"expired at .* by the clock of site 'host'.*link create"
        ):
            await guest.ask(api.ACCEPT_TOKEN, LinkAccept(token=encode_token(token)))


@pytest.mark.parametrize(
    ("offset", "text"),
    [
        (None, ""),
        (59.0, ""),
        (-59.0, ""),
        (61.0, "this site's clock is 1.02 minutes behind that of site 'a'"),
        (-1200.0, "this site's clock is 20 minutes ahead of that of site 'a'"),
        (1.8e9, "this site's clock is 2.08e+04 days behind that of site 'a'"),
    ],
)
def test_how_far_clocks_are_apart_is_said_in_words(offset, text):
    assert describe_offset("a", offset).startswith(text)
    assert bool(describe_offset("a", offset)) == bool(text)


async def test_a_certificate_is_renewed_at_once_when_the_clock_jumps(monkeypatch):
    """As it does for a machine that wakes up."""
    monkeypatch.setattr(alarms, "LOOK_INTERVAL", 0.02)
    async with network() as net:
        root, guest = await net.line("root", "guest")
        before = guest.router.trust.credentials.chain
        set_clock(root, 5 * 86400)
        set_clock(guest, 5 * 86400)
        await wait_until(
            lambda: guest.router.trust.credentials.chain != before, "the certificate is renewed"
        )
