"""A member of the VAN that misbehaves in multicast: as a source, on a branch, or as a passer-on."""

import contextlib
import socket
from functools import partial

import attrs
import msgspec
import pytest
import trio

from lab.limits import FAST
from lab.network import wait_until
from tests.hostile.bundled import Frames, begin, bundled
from tests.hostile.network_under_attack import (
    PATIENCE,
    NetworkUnderAttack,
    ended,
    network_under_attack,
)
from tests.hostile.test_bad_channels import REPORT, data
from tests.hostile.test_bad_datagrams import datagram
from van.router.flow.drops import DropCause
from van.router.forwarding import branches
from van.router.reactor import tls_io
from van.tls.sealing import Sealer
from van.wire.channel import (
    CODEC,
    MAX_BRANCH_PAYLOAD,
    Branch,
    Done,
    Kind,
    Membership,
    Open,
    Opened,
    Reason,
    Refused,
    Vertex,
)
from van.wire.framing import pack_header

pytestmark = pytest.mark.slow("each test sets up three sites, their links, and a live flow")

GROUP = b"sixteen bytes, ok"[:16]
KEY = bytes(range(32))
EOF = pack_header(Kind.EOF, 0)
RESET = pack_header(Kind.RESET, 0)
OPENED = CODEC.encode(Opened(REPORT))


def branch(*vertices: tuple[str, int], group: bytes = GROUP) -> bytes:
    return CODEC.encode(Branch(group, 1, tuple(Vertex(*each) for each in vertices)))


def raw(*fields: object) -> bytes:
    payload = msgspec.msgpack.encode(fields)
    return pack_header(Kind.BRANCH, len(payload)) + payload


def membership(generation: int = 1, key: bytes = KEY, group: bytes = GROUP) -> bytes:
    member = Membership(group, generation, key, 60.0)
    return CODEC.encode(Open("f", "udp", "news:1", to_all=True, membership=member))


@contextlib.asynccontextmanager
async def news(attacked: NetworkUnderAttack):
    """Serve a multicast address at the hub; yields what came."""
    heard: list[bytes] = []
    with trio.socket.socket(type=socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))

        async def listen() -> None:
            while True:
                payload, address = await sock.recvfrom(65536)
                heard.append(payload)
                await sock.sendto(b"heard", address)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            port = sock.getsockname()[1]
            await attacked.hub.expose("news:1", port, protocol="udp", distribution="multicast")
            yield heard
            nursery.cancel_scope.cancel()


BAD_TREES = {
    "begins-elsewhere": branch(("east", 0)),
    "empty": raw(GROUP, 1, []),
    "twice": branch(("hub", 0), ("east", 0), ("east", 1)),
    "itself": branch(("hub", 0), ("hub", 0)),
    "circle": branch(("hub", 0), ("east", 2), ("west", 1)),
    "own-parent": branch(("hub", 0), ("east", 1)),
    "far-parent": branch(("hub", 0), ("east", 9)),
    "short-group": raw(b"x" * 15, 1, [["hub", 0]]),
    "bad-name": raw(GROUP, 1, [["hub", 0], ["NO SUCH\n", 0]]),
    "negative": raw(GROUP, -1, [["hub", 0]]),
    "no-tree": raw(GROUP, 1),
    "too-large": pack_header(Kind.BRANCH, MAX_BRANCH_PAYLOAD + 1),
    "no-msgpack": pack_header(Kind.BRANCH, 2) + b"\xc1\xc1",
}


async def test_what_is_no_tree_ends_the_channel_that_it_came_on():
    async with network_under_attack() as attacked:
        mallory = attacked.member()
        for frames in BAD_TREES.values():
            tls = (await attacked.channel(mallory)).detach()[0]
            await tls_io.send_all(tls, frames)
            await ended(tls)
            tls.close()
        assert attacked.hub.router.data.forwarding.branches.count == 0


def has_none(held: branches.Branches) -> bool:
    return held.count == 0


ON_A_BRANCH = {
    "data": data(b"x"),
    "reset": RESET,
    "open": membership(),
    "branch-again": branch(("hub", 0)),
    "opened": OPENED,
    "done": CODEC.encode(Done(0, REPORT)),
}


