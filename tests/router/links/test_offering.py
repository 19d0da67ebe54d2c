"""A site that only accepts links, and whose certificate has run out, is offered another by the
neighbour that dials it."""

from datetime import UTC, datetime, timedelta

import attrs
import msgspec
import pytest
import trio

from lab.network import network, wait_until
from tests.hostile.network_under_attack import shake_hands
from tests.router.links.restarting import authority_of, away, restart_with
from van.config import LinkConfig
from van.control import endpoints as api
from van.control.values.expulsions import ExpelSpec
from van.control.values.tokens import TokenCreate
from van.errors import (
    CertificateError,
    CertificateNotYetValid,
    Expelled,
    JoinRefused,
    LinkDeclined,
    LinkLost,
    NameTaken,
    RootReplaced,
    Unreachable,
)
from van.router.links import join_server, returning
from van.router.links.dialer import Dialer
from van.router.reactor.message_stream import MessageStream
from van.router.site.audit import AuditKind
from van.router.telemetry.events import EventKind
from van.tls.authority import Authority
from van.tls.contexts import client_context
from van.tls.credentials import Credentials
from van.tls.tokens import decode_token
from van.wire.join import (
    ALPN,
    CODEC,
    MAX_MESSAGE,
    JoinAccepted,
    JoinDeclined,
    JoinOffer,
    JoinRequest,
)
from van.wire.lsa import LsaKind
from van.wire.revision import MAJOR

pytestmark = pytest.mark.slow("routers are started, linked, and restarted")


async def dialled_hub(net):
    """Return the site that made the VAN, and a hub that it dials and that dials nobody."""
    root, hub = await net.start("root"), await net.start("hub")
    await net.link(hub, root, can_invite=True)
    await net.link(root, hub)
    hub.router.site.settings.remove_link("root")
    return root, hub


async def away_without_dialling(net, hub, root, **options):
    """Restart the hub as after an absence."""
    hub = await away(net, hub, authority_of(root), **options)
    assert not hub.router.links.dialers
    return hub


def told(site, kind):
    return [each.text for each in site.router.control.events.after(0) if each.kind is kind]


async def is_refused(root, hub, reason):
    """See that the hub does not come back, and that both ends are told why."""
    failed, refused = EventKind.LINK_FAILED, EventKind.PEER_REFUSED
    await wait_until(lambda: any(reason in each for each in told(root, failed)), "one end is told")
    await wait_until(lambda: any(reason in each for each in told(hub, refused)), "so is the other")
    assert "hub" not in root.router.links.up
    assert has_expired(hub)


def has_expired(site):
    return site.router.trust.identity.not_after < datetime.now(UTC)


async def is_back(root, hub):
    await wait_until(lambda: "hub" in root.router.links.up, "it is back")
    assert not has_expired(hub)


def stop_dialling(root):
    """Have the test dial, in the place of the router; return how."""
    dialing, dialer = root.router.links._dialing, root.router.links.dialers["hub"]
    dialing.stop("hub", is_carrying=False)
    return dialing, dialer


async def converse(site, credentials):
    """Open a conversation with a site's link port by certificates of a site or a token."""
    endpoint = site.router.link_port.endpoint
    context = client_context(credentials.chain, credentials.key, credentials.root, (ALPN,))
    return MessageStream(await shake_hands(endpoint, context), CODEC, max_payload=MAX_MESSAGE)


async def test_it_comes_back_by_what_who_dials_it_offers():
    async with network() as net:
        root, hub = await dialled_hub(net)
        before = hub.router.trust.identity
        hub = await away_without_dialling(net, hub, root)
        assert has_expired(hub)
        await is_back(root, hub)
        after = hub.router.trust.identity
        assert after.public_key_fingerprint == before.public_key_fingerprint
        assert after.grants == before.grants
        assert after.first_issued < after.issued_at - timedelta(days=20)
        assert Credentials.load(net.paths("hub").identity_file).identity == after
        assert authority_of(hub).not_after > datetime.now(UTC)
        failed = told(root, EventKind.LINK_FAILED)
        assert not any("expired" in each for each in failed), "it is dialled anew in one attempt"
        trail = root.router.site.audit.read().records
        came = [each.subject for each in trail if each.kind == AuditKind.SITE_CAME_BACK]
        assert came == ["hub"]


