"""A member of the VAN that misbehaves on bundles, as the ingress of many flows at a time."""

import contextlib
import itertools
import os

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import wait_until
from lab.ports import free_port
from tests.hostile.bundled import BEGIN, Frames, begin, bundled
from tests.hostile.network_under_attack import (
    PATIENCE,
    NetworkUnderAttack,
    ended,
    network_under_attack,
)
from tests.hostile.test_bad_channels import REPORT, data
from van.errors import LinkLost
from van.router.bundles import width
from van.router.bundles.egress import MAX_BEGUN
from van.router.egress.stream import EgressStream
from van.router.reactor import sockets, tls_io
from van.wire import bundle as wire
from van.wire.channel import (
    CODEC,
    Bundle,
    Carry,
    Done,
    Hello,
    Kind,
    Leave,
    Membership,
    Open,
    Opened,
    Reason,
    Refused,
    Relay,
    Role,
    Width,
)
from van.wire.credit import CREDIT, WINDOW
from van.wire.framing import FrameReader, pack_header

pytestmark = pytest.mark.slow("each test sets up three sites, their links, and a live flow")

OPEN = CODEC.encode(Open("f", "tcp", "secret:1"))
OPEN_UDP = CODEC.encode(Open("f", "udp", "secret:1"))
OPENED = CODEC.encode(Opened(REPORT))
LEAVE = CODEC.encode(Leave())
EOF, RESET, MOVED = (pack_header(kind, 0) for kind in (Kind.EOF, Kind.RESET, Kind.MOVED))
WIDTH = CODEC.encode(Width(2))


def credit(taken: int, limit: int) -> bytes:
    return pack_header(Kind.CREDIT, CREDIT.size) + CREDIT.pack(taken, limit)


@contextlib.asynccontextmanager
async def secret(attacked: NetworkUnderAttack):
    """Serve at the hub, over TCP, what sends back what it gets, and over UDP what is silent."""
    await attacked.hub.expose("secret:1", attacked.echo_port)
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))
        await attacked.hub.expose("secret:1", sock.getsockname()[1], protocol="udp")
        yield


OUT_OF_PLACE = {
    "opened": bundled(OPENED),
    "done": bundled(CODEC.encode(Done(0, REPORT))),
    "refused": bundled(CODEC.encode(Refused(Reason.BUSY, ""))),
    "open-again": bundled(OPEN),
    "a-number-twice": bundled(LEAVE) + bundled(OPEN),
    "a-lower-number": bundled(OPEN, 9) + bundled(OPEN, 8),
    "not-opened": bundled(data(b"x"), 9),
    "datagram": bundled(pack_header(Kind.DATAGRAM, 1) + b"x"),
    "data-in-a-session": bundled(OPEN_UDP + data(b"x"), 9),
    "bundle-within": bundled(BEGIN),
    "carry-within": bundled(CODEC.encode(Carry(bytes(16), 1))),
    "bulk": bundled(pack_header(Kind.BULK, 0)),
    "moved-twice": bundled(MOVED * 2),
    "credit-of-another-size": bundled(pack_header(Kind.CREDIT, 1) + b"x"),
    "credit-back": bundled(credit(0, WINDOW - 1)),
    "credit-for-more-than-was-sent": bundled(credit(WINDOW + 1, 2 * WINDOW + 1)),
    "data-after-eof": bundled(EOF + data(b"x")),
    "too-large": bundled(pack_header(Kind.DATA, 65537)),
    "16-mebibytes": bundled(pack_header(Kind.DATA, (1 << 24) - 1)),
    "unknown-critical-kind": bundled(pack_header(77, 0)),
    "width": bundled(WIDTH, 0),
    "width-in-a-flow": bundled(WIDTH),
    "repeat-of-itself": wire.pack(Kind.REPEAT, 0, wire.REPEAT.pack(bytes(16), 0)),
    "repeat-that-is-none": wire.pack(Kind.REPEAT, 0, bytes(wire.REPEAT.size - 1)),
    "repeat-that-is-too-large": wire.pack(Kind.REPEAT, 0, bytes(wire.MAX_DATA + 1)),
    "repeat-in-a-flow": wire.pack(Kind.REPEAT, 1, wire.REPEAT.pack(bytes(15) + b"x", 0)),
    "of-no-flow": bundled(data(b"x"), 0),
    "opened-without-a-number": bundled(OPEN, 0),
    "garbage": b"\xff" * 100,
}


