"""Peers without a good certificate: refused and counted, and nobody else notices."""

import ssl
from datetime import timedelta

import pytest
import trio

from lab.network import wait_until
from tests.hostile.network_under_attack import (
    PATIENCE,
    NetworkUnderAttack,
    bare_context,
    dial,
    ended,
    network_under_attack,
    shake_hands,
    strange_tls,
    today,
)
from tests.tls.forging import (
    Issued,
    as_issued,
    forge,
    site_form,
)
from van.router.links import port as link_port
from van.tls.authority import Authority
from van.tls.contexts import client_context
from van.tls.credentials import Credentials
from van.tls.grants import FULL
from van.tls.keys import generate_key, make_request
from van.wire import channel, join, link
from van.wire.framing import FrameReader
from van.wire.revision import MAJOR

pytestmark = pytest.mark.slow("each test sets up three sites, their links, and a live flow")

ALPNS = (link.ALPN, channel.ALPN, join.ALPN)


async def refused_as(attacked: NetworkUnderAttack, cause: str, count: int = 1) -> None:
    await wait_until(
        lambda: attacked.refused.get(cause, 0) >= count, f"{cause} is counted: {attacked.refused}"
    )


FIRST = {
    link.ALPN: link.CODEC.encode(link.Hello(MAJOR, "mallory", 9, 1, 0.3)),
    channel.ALPN: channel.CODEC.encode(channel.Hello(MAJOR, channel.Role.DIALER_OPENS)),
    join.ALPN: join.CODEC.encode(
        join.JoinRequest(MAJOR, "mallory", make_request(generate_key()), b"", ())
    ),
}
"""What a peer says first in each conversation."""
LAST = {
    link.ALPN: (link.CODEC, link.Goodbye),
    channel.ALPN: (channel.CODEC, channel.Refused),
    join.ALPN: (join.CODEC, join.JoinDeclined),
}
"""And the one thing that it is told if it is not believed."""


async def told_and_ended(tls, alpn: str, why: str) -> None:
    """See that a peer is told why it gets nothing, and nothing else."""
    tls.send(FIRST[alpn])
    codec, kind = LAST[alpn]
    frames = FrameReader(max_payload=1 << 16)
    frames.receive_data(await ended(tls))
    messages = [codec.decode(*frame) for frame in iter(frames.next_frame, None)]
    assert [type(each) for each in messages] == [kind]
    assert why in str(messages[0])