async def test_it_does_not_once_it_has_been_away_for_too_long():
    async with network() as net:
        root, hub = await dialled_hub(net)
        hub = await away_without_dialling(net, hub, root, ago=timedelta(days=33))
        await is_refused(root, hub, "which lets sites return for 30 days: accept a new token there")
        settings = root.router.site.settings
        settings.config = attrs.evolve(settings.config, return_days=40)
        await is_back(root, hub)


async def test_it_does_not_when_it_was_expelled():
    async with network() as net:
        root, hub = await dialled_hub(net)
        await root.ask(api.EXPEL, ExpelSpec(site="hub"))
        hub = await away_without_dialling(net, hub, root)
        await is_refused(root, hub, "was expelled")


async def test_it_does_not_when_its_name_is_taken():
    async with network() as net:
        root, hub = await dialled_hub(net)
        hub.scope.cancel()
        await wait_until(lambda: "hub" not in root.router.links.up, "it is away")
        root.router.routes._engine._lsdb.remove(("hub", LsaKind.IDENTITY))
        pins = root.router.trust.pins
        pin = pins.get("hub")
        assert pin is not None
        pins.restore([attrs.evolve(pin, key="0" * 64)])
        hub = await away_without_dialling(net, hub, root)
        await is_refused(root, hub, "site name 'hub' is taken")


async def test_it_has_to_prove_its_key(monkeypatch):
    async with network() as net:
        root, hub = await dialled_hub(net)
        monkeypatch.setattr(returning, "prove", lambda request, tls, key: request)
        hub = await away_without_dialling(net, hub, root)
        await is_refused(root, hub, "has not proved in this connection")
        monkeypatch.undo()
        await is_back(root, hub)


async def test_nothing_is_offered_without_an_authority():
    async with network() as net:
        root, hub = await dialled_hub(net)
        ours, authority = root.router.trust.credentials, authority_of(root)
        root = await restart_with(net, root, attrs.evolve(ours, authority=None))
        hub = await away(net, hub, authority)
        dialing, dialer = stop_dialling(root)
        await dialing._attempt(dialer)
        assert "expired" in dialer.detail
        assert "can't issue certificates" not in dialer.detail
        assert has_expired(hub)


async def test_another_site_than_the_neighbour_is_offered_nothing():
    async with network() as net:
        root, hub = await dialled_hub(net)
        hub = await away_without_dialling(net, hub, root)
        endpoint = hub.router.link_port.endpoint
        dialing, _ = stop_dialling(root)
        assert endpoint is not None
        dialer = Dialer(LinkConfig("west", (endpoint,)))
        await dialing._attempt(dialer)
        assert "expired" in dialer.detail
        assert "offered" not in dialer.detail
        with pytest.raises(CertificateError, match="is not site 'west' any more"):
            await root.router.control.join_server.offer("west", endpoint)
        assert has_expired(hub)


@pytest.mark.parametrize("kind", [Expelled, NameTaken, CertificateNotYetValid, RootReplaced])
async def test_an_offer_is_for_a_certificate_that_has_run_out_and_for_nothing_else(kind):
    async with network() as net:
        root, hub = await dialled_hub(net)
        dialing, dialer = stop_dialling(root)
        failure = kind("as it is")
        failure.site = "hub"
        endpoint = hub.router.link_port.endpoint
        assert await dialing._amend(dialer, endpoint, failure) == "as it is"
        assert dialer.may_offer


