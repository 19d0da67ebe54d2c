"""A site that returns to a neighbour without an authority gets its certificate through it, of one
elsewhere, which judges as if it were asked in person."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest
import trio

from lab.network import network, wait_until
from tests.hostile.network_under_attack import issue, shake_hands
from tests.router.links.restarting import authority_of, away, expired, restart_with
from van.config import LinkConfig
from van.control import endpoints as api
from van.control.values.authority import AuthorityGrantSpec
from van.control.values.expulsions import ExpelSpec
from van.control.values.tokens import TokenCreate
from van.errors import JoinRefused, Unreachable
from van.names import Endpoint
from van.router.links import join_proxy
from van.router.links.proof import prove, prove_passed_on
from van.router.reactor.message_stream import MessageStream
from van.router.site.audit import AuditKind
from van.router.telemetry.events import EventKind
from van.tls.contexts import client_context
from van.tls.credentials import Credentials
from van.tls.expulsion_list import ExpulsionList
from van.tls.grants import Grants
from van.tls.keys import SIGNATURE, generate_key, make_request
from van.tls.tokens import decode_token
from van.wire.channel import Readmit
from van.wire.join import (
    ALPN,
    CODEC,
    MAX_MESSAGE,
    JoinAccepted,
    JoinChallenge,
    JoinDeclined,
    JoinRequest,
    proved_bytes,
)
from van.wire.revision import MAJOR

pytestmark = pytest.mark.slow("routers are started, linked, and restarted")


async def behind_a_plain_site(net):
    """Return an authority, its neighbour without one, and a site behind that, which dials it."""
    hub, plain, west = await net.start("hub"), await net.start("plain"), await net.start("west")
    await net.link(plain, hub)
    # The root lets it in, and it links up with the one without an authority from then on.
    await net.link(west, hub)
    port = plain.router.link_port
    await port.open(Endpoint("127.0.0.1", 0))
    assert port.endpoint is not None
    west.router.links.dial(LinkConfig("plain", (port.endpoint,)))
    await wait_until(lambda: "plain" in west.router.links.up, "they are neighbours")
    await west.ask(api.DELETE_LINK, site="hub")
    await wait_until(lambda: reaches(plain, "hub"), "the authority is known")
    return hub, plain, west


def reaches(site, name):
    return name in site.router.routes.fib.routes and name in site.router.routes.identities()


def told(site, kind):
    return [each.text for each in site.router.control.events.after(0) if each.kind is kind]


def trail(site, kind):
    records = site.router.site.audit.read().records
    return [(each.subject, each.text) for each in records if each.kind == kind]


def has_expired(site):
    return site.router.trust.identity.not_after < datetime.now(UTC)


async def is_refused(west, plain, reason):
    """See that a site does not come back, and that both ends are told why."""
    failed, refused = EventKind.LINK_FAILED, EventKind.PEER_REFUSED
    await wait_until(lambda: any(reason in each for each in told(west, failed)), "it is told why")
    await wait_until(
        lambda: any(reason in each for each in told(plain, refused)), "as is the other"
    )
    assert not west.router.links.up
    assert has_expired(west)


async def test_it_comes_back_through_a_neighbour_without_an_authority():
    async with network() as net:
        hub, plain, west = await behind_a_plain_site(net)
        before = west.router.trust.identity
        west = await away(net, west, authority_of(hub))
        assert has_expired(west)
        await wait_until(lambda: "plain" in west.router.links.up, "it is back")
        after = west.router.trust.identity
        assert after.public_key_fingerprint == before.public_key_fingerprint
        assert after.grants == before.grants
        assert not has_expired(west)
        assert Credentials.load(net.paths("west").identity_file).identity == after
        ((subject, text),) = trail(hub, AuditKind.SITE_CAME_BACK)
        assert subject == "west"
        assert text.endswith(", asked for by site 'plain'")
        assert not trail(plain, AuditKind.SITE_CAME_BACK), "who has done it says so"
        await wait_until(lambda: reaches(hub, "west"), "it is a part of the network")


async def test_the_authority_may_be_far_away_and_its_own_that_of_the_site_may_have_run_out():
    async with network() as net:
        hub, _, plain, west = await net.line("hub", "middle", "plain", "west")
        root = authority_of(hub)
        ours = plain.router.trust.credentials
        plain = await restart_with(net, plain, attrs.evolve(ours, authority=None))
        await wait_until(lambda: reaches(plain, "hub"), "the network is whole")
        west = await away(net, west, root)
        await wait_until(lambda: "plain" in west.router.links.up, "it is back")
        assert not has_expired(west)
        assert authority_of(west).not_after > datetime.now(UTC)


async def test_a_site_that_only_accepts_links_comes_back_by_a_guest_of_its_own():
    async with network() as net:
        root, hub, guest = await net.start("root"), await net.start("hub"), await net.start("guest")
        await net.link(hub, root, can_invite=True)
        await net.link(guest, hub)
        await net.link(guest, root)
        await hub.ask(api.DELETE_LINK, site="root")
        assert guest.router.trust.identity.issuers == ("hub",)
        assert not hub.router.links.dialers
        await wait_until(lambda: reaches(guest, "root"), "the authority is known")
        hub = await away(net, hub, authority_of(root))
        await wait_until(lambda: "guest" in hub.router.links.up, "it is back")
        assert not has_expired(hub)
        assert hub.router.trust.identity.depth == 0
        (came,) = trail(root, AuditKind.SITE_CAME_BACK)
        assert came[0] == "hub"


@pytest.mark.parametrize("has_heard", [True, False])
async def test_it_does_not_when_it_was_expelled(has_heard):
    async with network() as net:
        hub, plain, west = await behind_a_plain_site(net)
        await hub.ask(api.EXPEL, ExpelSpec(site="west"))
        await wait_until(lambda: "west" not in plain.router.links.up, "it is out")
        if not has_heard:
            plain.router.trust.expulsions = ExpulsionList(plain.router.trust.credentials.root)
        west = await away(net, west, authority_of(hub))
        await is_refused(west, plain, "was expelled")
        assert bool(trail(hub, AuditKind.SITE_REFUSED)) is not has_heard


@pytest.mark.parametrize("judge", ["hub", "plain"])
async def test_it_does_not_once_it_has_been_away_for_longer_than_either_allows(judge):
    async with network() as net:
        hub, plain, west = await behind_a_plain_site(net)
        settings = net.sites[judge].router.site.settings
        settings.config = attrs.evolve(settings.config, return_days=10)
        west = await away(net, west, authority_of(hub))
        reason = (
            f"by the clock of site '{judge}', which lets sites return for 10 days: accept a new"
        )
        await is_refused(west, plain, reason)
        settings.config = attrs.evolve(settings.config, return_days=21)
        await wait_until(lambda: "plain" in west.router.links.up, "it may, by that setting")


async def test_it_does_not_where_no_authority_can_be_reached():
    async with network() as net:
        hub, plain, west = await behind_a_plain_site(net)
        root = authority_of(hub)
        hub.scope.cancel()
        await wait_until(lambda: "hub" not in plain.router.routes.fib.routes, "it is away")
        west = await away(net, west, root)
        await is_refused(west, plain, "site 'plain' can't issue certificates; nor does it reach")


async def test_an_authority_that_does_not_answer_leaves_it_to_another(monkeypatch):
    async with network() as net:
        hub, plain, west = await behind_a_plain_site(net)
        east = await net.start("east")
        await net.link(east, hub)
        await wait_until(lambda: reaches(hub, "east"), "it is known")
        await hub.ask(api.GRANT_AUTHORITY, AuthorityGrantSpec(site="east"))
        await wait_until(lambda: east.router.trust.can_invite, "there are two authorities")
        proxy = plain.router.control.join_server.proxy
        identity = west.router.trust.identity
        await wait_until(lambda: len(proxy._authorities(identity)) == 2, "that is known")
        ask, asked = proxy._ask, []

        async def ask_of_the_second(site, compose, timeout):
            asked.append(site)
            if len(asked) == 1:
                raise Unreachable("it is silent")
            return await ask(site, compose, timeout)

        monkeypatch.setattr(proxy, "_ask", ask_of_the_second)
        west = await away(net, west, authority_of(hub))
        await wait_until(lambda: "plain" in west.router.links.up, "it is back")
        assert sorted(asked) == ["east", "hub"]


# -- what others get by it --------------------------------------------------------------------


async def converse(site, credentials):
    endpoint = site.router.link_port.endpoint
    context = client_context(credentials.chain, credentials.key, credentials.root, (ALPN,))
    tls = await shake_hands(endpoint, context)
    return tls, MessageStream(tls, CODEC, max_payload=MAX_MESSAGE)


async def first_answer(site, credentials, key, name="west"):
    """Return what a site says first to who shows certificates, and asks for one."""
    tls, conversation = await converse(site, credentials)
    request = JoinRequest(MAJOR, name, make_request(key), b"", ())
    await conversation.send(prove(request, tls, key))
    answer = await conversation.receive()
    conversation.close()
    return answer


async def test_nobody_is_asked_for_who_has_no_certificate_that_has_run_out():
    async with network() as net:
        hub, plain, west = await behind_a_plain_site(net)
        ours = west.router.trust.credentials
        token = decode_token((await hub.ask(api.CREATE_TOKEN, TokenCreate())).token)
        old = expired(ours, authority_of(hub))
        key = generate_key()
        cases = [
            (ours, ours.key, "west"),  # it is valid
            (token, key, "newcomer"),
            (old, key, "west"),  # for another key
            (old, old.key, "plain"),  # for another name
            (expired(ours, authority_of(hub), ago=timedelta(days=33)), ours.key, "west"),
        ]
        for credentials, its_key, name in cases:
            answer = await first_answer(plain, credentials, its_key, name)
            assert isinstance(answer, JoinDeclined)
        assert isinstance(await first_answer(plain, old, old.key), JoinChallenge)


async def test_who_asks_all_the_time_is_passed_on_a_few_times_a_minute(monkeypatch):
    monkeypatch.setattr(join_proxy, "MAX_OF_ALL", join_proxy.MAX_OF_ONE + 2)
    async with network() as net:
        hub, plain, west = await behind_a_plain_site(net)
        root = authority_of(hub)
        proxy = plain.router.control.join_server.proxy
        ask, asked = proxy._ask, []

        async def count(site, compose, timeout):
            asked.append(site)
            return await ask(site, compose, timeout)

        monkeypatch.setattr(proxy, "_ask", count)
        old = expired(west.router.trust.credentials, root)
        for number in range(join_proxy.MAX_OF_ONE + 3):
            answer = await first_answer(plain, old, old.key)
            is_passed_on = number < join_proxy.MAX_OF_ONE
            assert isinstance(answer, JoinChallenge if is_passed_on else JoinDeclined)
        assert "as often as it does in a minute" in answer.reason
        assert len(asked) == join_proxy.MAX_OF_ONE
        other = expired(issue(hub, "other", Grants()), root)
        for number in range(4):
            answer = await first_answer(plain, other, other.key, "other")
            assert isinstance(answer, JoinChallenge if number < 2 else JoinDeclined)
        assert len(asked) == join_proxy.MAX_OF_ALL
        proxy._minute_ends = trio.current_time()
        assert isinstance(await first_answer(plain, old, old.key), JoinChallenge)


async def readmit(plain, old, compose):
    """Have a neighbour ask the authority by what is composed for its channel; return the answer."""

    async def composed(exported):
        return compose(exported)

    return await plain.router.data.channels.asking.readmit("hub", composed, 5.0)


def asks(old, exported, *, site="west", key=None, chain=None):
    request = JoinRequest(MAJOR, site, make_request(key or old.key), b"", ())
    request = prove_passed_on(request, exported, old.key)
    return Readmit(site, chain or old.chain, request.request, b"", request.proof)


async def test_an_authority_is_not_asked_with_what_was_signed_for_another_time():
    async with network() as net:
        hub, plain, west = await behind_a_plain_site(net)
        old = expired(west.router.trust.credentials, authority_of(hub))
        seen = []

        def compose(exported):
            seen.append(asks(old, exported))
            return seen[-1]

        assert (await readmit(plain, old, compose)).chain
        again = await readmit(plain, old, lambda _: seen[0])
        assert "has not proved that it holds its key" in again.error
        assert not again.chain

        def sign_as_in_person(exported):
            request = JoinRequest(MAJOR, "west", make_request(old.key), b"", ())
            proof = old.key.sign(proved_bytes(request, exported), SIGNATURE)
            return Readmit("west", old.chain, request.request, b"", proof)

        assert "has not proved" in (await readmit(plain, old, sign_as_in_person)).error


async def test_an_authority_judges_who_is_passed_on_as_if_it_asked_in_person():
    async with network() as net:
        hub, plain, west = await behind_a_plain_site(net)
        root, ours = authority_of(hub), west.router.trust.credentials
        old, mallory = expired(ours, root), generate_key()
        long_ago = expired(ours, root, ago=timedelta(days=33)).chain
        cases = {
            "has not run out by the clock": {"chain": ours.chain},
            "lets sites return for 30 days": {"chain": long_ago},
            "same key only": {"key": mallory},
            "is not that of site 'plain'": {"site": "plain"},
        }
        for reason, change in cases.items():
            answer = await readmit(plain, old, lambda e, c=change: asks(old, e, **c))
            assert reason in answer.error
            assert not answer.chain
        assert len(trail(hub, AuditKind.SITE_REFUSED)) == len(cases)
        assert "(site 'plain' asked)" in trail(hub, AuditKind.SITE_REFUSED)[0][1]


async def test_what_comes_back_is_taken_only_if_it_is_what_the_site_had(monkeypatch):
    async with network() as net:
        hub, plain, west = await behind_a_plain_site(net)
        proxy = plain.router.control.join_server.proxy
        ask = proxy._ask

        async def lie(site, compose, timeout):
            answer = await ask(site, compose, timeout)
            root, ours = authority_of(hub), plain.router.trust.credentials
            chain = root.issue_site(
                make_request(ours.key), site="west", grants=ours.identity.grants
            )
            return type(answer)(chain, (), "")

        monkeypatch.setattr(proxy, "_ask", lie)
        before = west.router.trust.identity.public_key_fingerprint
        west = await away(net, west, authority_of(hub))
        failed = EventKind.LINK_FAILED
        await wait_until(lambda: told(west, failed), "it is not taken")
        assert has_expired(west)
        assert west.router.trust.identity.public_key_fingerprint == before


async def test_a_neighbour_that_answers_a_challenge_with_something_else_is_left():
    async with network() as net:
        hub, plain, west = await behind_a_plain_site(net)
        old = expired(west.router.trust.credentials, authority_of(hub))
        tls, conversation = await converse(plain, old)
        request = JoinRequest(MAJOR, "west", make_request(old.key), b"", ())
        await conversation.send(prove(request, tls, old.key))
        assert isinstance(await conversation.receive(), JoinChallenge)
        await conversation.send(JoinDeclined("no", "not now"))
        answer = await conversation.receive()
        conversation.close()
        assert isinstance(answer, JoinDeclined)
        assert "a challenge is answered by a request" in answer.reason
        assert not isinstance(answer, JoinAccepted)


async def test_of_a_chain_that_is_too_large_it_is_told():
    async with network() as net:
        _, plain, west = await behind_a_plain_site(net)
        proxy = plain.router.control.join_server.proxy
        identity = attrs.evolve(west.router.trust.identity, chain=(bytes(8192),) * 8)

        async def prove_it(exported):
            return JoinRequest(MAJOR, "west", b"", b"", ())

        with pytest.raises(JoinRefused, match="certificates of site 'west' are too large"):
            await proxy.ask(identity, prove_it)
