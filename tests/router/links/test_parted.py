"""Both sides of a cut network give one name away: once they are one again, one site has it."""

from collections import Counter
from functools import partial

import pytest

from lab.network import network, wait_until
from van.control import endpoints as api
from van.control.values.expulsions import ForgetSpec
from van.router.links.dialer import Dialers
from van.router.site.audit import AuditKind
from van.router.telemetry.events import EventKind

pytestmark = pytest.mark.slow("routers are started and linked, parted, and linked again")


def key_of(site):
    return site.router.trust.identity.public_key_fingerprint


def holder(site, name="x"):
    """Return the key of the site that another one reaches under a name."""
    identity = site.router.routes.identity_of(name)
    if identity is None or name not in site.router.routes.fib.routes:
        return None
    return identity.public_key_fingerprint


def all_know(sites, name, key):
    return all(holder(each, name) == key for each in sites)


def told(site, kind, subject):
    events = site.router.control.events.after(0)
    return [each.text for each in events if each.kind is kind and each.subject == subject]


def recorded(site):
    """Return who did what to the site of that name, with which key, by all trails that a site
    has."""
    trails = [site.router.site.audit.read()]
    trails += [each.trail for each in site.router.site.trail_copies.read()]
    assert not any(each.troubles for each in trails)
    return {
        (record.site, record.kind, record.text.split()[1][:16])
        for each in trails
        for record in each.records
        if record.subject == "x"
    }


def has_recorded(site, records):
    return recorded(site) == records


@pytest.fixture
def attempts(monkeypatch):
    """How often each site, by its key, has tried to open a link."""
    counts: Counter[str] = Counter()
    attempt = Dialers._attempt

    async def counted(self, dialer):
        counts[self._trust.identity.public_key_fingerprint] += 1
        return await attempt(self, dialer)

    monkeypatch.setattr(Dialers, "_attempt", counted)
    return counts


class Watch:
    """Follows whom a site reaches under the name: each change is one entry."""

    def __init__(self, site):
        self._site = site
        self.seen = [holder(site)]
        site.router.routes.fib_changed.subscribe(self._look)

    def _look(self, *_):
        now = holder(self._site)
        if now not in (None, self.seen[-1]):
            self.seen.append(now)


async def cut(root, right):
    """Part the network, with one authority and whom it has let in on one side."""
    root.router.links.delete(right.name, "apart for a while")
    await wait_until(lambda: right.name not in root.router.routes.fib.routes, "they are apart")
    await wait_until(lambda: root.name not in right.router.routes.fib.routes, "on both sides")


async def network_with_two_authorities(net):
    """Start a root, an authority on either side of it, and one further away on the right."""
    root, left, right, sub = [await net.start(n) for n in ("root", "left", "right", "sub")]
    for site, to in ((left, root), (right, root), (sub, right)):
        await net.link(site, to, can_invite=True)
    everyone = (root, left, right, sub)
    names = {each.name for each in everyone}
    await wait_until(
        lambda: all(each.router.routes.fib.routes.keys() >= names for each in everyone),
        "all know all",
    )
    return everyone


async def until_a_second_later(site, earlier):
    """Wait until what is issued is of a later second than a site's certificate, in which times are
    written."""
    since = earlier.router.trust.identity.first_issued.timestamp()
    clock = site.router.trust.clock
    await wait_until(lambda: int(clock().timestamp()) > int(since), "it is later")