@pytest.mark.parametrize(
    "payload",
    [
        b"\0" * 4096,
        bytes(range(256)) * 100,
        b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n",
        b"\x16\x03\x01\xff\xff" + b"\x01" * 70000,
        b"\x16\x03\x01\x00\x05hello",
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
    ids=["zeros", "bytes", "http", "huge-record", "no-hello", "ssh"],
)
async def test_what_is_not_tls_is_refused_and_counted(payload):
    async with network_under_attack() as attacked:
        sock = await dial(attacked.port)
        with trio.move_on_after(PATIENCE):
            try:
                view = memoryview(payload)
                while view:
                    try:
                        view = view[sock.send(view) :]
                    except BlockingIOError:
                        await trio.lowlevel.wait_writable(sock)
            except OSError:
                pass
        await ended(sock)
        sock.close()
        await refused_as(attacked, "handshake")


async def test_a_handshake_that_stalls_is_ended_in_time(monkeypatch):
    monkeypatch.setattr(link_port, "HANDSHAKE_TIMEOUT", 0.5)
    async with network_under_attack() as attacked:
        stalled = [await dial(attacked.port) for _ in range(20)]
        drips = [await dial(attacked.port) for _ in range(20)]
        async with trio.open_nursery() as nursery:
            for sock in drips:
                nursery.start_soon(drip, sock)
            for sock in stalled:
                assert not await ended(sock)
        for sock in stalled + drips:
            sock.close()
        await refused_as(attacked, "handshake-timeout", 40)


async def drip(sock) -> None:
    """Send a ClientHello that never gets whole, a byte at a time."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x07" * 500
    with trio.move_on_after(PATIENCE):
        for byte in hello:
            try:
                sock.send(bytes((byte,)))
            except OSError:
                return
            await trio.sleep(0.02)
    raise AssertionError("the slow handshake was let go on")


def of_another_van(_: NetworkUnderAttack) -> Credentials:
    return Credentials.create("mallory")


def self_styled_site(attacked: NetworkUnderAttack, **times: timedelta) -> Issued:
    """Return a certificate by the real root of the VAN, at other times or in another form."""
    authority = attacked.west.router.trust.credentials.authority
    assert authority is not None
    return forge(
        as_issued(authority),
        site_form(authority.van_id),
        not_before=today() + times.get("begins", timedelta(minutes=-5)),
        not_after=today() + times.get("ends", timedelta(hours=1)),
    )


@pytest.mark.parametrize("alpn", ALPNS)
async def test_a_certificate_of_another_van_is_refused(alpn):
    async with network_under_attack() as attacked:
        other = of_another_van(attacked)
        tls = await strange_tls(attacked.port, bare_context(other.chain, other.key, [alpn]))
        assert not await ended(tls)
        await refused_as(attacked, "other-authority")
        tls.close()


@pytest.mark.parametrize(
    ("begins", "ends", "cause"), [(-3600, -60, "expired"), (600, 3600, "not-yet-valid")]
)
async def test_a_certificate_at_another_time_is_refused(begins, ends, cause):
    async with network_under_attack() as attacked:
        late = self_styled_site(
            attacked, begins=timedelta(seconds=begins), ends=timedelta(seconds=ends)
        )
        tls = await strange_tls(attacked.port, bare_context([late.der], late.key, [link.ALPN]))
        await told_and_ended(tls, link.ALPN, "by the clock of site 'hub'")
        await refused_as(attacked, cause)
        tls.close()


async def test_a_certificate_beside_the_chain_is_refused():
    async with network_under_attack() as attacked:
        mallory = attacked.member()
        extra = self_styled_site(attacked)
        for alpn in ALPNS:
            context = bare_context([*mallory.chain, extra.der], mallory.key, [alpn])
            tls = await strange_tls(attacked.port, context)
            await told_and_ended(tls, alpn, "other certificates than those of its chain")
            tls.close()
        await wait_until(lambda: sum(attacked.refused.values()) >= 3, "they are counted")


async def test_an_authority_is_no_site():
    async with network_under_attack() as attacked:
        authority = attacked.hub.router.trust.credentials.authority
        assert authority is not None
        assert authority.chain
        for alpn in ALPNS:
            context = bare_context(authority.chain, authority.key, [alpn])
            tls = await strange_tls(attacked.port, context)
            assert not await ended(tls)
            tls.close()
        await wait_until(lambda: sum(attacked.refused.values()) >= 3, "they are counted")


async def test_a_token_is_good_for_joining_only():
    async with network_under_attack() as attacked:
        authority = attacked.west.router.trust.credentials.authority
        assert authority is not None
        from van.tls.pem import decode_key

        pem, der = authority.issue_bootstrap("abc", lifetime=timedelta(minutes=5))
        for alpn in (link.ALPN, channel.ALPN):
            context = client_context([der], decode_key(pem), authority.root, [alpn])
            tls = await shake_hands(attacked.port, context)
            await told_and_ended(tls, alpn, "for joining only")
            tls.close()
        await refused_as(attacked, "certificate", 2)


async def test_a_site_is_not_let_in_by_its_own_certificate():
    async with network_under_attack() as attacked:
        mallory = attacked.member()
        tls = await attacked.shake_hands(mallory, join.ALPN)
        await told_and_ended(tls, join.ALPN, "a join needs a token's certificate")
        await refused_as(attacked, "join-refused")
        tls.close()


async def test_a_client_without_a_certificate_is_refused():
    async with network_under_attack() as attacked:
        for alpn in ALPNS:
            tls = await strange_tls(attacked.port, bare_context(None, None, [alpn]))
            assert not await ended(tls)
            tls.close()
        await refused_as(attacked, "no-certificate", 3)


@pytest.mark.parametrize("alpn", [[], ["h2"], ["van-link/2", "http/1.1"]], ids=str)
async def test_another_conversation_is_refused(alpn):
    async with network_under_attack() as attacked:
        mallory = attacked.member()
        try:
            tls = await strange_tls(attacked.port, bare_context(mallory.chain, mallory.key, alpn))
        except ssl.SSLError:
            await refused_as(attacked, "handshake")
        else:
            assert not await ended(tls)
            tls.close()
            await refused_as(attacked, "no-conversation")


async def test_older_tls_is_refused():
    async with network_under_attack() as attacked:
        mallory = attacked.member()
        context = bare_context(mallory.chain, mallory.key, [link.ALPN])
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            await strange_tls(attacked.port, context)
        await refused_as(attacked, "handshake")


async def test_frames_before_authentication_do_nothing():
    async with network_under_attack() as attacked:
        other = of_another_van(attacked)
        for alpn, frame in (
            (link.ALPN, link.CODEC.encode(link.Hello(MAJOR, "east", 9, 1, 0.3))),
            (channel.ALPN, channel.CODEC.encode(channel.Hello(MAJOR, channel.Role.DIALER_OPENS))),
        ):
            tls = await strange_tls(attacked.port, bare_context(other.chain, other.key, [alpn]))
            try:
                tls.send(frame * 10)
            except OSError:
                pass
            assert not await ended(tls)
            tls.close()
        await refused_as(attacked, "other-authority", 2)


async def test_a_stranger_to_itself_is_a_stranger():
    """A root of the right name in another key does not pass for the VAN's."""
    async with network_under_attack() as attacked:
        false_root = Authority.create_root()
        key = generate_key()
        chain = false_root.issue_site(make_request(key), site="east", grants=FULL)
        tls = await strange_tls(attacked.port, bare_context(chain, key, [link.ALPN]))
        assert not await ended(tls)
        tls.close()
        await refused_as(attacked, "other-authority")