async def test_one_offer_is_made_in_an_attempt(monkeypatch):
    async with network() as net:
        root, hub = await dialled_hub(net)
        hub = await away_without_dialling(net, hub, root)
        dialing, dialer = stop_dialling(root)
        offers = []

        async def offer(neighbor, endpoint):
            offers.append(neighbor)
            assert len(offers) < 5, "it has no end"

        monkeypatch.setattr(root.router.control.join_server, "offer", offer)
        for number in (1, 2):
            await dialing._attempt(dialer)
            assert offers == ["hub"] * number
            assert "expired" in dialer.detail


async def test_who_says_nothing_to_an_offer_holds_nobody_up(monkeypatch):
    async with network() as net:
        root, hub = await dialled_hub(net)
        hub = await away_without_dialling(net, hub, root)
        stop_dialling(root)

        async def say_nothing(tls, conversation, offer):
            await trio.sleep_forever()

        monkeypatch.setattr(hub.router.control.join_server._returner, "take_offer", say_nothing)
        monkeypatch.setattr(join_server, "RETURN_TIMEOUT", 0.05)
        with pytest.raises(Unreachable, match="did not answer"):
            await root.router.control.join_server.offer("hub", hub.router.link_port.endpoint)


async def test_an_offer_changes_nothing_at_a_site_whose_certificate_is_valid():
    async with network() as net:
        root, hub = await dialled_hub(net)
        before = hub.router.trust.credentials
        conversation = await converse(hub, root.router.trust.credentials)
        await conversation.send(JoinOffer(MAJOR))
        answer = await conversation.receive()
        conversation.close()
        assert isinstance(answer, JoinDeclined)
        assert answer.code == "not-needed"
        with pytest.raises(LinkDeclined, match="is valid by its own clock, until"):
            await root.router.control.join_server.offer("hub", hub.router.link_port.endpoint)
        assert hub.router.trust.credentials is before
        assert not told(hub, EventKind.PEER_REFUSED)


@pytest.mark.parametrize("major", [MAJOR - 1, MAJOR + 1], ids=["older", "newer"])
async def test_of_a_site_of_another_revision_no_offer_is_taken(monkeypatch, major):
    async with network() as net:
        root, hub = await dialled_hub(net)
        hub = await away_without_dialling(net, hub, root)
        stop_dialling(root)
        monkeypatch.setattr(join_server, "MAJOR", major)
        outdated = "root" if major < MAJOR else "hub"
        with pytest.raises(LinkDeclined, match=f"upgrade van at site '{outdated}'"):
            await root.router.control.join_server.offer("hub", hub.router.link_port.endpoint)
        assert has_expired(hub)
        await wait_until(lambda: told(hub, EventKind.PEER_REFUSED), "it is told")


@pytest.mark.parametrize("major", [MAJOR - 1, MAJOR + 1], ids=["older", "newer"])
async def test_a_site_of_another_revision_takes_nothing_that_it_is_given(monkeypatch, major):
    async with network() as net:
        root, hub = await dialled_hub(net)
        hub = await away_without_dialling(net, hub, root)
        stop_dialling(root)
        conversation, answer = await offer_by_hand(hub, root)
        await conversation.send(msgspec.structs.replace(answer, major=major))
        await wait_until(lambda: told(hub, EventKind.PEER_REFUSED), "it is told")
        conversation.close()
        assert has_expired(hub)


async def test_of_who_has_only_a_token_no_offer_is_taken():
    async with network() as net:
        root, hub = await dialled_hub(net)
        created = await hub.ask(api.CREATE_TOKEN, TokenCreate())
        root.scope.cancel()
        hub = await away_without_dialling(net, hub, root)
        conversation = await converse(hub, decode_token(created.token))
        await conversation.send(JoinOffer(MAJOR))
        answer = await conversation.receive()
        conversation.close()
        assert isinstance(answer, JoinDeclined)
        assert "for joining only" in answer.reason
        assert has_expired(hub)


