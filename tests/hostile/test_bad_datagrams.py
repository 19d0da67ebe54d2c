"""A member of the VAN that misbehaves in UDP sessions, as ingress or as egress; and bad clients."""

import contextlib
import os
import random
import socket
from functools import partial

import pytest
import trio

from lab.network import wait_until
from lab.ports import free_port
from tests.hostile.bundled import Frames, begin, bundled
from tests.hostile.network_under_attack import (
    NetworkUnderAttack,
    descriptors,
    ended,
    network_under_attack,
)
from tests.hostile.test_bad_channels import REPORT, Trap, data
from tests.hostile.test_bad_links import advertise
from van.router.reactor import sockets, tls_io
from van.wire import link
from van.wire.channel import (
    CODEC,
    MAX_DATAGRAM_PAYLOAD,
    Done,
    Kind,
    Leave,
    Open,
    Opened,
    Reason,
    Refused,
)
from van.wire.framing import pack_header
from van.wire.lsa import AddressesBody, AdjacenciesBody, Adjacency, IdentityBody, Service

pytestmark = pytest.mark.slow("each test sets up three sites, their links, and a live flow")

OPEN = CODEC.encode(Open("f", "udp", "secret:1"))
OPENED = CODEC.encode(Opened(REPORT))
EOF = pack_header(Kind.EOF, 0)
RESET = pack_header(Kind.RESET, 0)


def datagram(payload: bytes) -> bytes:
    return pack_header(Kind.DATAGRAM, len(payload)) + payload


@contextlib.asynccontextmanager
async def secret(attacked: NetworkUnderAttack):
    """Serve datagrams at the hub: each is sent back; yields the number of those that came."""
    count = [0]
    with trio.socket.socket(type=socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))

        async def echo() -> None:
            while True:
                payload, address = await sock.recvfrom(65536)
                count[0] += 1
                await sock.sendto(payload, address)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(echo)
            await attacked.hub.expose("secret:1", sock.getsockname()[1], protocol="udp")
            yield count
            nursery.cancel_scope.cancel()


# -- as the ingress --------------------------------------------------------------------------------

IN_A_SESSION = {
    "data": data(b"x"),
    "open-again": OPEN,
    "opened": OPENED,
    "done": CODEC.encode(Done(0, REPORT)),
    "refused": CODEC.encode(Refused(Reason.BUSY, "")),
    "too-large": pack_header(Kind.DATAGRAM, MAX_DATAGRAM_PAYLOAD + 1),
    "16-mebibytes": pack_header(Kind.DATAGRAM, (1 << 24) - 1),
    "unknown-critical-kind": pack_header(77, 0),
}


async def test_a_frame_out_of_place_ends_the_session_that_it_came_in():
    async with network_under_attack() as attacked, secret(attacked):
        mallory = attacked.member()
        flows = attacked.hub.router.flows
        for name, frames in IN_A_SESSION.items():
            tls = await begin(attacked, mallory, bundled(OPEN + datagram(b"x") + frames))
            await ended(tls)
            tls.close()
            await wait_until(lambda: not len(flows), f"after {name} the hub serves no session")


async def test_an_address_that_the_certificate_does_not_allow_gets_no_datagram():
    async with network_under_attack() as attacked, secret(attacked) as count:
        evil = bundled(OPEN + datagram(b"evil") * 50)
        tls = await begin(attacked, attacked.member(allow_bind=("web",)), evil)
        frames = Frames(tls)
        answer = CODEC.decode(*(await frames.next())[::2])
        assert isinstance(answer, Refused)
        assert answer.reason is Reason.NOT_ALLOWED
        # What followed is skipped, and the bundle goes on.
        await tls_io.send_all(tls, bundled(OPEN, 2))
        assert (await frames.next())[:2] == (Kind.REFUSED, 2)
        assert count == [0]
        tls.close()


