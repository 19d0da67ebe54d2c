"""A member of the VAN that misbehaves in UDP sessions, as ingress or as egress; and bad clients."""

import contextlib
import os
import random
import socket
from functools import partial

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import wait_until
from lab.ports import free_port
from tests.hostile.network_under_attack import (
    PATIENCE,
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
    Membership,
    Open,
    Opened,
    Reason,
    Refused,
    Share,
)
from van.wire.framing import FrameReader, pack_header
from van.wire.lsa import AddressesBody, AdjacenciesBody, Adjacency, IdentityBody, Service

pytestmark = pytest.mark.slow("each test sets up three sites, their links, and a live flow")

OPEN = CODEC.encode(Open("f", "udp", "secret:1"))
OPENED = CODEC.encode(Opened(REPORT))
SHARE = CODEC.encode(Share())
EOF = pack_header(Kind.EOF, 0)
RESET = pack_header(Kind.RESET, 0)


def datagram(payload: bytes) -> bytes:
    return pack_header(Kind.DATAGRAM, len(payload)) + payload


def within(frames: bytes, number: int = 1) -> bytes:
    """Return frames of a subchannel as they travel on a shared channel."""
    return datagram(number.to_bytes(4, "big") + frames)


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
            tls = (await attacked.channel(mallory)).detach()[0]
            await tls_io.send_all(tls, OPEN + datagram(b"x") + frames)
            await ended(tls)
            tls.close()
            await wait_until(lambda: not len(flows), f"after {name} the hub serves no session")


MEMBER = Membership(bytes(16), 1, bytes(32), 1.0)
ON_A_SHARED_CHANNEL = {
    "data": data(b"x"),
    "no-number": datagram(b"123"),
    "half-a-header": within(OPEN + b"\x00"),
    "half-a-frame": within(OPEN + datagram(b"x")[:-1]),
    "half-an-open": within(OPEN[:-1]),
    "garbage": within(OPEN + b"\xff" * 100),
    "tcp": within(CODEC.encode(Open("f", "tcp", "secret:1"))),
    "to-all": within(CODEC.encode(Open("f", "udp", "secret:1", to_all=True))),
    "membership": within(CODEC.encode(Open("f", "udp", "secret:1", membership=MEMBER))),
    "a-stream": within(OPEN + data(b"x")),
    "open-again": within(OPEN + OPEN),
    "share-again": SHARE,
    "shared-within": within(OPEN + SHARE),
    "opened": OPENED,
    "done": CODEC.encode(Done(0, REPORT)),
    "open": OPEN,
}


async def test_a_frame_out_of_place_on_a_shared_channel_ends_all_that_is_on_it():
    async with network_under_attack() as attacked, secret(attacked):
        mallory = attacked.member()
        flows = attacked.hub.router.flows
        for name, frames in ON_A_SHARED_CHANNEL.items():
            tls = (await attacked.channel(mallory)).detach()[0]
            await tls_io.send_all(tls, SHARE + within(OPEN + datagram(b"x"), number=7) + frames)
            await ended(tls)
            tls.close()
            await wait_until(lambda: not len(flows), f"after {name} the hub serves no session")


async def test_what_belongs_to_no_session_any_more_is_skipped_on_a_shared_channel():
    async with network_under_attack() as attacked, secret(attacked) as count:
        tls = (await attacked.channel(attacked.member())).detach()[0]
        late = within(datagram(b"late")) + within(EOF) + within(b"") + within(RESET)
        for _ in range(3):
            over = within(OPEN + datagram(b"x")) + within(EOF)
            await tls_io.send_all(tls, SHARE + late + over + late + EOF)
            kinds = await kinds_of_answers(tls, 4)
            assert kinds[0] == Kind.OPENED
            assert set(kinds[1:-2]) == {Kind.DATAGRAM}
            assert kinds[-2:] == [Kind.EOF, Kind.DONE]
        flows = attacked.hub.router.flows
        await wait_until(lambda: not len(flows), "the hub serves no session")
        await wait_until(lambda: count == [3], "the target got what was in time")
        tls.close()


async def test_sessions_on_a_shared_channel_are_bounded():
    limits = attrs.evolve(FAST, max_sessions=10)
    async with network_under_attack(limits) as attacked, secret(attacked):
        tls = (await attacked.channel(attacked.member())).detach()[0]
        flows = attacked.hub.router.flows
        opens = b"".join(within(OPEN + datagram(b"x"), number=number) for number in range(100))
        await tls_io.send_all(tls, SHARE + opens)
        await wait_until(lambda: flows.refused >= 90, "the others are refused")
        assert len(flows) <= 10
        tls.close()


async def test_an_address_that_the_certificate_does_not_allow_gets_no_datagram():
    async with network_under_attack() as attacked, secret(attacked) as count:
        conversation = await attacked.channel(attacked.member(allow_bind=("web",)))
        await tls_io.send_all(conversation._tls, OPEN + datagram(b"evil") * 50)
        answer = await conversation.receive()
        assert isinstance(answer, Refused)
        assert answer.reason is Reason.NOT_ALLOWED
        # What followed is skipped, and the channel goes on.
        await tls_io.send_all(conversation._tls, OPEN)
        assert isinstance(await conversation.receive(), Refused)
        assert count == [0]
        conversation.close()


async def kinds_of_answers(tls, count: int) -> list[int]:
    """Return the kinds of the next frames."""
    reader = FrameReader(max_payload=MAX_DATAGRAM_PAYLOAD)
    kinds: list[int] = []
    with trio.fail_after(PATIENCE):
        while len(kinds) < count:
            reader.receive_data(await tls_io.receive_some(tls))
            while (frame := reader.next_frame()) is not None:
                kinds.append(frame[0])
    return kinds