async def test_a_frame_out_of_place_ends_the_bundle_and_nothing_else():
    async with network_under_attack() as attacked, secret(attacked):
        mallory, flows = attacked.member(), attacked.hub.router.flows
        before = len(flows)
        for name, frames in OUT_OF_PLACE.items():
            tls = await begin(attacked, mallory, bundled(OPEN + data(b"x")) + frames)
            await ended(tls)
            tls.close()
            await wait_until(
                lambda: len(flows) == before, f"after {name} the hub has no flow of it"
            )
        await attacked.unharmed()


async def test_two_bundles_of_one_name_are_refused():
    async with network_under_attack() as attacked, secret(attacked):
        mallory = attacked.member()
        first = await begin(attacked, mallory, bundled(OPEN + data(b"x")))
        frames = Frames(first)
        assert [(await frames.next())[0] for _ in range(2)] == [Kind.OPENED, Kind.DATA]
        second = await begin(attacked, mallory)
        await ended(second)
        second.close()
        await tls_io.send_all(first, bundled(data(b"y")))
        assert (await frames.next())[1:] == (1, b"y")
        first.close()


async def test_what_belongs_to_no_flow_any_more_is_skipped():
    async with network_under_attack() as attacked, secret(attacked):
        late = data(b"late") + credit(7, WINDOW) + EOF + RESET + MOVED + LEAVE
        frames = bundled(OPEN + data(b"x") + LEAVE + late) + bundled(OPEN + data(b"y"), 2)
        tls = await begin(attacked, attacked.member(), frames)
        assert await Frames(tls).until(Kind.DATA, 2) == b"y"
        tls.close()


async def test_an_egress_says_how_many_bundles_it_would_make_use_of(monkeypatch):
    monkeypatch.setattr(width, "LONG", 0.0)
    async with network_under_attack() as attacked:
        tls = await begin(attacked, attacked.member())
        assert await Frames(tls).until(Kind.WIDTH, 0) == WIDTH[4:]
        tls.close()


async def send_for_ever(tls, piece: bytes) -> None:
    try:
        while True:
            await tls_io.send_all(tls, piece)
    except OSError as exc:
        raise LinkLost("it was closed") from exc


async def test_data_beyond_the_credit_ends_the_bundle():
    async with network_under_attack() as attacked, secret(attacked):
        # A target that reads nothing: what is kept is a window, and what the kernel takes.
        with trio.socket.socket() as listening:
            await listening.bind(("127.0.0.1", 0))
            listening.listen(1)
            await attacked.hub.expose("deaf:1", listening.getsockname()[1])
            opening = CODEC.encode(Open("f", "tcp", "deaf:1"))
            tls = await begin(attacked, attacked.member(), bundled(opening))
            piece = bundled(data(bytes(32_768)))
            with trio.fail_after(PATIENCE), pytest.raises(LinkLost):
                await send_for_ever(tls, piece)
            tls.close()
        await attacked.unharmed()


async def test_a_flow_that_is_not_read_holds_up_no_other():
    async with network_under_attack() as attacked, secret(attacked):
        tls = await begin(attacked, attacked.member(), bundled(OPEN))
        # Of the echo of this flow there is no credit for more than the first window.
        frames, got, sent, may_send = Frames(tls), 0, 0, WINDOW
        with trio.fail_after(PATIENCE):
            while sent < 3 * WINDOW:
                while sent + 16_384 <= may_send:
                    await tls_io.send_all(tls, bundled(data(bytes(16_384))))
                    sent += 16_384
                kind, _, payload = await frames.next()
                if kind == Kind.DATA:
                    got += len(payload)
                if kind == Kind.CREDIT:
                    may_send = CREDIT.unpack(payload)[1]
            await tls_io.send_all(tls, bundled(OPEN + data(b"other"), 2))
            while (frame := await frames.next())[1] != 2 or frame[0] != Kind.DATA:
                got += len(frame[2]) if frame[:2] == (Kind.DATA, 1) else 0
            assert frame[2] == b"other"
        assert got == WINDOW
        tls.close()


