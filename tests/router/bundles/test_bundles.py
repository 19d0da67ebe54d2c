"""Many flows share a connection: none waits for another, and all hear of its end."""

import contextlib
import socket
from functools import partial

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import wait_until
from tests.router.ends import Nobody, two_ends
from tests.router.flow.test_datagrams import PATIENCE, ask, nothing_left, passage
from van.router.bundles import width
from van.router.bundles.ingress import IngressBundle
from van.router.bundles.siblings import Siblings
from van.router.bundles.tail import Tail
from van.router.channels.channel import Channel
from van.router.flow.datagrams import MAX_KEPT, DatagramSender
from van.router.flow.drops import DropCause, Drops
from van.router.reactor import tls_io
from van.router.reactor.bursts import MAX_BURST, MAX_BURST_SIZE
from van.wire import bundle as wire
from van.wire.bundle import HEADER, HEADER_SIZE
from van.wire.channel import CODEC, Bundle, Kind, Open, Width
from van.wire.credit import CREDIT, WINDOW

ID = bytes(range(16))
BEGIN = CODEC.encode(Bundle(ID))


@contextlib.asynccontextmanager
async def opened(ends):
    """Yield the ingress's end of a bundle, with what is told of it."""
    events: list[str] = []
    channel = await ends.channel()
    bundle = IngressBundle(
        ends.loop,
        channel,
        ID,
        Siblings(ends.loop, lambda: events.append("changed")),
        on_left=lambda _: events.append("left"),
        on_lost=lambda _: events.append("lost"),
    )
    bundle.start()
    channel.resume()
    try:
        yield bundle, events
    finally:
        bundle.close()


async def numbers_of(tls, payload: bytes, count: int) -> set[int]:
    """Return the numbers of the first flows on a new bundle that say so."""
    data = bytearray()
    found: set[int] = set()
    is_begun = False
    with trio.fail_after(PATIENCE):
        while len(found) < count:
            data += await tls_io.receive_some(tls)
            if not is_begun and len(data) >= len(BEGIN):
                assert data.startswith(BEGIN)
                del data[: len(BEGIN)]
                is_begun = True
            while is_begun and len(data) >= HEADER_SIZE:
                word, number = HEADER.unpack_from(data)
                end = HEADER_SIZE + (word & 0xFFFFFF)
                if len(data) < end:
                    break
                if data[HEADER_SIZE:end] == payload:
                    found.add(number)
                del data[:end]
    return found


LASTING = attrs.evolve(FAST, answered_idle=60.0)


@pytest.mark.slow("a hundred sessions through three sites")
async def test_many_sessions_share_few_bundles():
    async with passage("transit", limits=LASTING) as way:
        clients = [await way.client() for _ in range(100)]
        for client in clients:
            assert await ask(client, b"x") == b"x"
        pool = way.ingress.router.data.channels.pools.pool(way.egress.name)
        assert len(way.ingress.router.flows) == 100
        assert pool.in_use == 1
        assert way.egress.router.flows.opened == 100
        ingress = way.ingress.router.data.ingress
        ingress.remove(ingress.listeners[0])
        await nothing_left(way.ingress, way.egress)
        bundles = way.ingress.router.data.channels.bundles.pool(way.egress.name)._bundles
        assert [len(each) for each in bundles] == [0]


async def test_sessions_that_find_no_channel_wait_for_one_together(monkeypatch):
    async with passage("transit") as way:
        pool = way.ingress.router.data.channels.pools.pool(way.egress.name)
        may_go_on, calls = trio.Event(), []
        acquire = type(pool).acquire

        async def wait_first(self, *patience):
            if self is pool:
                calls.append(self)
                await may_go_on.wait()
            return await acquire(self, *patience)

        monkeypatch.setattr(type(pool), "acquire", wait_first)
        monkeypatch.setattr(type(pool), "shortage", 0)
        await wait_until(lambda: not pool.growing, "no channel is being made")
        taken = [pool.take() for _ in range(pool.size)]
        clients = [await way.client() for _ in range(50)]
        for client in clients:
            await client.send(b"x")
        await wait_until(lambda: len(way.ingress.router.flows) == 50, "all have come")
        assert calls == [pool]
        monkeypatch.undo()
        pool.check()
        may_go_on.set()
        with trio.fail_after(PATIENCE):
            for client in clients:
                assert await client.recv(10) == b"x"
        for channel in taken:
            pool.release(channel)


