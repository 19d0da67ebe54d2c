"""Multicast over UDP: every instance gets one copy, and every link carries one."""

import contextlib
from functools import partial

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import network, wait_until
from tests.router.flow.test_datagrams import (
    PATIENCE,
    is_empty,
    serve_until_closed,
    udp_socket,
)
from van.control import endpoints as api
from van.control.values.attachments import ConnectorSpec
from van.control.values.paths import ExplainSpec
from van.names import Address
from van.router.flow.drops import DropCause
from van.router.forwarding.replicator import BranchSender, Replicator
from van.router.management.status import router_status
from van.tls.sealing import OVERHEAD
from van.wire.framing import HEADER_SIZE

pytestmark = pytest.mark.slow("each test sets up four sites and their links")

SERVICE = ("udp", "news:7")


@attrs.define
class Instance:
    """A target that keeps what it hears, and answers with its name."""

    name: str
    sock: trio.socket.SocketType
    heard: list[bytes] = attrs.field(factory=list)

    async def serve(self, sock):
        while True:
            data, address = await sock.recvfrom(65536)
            self.heard.append(data)
            await sock.sendto(self.name.encode(), address)


@attrs.define
class Scene:
    """Sites in a star: the source in front of the hub, two sites with instances behind it."""

    nursery: trio.Nursery
    sites: dict
    instances: dict = attrs.field(factory=dict)
    port: int = 0

    async def add(self, name, site):
        sock = await udp_socket()
        instance = self.instances[name] = Instance(name, sock)
        self.nursery.start_soon(serve_until_closed, instance.serve, sock)
        await self.sites[site].expose(
            "news:7", sock.getsockname()[1], protocol="udp", distribution="multicast"
        )
        return instance

    def heard(self):
        return {name: each.heard for name, each in self.instances.items()}

    async def served_at(self, *sites):
        routes, wanted = self.sites["source"].router.routes, tuple(sorted(sites))
        await wait_until(
            lambda: routes.fib.services.get(SERVICE, ()) == wanted, f"it is served at {sites}"
        )


@contextlib.asynccontextmanager
async def scene(*instances, limits=FAST, **options):
    async with trio.open_nursery() as nursery, network(limits) as net:
        hub = await net.start("hub")
        found = Scene(nursery, {"hub": hub})
        for name in ("source", "west", "east"):
            found.sites[name] = await net.start(name)
            await net.link(found.sites[name], hub)
        routes = hub.router.routes
        await wait_until(lambda: routes.fib.routes.keys() >= net.sites.keys(), "the hub knows all")
        for name, site in instances:
            await found.add(name, site)
        found.port = await found.sites["source"].reach("news:7", protocol="udp", **options)
        await found.served_at(*{site for _, site in instances})
        yield found
        nursery.cancel_scope.cancel()


async def replies(sock, count):
    with trio.fail_after(PATIENCE):
        return sorted([await sock.recv(65536) for _ in range(count)])


FOUR = (("w1", "west"), ("w2", "west"), ("e1", "east"), ("h1", "hub"))


async def test_every_instance_gets_a_copy_and_every_reply_comes_back():
    async with scene(*FOUR) as stage:
        client, other = await udp_socket(stage.port), await udp_socket(stage.port)
        for number in range(5):
            await client.send(b"%d" % number)
            assert await replies(client, 4) == [b"e1", b"h1", b"w1", b"w2"]
        await other.send(b"other")
        assert await replies(other, 4) == [b"e1", b"h1", b"w1", b"w2"]
        sent = [b"0", b"1", b"2", b"3", b"4", b"other"]
        assert stage.heard() == {name: sent for name, _ in FOUR}
        site = stage.sites["source"]
        explained = await site.ask(api.EXPLAIN, ExplainSpec(address="news:7", protocol="udp"))
        assert {each.reason for each in explained.candidates} == {"gets a copy"}
        assert {each.site for each in explained.candidates} == {"east", "hub", "west"}
        (shown,) = router_status(site.router, 0.0).addresses
        assert (shown.distribution, shown.flows) == ("multicast", 2)
        source = site.router
        assert source.data.egress.members.sockets == 0
        assert not +source.flows.dropped_datagrams