async def test_a_bundle_that_is_never_read_makes_nothing_pile_up():
    async with network_under_attack() as attacked, secret(attacked):
        mallory = attacked.member()
        refused = CODEC.encode(Open("f", "tcp", "nowhere:1"))
        tls = await begin(attacked, mallory)
        number = 0
        with trio.move_on_after(3), contextlib.suppress(OSError):
            while True:  # each is answered with REFUSED, which nobody reads
                frames = b"".join(bundled(refused, number + each) for each in range(1, 200))
                number += 200
                await tls_io.send_all(tls, frames)
        channels = attacked.hub.router.data.channels.table._by_neighbor["mallory"]
        assert all(len(each._outbox) < 1 << 20 for each in channels)
        tls.close()
        await attacked.unharmed()


MEMBERSHIP = Membership(bytes(16), 1, bytes(32), 60.0)
FOR_ALL = {
    "http-to-all": Open("f", "http", "api:1", to_all=True),
    "http-membership": Open("f", "http", "api:1", to_all=True, membership=MEMBERSHIP),
    "tcp-membership": Open("f", "tcp", "secret:1", to_all=True, membership=MEMBERSHIP),
}


@pytest.mark.parametrize("request_", FOR_ALL.values(), ids=FOR_ALL)
async def test_what_is_for_all_goes_to_no_target_of_another_protocol(request_):
    async with network_under_attack() as attacked, secret(attacked):
        attacked.hub.claim("api:1", free_port(), protocol="http")
        tls = await begin(attacked, attacked.member(), bundled(CODEC.encode(request_)))
        kind, number, payload = await Frames(tls).next()
        assert (kind, number) == (Kind.REFUSED, 1)
        assert CODEC.decode(kind, payload).reason is Reason.NO_SERVICE
        tls.close()
        await attacked.unharmed()


async def test_flows_of_one_bundle_are_bounded(monkeypatch):
    monkeypatch.setattr(wire, "MAX_FLOWS", 20)
    async with network_under_attack() as attacked, secret(attacked):
        flows = attacked.hub.router.flows
        before = len(flows)
        opens = b"".join(bundled(OPEN, number) for number in range(1, 30))
        tls = await begin(attacked, attacked.member(), opens)
        await ended(tls)
        tls.close()
        await wait_until(lambda: len(flows) == before, "none is left")


async def test_flows_beyond_what_a_site_may_have_are_refused_one_by_one():
    limits = attrs.evolve(FAST, max_flows=10)
    async with network_under_attack(limits) as attacked, secret(attacked):
        flows = attacked.hub.router.flows
        opens = b"".join(bundled(OPEN, number) for number in range(1, 101))
        tls = await begin(attacked, attacked.member(), opens)
        await wait_until(lambda: flows.refused >= 90, "the others are refused")
        assert len(flows) <= 10
        tls.close()


async def test_flows_that_are_opened_and_left_at_once_leave_nothing():
    async with network_under_attack() as attacked, secret(attacked):
        flows = attacked.hub.router.flows
        before = len(flows)
        tls = await begin(attacked, attacked.member())
        with trio.move_on_after(PATIENCE):
            for batch in range(5):
                numbers = range(1 + 100 * batch, 101 + 100 * batch)
                ends = (LEAVE, RESET)
                frames = [bundled(OPEN + ends[number % 2], number) for number in numbers]
                await tls_io.send_all(tls, b"".join(frames))
        await wait_until(lambda: len(flows) == before, "none is left")
        await attacked.unharmed()
        tls.close()


async def test_an_ingress_that_opens_and_leaves_without_end_holds_up_its_own_flows_alone():
    async with network_under_attack() as attacked, secret(attacked), trio.open_nursery() as nursery:
        flows, opened = attacked.hub.router.flows, []

        async def look():
            while True:
                opened.append(flows.opened)
                await trio.sleep(0)

        nursery.start_soon(look)
        tls = await begin(attacked, attacked.member())
        before, count = flows.opened, 1000
        frames = b"".join(bundled(OPEN + LEAVE, number) for number in range(1, count + 1))
        await tls_io.send_all(tls, frames)
        await wait_until(lambda: flows.opened == before + count, "all were served")
        nursery.cancel_scope.cancel()
    steps = [later - earlier for earlier, later in itertools.pairwise(opened)]
    assert max(steps) <= 2 * MAX_BEGUN, max(steps)