async def test_sessions_go_on_elsewhere_when_the_channel_that_they_share_is_lost():
    async with passage(limits=LASTING) as way:
        clients = [await way.client() for _ in range(20)]
        for client in clients:
            assert await ask(client, b"x") == b"x"
        way.ingress.router.data.channels.table.abort(way.egress.name, "a test")
        for client in clients:
            assert await ask(client, b"y") == b"y"
        flows = way.egress.router.flows
        await wait_until(lambda: len(flows) == 20, "the egress keeps none of the lost sessions")


async def test_new_sessions_take_no_channel_of_an_older_certificate():
    async with passage() as way:
        before = await way.client()
        assert await ask(before, b"x") == b"x"
        pools = way.ingress.router.data.channels.pools
        pools.renew()
        pool = pools.pool(way.egress.name)
        assert not pool.size, "the old one would be at hand"
        assert await ask(await way.client(), b"x") == b"x"
        assert pool.in_use == 2
        assert await ask(before, b"x") == b"x"


class Session(Nobody):
    """The user of a subchannel, which sends one more datagram when there is room."""

    def __init__(self, bundle) -> None:
        super().__init__()
        self.subchannel = bundle.open(self)

    def channel_writable(self) -> None:
        self.subchannel.send_datagram(b"late")


async def test_all_flows_go_on_when_a_blocked_connection_takes_more():
    async with two_ends() as ends, opened(ends) as (bundle, events):
        sessions = [Session(bundle) for _ in range(10)]
        while sum(each.subchannel.is_blocked for each in sessions) < len(sessions):
            sessions[0].subchannel.send_datagram(bytes(60_000))
            await trio.sleep(0)
        assert await numbers_of(ends.far[0], b"late", 10) == set(range(1, 11))
        bundle.channel.fail("a test")
        assert [each.lost for each in sessions] == ["path lost: a test"] * 10
        assert events == ["lost"]
        assert not len(bundle)


async def test_a_session_on_a_blocked_connection_keeps_its_newest_datagrams_and_counts_others():
    async with two_ends() as ends, opened(ends) as (bundle, _):
        user, drops = Nobody(), Drops()
        sender = DatagramSender(bundle.open(user), drops)
        user.channel_writable = sender.channel_writable  # type: ignore[method-assign]
        while not bundle.is_full:
            sender.send(bytes(60_000))
            await trio.sleep(0)
        for number in range(MAX_KEPT + 2):
            sender.send(b"%d" % number)
        assert drops == {DropCause.PATH_BLOCKED: 2}
        assert await payloads_of(ends.far[0], b"%d" % (MAX_KEPT + 1)) == [
            b"%d" % number for number in range(2, MAX_KEPT + 2)
        ]
        sender.send(b"at once")
        assert await payloads_of(ends.far[0], b"at once") == [b"at once"]
        assert drops.total() == 2
        bundle.channel.fail("a test")
        sender.send(b"too late")
        assert drops.total() == 2


async def payloads_of(tls, last: bytes) -> list[bytes]:
    """Return the small datagrams on a bundle up to the last one."""
    data, found = bytearray(), list[bytes]()
    with trio.fail_after(PATIENCE):
        while last not in found:
            data += await tls_io.receive_some(tls)
            if data.startswith(BEGIN):
                del data[: len(BEGIN)]
            while len(data) >= HEADER_SIZE:
                word, _ = HEADER.unpack_from(data)
                end = HEADER_SIZE + (word & 0xFFFFFF)
                if len(data) < end:
                    break
                if end < 100:
                    found.append(bytes(data[HEADER_SIZE:end]))
                del data[:end]
    return found