async def test_clients_that_have_been_quiet_make_way_for_new_ones():
    limits = attrs.evolve(FAST, max_group_sessions=3, answer_timeout=0.0)
    async with scene(("w1", "west"), limits=limits) as stage:
        for number in range(12):
            client = await udp_socket(stage.port)
            await client.send(b"%d" % number)
            assert await replies(client, 1) == [b"w1"]
        assert stage.sites["west"].router.data.egress.members.sockets <= 3
        assert not +stage.sites["west"].router.flows.dropped_datagrams


async def test_each_link_carries_one_copy():
    async with scene(*FOUR) as stage:
        client = await udp_socket(stage.port)
        for _ in range(10):
            await client.send(bytes(1000))
            await replies(client, 4)
        copy = HEADER_SIZE + OVERHEAD + 4 + 1000
        sent = {
            name: dict(site.router.data.forwarding.context.sent)
            for name, site in stage.sites.items()
        }
        assert sent == {
            "source": {"hub": 10 * copy},
            "hub": {"east": 10 * copy, "west": 10 * copy},
            "west": {},
            "east": {},
        }


@pytest.mark.parametrize("size", [0, 1, 1500, 65507])
async def test_a_datagram_of_any_size_is_copied_whole(size):
    async with scene(("e1", "east"), ("s1", "source")) as stage:
        client = await udp_socket(stage.port)
        data = bytes(index % 251 for index in range(size))
        await client.send(data)
        assert await replies(client, 2) == [b"e1", b"s1"]
        assert stage.heard() == {"e1": [data], "s1": [data]}


async def test_instances_that_join_and_leave_in_mid_stream_are_followed():
    async with scene(("e1", "east")) as stage:
        client = await udp_socket(stage.port)
        await client.send(b"1")
        assert await replies(client, 1) == [b"e1"]
        await stage.add("w1", "west")
        await stage.served_at("east", "west")
        await until_answered(client, {b"e1", b"w1"})
        await stage.add("e2", "east")
        await until_answered(client, {b"e1", b"e2", b"w1"})
        await stage.sites["east"].ask(api.UNEXPOSE, spec_of(stage.instances["e1"]))
        await until_answered(client, {b"e2", b"w1"})
        stage.sites["west"].scope.cancel()
        await stage.served_at("east")
        await until_answered(client, {b"e2"})


async def until_answered(client, names):
    """Send again and again until exactly these answer."""
    with trio.fail_after(2 * PATIENCE):
        while True:
            await drain(client)
            await client.send(b"again")
            heard = set()
            with trio.move_on_after(0.3):
                while True:
                    heard.add(await client.recv(65536))
            if heard == names:
                return


async def drain(client):
    with contextlib.suppress(BlockingIOError):
        while True:
            client._sock.recv(65536)


def spec_of(instance):
    return ConnectorSpec("news:7", "udp", f"127.0.0.1:{instance.sock.getsockname()[1]}")


async def test_a_datagram_sent_while_the_tree_is_laid_anew_is_not_lost():
    """What a member that stays gets is whole, though others come."""
    async with scene(("e1", "east")) as stage:
        client = await udp_socket(stage.port)
        await client.send(b"0")
        await replies(client, 1)
        sent = [b"0"]

        async def send_all():
            for number in range(1, 200):
                sent.append(b"%d" % number)
                await client.send(sent[-1])
                await trio.sleep(0.002)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_all)
            await stage.add("w1", "west")
            await stage.add("h1", "hub")
        heard = stage.instances["e1"].heard
        await wait_until(lambda: len(heard) >= len(sent), "all have come")
        # The last of the old tree may come after the first of the new one.
        assert sorted(heard, key=int) == sent