# -- what is said again ----------------------------------------------------------------------------

SECOND = bytes(15) + b"2"


def repeat(position: int, frames: bytes, name: bytes = bytes(16)) -> bytes:
    return wire.pack(Kind.REPEAT, 0, wire.REPEAT.pack(name, position) + frames)


async def two_bundles(attacked, mallory, frames: bytes):
    """Return two connections that are bundles; on the first one some frames have been sent."""
    first = await begin(attacked, mallory, frames)
    second = (await attacked.channel(mallory)).detach()[0]
    await tls_io.send_all(second, CODEC.encode(Bundle(SECOND)))
    return first, second


async def echoed(frames: Frames, count: int) -> bytes:
    """Return so many bytes that come back of flow 1."""
    got = b""
    while len(got) < count:
        got += await frames.until(Kind.DATA, 1)
    return got


async def test_what_is_repeated_counts_once_whichever_comes_first():
    async with network_under_attack() as attacked, secret(attacked):
        parts = [bundled(OPEN + data(b"one")), bundled(data(b"two")), bundled(data(b"three"))]
        first, second = await two_bundles(attacked, attacked.member(), parts[0])
        frames = Frames(first)
        assert await echoed(frames, 3) == b"one"
        position = len(parts[0])
        again = repeat(0, parts[0] + parts[1])  # of which a part is known already
        await tls_io.send_all(second, again + again + repeat(position, parts[1]))
        assert await echoed(frames, 3) == b"two"
        late = parts[1] + parts[2]
        for at in range(0, len(late), 5):  # cut in the midst of frames
            await tls_io.send_all(first, late[at : at + 5])
        assert await echoed(frames, 5) == b"three"
        await tls_io.send_all(second, repeat(position, late) + repeat(2**64 - 1, b"x"))
        await tls_io.send_all(first, bundled(data(b"four")))
        assert await echoed(frames, 4) == b"four"
        first.close()
        second.close()
        await attacked.unharmed()


async def test_what_is_repeated_behind_a_gap_or_of_no_bundle_is_dropped():
    async with network_under_attack() as attacked, secret(attacked):
        opening = bundled(OPEN + data(b"one"))
        first, second = await two_bundles(attacked, attacked.member(), opening)
        frames = Frames(first)
        assert await echoed(frames, 3) == b"one"
        behind = repeat(len(opening) + 1, bundled(data(b"evil")))
        await tls_io.send_all(second, behind + repeat(0, opening * 2, os.urandom(16)))
        await tls_io.send_all(second, repeat(len(opening), b"") * 1000)
        await tls_io.send_all(second, repeat(len(opening), bundled(data(b"two"))))
        assert await echoed(frames, 3) == b"two"
        first.close()
        second.close()


async def test_nobody_else_repeats_what_is_said_on_a_bundle():
    async with network_under_attack() as attacked, secret(attacked):
        opening = bundled(OPEN + data(b"one"))
        first = await begin(attacked, attacked.member(), opening)
        frames = Frames(first)
        assert await echoed(frames, 3) == b"one"
        other = (await attacked.channel(attacked.member("oscar"))).detach()[0]
        evil = repeat(len(opening), bundled(data(b"evil")))
        await tls_io.send_all(other, CODEC.encode(Bundle(SECOND)) + evil + bundled(OPEN))
        await Frames(other).until(Kind.OPENED, 1)  # by now it has been read
        await tls_io.send_all(first, bundled(data(b"two")))
        assert await echoed(frames, 3) == b"two"
        for each in (first, other):
            each.close()


async def test_a_repeat_that_breaks_the_protocol_ends_the_bundle_that_it_is_of():
    async with network_under_attack() as attacked, secret(attacked):
        for evil in (bundled(OPEN), bundled(data(b"x"), 9), b"\xff" * 100, b"\x05\xff\xff\xff"):
            opening = bundled(OPEN + data(b"one"))
            first, second = await two_bundles(attacked, attacked.member(), opening)
            await Frames(first).until(Kind.DATA, 1)
            await tls_io.send_all(second, repeat(len(opening), evil + bytes(8)))
            await ended(first)
            await tls_io.send_all(second, bundled(OPEN + data(b"two")))
            assert await Frames(second).until(Kind.DATA, 1) == b"two"
            first.close()
            second.close()
        await attacked.unharmed()


