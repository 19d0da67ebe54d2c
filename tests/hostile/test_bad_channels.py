"""A member of the VAN that misbehaves on channels, as ingress, as egress, or half-way a relay."""

import contextlib
import random
from functools import partial

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import wait_until
from tests.hostile.bundled import BEGIN, Frames, begin, bundled
from tests.hostile.network_under_attack import (
    PATIENCE,
    NetworkUnderAttack,
    descriptors,
    ended,
    exchange,
    network_under_attack,
)
from tests.hostile.test_bad_links import advertise
from van.errors import LinkLost
from van.router.reactor import sockets, tls_io
from van.router.reactor.message_stream import MessageStream
from van.tls.credentials import Credentials
from van.tls.keys import generate_key, make_request
from van.wire import link
from van.wire.channel import (
    CODEC,
    MAX_CONTROL_PAYLOAD,
    MAX_DATA_PAYLOAD,
    MAX_DATAGRAM_PAYLOAD,
    MAX_READMIT_PAYLOAD,
    MAX_RENEWED_PAYLOAD,
    MAX_TRAIL_PAYLOAD,
    Bundle,
    Done,
    Farewell,
    Hello,
    Kind,
    Open,
    Opened,
    Reason,
    Refused,
    Relay,
    Relayed,
    Renew,
    Renewed,
    Role,
    TrailKept,
)
from van.wire.framing import pack_header
from van.wire.lsa import (
    AddressesBody,
    AdjacenciesBody,
    Adjacency,
    IdentityBody,
    Service,
)
from van.wire.revision import MAJOR

pytestmark = pytest.mark.slow("each test sets up three sites, their links, and a live flow")

REPORT = None
"""What is told where nothing is balanced by it."""
OPEN = CODEC.encode(Open("f", "tcp", "secret:1"))


def data(payload: bytes) -> bytes:
    return pack_header(Kind.DATA, len(payload)) + payload


async def serve_secret(attacked: NetworkUnderAttack) -> None:
    await attacked.hub.expose("secret:1", attacked.echo_port)


BETWEEN_FLOWS = {
    "16-mebibytes": pack_header(Kind.OPEN, (1 << 24) - 1),
    "16-mebibytes-of-data": pack_header(Kind.DATA, (1 << 24) - 1),
    "too-much-data": pack_header(Kind.DATA, MAX_DATA_PAYLOAD + 1),
    "too-much-control": pack_header(Kind.OPEN, MAX_CONTROL_PAYLOAD + 1),
    "ignorable-too-large": pack_header(200, MAX_CONTROL_PAYLOAD + 1),
    "no-msgpack": pack_header(Kind.OPEN, 2) + b"\xc1\xc1",
    "bad-address": pack_header(Kind.OPEN, 10) + b"\x93\xa1f\xa3tcp\xa2:1"[:10].ljust(10, b"\0"),
    "unknown-critical-kind": pack_header(99, 0),
    "kind-0": pack_header(0, 0),
    "certificate-unasked": CODEC.encode(Renewed((), (), "")),
    "trail-kept-unasked": CODEC.encode(TrailKept((), b"", 1, b"", "")),
    "farewell-too-long": CODEC.encode(Farewell("x" * 513)),
    "readmit-too-large": pack_header(Kind.READMIT, MAX_READMIT_PAYLOAD + 1),
    "trail-too-large": pack_header(Kind.TRAIL, MAX_TRAIL_PAYLOAD + 1),
    "certificates-too-large": pack_header(Kind.RENEWED, MAX_RENEWED_PAYLOAD),
    "too-large-datagram": pack_header(Kind.DATAGRAM, MAX_DATAGRAM_PAYLOAD + 1),
    "hello-again": CODEC.encode(Hello(MAJOR, Role.DIALER_OPENS)),
    "opened": CODEC.encode(Opened(REPORT)),
    "refused": CODEC.encode(Refused(Reason.BUSY, "")),
    "done": CODEC.encode(Done(0, REPORT)),
    "relayed": CODEC.encode(Relayed()),
}


async def test_a_frame_out_of_place_ends_the_channel_that_it_came_by():
    async with network_under_attack() as attacked:
        mallory = attacked.member()
        for name, frames in BETWEEN_FLOWS.items():
            tls = (await attacked.channel(mallory)).detach()[0]
            await tls_io.send_all(tls, frames)
            assert not await ended(tls), name
            tls.close()