@pytest.mark.parametrize("last", [EOF, RESET], ids=["eof", "reset"])
async def test_a_session_without_a_datagram_is_opened_and_ended(last):
    async with network_under_attack() as attacked, secret(attacked) as count:
        tls = (await attacked.channel(attacked.member())).detach()[0]
        ended = [Kind.EOF, Kind.DONE] if last == EOF else [Kind.DONE]
        for _ in range(3):
            await tls_io.send_all(tls, OPEN + last + datagram(b"late") + last)
            assert await kinds_of_answers(tls, 1 + len(ended)) == [Kind.OPENED, *ended]
        await tls_io.send_all(tls, OPEN)
        assert await kinds_of_answers(tls, 1) == [Kind.OPENED]
        assert count == [0]
        tls.close()


async def test_an_ingress_that_reads_nothing_makes_nothing_pile_up():
    async with network_under_attack() as attacked, secret(attacked) as count:
        conversation = await attacked.channel(attacked.member())
        tls = conversation._tls
        with trio.move_on_after(5):
            await tls_io.send_all(tls, OPEN)
            while not attacked.hub.router.flows.dropped_datagrams["path-blocked"] > 100:
                await tls_io.send_all(tls, datagram(bytes(30_000)) * 10)
                await trio.sleep(0)
        assert attacked.hub.router.flows.dropped_datagrams["path-blocked"] > 100
        assert count[0] > 100
        conversation.close()
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
                conversation = await attacked.channel(mallory)
                frames = OPEN + b"".join(datagram(bytes(dice.randrange(3000))) for _ in range(5))
                await tls_io.send_all(conversation._tls, frames[: dice.randrange(len(frames))])
                if dice.random() < 0.5:
                    sockets.close_with_reset(conversation._tls.sock)
                else:
                    conversation.close()
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


BAD_ANSWERS |= {
    **{
        f"{name}-within": OPENED + within(BAD_ANSWERS[name])
        for name in ("datagram-first", "data", "done-too-early", "after-refused", "garbage")
    },
    "not-whole": OPENED + within((OPENED + datagram(b"evil"))[:-1]),
    "left": OPENED + within(b""),
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
async def test_a_client_never_hears_what_a_bad_egress_says_out_of_turn(answer):
    async def handler(conversation) -> None:
        await tls_io.send_all(conversation._tls, answer)

    async with network_under_attack() as attacked, trap(attacked, handler) as served:
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect(("127.0.0.1", served.port))
            client.send(b"request")
            hub = attacked.hub.router
            await wait_until(lambda: hub.flows.opened + hub.flows.refused, "a session has begun")
            await wait_until(lambda: not len(hub.flows), "the hub holds no session")
            pool = hub.data.channels.pools.pool("mallory")
            await wait_until(lambda: pool.in_use == 0, "nor a channel")
            with pytest.raises(BlockingIOError):
                client.recv(100)


async def test_an_egress_that_never_ends_a_session_loses_the_channel():
    async def handler(conversation) -> None:
        await tls_io.send_all(conversation._tls, OPENED + within(OPENED + datagram(b"answer")))

    async with network_under_attack() as attacked, trap(attacked, handler) as served:
        hub = attacked.hub.router
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", served.port))
            client.settimeout(0)
            client.send(b"request")
            await wait_until(partial(hears, client, b"answer"), "the client is answered")
            hub.data.ingress.remove(hub.data.ingress.listeners[0])
        await wait_until(lambda: not len(hub.flows), "the session is over")
        pool = hub.data.channels.pools.pool("mallory")
        await wait_until(lambda: pool.in_use == 0, "and its channel too")


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


async def test_a_target_that_goes_away_is_told_and_the_channel_goes_on():
    async with network_under_attack() as attacked:
        with socket.socket(type=socket.SOCK_DGRAM) as target:
            target.bind(("127.0.0.1", 0))
            place = target.getsockname()[1]
            await attacked.hub.expose("secret:1", place, protocol="udp")
            conversation = await attacked.channel(attacked.member())
            tls = conversation._tls
            await tls_io.send_all(tls, OPEN + datagram(b"x"))
            assert isinstance(await conversation.receive(), Opened)
        await tls_io.send_all(tls, datagram(b"y"))
        expected = RESET + pack_header(Kind.DONE, 0)[:1]
        got = b""
        with trio.fail_after(PATIENCE):
            while len(got) < len(expected):
                got += await tls_io.receive_some(tls)
        assert got[: len(expected)] == expected
        await tls_io.send_all(tls, OPEN)
        with trio.fail_after(PATIENCE):
            assert pack_header(Kind.REFUSED, 0)[:1] in await tls_io.receive_some(tls)
        conversation.close()


async def test_a_target_that_is_not_there_is_told_at_each_attempt():
    async with network_under_attack() as attacked:
        await attacked.hub.expose("gone:1", free_port(is_udp=True), protocol="udp")
        conversation = await attacked.channel(attacked.member())
        frames = CODEC.encode(Open("f", "udp", "gone:1")) + datagram(b"x")
        for reason in (Reason.TARGET_REFUSED, Reason.NO_SERVICE):
            await tls_io.send_all(conversation._tls, frames)
            with trio.fail_after(PATIENCE):
                answer = await conversation.receive()
            assert isinstance(answer, Refused)
            assert answer.reason is reason
        conversation.close()
