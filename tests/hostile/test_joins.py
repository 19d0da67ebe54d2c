"""Whoever holds a token may try it in every way, and gets what the token says or nothing."""

from datetime import timedelta

import msgspec
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tests.hostile.network_under_attack import (
    PATIENCE,
    NetworkUnderAttack,
    network_under_attack,
    shake_hands,
)
from van.control import endpoints as api
from van.control.values.links import LinkAccept
from van.control.values.tokens import TokenCreate
from van.errors import JoinRefused, LinkLost
from van.router.links.proof import prove
from van.router.reactor.message_stream import MessageStream
from van.tls.connection import TlsConnection
from van.tls.contexts import client_context
from van.tls.identity import verify_chain
from van.tls.keys import generate_key, make_request
from van.tls.tokens import Token, decode_token
from van.wire import join
from van.wire.join import JoinAccepted, JoinDeclined, JoinRequest
from van.wire.revision import MAJOR

pytestmark = pytest.mark.slow("each test sets up three sites, their links, and a live flow")


async def mint(attacked: NetworkUnderAttack, **options: object) -> Token:
    spec = TokenCreate(**options)  # type: ignore[arg-type]
    created = await attacked.hub.ask(api.CREATE_TOKEN, spec)
    return decode_token(created.token)


def used_by(attacked: NetworkUnderAttack, token: Token) -> list[str]:
    """Return the sites that a token has let in, as the ledger has it."""
    records = {record.id: record for record in attacked.hub.router.site.ledger.records()}
    return [site for site, _ in records[token.id].used_by]


async def begin(attacked: NetworkUnderAttack, token: Token) -> tuple[TlsConnection, MessageStream]:
    context = client_context(token.chain, token.key, token.root, (join.ALPN,))
    tls = await shake_hands(attacked.port, context)
    return tls, MessageStream(tls, join.CODEC, max_payload=join.MAX_MESSAGE)