async def test_datagrams_of_one_size_that_come_together_are_taken_at_once():
    async with two_ends() as ends, opened(ends) as (bundle, _):
        user, other = Nobody(), Nobody()
        bursts: list[list[bytes]] = []
        bundle.open(user).on_burst = lambda some: bursts.append([bytes(each) for each in some])
        bundle.open(other)
        sizes = [5, 5, 5, 6, 6, 0, 0, MAX_BURST_SIZE + 1, MAX_BURST_SIZE + 1, 5]
        first = [bytes([number]) * size for number, size in enumerate(sizes)]
        many = [b"%02d" % number for number in range(MAX_BURST + 1)]
        frames = [wire.pack(Kind.DATAGRAM, 1, each) for each in first]
        frames += [wire.pack(Kind.DATAGRAM, 2, b"12345")] * 2
        frames += [wire.pack(Kind.DATAGRAM, 1, each) for each in many]
        await tls_io.send_all(ends.far[0], b"".join(frames))
        await wait_until(lambda: -2 in user.frames, "all of it is taken")
        assert bursts == [first[:3], first[3:5], many[:-1]]
        assert user.frames == [0, 0, -MAX_BURST_SIZE - 1, -MAX_BURST_SIZE - 1, -5, -2]
        assert other.frames == [-5, -5]


BAD_FROM_AN_EGRESS = {
    "opens": wire.pack(Kind.OPEN, 2, CODEC.encode(Open("f", "tcp", "a:1"))[4:]),
    "of-the-future": wire.pack(Kind.DATA, 2, b"x"),
    "credit-back": wire.pack(Kind.CREDIT, 1, CREDIT.pack(0, WINDOW - 1)),
    "credit-for-nothing": wire.pack(Kind.CREDIT, 1, CREDIT.pack(1, 2 * WINDOW)),
    "of-no-flow": wire.pack(Kind.DATA, 0, b"x"),
    "malformed": wire.pack(Kind.OPENED, 1, b"\xc1"),
    "unknown-critical-kind": wire.pack(77, 1),
    "width-of-none": wire.pack(Kind.WIDTH, 0, b"\x91\x00"),
    "too-large": wire.HEADER.pack(Kind.OPENED << 24 | 4097, 1),
}


@pytest.mark.parametrize("frames", BAD_FROM_AN_EGRESS.values(), ids=BAD_FROM_AN_EGRESS.keys())
async def test_an_egress_that_breaks_the_protocol_loses_the_bundle_with_all_that_is_on_it(frames):
    async with two_ends() as ends, opened(ends) as (bundle, events):
        sessions = [Session(bundle)]
        await tls_io.send_all(ends.far[0], frames)
        await wait_until(lambda: events == ["lost"], "it is lost")
        assert sessions[0].lost.startswith("path lost: ")
        assert not bundle.channel.is_open


async def test_more_than_there_is_credit_for_loses_the_bundle():
    async with two_ends() as ends, opened(ends) as (bundle, events):
        Session(bundle).subchannel.pause()
        window = wire.pack(Kind.DATA, 1, bytes(WINDOW))
        await tls_io.send_all(ends.far[0], window)
        await wait_until(lambda: bundle.kept == WINDOW, "a window is kept")
        await tls_io.send_all(ends.far[0], wire.pack(Kind.DATA, 1, b"x"))
        await wait_until(lambda: events == ["lost"], "it is lost")


async def test_small_frames_for_a_user_that_pauses_are_kept_as_one_and_others_are_few():
    async with two_ends() as ends, opened(ends) as (bundle, events):
        session = Session(bundle)
        session.subchannel.pause()
        await tls_io.send_all(ends.far[0], wire.pack(Kind.DATA, 1, b"x") * 1000)
        await wait_until(lambda: bundle.kept == 1000, "all is kept")
        assert len(session.subchannel._kept) == 1
        await tls_io.send_all(ends.far[0], wire.pack(Kind.OPENED, 1, b"\x90") * 20)
        await wait_until(lambda: events == ["lost"], "it is lost")