async def test_repeats_give_no_more_credit_than_there_is():
    async with network_under_attack() as attacked, secret(attacked):
        with trio.socket.socket() as listening:  # its program reads nothing
            await listening.bind(("127.0.0.1", 0))
            listening.listen(1)
            await attacked.hub.expose("deaf:1", listening.getsockname()[1])
            opening = bundled(CODEC.encode(Open("f", "tcp", "deaf:1")))
            first, second = await two_bundles(attacked, attacked.member(), opening)
            await Frames(first).until(Kind.OPENED, 1)

            async def repeat_for_ever() -> None:
                position, piece = len(opening), bundled(data(bytes(16_000)))
                while True:
                    await tls_io.send_all(second, repeat(position, piece))
                    position += len(piece)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(repeat_for_ever)
                await ended(first)
                nursery.cancel_scope.cancel()
            first.close()
            second.close()


async def test_repeats_within_repeats_without_end_harm_nobody():
    async with network_under_attack() as attacked, secret(attacked):
        opening = bundled(OPEN + data(b"one"))
        first, second = await two_bundles(attacked, attacked.member(), opening)
        frames = Frames(first)
        assert await echoed(frames, 3) == b"one"
        # Each is for the other bundle, behind all that has come on it by then.
        nested, names = b"", (bytes(16), SECOND)
        depth = 0
        while len(nested) < wire.MAX_REPEAT - 2 * wire.HEADER_SIZE - wire.REPEAT.size:
            nested = repeat(0, nested, names[depth % 2])
            depth += 1
        await tls_io.send_all(second, repeat(len(opening), nested) * 100)
        await tls_io.send_all(second, bundled(OPEN + data(b"two")))
        await attacked.unharmed()
        first.close()
        second.close()


# -- flows that move -------------------------------------------------------------------------------


async def moved(attacked, mallory, frames: bytes, *, number: int = 1, name: bytes = bytes(16)):
    """Return a channel on which a flow is said to go on, with frames behind that."""
    tls = (await attacked.channel(mallory)).detach()[0]
    await tls_io.send_all(tls, CODEC.encode(Carry(name, number)) + frames)
    return tls


async def payload_of(channel, count: int) -> bytes:
    """Return so many bytes that a flow says on a channel of its own."""
    reader, got = FrameReader(max_payload=65536), b""
    with trio.fail_after(PATIENCE):
        while len(got) < count:
            reader.receive_data(await tls_io.receive_some(channel))
            while (frame := reader.next_frame()) is not None:
                assert frame[0] == Kind.DATA
                got += frame[1]
    return got


async def test_a_flow_goes_on_on_a_channel_wherever_the_two_words_meet():
    async with network_under_attack() as attacked, secret(attacked):
        mallory = attacked.member()
        for is_channel_first in (True, False):
            tls = await begin(attacked, mallory, bundled(OPEN + data(b"one")))
            frames = Frames(tls)
            assert [(await frames.next())[0] for _ in range(2)] == [Kind.OPENED, Kind.DATA]
            if not is_channel_first:
                await tls_io.send_all(tls, bundled(data(b"two") + MOVED))
                assert (await frames.next())[2] == b"two"
            channel = await moved(attacked, mallory, data(b"three"))
            if is_channel_first:
                await trio.sleep(0.05)
                await tls_io.send_all(tls, bundled(data(b"two") + MOVED))
            assert (await frames.next())[0] == Kind.MOVED
            echoed = b"twothree" if is_channel_first else b"three"
            assert await payload_of(channel, len(echoed)) == echoed
            tls.close()
            await tls_io.send_all(channel, data(b"four"))
            assert await payload_of(channel, 4) == b"four"
            channel.close()


