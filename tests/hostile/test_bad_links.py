"""A member of the VAN that misbehaves on its link: it harms its own link at most."""

import socket
from collections import Counter
from functools import partial

import msgspec
import pytest
import trio

from lab.network import Site, wait_until
from tests.hostile.network_under_attack import (
    PATIENCE,
    NetworkUnderAttack,
    ended,
    network_under_attack,
    shake_hands,
)
from van.config import LinkConfig
from van.errors import RemoteError
from van.names import Endpoint
from van.router.links import link as link_module
from van.router.reactor import tls_io
from van.router.reactor.message_stream import MessageStream
from van.tls.contexts import client_context, server_context
from van.tls.credentials import Credentials
from van.tls.pem import decode_key
from van.wire import channel, join, link
from van.wire.framing import pack_header
from van.wire.lsa import (
    AddressesBody,
    AdjacenciesBody,
    Adjacency,
    Binding,
    Body,
    IdentityBody,
    Lsa,
    LsaKind,
    Service,
    encode_body,
    signed_bytes,
)
from van.wire.revision import MAJOR

pytestmark = pytest.mark.slow("each test sets up three sites, their links, and a live flow")

KINDS: dict[object, LsaKind] = {
    IdentityBody: LsaKind.IDENTITY,
    AdjacenciesBody: LsaKind.ADJACENCIES,
    AddressesBody: LsaKind.ADDRESSES,
}


def advertise(
    mallory: Credentials,
    body: Body,
    *,
    origin: str | None = None,
    version: tuple[int, int] = (1, 1),
    lifetime: float = 900.0,
) -> Lsa:
    """Return an advertisement that mallory signed, in whoever's name."""
    kind = KINDS[type(body)]
    incarnation, sequence = version
    unsigned = Lsa(
        origin or mallory.site, kind, incarnation, sequence, lifetime, encode_body(body), b""
    )
    signature = mallory.sign(unsigned.signed_bytes())
    return msgspec.structs.replace(unsigned, signature=signature)


async def is_dropped(attacked: NetworkUnderAttack, name: str = "mallory") -> None:
    await wait_until(lambda: name not in attacked.hub.router.links.up, "the link is given up")


def dropped(attacked: NetworkUnderAttack) -> dict[str, int]:
    return dict(attacked.hub.router.routes.engine.dropped)


ALL_BUCKETS = bytes(range(link.BUCKETS))
BAD_FRAMES = {
    "16-mebibytes": pack_header(5, (1 << 24) - 1),
    "no-msgpack": pack_header(2, 4) + b"\xc1\xc1\xc1\xc1",
    "wrong-types": pack_header(2, 4) + msgspec.msgpack.encode(["a", 1])[:4].ljust(4, b"\0"),
    "empty": pack_header(3, 0),
    "unknown-critical-kind": pack_header(100, 1) + b"\x90",
    "kind-0": pack_header(0, 0),
    "deep": pack_header(5, 100_000) + b"\x91" * 100_000,
    "long-array": pack_header(5, 6) + b"\xdd\xff\xff\xff\xff\x90",
    "negative-time": pack_header(2, 4) + b"\x93\xff\x00\x00",
    "not-a-number": pack_header(2, 28) + msgspec.msgpack.encode([float("nan"), 0.0, 0.0]),
    "negative-cost": pack_header(10, 2) + b"\x91\xff",
    "short-summary": pack_header(11, 3) + b"\x91\xc4\x00",
    "cost-65536": pack_header(10, 6) + b"\x91\xce\x00\x01\x00\x00",
}


async def test_a_frame_that_is_not_valid_ends_the_link_that_it_came_by():
    async with network_under_attack() as attacked:
        mallory = attacked.member()
        for frame in BAD_FRAMES.values():
            conversation = await attacked.link(mallory)
            await tls_io.send_all(conversation.detach()[0], frame)
            await is_dropped(attacked)
            conversation.close()


