"""Sessions share channels: many have few, none waits for another, and all hear of the end."""

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import wait_until
from tests.router.ends import Nobody, two_ends
from tests.router.flow.test_datagrams import PATIENCE, ask, nothing_left, passage
from van.router.channels.shared import SharingIngress
from van.router.channels.shared_pools import MAX_SHARED
from van.router.channels.subchannel import _parts
from van.router.reactor import tls_io
from van.wire.channel import CODEC, MAX_DATAGRAM, MAX_DATAGRAM_PAYLOAD, NO_REPORT, Kind, Opened
from van.wire.framing import FrameReader, pack_header


def datagram(payload: bytes) -> bytes:
    return pack_header(Kind.DATAGRAM, len(payload)) + payload


LASTING = attrs.evolve(FAST, answered_idle=60.0)


@pytest.mark.slow("a hundred sessions through three sites")
async def test_many_sessions_share_few_channels_and_give_them_back():
    async with passage("transit", limits=LASTING) as way:
        clients = [await way.client() for _ in range(100)]
        for client in clients:
            assert await ask(client, b"x") == b"x"
        pool = way.ingress.router.data.channels.pools.pool(way.egress.name)
        assert len(way.ingress.router.flows) == 100
        assert 1 <= pool.in_use <= MAX_SHARED
        assert way.egress.router.flows.opened == 100
        ingress = way.ingress.router.data.ingress
        ingress.remove(ingress.listeners[0])
        await nothing_left(way.ingress, way.egress)
        assert not way.ingress.router.data.channels.shared._by_site


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
        await wait_until(lambda: pool.size, "there is a new channel")
        assert await ask(await way.client(), b"x") == b"x"
        assert pool.in_use == 2
        assert await ask(before, b"x") == b"x"


class Session(Nobody):
    """The user of a subchannel, which sends one more datagram when there is room."""

    def __init__(self, subchannel) -> None:
        super().__init__()
        self.subchannel = subchannel
        subchannel.hand_to(self)

    def channel_writable(self) -> None:
        self.subchannel.send(datagram(b"late"))


async def test_all_sessions_go_on_when_a_blocked_channel_takes_more():
    async with two_ends() as ends:
        channel = await ends.channel()
        ended = []
        shared = SharingIngress(ends.loop, channel, lambda *outcome: ended.append(outcome))
        shared.start()
        channel.resume()
        far = ends.far[0]
        await tls_io.send_all(far, CODEC.encode(Opened(NO_REPORT)))
        sessions = [Session(shared.open()) for _ in range(10)]
        while sum(each.subchannel.is_blocked for each in sessions) < len(sessions):
            sessions[0].subchannel.send(datagram(bytes(60_000)))
            await trio.sleep(0)
        reader = FrameReader(max_payload=MAX_DATAGRAM_PAYLOAD)
        late: set[int] = set()
        with trio.fail_after(PATIENCE):
            while len(late) < 10:
                reader.receive_data(await tls_io.receive_some(far))
                while (frame := reader.next_frame()) is not None:
                    if frame[1].endswith(b"late"):
                        late.add(int.from_bytes(frame[1][:4], "big"))
        assert late == set(range(1, 11))
        channel.fail("a test")
        assert [each.lost for each in sessions] == ["path lost: a test"] * 10
        assert ended == [(shared, False)]
        assert not len(shared)


def test_what_is_too_much_for_one_frame_is_cut_between_frames():
    frames = [datagram(bytes([number]) * size) for number, size in enumerate((9, 40_000, 30_000))]
    frames += [datagram(bytes(MAX_DATAGRAM)), datagram(b"")]
    parts = list(_parts(b"".join(frames)))
    assert max(map(len, parts)) + 4 <= MAX_DATAGRAM_PAYLOAD
    assert parts == [frames[0] + frames[1], frames[2], frames[3] + frames[4]]
    assert list(_parts(b"")) == [b""]


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