async def test_a_tree_that_has_lost_a_branch_is_laid_anew():
    async with scene(("e1", "east"), ("w1", "west")) as stage:
        client = await udp_socket(stage.port)
        await client.send(b"1")
        await replies(client, 2)
        hub = stage.sites["hub"].router
        channels = [each for held in hub.data.channels.table._by_neighbor.values() for each in held]
        senders = [
            each for each in channels if isinstance(getattr(each, "user", None), BranchSender)
        ]
        assert len(senders) == 2
        senders[0].fail("a test")
        await until_answered(client, {b"e1", b"w1"})


async def test_who_has_left_has_no_key_to_what_follows():
    async with scene(("e1", "east"), ("w1", "west")) as stage:
        client = await udp_socket(stage.port)
        await client.send(b"1")
        await replies(client, 2)
        (source,) = stage.sites["source"].router.data.ingress.sources._sources.values()
        before = source._current._key
        await stage.sites["west"].ask(
            api.UNEXPOSE,
            spec_of(stage.instances["w1"]),
        )
        await stage.served_at("east")
        await until_answered(client, {b"e1"})
        assert source._current._key != before
        assert source._current.sites == {"east"}


async def test_transit_sees_no_plaintext(monkeypatch):
    seen = []
    async with scene(("e1", "east"), ("w1", "west")) as stage:
        send = Replicator.send

        def note(self, datagram):
            seen.append(datagram)
            send(self, datagram)

        monkeypatch.setattr(Replicator, "send", note)
        client = await udp_socket(stage.port)
        await client.send(b"a secret that is long enough")
        await replies(client, 2)
        assert len(seen) >= 2
        assert not any(b"secret" in each for each in seen)


async def test_what_is_not_genuine_is_dropped_and_counted():
    async with scene(("e1", "east")) as stage:
        client = await udp_socket(stage.port)
        await client.send(b"1")
        await replies(client, 1)
        members = stage.sites["east"].router.data.egress.members
        ((group, found),) = members._groups.items()
        generation = max(found.memberships)
        for forged in (b"", bytes(20), bytes(100)):
            members.receive(group, generation, forged)
        members.receive(group, generation + 1, bytes(100))
        members.receive(bytes(16), 1, bytes(100))
        assert stage.sites["east"].router.flows.dropped_datagrams[DropCause.NOT_GENUINE] == 4
        assert stage.heard() == {"e1": [b"1"]}


@pytest.mark.slow("waits for idle sessions")
async def test_sessions_end_when_idle_and_groups_after_them():
    limits = attrs.evolve(FAST, group_lifetime=0.1, group_look_interval=0.05)
    # Longer than a busy machine takes to lay the first tree.
    async with scene(*FOUR, limits=limits, idle=1.0) as stage:
        client = await udp_socket(stage.port)
        await client.send(b"1")
        await replies(client, 4)
        sites = [stage.sites[name] for name in ("source", "hub", "west", "east")]
        for site in sites:
            flows = site.router.flows
            await wait_until(partial(is_empty, flows), "every session has ended")
            members = site.router.data.egress.members
            await wait_until(partial(is_idle, members), "its sockets are closed")
            await wait_until(partial(has_no_branch, site), "no branch is left")
        for site in sites[:2]:
            for to in sites:
                pool = site.router.data.channels.bundles.pool(to.name)
                await wait_until(partial(is_unused, pool), "nothing is left on a bundle")
        await client.send(b"2")
        assert await replies(client, 4) == [b"e1", b"h1", b"w1", b"w2"]


def is_unused(pool):
    return not pool.flows


def has_no_branch(site):
    return not site.router.data.forwarding.branches.count


def is_idle(members):
    return not members.sockets and not members._groups


async def test_a_dead_instance_harms_no_other():
    async with scene(("e1", "east"), ("e2", "east"), ("w1", "west")) as stage:
        client = await udp_socket(stage.port)
        await client.send(b"1")
        await replies(client, 3)
        stage.instances["e2"].sock.close()
        for number in range(2, 12):
            await client.send(b"%d" % number)
            assert await replies(client, 2) == [b"e1", b"w1"]
        east = stage.sites["east"].router
        found = east.data.egress.targets.find("udp", Address.parse("news:7"))
        assert not all(each.is_ready for each in found)