async def test_what_an_egress_may_still_say_of_a_flow_that_was_left_is_skipped():
    async with two_ends() as ends, opened(ends) as (bundle, _):
        first, second = Session(bundle), Session(bundle)
        first.subchannel.close()
        late = [
            wire.pack(Kind.DATA, 1, b"late"),
            wire.pack(Kind.CREDIT, 1, CREDIT.pack(0, WINDOW)),
            wire.pack(Kind.BULK, 1),
            wire.pack(Kind.MOVED, 1),
            wire.pack(200, 1, b"of a later revision"),
            wire.pack(200, 2, b"of a later revision"),
        ]
        await tls_io.send_all(ends.far[0], b"".join(late) + wire.pack(Kind.DATAGRAM, 2, b"abc"))
        await wait_until(lambda: second.frames, "the other one is heard")
        assert second.frames == [-3]
        assert not first.frames


async def test_a_user_that_pauses_gets_the_rest_in_order_and_its_loss_behind_that():
    async with two_ends() as ends, opened(ends) as (bundle, _):
        session = Session(bundle)
        subchannel = session.subchannel
        subchannel.hand_to(session, hears_out=True)
        subchannel.pause()
        frames = [
            wire.pack(Kind.DATA, 1, b"x"),
            wire.pack(Kind.EOF, 1),
            wire.pack(Kind.PENDING, 1, b"\x90"),
            wire.pack(Kind.PENDING, 1, b"\x90"),
        ]
        await tls_io.send_all(ends.far[0], b"".join(frames))
        await wait_until(lambda: subchannel._kept and len(subchannel._kept) == 3, "it is kept")
        assert bundle.kept == 2
        bundle.channel.fail("a test")
        assert not session.frames
        subchannel.resume()
        assert session.frames == [0, Kind.EOF, Kind.PENDING]
        assert session.lost == "path lost: a test"


async def test_a_burst_of_datagrams_that_waits_for_a_channel_arrives_whole():
    async with passage("transit") as way:
        pool = way.ingress.router.data.channels.pools.pool(way.egress.name)
        taken = [pool.take() for _ in range(pool.size)]
        client = await way.client()
        sent = [bytes([number]) * 20_000 for number in range(3)]
        for each in sent:
            await client.send(each)
        with trio.fail_after(PATIENCE):
            assert [await client.recv(65536) for _ in sent] == sent
        for channel in taken:
            pool.release(channel)


async def test_another_bundle_takes_what_is_too_much_for_one(monkeypatch):
    monkeypatch.setattr(wire, "MAX_FLOWS", 5)
    async with passage(limits=LASTING) as way:
        for _ in range(8):
            assert await ask(await way.client(), b"x") == b"x"
        pool = way.ingress.router.data.channels.bundles.pool(way.egress.name)
        assert sorted(map(len, pool._bundles)) == [3, 5]


async def test_flows_share_as_many_bundles_as_are_wanted_in_turns(monkeypatch):
    monkeypatch.setattr(width, "LONG", 0.0)
    async with passage(limits=LASTING) as way:
        pool = way.ingress.router.data.channels.bundles.pool(way.egress.name)
        clients = [await way.client()]
        assert await ask(clients[0], b"x") == b"x"
        assert (pool.wanted, pool.size) == (2, 1)  # there was nothing to share yet
        channels = pool.channels
        for _ in range(5):
            await wait_until(lambda: channels.size, "another channel is ready")
            clients.append(await way.client())
            assert await ask(clients[-1], b"x") == b"x"
        assert sorted(map(len, pool._bundles)) == [3, 3]
        first, second = pool._bundles
        first.is_stalled = True
        clients.append(await way.client())
        clients.append(await way.client())
        for each in clients:
            assert await ask(each, b"y") == b"y"
        assert (len(first), len(second)) == (3, 5)