@pytest.mark.parametrize("last", [EOF, RESET], ids=["eof", "reset"])
async def test_a_session_without_a_datagram_is_opened_and_ended(last):
    async with network_under_attack() as attacked, secret(attacked) as count:
        tls = await begin(attacked, attacked.member())
        frames = Frames(tls)
        ends = [Kind.EOF, Kind.DONE] if last == EOF else [Kind.DONE]
        for number in range(1, 4):
            await tls_io.send_all(tls, bundled(OPEN + last + datagram(b"late") + last, number))
            for kind in (Kind.OPENED, *ends):
                assert (await frames.next())[:2] == (kind, number)
        await tls_io.send_all(tls, bundled(OPEN, 4))
        assert (await frames.next())[:2] == (Kind.OPENED, 4)
        assert count == [0]
        tls.close()


async def test_an_ingress_that_reads_nothing_makes_nothing_pile_up():
    async with network_under_attack() as attacked, secret(attacked) as count:
        tls = await begin(attacked, attacked.member(), bundled(OPEN))
        with trio.move_on_after(5):
            while not attacked.hub.router.flows.dropped_datagrams["path-blocked"] > 100:
                await tls_io.send_all(tls, bundled(datagram(bytes(30_000)) * 10))
                await trio.sleep(0)
        assert attacked.hub.router.flows.dropped_datagrams["path-blocked"] > 100
        assert count[0] > 100
        tls.close()
        flows = attacked.hub.router.flows
        await wait_until(lambda: not len(flows), "the session is over")


async def test_ingresses_that_vanish_in_the_middle_leave_nothing_behind():
    async with network_under_attack() as attacked, secret(attacked):
        dice = random.Random(5)
        mallory = attacked.member()
        flows = attacked.hub.router.flows
        await attacked.unharmed()
        before = descriptors()
        for _ in range(8):
            for _ in range(4):
                frames = OPEN + b"".join(datagram(bytes(dice.randrange(3000))) for _ in range(5))
                frames = bundled(frames)[: dice.randrange(len(frames))]
                tls = await begin(attacked, mallory, frames)
                if dice.random() < 0.5:
                    sockets.close_with_reset(tls.sock)
                else:
                    tls.close()
        await wait_until(lambda: not len(flows), "no session is left")
        await wait_until(lambda: descriptors() <= before + 8, "the descriptors are back")


# -- as the egress ---------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def trap(attacked: NetworkUnderAttack, handler):
    """Serve datagrams at mallory's, which the hub binds."""
    mallory = attacked.member()
    async with trio.open_nursery() as nursery:
        conversation = await attacked.link(mallory)
        served = Trap(attacked, conversation, mallory)
        nursery.start_soon(served.answer, nursery, handler)
        services = AddressesBody((Service("trap:1", "udp"),), ())
        bodies = (IdentityBody(mallory.chain), AdjacenciesBody((Adjacency("hub", 1, 0),)), services)
        lsas = tuple(advertise(mallory, body) for body in bodies)
        await conversation.send(link.Advertisements(lsas))
        served.port = await attacked.hub.reach("trap:1", protocol="udp")
        yield served
        nursery.cancel_scope.cancel()
    conversation.close()


BAD_ANSWERS = {
    "datagram-first": datagram(b"evil") + OPENED,
    "data": OPENED + data(b"evil"),
    "eof-first": EOF + OPENED,
    "eof": OPENED + EOF,
    "reset-first": RESET,
    "datagram-after-reset": OPENED + RESET + datagram(b"evil"),
    "reset-twice": OPENED + RESET * 2,
    "reset-and-nothing-more": OPENED + RESET,
    "done-first": CODEC.encode(Done(0, REPORT)),
    "done-too-early": OPENED + CODEC.encode(Done(0, REPORT)),
    "opened-twice": OPENED * 2,
    "refused-late": OPENED + CODEC.encode(Refused(Reason.BUSY, "")),
    "after-refused": CODEC.encode(Refused(Reason.BUSY, "")) + datagram(b"evil"),
    "too-large": OPENED + pack_header(Kind.DATAGRAM, MAX_DATAGRAM_PAYLOAD + 1),
    "open-back": OPENED + OPEN,
    "garbage": b"\xff" * 1000,
}