async def test_data_before_a_flow_is_of_one_that_is_over_and_skipped():
    async with network_under_attack() as attacked:
        await serve_secret(attacked)
        tls = (await attacked.channel(attacked.member())).detach()[0]
        early = data(b"early") * 1000 + pack_header(Kind.DATAGRAM, 3) + b"abc"
        early += pack_header(Kind.EOF, 0) + pack_header(Kind.RESET, 0)
        skipped = pack_header(255, 9) + b"whatever!"
        await tls_io.send_all(tls, early + skipped + BEGIN + bundled(OPEN + data(b"hello")))
        frames = Frames(tls)
        assert (await frames.next())[0] == Kind.OPENED
        assert (await frames.next())[2] == b"hello"
        tls.close()


async def test_an_address_that_the_certificate_does_not_allow_is_refused():
    async with network_under_attack() as attacked:
        await serve_secret(attacked)
        refused = attacked.hub.router.flows.refused
        tls = await begin(attacked, attacked.member(allow_bind=("web", "*.shop")))
        frames = Frames(tls)
        addresses = ("secret:1", "secret:99999", "x.secret:1", "web:80")
        for number, address in enumerate(addresses, 1):
            await tls_io.send_all(tls, bundled(CODEC.encode(Open("f", "tcp", address)), number))
            kind, of, payload = await frames.next()
            answer = CODEC.decode(kind, payload)
            assert isinstance(answer, Refused)
            assert of == number
            is_ours = address == "web:80"
            assert answer.reason is (Reason.NO_SERVICE if is_ours else Reason.NOT_ALLOWED)
        assert attacked.hub.router.flows.refused == refused + 4
        tls.close()


async def test_a_flow_to_one_instance_is_not_opened_on_a_channel():
    async with network_under_attack() as attacked:
        await serve_secret(attacked)
        for protocol in ("tcp", "udp"):
            tls = (await attacked.channel(attacked.member())).detach()[0]
            await tls_io.send_all(tls, CODEC.encode(Open("f", protocol, "secret:1")))
            assert not await ended(tls)
            tls.close()


@pytest.mark.parametrize(
    ("destination", "hops", "reason"),
    [
        ("nowhere", 32, Reason.NO_ROUTE),
        ("east", 0, Reason.HOP_LIMIT),
        ("mallory", 32, Reason.NO_ROUTE),
    ],
)
async def test_a_relay_that_leads_nowhere_is_declined_and_the_channel_lives(
    destination, hops, reason
):
    async with network_under_attack() as attacked:
        conversation = await attacked.channel(attacked.member())
        for _ in range(3):
            await conversation.send(Relay(destination, hops))
            answer = await conversation.receive()
            assert isinstance(answer, Refused)
            assert answer.reason is reason
        conversation.close()


@pytest.mark.parametrize("destination", ["east", "hub"])
@pytest.mark.parametrize("how", ["in-one-record", "in-the-next"])
async def test_bytes_that_follow_a_relay_request_end_the_channel(destination, how):
    async with network_under_attack() as attacked:
        hub = attacked.hub.router
        relays = hub.data.forwarding.relays.count
        conversation = await attacked.channel(attacked.member())
        tls = conversation.detach()[0]
        request = CODEC.encode(Relay(destination, 9))
        if how == "in-one-record":
            await tls_io.send_all(tls, request + OPEN)
        else:
            await tls_io.send_all(tls, request)
            await tls_io.send_all(tls, OPEN)
        await ended(tls)
        tls.close()
        await wait_until(lambda: hub.data.forwarding.relays.count <= relays, "no relay stands")
        pool = hub.data.channels.pools.pool("east")
        await wait_until(lambda: pool.in_use == 0, "nothing is in use")


async def test_a_relay_whose_ingress_says_nothing_more_is_given_up():
    async with network_under_attack(attrs.evolve(FAST, setup_timeout=0.7)) as attacked:
        conversation = await attacked.channel(attacked.member())
        tls = conversation._tls
        await conversation.send(Relay("east", 9))
        assert isinstance(await conversation.receive(), Relayed)
        await ended(tls)  # the hub ends TLS, and waits in vain for us to do so
        assert not await ended(tls.sock)
        tls.close()


async def test_peers_that_vanish_in_the_middle_of_a_relay_leave_nothing_behind():
    async with network_under_attack() as attacked:
        dice = random.Random(3)
        mallory = attacked.member()
        hub = attacked.hub.router
        relays = hub.data.forwarding.relays.count
        for _ in range(10):
            conversations = [await attacked.channel(mallory) for _ in range(4)]
            for conversation in conversations:
                destination = dice.choice(("east", "west", "hub"))
                await conversation.send(Relay(destination, 9))
            for _ in range(dice.randrange(20)):
                await trio.lowlevel.checkpoint()
            for conversation in conversations:
                if dice.random() < 0.5:
                    sockets.close_with_reset(conversation._tls.sock)
                else:
                    conversation.close()
        await wait_until(lambda: hub.data.forwarding.relays.count <= relays, "no relay is left")
        for name in ("east", "west"):
            await wait_until(partial(is_unused, attacked, name), f"nothing to {name} is in use")