IN_A_MOVED_FLOW = {
    "open-again": OPEN,
    "bundle": BEGIN,
    "carry-again": CODEC.encode(Carry(bytes(16), 1)),
    "relay": CODEC.encode(Relay("east", 9)),
    "opened": OPENED,
    "done": CODEC.encode(Done(0, REPORT)),
    "refused": CODEC.encode(Refused(Reason.BUSY, "")),
    "hello": CODEC.encode(Hello(1, Role.DIALER_OPENS)),
    "moved-twice": MOVED + MOVED,
    "credit": credit(0, WINDOW),
    "leave": LEAVE,
    "too-much-data": pack_header(Kind.DATA, 65537),
    "datagram": pack_header(Kind.DATAGRAM, 3) + b"abc",
    "unknown-critical-kind": pack_header(77, 0),
}


async def test_a_frame_out_of_place_ends_the_flow_that_has_moved():
    async with network_under_attack() as attacked, secret(attacked):
        mallory, flows = attacked.member(), attacked.hub.router.flows
        before = len(flows)
        tls = await begin(attacked, mallory)
        for number, (name, frames) in enumerate(IN_A_MOVED_FLOW.items(), 1):
            await tls_io.send_all(tls, bundled(OPEN + data(b"one") + MOVED, number))
            await Frames(tls).until(Kind.DATA, number)
            channel = await moved(attacked, mallory, data(b"two") + frames, number=number)
            await ended(channel)
            channel.close()
            await wait_until(lambda: len(flows) == before, f"after {name} none is left")
        tls.close()


async def test_nobody_else_may_have_a_flow_moved_to_him():
    async with network_under_attack() as attacked, secret(attacked):
        mallory, other = attacked.member(), attacked.member("oscar")
        tls = await begin(attacked, mallory, bundled(OPEN + data(b"one") + MOVED))
        stolen = await moved(attacked, other, data(b"evil"))
        assert not await ended(stolen)
        stolen.close()
        unknown = await moved(attacked, mallory, data(b"x"), name=os.urandom(16))
        await ended(unknown)
        unknown.close()
        channel = await moved(attacked, mallory, data(b"two"))
        assert await payload_of(channel, 3) == b"two"
        for each in (channel, tls):
            each.close()


async def test_a_flow_that_is_moved_twice_or_is_not_open_ends_the_channel():
    async with network_under_attack() as attacked, secret(attacked):
        mallory = attacked.member()
        tls = await begin(attacked, mallory, bundled(OPEN + data(b"one")) + bundled(OPEN_UDP, 2))
        frames = Frames(tls)
        await frames.next()
        first = await moved(attacked, mallory, b"")
        for number in (1, 2):
            second = await moved(attacked, mallory, b"", number=number)
            await ended(second)
            second.close()
        await tls_io.send_all(tls, bundled(MOVED))
        await frames.until(Kind.MOVED, 1)
        first.close()
        tls.close()
        flows = attacked.hub.router.flows
        await wait_until(lambda: all(each.address != "secret:1" for each in flows._live), "over")


async def in_use_on_a_channel(attacked, mallory):
    """Return a bundle, what comes on it, and the channel to which its first flow has moved."""
    tls = await begin(attacked, mallory, bundled(OPEN + data(b"one") + MOVED))
    frames = Frames(tls)
    channel = await moved(attacked, mallory, data(b"two"))
    await frames.until(Kind.MOVED, 1)
    assert await payload_of(channel, 3) == b"two"
    return tls, frames, channel


BACK = CODEC.encode(Carry(bytes(16), 1))


@pytest.mark.parametrize("is_bundle_first", [True, False])
async def test_a_flow_comes_back_to_a_bundle_wherever_the_two_words_meet(is_bundle_first):
    async with network_under_attack() as attacked, secret(attacked):
        tls, frames, channel = await in_use_on_a_channel(attacked, attacked.member())
        last, back = data(b"three") + MOVED, bundled(BACK + data(b"four"), 2)
        for which, said in ((tls, back), (channel, last))[:: 1 if is_bundle_first else -1]:
            await tls_io.send_all(which, said)
            await trio.sleep(0.05)
        # What the target answers before both have met comes where the flow was.
        assert await frames.until(Kind.DATA, 2) == b"threefour" if is_bundle_first else b"four"
        # The channel is another flow's now.
        await tls_io.send_all(tls, bundled(OPEN + data(b"x") + MOVED, 3))
        await frames.until(Kind.DATA, 3)
        await tls_io.send_all(channel, CODEC.encode(Carry(bytes(16), 3)) + data(b"five"))
        heard = b""
        while not heard.endswith(data(b"five")):
            heard += await tls_io.receive_some(channel)
        assert heard == (b"" if is_bundle_first else data(b"three")) + MOVED + data(b"five")
        for each in (channel, tls):
            each.close()