async def test_a_frame_out_of_place_ends_the_branch_that_it_came_on():
    async with network_under_attack() as attacked:
        mallory = attacked.member()
        for name, frames in ON_A_BRANCH.items():
            tls = (await attacked.channel(mallory)).detach()[0]
            await tls_io.send_all(tls, branch(("hub", 0), ("east", 0)) + datagram(b"x") + frames)
            await ended(tls)
            tls.close()
            held = attacked.hub.router.data.forwarding.branches
            await wait_until(partial(has_none, held), f"after {name} there is no branch")


async def bytes_of(tls, count: int) -> bytes:
    got = b""
    with trio.fail_after(PATIENCE):
        while len(got) < count:
            part = await tls_io.receive_some(tls)
            assert part
            got += part
    return got


async def test_a_tree_that_leads_nowhere_is_told_of_once_and_ends_in_order():
    async with network_under_attack() as attacked:
        tls = (await attacked.channel(attacked.member())).detach()[0]
        nowhere = branch(("hub", 0), ("nobody", 0), ("atlantis", 0), ("east", 0))
        await tls_io.send_all(tls, nowhere + datagram(b"x" * 100))
        assert await bytes_of(tls, len(OPENED) + 4) == OPENED + RESET
        await tls_io.send_all(tls, EOF)
        done = CODEC.encode(Done(100, REPORT))
        assert await bytes_of(tls, len(done)) == done
        # Whoever makes names up makes nothing grow.
        assert attacked.hub.router.data.channels.pools._pools.keys() <= {"west", "east", "mallory"}


async def test_branches_that_are_too_many_are_not_passed_on():
    async with network_under_attack(attrs.evolve(FAST, max_branches=0)) as attacked:
        tls = (await attacked.channel(attacked.member())).detach()[0]
        await tls_io.send_all(tls, branch(("hub", 0), ("east", 0)) + datagram(b"x"))
        assert await bytes_of(tls, len(OPENED) + 4) == OPENED + RESET
        assert not attacked.hub.router.data.forwarding.context.sent


async def test_only_who_has_the_key_is_heard():
    async with network_under_attack() as attacked, news(attacked) as heard:
        source = attacked.member("source")
        tls = await begin(attacked, source, bundled(membership()))
        assert await said(tls) == OPENED
        way = (await attacked.channel(attacked.member("forger"))).detach()[0]
        sealer, forger = Sealer(KEY), Sealer(bytes(32))
        good = sealer.seal(b"\0\0\0\1good")
        frames = [b"", b"x" * 50, forger.seal(b"\0\0\0\1forged"), good, good, sealer.seal(b"\0")]
        await tls_io.send_all(way, branch(("hub", 0)) + b"".join(map(datagram, frames)) + EOF)
        done = CODEC.encode(Done(sum(map(len, frames)), REPORT))
        assert await bytes_of(way, len(OPENED + done)) == OPENED + done
        await wait_until(lambda: heard, "the good one has come")
        assert heard == [b"good"]
        assert attacked.hub.router.flows.dropped_datagrams[DropCause.NOT_GENUINE] == 5
        assert await said(tls) == datagram(b"\0\0\0\1heard")


@pytest.mark.parametrize("frames", [data(b"x"), datagram(b"x"), membership(2)])
async def test_a_frame_out_of_place_ends_a_membership(frames):
    async with network_under_attack() as attacked, news(attacked):
        tls = await begin(attacked, attacked.member(), bundled(membership() + frames))
        await ended(tls)
        members = attacked.hub.router.data.egress.members
        await wait_until(lambda: not members._groups, "the group is gone")
        assert not members.sockets


@pytest.mark.parametrize(("frames", "answer"), [(EOF, EOF), (RESET, b"")])
async def test_a_membership_is_ended_and_reset_as_any_flow_is(frames, answer):
    async with network_under_attack() as attacked, news(attacked):
        tls = await begin(attacked, attacked.member())
        for number in (1, 2):
            await tls_io.send_all(tls, bundled(membership() + frames, number))
            expected = bundled(OPENED + answer + CODEC.encode(Done(0, REPORT)), number)
            assert await bytes_of(tls, len(expected)) == expected
        assert not attacked.hub.router.data.egress.members._groups
        tls.close()