def is_unused(attacked: NetworkUnderAttack, site: str) -> bool:
    return attacked.hub.router.data.channels.pools.pool(site).in_use == 0


@pytest.mark.scale
@pytest.mark.parametrize(
    "request_bytes",
    [b"", b"\x30\x00", b"\x30\x82" + b"\xff" * 100, b"\0" * 4000],
    ids=["empty", "short", "long", "zeros"],
)
async def test_a_request_for_renewal_that_is_no_request_is_declined(request_bytes):
    async with network_under_attack() as attacked:
        answer = await ask(attacked, attacked.member(), Renew(request_bytes, b""))
        assert answer.error
        assert not answer.chain


async def test_a_certificate_is_not_renewed_for_another_key_or_with_more_grants():
    async with network_under_attack() as attacked:
        mallory = attacked.member(allow_expose=("web",))
        hub = attacked.hub.router.trust.credentials
        other = make_request(generate_key())
        request = Renew(make_request(mallory.key), other)
        assert "further below the root" in (await ask(attacked, mallory, request)).error
        root = attacked.west.router.trust.credentials.authority
        attacked.hub.router.trust.credentials = attrs.evolve(hub, authority=root)
        assert "same key only" in (await ask(attacked, mallory, Renew(other, b""))).error
        answer = await ask(attacked, mallory, request)
        assert not answer.error
        assert not answer.ca_chain
        assert mallory.with_chain(answer.chain).identity.grants == mallory.identity.grants
        attacked.hub.router.trust.credentials = hub


async def ask(attacked: NetworkUnderAttack, mallory: Credentials, request: Renew) -> Renewed:
    """Ask the hub for a certificate, and return what it answers before the channel is closed."""
    conversation = await attacked.channel(mallory)
    try:
        with trio.fail_after(PATIENCE):
            await conversation.send(request)
            answer = await conversation.receive()
    finally:
        conversation.close()
    assert isinstance(answer, Renewed)
    return answer


async def test_who_asks_for_a_certificate_and_stays_holds_the_channel_for_no_longer():
    async with network_under_attack() as attacked:
        mallory = attacked.member()
        tls = (await attacked.channel(mallory)).detach()[0]
        await tls_io.send_all(tls, CODEC.encode(Renew(b"", b"")))
        await ended(tls)
        tls.close()


async def test_hundreds_of_channels_give_their_descriptors_back():
    async with network_under_attack() as attacked:
        mallory = attacked.member()
        before = descriptors()
        conversations = [await attacked.channel(mallory) for _ in range(300)]
        await attacked.unharmed()
        hub = attacked.hub.router.data.channels.table
        held = lambda: hub._by_neighbor.get("mallory")  # noqa: E731
        assert len(held() or ()) == 300
        for number, conversation in enumerate(conversations):
            if number % 2:
                sockets.close_with_reset(conversation._tls.sock)
            else:
                conversation.close()
        await wait_until(lambda: not held(), "the hub holds none of them")
        await wait_until(lambda: descriptors() <= before + 8, "the descriptors are back")


async def test_a_channel_that_nobody_asked_for_is_closed():
    async with network_under_attack() as attacked:
        conversation = await attacked.channel(attacked.member(), Role.ACCEPTOR_OPENS)
        assert not await ended(conversation.detach()[0])
        conversation.close()


@pytest.mark.parametrize(
    "frames", [b"", pack_header(Kind.OPEN, 0), OPEN], ids=["nothing", "x", "y"]
)
async def test_a_channel_without_a_greeting_is_refused(frames, monkeypatch):
    from van.router.links import port as link_port

    monkeypatch.setattr(link_port, "GREETING_TIMEOUT", 0.4)
    async with network_under_attack() as attacked:
        tls = await attacked.shake_hands(attacked.member(), "van-channel/1")
        await tls_io.send_all(tls, frames)
        assert not await ended(tls)
        tls.close()
        cause = "conversation" if frames else "conversation-timeout"
        await wait_until(lambda: attacked.refused.get(cause), f"{cause} is counted")


# -- as the egress --------------------------------------------------------------------------------


TRAP = Service("trap:1", "tcp")