BAD_ANSWERS |= {"left": OPENED + CODEC.encode(Leave())}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
async def test_a_client_never_hears_what_a_bad_egress_says_out_of_turn(answer):
    async def handler(conversation) -> None:
        await tls_io.send_all(conversation._tls, bundled(answer))

    async with network_under_attack() as attacked, trap(attacked, handler) as served:
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect(("127.0.0.1", served.port))
            client.send(b"request")
            hub = attacked.hub.router
            await wait_until(lambda: hub.flows.opened + hub.flows.refused, "a session has begun")
            await wait_until(lambda: not len(hub.flows), "the hub holds no session")
            channels = hub.data.channels
            pool, bundles = channels.pools.pool("mallory"), channels.bundles.pool("mallory")
            await wait_until(lambda: pool.in_use == bundles.size, "nor a channel but for bundles")
            assert not bundles.flows
            with pytest.raises(BlockingIOError):
                client.recv(100)


async def test_a_session_that_its_egress_never_ends_is_over():
    async def handler(conversation) -> None:
        await tls_io.send_all(conversation._tls, bundled(OPENED + datagram(b"answer")))

    async with network_under_attack() as attacked, trap(attacked, handler) as served:
        hub = attacked.hub.router
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", served.port))
            client.settimeout(0)
            client.send(b"request")
            await wait_until(partial(hears, client, b"answer"), "the client is answered")
            hub.data.ingress.remove(hub.data.ingress.listeners[0])
        await wait_until(lambda: not len(hub.flows), "the session is over")
        assert not hub.data.channels.bundles.pool("mallory").flows


def hears(client, expected):
    try:
        return client.recv(100) == expected
    except OSError:
        return False


# -- clients ---------------------------------------------------------------------------------------


async def test_clients_that_send_anything_at_all_do_no_harm():
    async with network_under_attack() as attacked, secret(attacked):
        port = await attacked.hub.reach("secret:1", protocol="udp")
        dice = random.Random(1)
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(50)]
            for _ in range(500):
                payload = os.urandom(dice.choice((0, 1, 40, 1400, 30_000, 65_507)))
                dice.choice(socks).sendto(payload, ("127.0.0.1", port))
                if dice.random() < 0.1:
                    await trio.sleep(0)
        await attacked.unharmed()
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(0)
            client.connect(("127.0.0.1", port))

            def is_answered():
                client.send(b"x")
                return hears(client, b"x")

            await wait_until(is_answered, "another client is served")


async def test_a_target_that_goes_away_is_told_and_the_bundle_goes_on():
    async with network_under_attack() as attacked:
        with socket.socket(type=socket.SOCK_DGRAM) as target:
            target.bind(("127.0.0.1", 0))
            place = target.getsockname()[1]
            await attacked.hub.expose("secret:1", place, protocol="udp")
            tls = await begin(attacked, attacked.member(), bundled(OPEN + datagram(b"x")))
            frames = Frames(tls)
            assert (await frames.next())[:2] == (Kind.OPENED, 1)
        await tls_io.send_all(tls, bundled(datagram(b"y")))
        assert [(await frames.next())[0] for _ in range(2)] == [Kind.RESET, Kind.DONE]
        await tls_io.send_all(tls, bundled(OPEN, 2))
        assert (await frames.next())[:2] == (Kind.REFUSED, 2)
        tls.close()


async def test_a_target_that_is_not_there_is_told_at_each_attempt():
    async with network_under_attack() as attacked:
        await attacked.hub.expose("gone:1", free_port(is_udp=True), protocol="udp")
        tls = await begin(attacked, attacked.member())
        frames = Frames(tls)
        opening = CODEC.encode(Open("f", "udp", "gone:1")) + datagram(b"x")
        for number, reason in enumerate((Reason.TARGET_REFUSED, Reason.NO_SERVICE), 1):
            await tls_io.send_all(tls, bundled(opening, number))
            answer = CODEC.decode(*(await frames.next())[::2])
            assert isinstance(answer, Refused)
            assert answer.reason is reason
        tls.close()