async def test_a_flow_that_is_gone_or_another_s_does_not_come_back():
    async with network_under_attack() as attacked, secret(attacked):
        mallory = attacked.member()
        tls, frames, channel = await in_use_on_a_channel(attacked, mallory)
        other = await begin(attacked, attacked.member("oscar"), bundled(BACK, 2))
        await Frames(other).until(Kind.LEAVE, 2)
        unknown = CODEC.encode(Carry(os.urandom(16), 1))
        await tls_io.send_all(tls, bundled(unknown, 2))
        await frames.until(Kind.LEAVE, 2)
        await tls_io.send_all(channel, data(b"mine"))
        assert await payload_of(channel, 4) == b"mine"
        sockets.close_with_reset(channel.sock)
        flows = attacked.hub.router.flows
        await wait_until(lambda: all(each.address != "secret:1" for each in flows._live), "over")
        await tls_io.send_all(tls, bundled(BACK, 3))
        await frames.until(Kind.LEAVE, 3)
        for each in (other, tls):
            each.close()


NO_WAY_BACK = {
    "to-where-it-is": bundled(OPEN + data(b"x"), 2) + bundled(CODEC.encode(Carry(bytes(16), 2)), 3),
    "twice": bundled(BACK, 2) + bundled(BACK, 3),
    "a-session": bundled(OPEN_UDP, 2) + bundled(CODEC.encode(Carry(bytes(16), 2)), 3),
    "with-an-old-number": bundled(BACK),
    "to-itself": bundled(CODEC.encode(Carry(bytes(16), 2)), 2),
}


@pytest.mark.parametrize("name", NO_WAY_BACK)
async def test_a_flow_that_comes_back_out_of_place_ends_the_bundle(name):
    async with network_under_attack() as attacked, secret(attacked):
        tls, _, channel = await in_use_on_a_channel(attacked, attacked.member())
        await tls_io.send_all(tls, NO_WAY_BACK[name])
        await ended(tls)
        for each in (channel, tls):
            each.close()
        await attacked.unharmed()


@pytest.mark.parametrize("lost", ["bundle", "channel"])
async def test_a_flow_that_loses_either_connection_on_its_way_back_ends(lost):
    async with network_under_attack() as attacked, secret(attacked):
        tls, _, channel = await in_use_on_a_channel(attacked, attacked.member())
        await tls_io.send_all(tls, bundled(BACK + data(b"three"), 2))
        flows = attacked.hub.router.flows
        await trio.sleep(0.05)
        sockets.close_with_reset((tls if lost == "bundle" else channel).sock)
        await wait_until(lambda: all(each.address != "secret:1" for each in flows._live), "over")
        for each in (channel, tls):
            each.close()


# A channel is paused until both words are there.
UNHEARD = pytest.mark.epoll("nothing else tells of a reset while nothing is read")


@pytest.mark.parametrize("lost", ["bundle", pytest.param("channel", marks=UNHEARD)])
async def test_a_flow_that_loses_either_connection_in_mid_move_ends(lost):
    async with network_under_attack() as attacked, secret(attacked):
        mallory = attacked.member()
        tls = await begin(attacked, mallory, bundled(OPEN + data(b"one")))
        frames = Frames(tls)
        assert (await frames.next())[0] == Kind.OPENED
        channel = await moved(attacked, mallory, data(b"two"))
        flows = attacked.hub.router.flows
        users = attacked.hub.router.data.channels.table.users

        def streams() -> list[object]:
            return [each for each in users("mallory") if isinstance(each, EgressStream)]

        await wait_until(lambda: len(streams()) == 2, "the hub has the channel")
        sockets.close_with_reset((tls if lost == "bundle" else channel).sock)
        await wait_until(lambda: all(each.address != "secret:1" for each in flows._live), "over")
        if lost == "bundle":
            await ended(channel)
        for each in (channel, tls):
            each.close()