@pytest.mark.parametrize(
    ("first_by", "second_by", "kept_by"),
    [
        ("left", "right", "left"),
        ("right", "left", "right"),
        ("sub", "left", "left"),
        ("left", "sub", "left"),
    ],
    ids=["the older", "the older one on the other side", "the nearer though newer", "the nearer"],
)
async def test_of_two_that_got_one_name_the_one_with_the_better_claim_is_left(
    first_by, second_by, kept_by, attempts
):
    async with network() as net, network() as elsewhere:
        everyone = await network_with_two_authorities(net)
        root, _, right, _ = everyone
        await cut(root, right)
        first, second = await net.start("x"), await elsewhere.start("x")
        await net.link(first, net.sites[first_by], is_ephemeral=True)
        await until_a_second_later(net.sites[second_by], first)
        await elsewhere.link(second, net.sites[second_by], is_ephemeral=True)
        let_in = {first_by: first, second_by: second}
        for by, site in let_in.items():
            await wait_until(partial(all_know, side_of(by, everyone), "x", key_of(site)), "its own")
        watches = {each.name: Watch(each) for each in everyone}

        await net.link(right, root)
        kept = let_in[kept_by]
        ((lost_by, lost),) = [pair for pair in let_in.items() if pair[0] != kept_by]
        await wait_until(partial(all_know, everyone, "x", key_of(kept)), "one is left")
        await wait_until(lambda: told(lost, EventKind.LINK_FAILED, lost_by), "it tries again")
        assert "is taken by another site" in told(lost, EventKind.LINK_FAILED, lost_by)[-1]
        host = net.sites[lost_by]
        await wait_until(lambda: told(host, EventKind.PEER_REFUSED, "x"), "as is its neighbour")
        assert "is taken by another site" in told(host, EventKind.PEER_REFUSED, "x")[-1]
        ups = [told(each, EventKind.LINK_UP, by) for each, by in ((lost, lost_by), (host, "x"))]
        # It tries on and on, and is taken for the other one by nobody meanwhile.
        enough = attempts[key_of(lost)] + 3
        await wait_until(lambda: attempts[key_of(lost)] >= enough, "it does not give up")
        assert all_know(everyone, "x", key_of(kept))
        assert "x" in net.sites[kept_by].router.links.up
        assert "x" not in host.router.links.up
        assert ups == [
            told(each, EventKind.LINK_UP, by) for each, by in ((lost, lost_by), (host, "x"))
        ], "no link comes and goes"
        for site in everyone:
            before = kept if site in side_of(kept_by, everyone) else lost
            changes = list(dict.fromkeys((key_of(before), key_of(kept))))
            assert watches[site.name].seen == changes, site.name

        records = {(by, AuditKind.SITE_LET_IN, key_of(s)[:16]) for by, s in let_in.items()}
        for site in everyone:
            await wait_until(partial(has_recorded, site, records), f"it is known at {site.name}")


async def test_a_name_that_was_given_to_another_key_meanwhile_is_that_ones(attempts):
    async with network() as net, network() as elsewhere:
        everyone = await network_with_two_authorities(net)
        root, left, right, sub = everyone
        former = await net.start("x")
        await net.link(former, right)
        await wait_until(partial(all_know, everyone, "x", key_of(former)), "all know it")
        await cut(root, right)
        await wait_until(lambda: holder(root) is holder(left) is None, "it is missed")
        await root.ask(api.FORGET, ForgetSpec(site="x"))
        await wait_until(lambda: left.router.trust.pins.holder("x") is None, "its name is free")
        newer = await elsewhere.start("x")
        await elsewhere.link(newer, left)
        for side, site in (((root, left), newer), ((right, sub), former)):
            await wait_until(partial(all_know, side, "x", key_of(site)), "each has its own")
        watches = {each.name: Watch(each) for each in everyone}

        await net.link(right, root)
        await wait_until(partial(all_know, everyone, "x", key_of(newer)), "one is left")
        await wait_until(lambda: told(former, EventKind.LINK_FAILED, "right"), "it tries again")
        assert "was given up by" in told(former, EventKind.LINK_FAILED, "right")[-1]
        enough = attempts[key_of(former)] + 3
        await wait_until(lambda: attempts[key_of(former)] >= enough, "it does not give up")
        assert all_know(everyone, "x", key_of(newer))
        assert {each.router.trust.pins.holder("x").key for each in everyone} == {key_of(newer)}
        for site in (right, sub):
            (text,) = told(site, EventKind.SITE_KEY_CHANGED, "x")
            assert key_of(newer)[:16] in text
            assert watches[site.name].seen == [key_of(former), key_of(newer)], site.name

        records = {
            ("right", AuditKind.SITE_LET_IN, key_of(former)[:16]),
            ("root", AuditKind.SITE_FORGOTTEN, key_of(former)[:16]),
            ("left", AuditKind.SITE_LET_IN, key_of(newer)[:16]),
        }
        for site in everyone:
            await wait_until(partial(has_recorded, site, records), f"it is known at {site.name}")


def side_of(name, everyone):
    """Return who is on one side of the cut, with an authority."""
    root, left, right, sub = everyone
    return (root, left) if name == "left" else (right, sub)