async def test_a_frame_that_announces_too_much_ends_a_join_and_a_channel():
    async with network_under_attack() as attacked:
        authority = attacked.west.router.trust.credentials.authority
        assert authority is not None
        from datetime import timedelta

        pem, der = authority.issue_bootstrap("abc", lifetime=timedelta(minutes=5))
        context = client_context([der], decode_key(pem), authority.root, [join.ALPN])
        for tls in (
            await shake_hands(attacked.port, context),
            await attacked.shake_hands(attacked.member(), channel.ALPN),
            await attacked.shake_hands(attacked.member(), link.ALPN),
        ):
            await tls_io.send_all(tls, pack_header(1, (1 << 24) - 1))
            await ended(tls)
            tls.close()
        await wait_until(lambda: attacked.refused.get("conversation", 0) >= 3, "they are counted")


async def test_what_may_be_skipped_is_skipped():
    async with network_under_attack() as attacked:
        conversation = await attacked.link(attacked.member())
        tls = conversation.detach()[0]
        await tls_io.send_all(tls, pack_header(200, 100_000) + b"\xc1" * 100_000)
        await conversation.send(link.CostChange(7))
        hub = attacked.hub.router
        await wait_until(lambda: hub.links.up["mallory"].cost == 7, "the next message is taken")
        conversation.close()


@pytest.mark.parametrize("name", ["east", "hub", "nobody"])
async def test_a_site_that_calls_itself_another_is_refused(name):
    async with network_under_attack() as attacked:
        tls = await attacked.shake_hands(attacked.member(), link.ALPN)
        hello = link.Hello(MAJOR, name, 1, 1, 0.3)
        await tls_io.send_all(tls, link.CODEC.encode(hello))
        await ended(tls)
        await wait_until(lambda: attacked.refused.get("conversation"), "it is counted")
        assert {"west", "east"} == set(attacked.hub.router.links.up)
        tls.close()


async def test_a_link_that_does_not_begin_with_a_hello_is_refused():
    async with network_under_attack() as attacked:
        for message in (
            link.Heartbeat(1.0, 0.0, 0.0),
            link.Goodbye("bye", is_final=True),
            link.Advertisements(()),
        ):
            tls = await attacked.shake_hands(attacked.member(), link.ALPN)
            await tls_io.send_all(tls, link.CODEC.encode(message))
            await ended(tls)
            tls.close()
        causes = Counter(("conversation", "conversation", "link-declined"))
        await wait_until(lambda: causes <= Counter(attacked.refused), "they are counted")


async def test_advertisements_in_the_name_of_others_are_dropped_and_counted():
    async with network_under_attack() as attacked:
        mallory = attacked.member()
        conversation = await attacked.link(mallory)
        before = attacked.hub.router.routes.fib
        nothing = AdjacenciesBody(())
        new = (2**30, 1)
        await conversation.send(
            link.Advertisements(
                (
                    advertise(mallory, IdentityBody(mallory.chain), origin="east", version=new),
                    advertise(mallory, nothing, origin="east", version=new),
                    advertise(mallory, nothing, origin="hub", version=new),
                    advertise(mallory, nothing, origin="ghost", version=new),
                )
            )
        )
        await wait_until(lambda: dropped(attacked).get("forged", 0) >= 3, "they are dropped")
        assert dropped(attacked)["unknown-origin"] == 1
        assert attacked.hub.router.routes.fib.routes == before.routes
        conversation.close()


async def test_a_certificate_of_another_s_name_moves_nothing_and_bricks_nobody():
    """Though the root itself has given it: backdated, in the far future, at a counter's top."""
    async with network_under_attack() as attacked:
        hub = attacked.hub.router.routes
        conversation = await attacked.link(attacked.member())
        held, routes = hub.engine.held(), hub.fib.routes.keys() - {"mallory"}
        soon = attacked.hub.router.trust.latest_incarnation()
        versions = ((soon - 99, 1), (soon + 999, 1), (2**63 - 1, 2**63 - 1), (1, 2**63 - 1))
        for name in ("hub", "east"):
            liar = attacked.member(name)
            for version in versions:
                said = (IdentityBody(liar.chain), AdjacenciesBody(()), AddressesBody((), ()))
                lies = [advertise(liar, each, origin=name, version=version) for each in said]
                await conversation.send(link.Advertisements(tuple(lies)))
        await conversation.send(link.CostChange(9))
        up = attacked.hub.router.links.up
        await wait_until(lambda: up["mallory"].cost == 9, "all of it has been read")
        counted = dropped(attacked)
        assert counted["name-taken"] >= 4
        assert counted["implausible"] >= 8
        after = {(each.origin, each.kind): each for each in hub.engine.held()}
        for each in held:
            assert after[each.origin, each.kind].incarnation == each.incarnation
        assert hub.fib.routes.keys() - {"mallory"} == routes
        conversation.close()