@pytest.mark.parametrize("is_stranger", [False, True])
async def test_what_is_taken_is_what_an_authority_of_the_network_gives(is_stranger):
    async with network() as net:
        root, hub = await dialled_hub(net)
        west = await net.start("west")
        await net.link(west, root)
        root.scope.cancel()
        authority = Authority.create_root() if is_stranger else authority_of(root)
        hub = await away_without_dialling(net, hub, root)
        before = hub.router.trust.credentials
        conversation = await converse(hub, west.router.trust.credentials)
        await conversation.send(JoinOffer(MAJOR))
        request = await conversation.receive()
        assert isinstance(request, JoinRequest)
        grants = before.identity.grants if is_stranger else west.router.trust.identity.grants
        chain = authority.issue_site(request.request, site="hub", grants=grants)
        await conversation.send(JoinAccepted("west", b"", chain, (), 1, major=MAJOR))
        await wait_until(lambda: told(hub, EventKind.PEER_REFUSED), "it is told")
        conversation.close()
        assert hub.router.trust.credentials is before
        assert has_expired(hub)


async def test_who_was_let_in_by_a_site_gives_it_nothing():
    async with network() as net:
        root, hub, guest = await net.line("root", "hub", "guest")
        authority = authority_of(root)
        hub.router.site.settings.remove_link("root")
        root.scope.cancel()
        dialing, dialer = guest.router.links._dialing, guest.router.links.dialers["hub"]
        hub = await away(net, hub, authority)
        await wait_until(lambda: hub.router.link_port.endpoint, "the link port is open")
        dialing.stop("hub", is_carrying=False)
        await dialing._attempt(dialer)
        assert "expired" in dialer.detail
        assert "offered" not in dialer.detail
        with pytest.raises(JoinRefused, match="site 'guest' was let in by site 'hub'"):
            await guest.router.control.join_server.offer("hub", endpoint_of(hub))
        assert has_expired(hub)
        conversation, answer = await offer_by_hand(hub, root, issued_by=guest)
        await conversation.send(answer)
        await is_closed(conversation)
        refused = told(hub, EventKind.PEER_REFUSED)
        assert any("rests on this site's own authority" in each for each in refused)
        assert has_expired(hub)


def endpoint_of(site):
    return site.router.link_port.endpoint


async def offer_by_hand(hub, root, *, issued_by=None):
    """Offer as the root's site, and return the conversation and what the hub gets in it."""
    conversation = await converse(hub, root.router.trust.credentials)
    await conversation.send(JoinOffer(MAJOR))
    request = await conversation.receive()
    assert isinstance(request, JoinRequest)
    issuer = (issued_by or root).router.control.join_server.readmission._issuer
    issued = issuer.renew(request, hub.router.trust.identity)
    return conversation, JoinAccepted("root", b"", issued.chain, issued.ca_chain, 1, major=MAJOR)


async def is_closed(conversation):
    with pytest.raises(LinkLost):
        await conversation.receive()
    conversation.close()


async def test_of_two_that_offer_the_first_is_taken():
    async with network() as net:
        root, hub = await dialled_hub(net)
        root.scope.cancel()
        hub = await away_without_dialling(net, hub, root)
        first, second = [await offer_by_hand(hub, root) for _ in range(2)]
        for conversation, answer in (first, second):
            await conversation.send(answer)
            await is_closed(conversation)
        assert hub.router.trust.credentials.chain == first[1].chain
        assert not told(hub, EventKind.PEER_REFUSED)


async def test_what_can_not_be_kept_is_not_taken(caplog):
    async with network() as net:
        root, hub = await dialled_hub(net)
        root.scope.cancel()
        hub = await away_without_dialling(net, hub, root)
        file = net.paths("hub").identity_file
        file.unlink()
        file.mkdir()
        conversation, answer = await offer_by_hand(hub, root)
        await conversation.send(answer)
        await is_closed(conversation)
        assert has_expired(hub)
        assert "a new certificate that was offered is not kept" in caplog.text
        assert not hub.router.link_port.refused["defect"]