async def said(tls) -> bytes:
    """Return the next frame of a bundle's first flow, as it is on a channel."""
    kind, number, payload = await Frames(tls).next()
    assert number == 1
    return pack_header(kind, len(payload)) + payload


async def refused(attacked: NetworkUnderAttack, frames: bytes, site: str, **grants) -> Refused:
    tls = await begin(attacked, attacked.member(site, **grants), bundled(frames))
    kind, _, payload = await Frames(tls).next()
    answer = CODEC.decode(kind, payload)
    assert isinstance(answer, Refused)
    return answer


async def test_a_membership_that_may_not_be_is_refused():
    async with network_under_attack() as attacked, news(attacked):
        tls = await begin(attacked, attacked.member("source"), bundled(membership()))
        assert await said(tls) == OPENED
        assert (await refused(attacked, membership(), "other")).reason is Reason.NOT_ALLOWED
        assert (await refused(attacked, membership(), "source")).reason is Reason.NOT_ALLOWED
        narrow = await refused(attacked, membership(), "source", allow_bind=("web",))
        assert narrow.reason is Reason.NOT_ALLOWED
        members = attacked.hub.router.data.egress.members
        members._limits = attrs.evolve(FAST, max_generations=1)
        assert (await refused(attacked, membership(2), "source")).reason is Reason.BUSY
        members._limits = attrs.evolve(FAST, max_groups=1)
        another = membership(group=b"y" * 16)
        assert (await refused(attacked, another, "third")).reason is Reason.BUSY
        await tls_io.send_all(tls, bundled(EOF))
        done = bundled(EOF + CODEC.encode(Done(0, REPORT)))
        assert await bytes_of(tls, len(done)) == done


async def test_sockets_to_targets_are_bounded():
    async with (
        network_under_attack(attrs.evolve(FAST, max_group_sockets=10)) as attacked,
        news(attacked) as heard,
    ):
        tls = await begin(attacked, attacked.member("source"), bundled(membership()))
        assert await said(tls) == OPENED
        way = (await attacked.channel(attacked.member("source"))).detach()[0]
        sealer = Sealer(KEY)
        frames = [sealer.seal(number.to_bytes(4, "big") + b"x") for number in range(100)]
        await tls_io.send_all(way, branch(("hub", 0)) + b"".join(map(datagram, frames)))
        drops = attacked.hub.router.flows.dropped_datagrams
        await wait_until(lambda: drops[DropCause.TOO_MANY_SESSIONS] == 90, "the others are dropped")
        await wait_until(lambda: len(heard) == 10, "the first ones have come")
        await ended_in_order(tls)
        members = attacked.hub.router.data.egress.members
        await wait_until(lambda: not members.sockets, "every socket is closed")


async def test_sessions_of_a_source_are_bounded():
    async with (
        network_under_attack(attrs.evolve(FAST, max_group_sessions=10)) as attacked,
        news(attacked) as heard,
    ):
        await begin(attacked, attacked.member("source"), bundled(membership()))
        way = (await attacked.channel(attacked.member("source"))).detach()[0]
        sealer = Sealer(KEY)
        frames = [sealer.seal(number.to_bytes(4, "big") + b"x") for number in range(100)]
        members = attacked.hub.router.data.egress.members
        await wait_until(lambda: members._groups, "the hub is a member")
        await tls_io.send_all(way, branch(("hub", 0)) + b"".join(map(datagram, frames)))
        drops = attacked.hub.router.flows.dropped_datagrams
        await wait_until(lambda: drops[DropCause.TOO_MANY_SESSIONS] == 90, "the others are dropped")
        await wait_until(lambda: len(heard) == 10, "the first ones have come")
        (group,) = members._groups.values()
        assert len(group._sessions) == 10


async def ended_in_order(tls) -> None:
    await tls_io.send_all(tls, bundled(EOF))
    with trio.fail_after(PATIENCE):
        await tls_io.receive_some(tls)