async def ask(
    attacked: NetworkUnderAttack,
    token: Token,
    request: JoinRequest,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> JoinAccepted | JoinDeclined:
    """Ask to be let in, with the proof that `KEY` or another one is held."""
    tls, conversation = await begin(attacked, token)
    return await send(conversation, prove(request, tls, key or KEY))


async def send(conversation: MessageStream, request: JoinRequest) -> JoinAccepted | JoinDeclined:
    try:
        await conversation.send(request)
        with trio.fail_after(PATIENCE):
            answer = await conversation.receive()
    finally:
        conversation.close()
    assert isinstance(answer, JoinAccepted | JoinDeclined)
    return answer


def request_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    builder = x509.CertificateSigningRequestBuilder(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


KEY = generate_key()
GOOD = make_request(KEY)
NUMBER = GOOD.index(b"\x02\x01\x00")
BAD_REQUESTS = {
    "garbage": b"\xff" * 4000,
    "cut-off": GOOD[:-7],
    "of-another-version": GOOD[:NUMBER] + b"\x02\x01\x05" + GOOD[NUMBER + 3 :],
    "of-an-unknown-kind-of-key": GOOD.replace(b"\x2a\x86\x48\xce\x3d\x02\x01", b"\x2a" * 7),
    "of-an-unknown-curve": GOOD.replace(b"\xce\x3d\x03\x01\x07", b"\xce\x3d\x03\x01\x01"),
    "of-a-point-off-the-curve": GOOD.replace(GOOD[110:118], b"\x13" * 8),
    "signed-by-nobody": GOOD[:-4] + b"\1\2\3\4",
    "rsa": request_of(rsa.generate_private_key(65537, 2048)),
    "p-384": request_of(ec.generate_private_key(ec.SECP384R1())),
}


async def test_a_bad_certificate_request_is_declined_and_uses_nothing_up():
    async with network_under_attack() as attacked:
        token = await mint(attacked)
        for name, bad in BAD_REQUESTS.items():
            answer = await ask(attacked, token, JoinRequest(MAJOR, "new", bad, b"", ()))
            assert isinstance(answer, JoinDeclined), name
        assert not used_by(attacked, token)
        answer = await ask(attacked, token, JoinRequest(MAJOR, "new", GOOD, b"", ()))
        assert isinstance(answer, JoinAccepted)


async def test_a_bad_request_for_an_authority_gives_none():
    async with network_under_attack() as attacked:
        for name, bad in BAD_REQUESTS.items():
            token = await mint(attacked, can_invite=True)
            answer = await ask(attacked, token, JoinRequest(MAJOR, "new", GOOD, bad, ()))
            assert isinstance(answer, JoinDeclined), name


async def test_who_asks_for_an_authority_without_leave_gets_none():
    async with network_under_attack() as attacked:
        token = await mint(attacked, allow_expose=("web",))
        request = JoinRequest(MAJOR, "new", GOOD, make_request(generate_key()), ())
        answer = await ask(attacked, token, request)
        assert isinstance(answer, JoinAccepted)
        assert not answer.ca_chain
        identity = verify_chain(answer.chain, token.root, at=attacked.hub.router.trust.clock())
        assert not identity.may_expose("db:1")


@pytest.mark.parametrize("name", ["hub", "west", "east"])
async def test_a_name_that_is_taken_is_declined_and_uses_nothing_up(name):
    async with network_under_attack() as attacked:
        token = await mint(attacked)
        answer = await ask(attacked, token, JoinRequest(MAJOR, name, GOOD, b"", ()))
        assert isinstance(answer, JoinDeclined)
        assert "taken" in answer.reason
        assert not used_by(attacked, token)


async def test_who_does_not_prove_its_key_in_this_connection_gets_nothing():
    """A request that somebody else has made is worth nothing, nor is a proof of another time."""
    async with network_under_attack() as attacked:
        token = await mint(attacked)
        west = attacked.west.router.trust.credentials
        asked = (
            JoinRequest(MAJOR, "new", GOOD, b"", ()),
            JoinRequest(MAJOR, "west", b"", b"", west.chain),
            JoinRequest(MAJOR, "west", make_request(west.key), b"", west.chain),
        )
        keys = (KEY, west.key, west.key)
        for request, key in zip(asked, keys, strict=True):
            earlier, first = await begin(attacked, token)
            replayed = prove(request, earlier, key)
            first.close()
            _, second = await begin(attacked, token)
            _, third = await begin(attacked, token)
            tls, fourth = await begin(attacked, token)
            altered = msgspec.structs.replace(prove(request, tls, key), ca_request=GOOD)
            for conversation, claim in ((second, replayed), (third, request), (fourth, altered)):
                answer = await send(conversation, claim)
                assert isinstance(answer, JoinDeclined)
                assert "has not proved" in answer.reason
            answer = await ask(attacked, token, request, key=generate_key())
            assert isinstance(answer, JoinDeclined)
        assert not used_by(attacked, token)
        for request, key in zip(asked[:2], keys[:2], strict=True):
            token = await mint(attacked)
            assert isinstance(await ask(attacked, token, request, key=key), JoinAccepted)


async def test_of_two_sites_with_one_token_at_the_same_moment_one_gets_in():
    async with network_under_attack() as attacked:
        token = await mint(attacked)
        answers: dict[str, JoinAccepted | JoinDeclined] = {}

        async def one(name: str) -> None:
            key = generate_key()
            request = JoinRequest(MAJOR, name, make_request(key), b"", ())
            answers[name] = await ask(attacked, token, request, key=key)

        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(one, f"site-{number}")
        accepted = [name for name, each in answers.items() if isinstance(each, JoinAccepted)]
        assert len(accepted) == 1
        assert used_by(attacked, token) == accepted
        declined = next(each for each in answers.values() if isinstance(each, JoinDeclined))
        assert "used up" in declined.reason


async def test_a_revoked_token_lets_nobody_in_again_not_even_whom_it_let_in():
    async with network_under_attack() as attacked:
        token = await mint(attacked, uses=5)
        request = JoinRequest(MAJOR, "new", GOOD, b"", ())
        assert isinstance(await ask(attacked, token, request), JoinAccepted)
        attacked.hub.router.site.ledger.revoke(token.id)
        answer = await ask(attacked, token, request)
        assert isinstance(answer, JoinDeclined)
        assert "revoked" in answer.reason


async def test_a_token_of_another_site_is_not_known_here():
    async with network_under_attack() as attacked:
        created = await attacked.west.ask(api.CREATE_TOKEN, TokenCreate())
        token = decode_token(created.token)
        answer = await ask(attacked, token, JoinRequest(MAJOR, "new", GOOD, b"", ()))
        assert isinstance(answer, JoinDeclined)
        assert "not known here" in answer.reason


async def test_a_member_that_shows_the_chain_of_another_is_declined():
    async with network_under_attack() as attacked:
        token = await mint(attacked)
        east = attacked.east.router.trust.credentials.chain
        for chain in (east, (), (b"x",), (*east, *east)):
            answer = await ask(attacked, token, JoinRequest(MAJOR, "mallory", b"", b"", chain))
            assert isinstance(answer, JoinDeclined)
        assert not used_by(attacked, token)


async def test_whoever_joins_and_is_silent_is_ended_in_time(monkeypatch):
    from van.router.links import port as link_port

    monkeypatch.setattr(link_port, "GREETING_TIMEOUT", 0.4)
    async with network_under_attack() as attacked:
        token = await mint(attacked)
        _, conversation = await begin(attacked, token)
        with trio.fail_after(PATIENCE), pytest.raises(LinkLost):
            await conversation.receive()
        conversation.close()
        assert attacked.refused["conversation-timeout"] == 1


async def test_a_site_of_another_network_is_turned_away_and_changes_nothing():
    """`lonely` has a network with another site in it; `alone` has let nobody in."""
    async with network_under_attack() as attacked:
        lonely = await attacked.net.start("lonely")
        friend = await attacked.net.start("friend")
        await attacked.net.link(friend, lonely)
        created = await attacked.hub.ask(api.CREATE_TOKEN, TokenCreate())
        token = decode_token(created.token)
        for site in (lonely, friend):
            van = site.router.trust.van_id
            files = site.router.site.paths.identity_file.read_bytes()
            with pytest.raises(Exception, match="other sites"):
                await site.ask(api.ACCEPT_TOKEN, LinkAccept(token=created.token))
            assert site.router.trust.van_id == van
            assert site.router.site.paths.identity_file.read_bytes() == files
        assert not used_by(attacked, token)


async def test_a_token_that_expires_in_the_handshake_lets_nobody_in():
    async with network_under_attack() as attacked:
        token = await mint(attacked)
        late = attacked.hub.router.trust.clock() + timedelta(hours=1)
        with pytest.raises(JoinRefused, match="expired"):
            attacked.hub.router.site.ledger.admit(token.id, site="new", fingerprint="f", now=late)
        assert not used_by(attacked, token)
