"""Authorities have copies of each other's audit trails, and nobody else has."""

import shutil
from typing import Any

import pytest
import trio

from lab.network import network, wait_until
from tests.hostile.network_under_attack import network_under_attack
from van.control import endpoints as api
from van.control.values.authority import AuthorityGrantSpec
from van.control.values.tokens import TokenCreate
from van.router.site.audit import AuditKind
from van.router.telemetry.events import EventKind
from van.tls.possession import prove_authority
from van.wire.channel import Trail, TrailKept

pytestmark = pytest.mark.slow("routers are started and linked")


def copied(site, author):
    """Return the records that a site has of another one's trail."""
    for each in site.router.site.trail_copies.read():
        if each.site == author:
            return [(record.number, record.kind) for record in each.trail.records]
    return []


def own(site):
    return [(each.number, each.kind) for each in site.router.site.audit.read().records]


async def until_copied(keeper, author):
    """Wait until one site has all of the trail of another."""
    await wait_until(
        lambda: copied(keeper, author.name) == own(author) != [],
        f"{keeper.name} has the trail of {author.name}",
    )


async def test_authorities_have_each_others_trails_though_a_machine_is_lost():
    async with network() as net:
        hub, middle, east = [await net.start(name) for name in ("hub", "middle", "east")]
        await net.link(middle, hub)  # is no authority
        await net.link(east, hub, can_invite=True)
        guest = await net.start("guest")
        await net.link(guest, east)
        for keeper, author in ((hub, east), (east, hub)):
            await until_copied(keeper, author)
        await hub.ask(api.GRANT_AUTHORITY, AuthorityGrantSpec(site="east"))
        await until_copied(east, hub)
        found = await hub.ask(api.AUDIT)
        assert {each.site for each in found.records} == {"hub", "east"}
        assert [each.at for each in found.records] == sorted(each.at for each in found.records)
        await wait_until(
            lambda: hub.router.trail_sharing.copies["east"].kept == len(own(hub)), "it knows"
        )
        (copy,) = (await hub.ask(api.AUDIT)).copies
        assert (copy.site, copy.number, copy.error) == ("east", len(own(hub)), "")
        assert middle.router.site.trail_copies.read() == []
        lost = own(hub)
        hub.scope.cancel()
        await wait_until(lambda: "hub" not in east.router.routes.fib.routes, "it is away")
        shutil.rmtree(net.paths("hub").state_dir)
        told = await east.ask(api.AUDIT)
        assert told.troubles == ()
        assert [(each.number, each.kind) for each in told.records if each.site == "hub"] == lost


async def test_a_copy_is_made_through_a_site_that_is_no_authority_itself():
    async with network() as net:
        hub, east, guest = [await net.start(name) for name in ("hub", "east", "guest")]
        await net.link(east, hub, can_invite=True)
        await net.link(guest, hub)
        await net.link(guest, east)  # a second link
        hub.router.links.delete("east", "gone")
        await wait_until(
            lambda: hub.router.routes.next_hop("east") == "guest", "the path is through the guest"
        )
        await hub.ask(api.CREATE_TOKEN, TokenCreate())
        await until_copied(east, hub)


async def test_what_was_recorded_while_an_authority_was_away_is_copied_when_it_is_back():
    async with network() as net:
        hub, east = [await net.start(name) for name in ("hub", "east")]
        await net.link(east, hub, can_invite=True)
        await until_copied(east, hub)
        east.scope.cancel()
        await wait_until(lambda: "east" not in hub.router.routes.fib.routes, "it is away")
        for _ in range(3):
            await hub.ask(api.CREATE_TOKEN, TokenCreate())
        east = await net.start("east")
        await until_copied(east, hub)


async def test_a_trail_that_is_written_anew_is_kept_out_and_both_say_so():
    async with network() as net:
        hub, east = [await net.start(name) for name in ("hub", "east")]
        await net.link(east, hub, can_invite=True)
        for _ in range(2):
            await east.ask(api.CREATE_TOKEN, TokenCreate())
        await until_copied(hub, east)
        before = copied(hub, "east")
        east.scope.cancel()
        await wait_until(lambda: "east" not in hub.router.routes.fib.routes, "it is away")
        for each in net.paths("east").state_dir.glob("audit*"):
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        east = await net.start("east")
        for _ in range(3):
            east.router.site.audit.record(AuditKind.SITE_LET_IN, "friend", "")
        await wait_until(lambda: hub.router.control.trail_keeper.refusals, "it is refused")
        found = await hub.ask(api.AUDIT)
        assert any("site 'east'" in each and "anew" in each for each in found.troubles)
        assert (found.records[-1].kind, found.records[-1].subject) == ("trail-refused", "east")
        assert copied(hub, "east") == before
        copy = east.router.trail_sharing.copies["hub"]
        await wait_until(lambda: "anew" in copy.error, "it knows")
        assert "anew" in (await east.ask(api.AUDIT)).copies[0].error
        kinds = [each.kind for each in hub.router.control.events.after(0)]
        assert kinds.count(EventKind.TRAIL_REFUSED) == 1


def proof_of(trust):
    assert trust.credentials.authority is not None
    return prove_authority(trust.credentials.authority, trust.identity)


async def ask(attacked, mallory, request):
    conversation = await attacked.channel(mallory)
    try:
        with trio.fail_after(8):
            await conversation.send(request)
            answer = await conversation.receive()
    finally:
        conversation.close()
    assert isinstance(answer, TrailKept)
    return answer


async def test_who_holds_no_authority_is_neither_heard_nor_told_anything():
    async with network_under_attack() as attacked:
        mallory, hub = attacked.member(), attacked.hub.router.trust
        root = attacked.west.router.trust
        claims = [
            ((), b""),  # to be the root
            ((), proof_of(root)),
            (hub.authority() or (), proof_of(hub)),
            ((b"nonsense",), b"nonsense"),
        ]
        for chain, proof in claims:
            answer = await ask(attacked, mallory, Trail(chain, proof, 1, b"x" * 32, ()))
            assert answer.error
            assert (answer.authority, answer.proof, answer.number, answer.hash) == ((), b"", 0, b"")
        assert not [each for each in attacked.hub.router.site.trail_copies.read() if not each.site]


async def test_who_only_says_to_be_an_authority_gets_no_trail(monkeypatch):
    async with network() as net:
        hub, east, mallory = [await net.start(name) for name in ("hub", "east", "mallory")]
        await net.link(east, hub, can_invite=True)
        await net.link(mallory, hub)
        # What it advertises is what the root does, and what it answers is as good as it can.
        trust = mallory.router.trust
        asked = []

        async def answer(peer, request, tls):
            asked.append(request)
            return TrailKept((), trust.sign(b"van authority 1"), 0, b"", "")

        serve: Any = mallory.router.data.channels.acceptor._handlers[Trail]
        monkeypatch.setattr(serve.__self__, "_answer", answer)
        monkeypatch.setattr(trust, "authority", tuple)
        mallory.router.routes.refresh_identity()
        sharing = hub.router.trail_sharing
        claims = lambda: {k: v.authority for k, v in hub.router.routes.identities().items()}  # noqa: E731
        await wait_until(lambda: claims().get("mallory") == (), "it says to be the root")
        await hub.ask(api.CREATE_TOKEN, TokenCreate())
        await wait_until(lambda: "mallory" in sharing.copies, "it is asked")
        await wait_until(lambda: sharing.copies["mallory"].error, "it was found out")
        assert "has not proved" in sharing.copies["mallory"].error
        assert asked
        assert not any(each.lines for each in asked)
        await until_copied(east, hub)