async def test_an_ingress_makes_as_many_bundles_as_the_egress_asks_for_and_the_last_word_counts():
    async with two_ends() as ends, opened(ends) as (bundle, events):
        for asked in (4, 255, 3):
            frame = CODEC.encode(Width(asked))
            await tls_io.send_all(ends.far[0], wire.pack(Kind.WIDTH, 0, frame[4:]))
            await wait_until(partial(events.__contains__, "changed"), "it counts")
            events.clear()
            assert bundle.siblings.wanted == min(asked, width.MOST)


class HeldUp:
    """Keeps what is sent on one bundle from going out, as a path does that loses it."""

    def __init__(self, bundle, monkeypatch) -> None:
        self.kept: list[bytes] = []
        self._channel = channel = bundle.channel
        self._monkeypatch = monkeypatch
        send, unsent = Channel.send, Channel.unsent.__get__

        def keep(each, data: bytes | memoryview) -> bool:
            if each is not channel:
                return send(each, data)
            self.kept.append(bytes(data))
            return True

        def count(each) -> int:
            # With what TLS has around a record.
            return sum(len(data) + 22 for data in self.kept) if each is channel else unsent(each)

        def keep_gathered(size: int) -> bool:
            return keep(channel, bundle.out[:size])

        monkeypatch.setattr(Channel, "send", keep)
        monkeypatch.setattr(bundle, "_send", keep_gathered)
        monkeypatch.setattr(Channel, "unsent", property(count))

    def release(self) -> None:
        self._monkeypatch.undo()
        for each in self.kept:
            self._channel.send(each)


async def test_what_is_held_up_on_one_bundle_arrives_over_another_and_counts_once(monkeypatch):
    monkeypatch.setattr(width, "LONG", 0.0)
    async with passage(limits=LASTING) as way:
        pool = way.ingress.router.data.channels.bundles.pool(way.egress.name)
        clients = []
        for _ in range(4):
            await wait_until(lambda: pool.channels.size, "another channel is ready")
            clients.append(await way.client())
            assert await ask(clients[-1], b"x") == b"x"
        bundle, siblings = pool._bundles[0], pool._siblings
        await wait_until(lambda: not siblings._is_looking, "nothing moves any more")
        siblings._is_looking = True  # so that nobody finds that all is well
        held_up = HeldUp(bundle, monkeypatch)
        bundle.tail, bundle.is_stalled = Tail(bundle.sent), True
        for number in range(10):
            for client in clients:
                assert await ask(client, b"%d" % number) == b"%d" % number
        assert len(held_up.kept) >= 10
        bundle.is_stalled, bundle.tail = False, None
        held_up.release()
        for client in clients:
            assert await ask(client, b"at the end") == b"at the end"
        assert bundle.channel.is_open
        assert way.egress.router.flows.opened == 4


async def test_no_more_is_kept_of_bundles_once_nothing_is_lost_any_more(monkeypatch):
    monkeypatch.setattr(width, "LONG", 0.0)
    async with passage(limits=LASTING) as way:
        pool = way.ingress.router.data.channels.bundles.pool(way.egress.name)
        client = await way.client()

        async def is_kept(*, wanted: bool) -> bool:
            assert await ask(client, b"x") == b"x"
            found = [each.tail is not None for each in pool._bundles]
            return found == [wanted] * len(found)

        await client.send(b"x")
        await wait_until(lambda: pool.channels.size, "another channel is ready")
        assert await ask(await way.client(), b"y") == b"y"
        for is_lossy in (True, False):
            monkeypatch.setattr(width.Width, "is_lossy", lambda *_, is_lossy=is_lossy: is_lossy)
            with trio.fail_after(PATIENCE):
                while not await is_kept(wanted=is_lossy):
                    await trio.sleep(0.02)


async def test_connections_between_sites_have_the_congestion_control_that_was_chosen():
    async with passage(limits=attrs.evolve(LASTING, congestion="reno")) as way:
        assert await ask(await way.client(), b"x") == b"x"
        ends = ((way.ingress, way.egress), (way.egress, way.ingress))
        for site, other in ends:
            channels = site.router.data.channels.table._by_neighbor[other.name]
            for sock in [each._tls.sock for each in channels]:
                name = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
                assert name.rstrip(b"\0") == b"reno"