async def test_advertisements_that_were_altered_or_are_old_change_nothing():
    async with network_under_attack() as attacked:
        conversation = await attacked.link(attacked.member())
        await conversation.send(link.Digest(ALL_BUCKETS, (), is_last=True))
        held = await receive_lsas(conversation, 9)
        theirs = {lsa.kind: lsa for lsa in held if lsa.origin == "east"}
        routes = attacked.hub.router.routes.fib.routes
        replayed = tuple(held)
        altered = tuple(
            msgspec.structs.replace(lsa, **change)
            for lsa in theirs.values()
            for change in (
                {"sequence": lsa.sequence + 1},
                {"incarnation": lsa.incarnation + 9},
                {"sequence": lsa.sequence + 1, "body": encode_body(AdjacenciesBody(()))},
                {"sequence": lsa.sequence + 1, "signature": lsa.signature[:-1] + b"\0"},
                {"sequence": lsa.sequence + 1, "signature": b""},
            )
        )
        await conversation.send(link.Advertisements(replayed))
        await conversation.send(link.Advertisements(altered))
        await wait_until(
            lambda: (
                dropped(attacked).get("forged", 0) + dropped(attacked).get("malformed", 0)
                == len(altered)
            ),
            f"they are dropped: {dropped(attacked)}",
        )
        assert attacked.hub.router.routes.fib.routes == routes
        conversation.close()


async def receive_lsas(conversation: MessageStream, count: int) -> list[Lsa]:
    found: dict[tuple[str, LsaKind], Lsa] = {}
    with trio.fail_after(PATIENCE):
        while len(found) < count:
            message = await conversation.receive()
            if isinstance(message, link.Advertisements):
                found |= {(lsa.origin, lsa.kind): lsa for lsa in message.lsas}
    return list(found.values())


async def test_addresses_that_a_certificate_does_not_allow_are_known_to_nobody():
    async with network_under_attack() as attacked:
        mallory = attacked.member(allow_expose=("web",), allow_bind=("*.open",))
        conversation = await attacked.link(mallory)
        body = AddressesBody(
            services=(
                Service("web:80", "tcp"),
                Service("db:5432", "tcp"),
                Service("echo:7", "tcp"),
            ),
            listeners=(Binding("a.open:1", "tcp"), Binding("db:5432", "tcp")),
        )
        await conversation.send(
            link.Advertisements(
                (
                    advertise(mallory, IdentityBody(mallory.chain)),
                    advertise(mallory, AdjacenciesBody((Adjacency("hub", 1, 0),))),
                    advertise(mallory, body),
                )
            )
        )
        for site in (attacked.hub, attacked.west):
            await wait_until(partial(serves, site, "web:80"), "it is known")
            fib = site.router.routes.fib
            assert ("tcp", "db:5432") not in fib.services
            assert fib.services["tcp", "echo:7"] == ("east",)
            assert ("tcp", "db:5432") not in fib.listeners
            assert site.router.routes.engine.dropped["not-allowed"]
        conversation.close()


def serves(site: Site, address: str) -> bool:
    return ("tcp", address) in site.router.routes.fib.services


async def test_a_lifetime_is_no_longer_than_ours():
    async with network_under_attack() as attacked:
        mallory = attacked.member()
        conversation = await attacked.link(mallory)
        identity = advertise(mallory, IdentityBody(mallory.chain), lifetime=1e9)
        await conversation.send(link.Advertisements((identity,)))
        engine = attacked.hub.router.routes.engine
        await wait_until(lambda: engine.origin("mallory"), "it is taken")
        assert engine.next_timer() < 1e8
        conversation.close()


async def test_digests_out_of_order_end_the_link():
    async with network_under_attack() as attacked:
        mallory = attacked.member()
        for entries in (("b", "a"), ("a", "a")):
            conversation = await attacked.link(mallory)
            parts = tuple(link.DigestEntry(each, LsaKind.IDENTITY, 1, 1) for each in entries)
            await conversation.send(link.Digest(ALL_BUCKETS, parts, is_last=True))
            await is_dropped(attacked)
            conversation.close()