class Trap:
    """A service at mallory's, which the hub binds; its flows come to `flows`."""

    def __init__(
        self, attacked: NetworkUnderAttack, conversation: MessageStream, mallory: Credentials
    ) -> None:
        self.attacked = attacked
        self.port = 0
        self._link = conversation
        self._mallory = mallory

    async def answer(self, nursery: trio.Nursery, handler) -> None:
        """Dial a channel whenever the hub asks for one."""
        while True:
            message = await self._link.receive()
            if isinstance(message, link.ChannelRequest):
                for _ in range(message.count):
                    nursery.start_soon(self._serve, handler)

    async def _serve(self, handler) -> None:
        try:
            conversation = await self.attacked.channel(self._mallory, Role.ACCEPTOR_OPENS)
        except LinkLost:
            return  # the hub asked, and then needed it no more
        try:
            assert isinstance(await conversation.receive(), Open | Bundle)
            await handler(conversation)
            while await tls_io.receive_some(conversation._tls):
                pass  # what else the hub says on a bundle
        except (LinkLost, OSError):
            pass  # a spare, or one that the hub has ended already
        finally:
            conversation.close()


@contextlib.asynccontextmanager
async def trap(attacked: NetworkUnderAttack, handler, service=TRAP, **options):
    mallory = attacked.member()
    async with trio.open_nursery() as nursery:
        conversation = await attacked.link(mallory)
        served = Trap(attacked, conversation, mallory)
        nursery.start_soon(served.answer, nursery, handler)
        services = AddressesBody((service,), ())
        bodies = (IdentityBody(mallory.chain), AdjacenciesBody((Adjacency("hub", 1, 0),)), services)
        lsas = tuple(advertise(mallory, body) for body in bodies)
        await conversation.send(link.Advertisements(lsas))
        served.port = await attacked.hub.reach("trap:1", **options)
        yield served
        nursery.cancel_scope.cancel()
    conversation.close()


async def client_sees(port: int) -> bytes | None:
    """Return what a client of a trap gets until the end, or None for a reset."""
    with trio.fail_after(PATIENCE):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(b"request")
            got = b""
            try:
                while part := await stream.receive_some(65536):
                    got += part
            except trio.BrokenResourceError:
                return None
            return got


async def test_a_client_never_sees_what_a_bad_egress_says_out_of_turn():
    """What else it may say is in the tests of `FlowStream`, which no network stands behind."""

    async def handler(conversation: MessageStream) -> None:
        opened_twice = CODEC.encode(Opened(REPORT)) * 2
        await tls_io.send_all(conversation._tls, bundled(opened_twice + data(b"evil")))

    async with network_under_attack() as attacked, trap(attacked, handler) as served:
        assert await client_sees(served.port) is None
        flows = attacked.hub.router.flows
        await wait_until(lambda: not len(flows), "the hub holds no flow")
        await wait_until(
            lambda: attacked.hub.router.data.channels.pools.pool("mallory").in_use == 0,
            "nor a channel",
        )


async def test_an_end_that_is_never_confirmed_is_an_end_to_the_client():
    async def handler(conversation: MessageStream) -> None:
        frames = CODEC.encode(Opened(REPORT)) + data(b"answer") + pack_header(Kind.EOF, 0)
        await tls_io.send_all(conversation._tls, bundled(frames))

    async with network_under_attack() as attacked, trap(attacked, handler) as served:
        assert await client_sees(served.port) == b"answer"


async def test_an_egress_that_never_answers_does_not_outlive_its_link():
    async def handler(conversation: MessageStream) -> None:
        await trio.sleep_forever()

    async with network_under_attack() as attacked:
        async with trap(attacked, handler) as served:
            stream = await trio.open_tcp_stream("127.0.0.1", served.port)
            await stream.send_all(b"x" * 200_000)
            flows = attacked.hub.router.flows
            await wait_until(lambda: len(flows), "the flow is offered")
        await wait_until(lambda: not len(flows), "the flow is given up")
        await stream.aclose()


async def test_an_instance_that_lies_is_passed_over_when_it_said_nothing_yet():
    """What comes before OPENED is a breach of the protocol, and the flow goes elsewhere."""

    async def handler(conversation: MessageStream) -> None:
        await tls_io.send_all(conversation._tls, bundled(data(b"evil")))

    async with network_under_attack() as attacked, trap(attacked, handler) as served:
        await attacked.hub.expose("trap:1", attacked.echo_port)
        await wait_until(
            lambda: "hub" in attacked.hub.router.routes.fib.services["tcp", "trap:1"],
            "the honest instance is known",
        )
        for _ in range(4):
            async with await trio.open_tcp_stream("127.0.0.1", served.port) as stream:
                with trio.fail_after(PATIENCE):
                    await exchange(stream, b"honest")