async def test_huge_digests_and_requests_are_compared_without_being_kept():
    async with network_under_attack() as attacked:
        conversation = await attacked.link(attacked.member())
        for part in range(5):
            names = (f"s{part:02}-{number:05}" for number in range(link.MAX_DIGEST_ENTRIES))
            entries = tuple(link.DigestEntry(name, LsaKind.IDENTITY, 1, 1) for name in names)
            await conversation.send(link.Digest(ALL_BUCKETS, entries, is_last=part == 4))
            await conversation.send(link.Request(entries))
        await conversation.send(link.CostChange(9))
        up = attacked.hub.router.links.up
        await wait_until(lambda: up["mallory"].cost == 9, "all of it has been read")
        assert not attacked.hub.router.routes.engine.origin("s00-00000")
        conversation.close()


async def test_a_neighbour_that_asks_and_never_reads_loses_its_link(monkeypatch):
    monkeypatch.setattr(link_module, "MAX_OUTBOX", 256)
    async with network_under_attack() as attacked:
        mallory = attacked.member()
        conversation = await attacked.link(mallory)
        hub = attacked.hub.router.links.up["mallory"]
        most = 0
        ping = link.CODEC.encode(link.Ping())
        tls = conversation.detach()[0]
        # Answers wait in the system's buffer first: let that be small.
        hub.conversation.detach()[0].sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with trio.move_on_after(PATIENCE):
            try:
                while "mallory" in attacked.hub.router.links.up:
                    await tls_io.send_all(tls, ping * 10)
                    most = max(most, len(hub._outbox))
                    await trio.sleep(0)
            except RemoteError:
                pass
        await is_dropped(attacked)
        assert most <= 256
        assert "takes no messages" in hub.close_reason
        conversation.close()


async def test_a_neighbour_can_not_make_a_site_dial_without_end():
    """The hub dials mallory, which asks for channels and answers none."""
    async with network_under_attack() as attacked, trio.open_nursery() as nursery:
        mallory = attacked.member()
        connections: list[trio.socket.SocketType] = []
        listening = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0].socket
        port = listening.getsockname()[1]
        hub = attacked.hub.router
        hub.links.dial(LinkConfig("mallory", (Endpoint("127.0.0.1", port),)))
        first = (await listening.accept())[0]
        bare = socket.socket(fileno=first.detach())
        bare.setblocking(False)
        tls = await tls_io.handshake(server_context(mallory, (link.ALPN,)), bare, server_side=True)
        conversation = MessageStream(tls, link.CODEC, max_payload=link.MAX_MESSAGE)
        await conversation.send(link.Hello(MAJOR, "mallory", 1, 1, 60.0))

        async def take() -> None:
            while True:
                connections.append((await listening.accept())[0])

        nursery.start_soon(take)
        for _ in range(200):
            await conversation.send(link.ChannelRequest(64))
        await conversation.send(link.CostChange(11))
        await wait_until(
            lambda: "mallory" in hub.links.up and hub.links.up["mallory"].cost == 11,
            "all of it has been read",
        )
        await wait_until(lambda: len(connections) >= hub.data.loop.limits.max_dialling, "it dials")
        await attacked.unharmed()
        spares = 4
        assert len(connections) <= hub.data.loop.limits.max_dialling + spares
        nursery.cancel_scope.cancel()
        conversation.close()
        for each in (listening, *connections):
            each.close()
        hub.links.delete("mallory", "over")


async def test_a_final_goodbye_ends_no_link_but_its_own():
    async with network_under_attack() as attacked:
        conversation = await attacked.link(attacked.member())
        await conversation.send(link.Goodbye("x" * 500 + "\x1b[2J", is_final=True))
        await is_dropped(attacked)
        conversation.close()
        assert {each.site for each in attacked.hub.router.site.settings.config.links} == {"west"}


def test_a_signature_of_one_thing_is_none_of_another():
    """What is signed begins with what it is, so that a token's is no advertisement's."""
    from van.tls.tokens import SIGNING_CONTEXT as TOKEN
    from van.wire.lsa import SIGNING_CONTEXT as LSA
    from van.wire.lsa import LsaVersion

    signed = signed_bytes("a", LsaKind.IDENTITY, LsaVersion(1, 1), b"")
    assert signed.startswith(LSA)
    assert not TOKEN.startswith(LSA)
    assert not LSA.startswith(TOKEN)
