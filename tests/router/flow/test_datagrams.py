"""UDP is carried whole, datagram by datagram, wherever the client and its target are."""

import contextlib
import random
import resource
import socket
from functools import partial

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import Site, network, wait_until
from lab.ports import free_port
from tests.router.conftest import PLACEMENTS
from tests.router.ends import Nobody, two_ends
from van.control import endpoints as api
from van.errors import AlreadyExists, PortInUse
from van.router.bundles import bundle
from van.router.flow.datagram_socket import DatagramTarget
from van.router.flow.datagrams import MAX_KEPT, MAX_UNSENT, DatagramQueue, DatagramSender
from van.router.flow.drops import DropCause, Drops
from van.router.ingress.session import Session
from van.router.reactor.sockets import limit_unsent
from van.wire.channel import Kind

PATIENCE = 10.0
SIZES = (0, 1, 1500, 65507)


OPENED: list[socket.socket] = []


@pytest.fixture(autouse=True)
def sockets_are_closed():
    yield
    while OPENED:
        OPENED.pop().close()


async def udp_socket(port=None):
    """Return a socket of loopback, connected to a port if there is one."""
    bare = socket.socket(type=socket.SOCK_DGRAM)
    OPENED.append(bare)
    bare.setblocking(False)
    sock = trio.socket.from_stdlib_socket(bare)
    await sock.bind(("127.0.0.1", 0))
    if port is not None:
        await sock.connect(("127.0.0.1", port))
    return sock


async def ask(sock, data):
    """Send a datagram, and return the next one that comes."""
    with trio.fail_after(PATIENCE):
        await sock.send(data)
        return await sock.recv(65536)


async def echo(sock):
    while True:
        data, address = await sock.recvfrom(65536)
        await sock.sendto(data, address)


async def lose(sock):
    """Take everything, and answer nothing."""
    while True:
        await sock.recvfrom(65536)


def saying(name):
    """Return a target that answers with its name."""

    async def serve(sock):
        while True:
            _, address = await sock.recvfrom(65536)
            await sock.sendto(name, address)

    return serve


@attrs.frozen
class Passage:
    ingress: Site
    egress: Site
    port: int
    target: trio.socket.SocketType

    async def client(self):
        return await udp_socket(self.port)

    @property
    def drops(self):
        return self.ingress.router.flows.dropped_datagrams


@contextlib.asynccontextmanager
async def passage(placement="neighbor", serve=echo, *, limits=FAST, **options):
    names = PLACEMENTS[placement]
    async with trio.open_nursery() as nursery, network(limits) as net:
        sites = await net.line(*names)
        if placement != "dialled-by-the-egress":
            sites.reverse()
        target = await udp_socket()
        nursery.start_soon(serve_until_closed, serve, target)
        await sites[-1].expose("target:7", target.getsockname()[1], protocol="udp")
        port = await sites[0].reach("target:7", protocol="udp", **options)
        yield Passage(sites[0], sites[-1], port, target)
        nursery.cancel_scope.cancel()


@pytest.fixture
def many_descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(16384, before[1]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def is_empty(flows):
    return not len(flows)


async def nothing_left(*sites):
    for site in sites:
        flows = site.router.flows
        await wait_until(partial(is_empty, flows), "every session has ended")
    for site in sites[1:]:
        there = partial(all_back, sites[0], site.name)
        await wait_until(there, f"the channels to {site.name} are back")


def all_back(ingress, site):
    """Tell whether no channel is in use but those that are bundles, and no flow is on these."""
    channels = ingress.router.data.channels
    bundles = channels.bundles.pool(site)
    return not bundles.flows and channels.pools.pool(site).in_use == bundles.size


async def test_a_datagram_of_any_size_comes_back_as_it_was_sent(placement, make_direction):
    async with passage(placement) as way:
        client = await way.client()
        for size in (*SIZES, *SIZES):
            data = bytes(index % 251 for index in range(size))
            assert await ask(client, data) == data, size
        assert not +way.drops


async def test_datagrams_that_are_sent_together_stay_apart(placement):
    async with passage(placement) as way:
        client = await way.client()
        sent = [bytes([number]) * (number * 7 % 60) for number in range(24)]
        for data in sent:
            await client.send(data)
        with trio.fail_after(PATIENCE):
            assert [await client.recv(65536) for _ in sent] == sent


async def test_clients_hear_what_is_meant_for_them_alone(placement):
    async with passage(placement) as way:
        clients = [await way.client() for _ in range(8)]
        for round_ in range(5):
            for number, client in enumerate(clients):
                await client.send(b"%d.%d" % (round_, number))
        for number, client in enumerate(clients):
            with trio.fail_after(PATIENCE):
                got = [await client.recv(100) for _ in range(5)]
            assert got == [b"%d.%d" % (round_, number) for round_ in range(5)]
        assert len(way.ingress.router.flows) == len(clients)


async def test_a_reply_comes_from_where_the_client_had_sent_to(placement):
    async with passage(placement) as way:
        client = await udp_socket()
        await client.sendto(b"x", ("127.0.0.1", way.port))
        with trio.fail_after(PATIENCE):
            assert await client.recvfrom(10) == (b"x", ("127.0.0.1", way.port))


async def test_a_target_may_say_more_than_it_is_asked(placement):
    async def talk(sock):
        _, address = await sock.recvfrom(100)
        for number in range(10):
            await sock.sendto(b"%d" % number, address)

    async with passage(placement, talk) as way:
        client = await way.client()
        await client.send(b"subscribe")
        with trio.fail_after(PATIENCE):
            assert [await client.recv(100) for _ in range(10)] == [b"%d" % n for n in range(10)]


@pytest.mark.slow("outlives its idle time twice")
async def test_a_session_without_traffic_ends_and_its_channel_is_used_again(placement):
    # A busy machine may take longer for the way there and back than few tenths of a second.
    async with passage(placement, idle=1.0) as way:
        client = await way.client()
        for _ in range(2):
            assert await ask(client, b"x") == b"x"
            flows = way.ingress.router.flows
            assert [each.protocol for each in flows.statuses(9)] == ["udp"]
            await nothing_left(way.ingress, way.egress)
        if way.ingress is not way.egress:
            assert way.egress.router.flows.opened == 2
        assert not way.ingress.router.flows.reset
        assert way.ingress.router.data.ingress.listeners[0].flows == 0


@pytest.mark.slow("outlives its idle time more than twice")
async def test_a_session_with_traffic_stays():
    async with passage(idle=1.0) as way:
        client = await way.client()
        for _ in range(10):
            assert await ask(client, b"x") == b"x"
            await trio.sleep(0.25)
        assert way.egress.router.flows.opened == 1


@pytest.mark.slow("outlives its idle time twice")
@pytest.mark.parametrize("placement", ["local", "neighbor"])
async def test_a_session_whose_target_alone_goes_on_stays(placement):
    async def go_on(sock):
        _, address = await sock.recvfrom(65536)
        while True:
            await sock.sendto(b"more", address)
            await trio.sleep(0.1)

    async with passage(placement, serve=go_on, idle=0.5) as way:
        client = await way.client()
        await client.send(b"x")
        with trio.move_on_after(1.2):
            while True:
                assert await client.recv(100) == b"more"
        assert way.ingress.router.flows.opened == len(way.ingress.router.flows) == 1


async def test_a_client_may_go_on_while_its_last_session_is_cleared_away():
    async with passage() as way:
        client = await way.client()
        for _ in range(20):
            assert await ask(client, b"x") == b"x"
            (flow,) = way.ingress.router.flows._live
            flow.carrying.end()
            assert await ask(client, b"y") == b"y"
            await wait_until(lambda: len(way.ingress.router.flows) == 1, "one session is left")


async def test_a_bundle_keeps_little_unsent():
    async with passage(idle=0.3) as way:
        client = await way.client()
        assert await ask(client, b"x") == b"x"
        socks = []
        for site in (way.ingress, way.egress):
            (flow,) = site.router.flows._live
            session = flow.carrying
            carrier = session.path.channel if site is way.ingress else session.channel
            socks.append(carrier.bundle.channel._tls.sock)
        option = (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
        assert [each.getsockopt(*option) for each in socks] == [bundle.MAX_UNSENT] * 2


async def test_what_the_kernel_had_no_room_for_at_a_listener_is_counted():
    async with passage(serve=lose) as way:
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", way.port))
            for _ in range(3000):  # the router has no turn meanwhile
                client.send(bytes(1000))
        await wait_until(lambda: way.drops[DropCause.SOCKET_FULL], "it is counted")
        carried = way.ingress.router.flows.statuses(1)[0].bytes_in // 1000
        await wait_until(
            lambda: way.ingress.router.flows.statuses(1)[0].bytes_in // 1000 == carried, "all read"
        )
        assert way.drops[DropCause.SOCKET_FULL] == 3000 - carried


@pytest.mark.parametrize("placement", ["local", "neighbor"])
async def test_a_request_that_was_lost_does_not_make_a_target_look_slow(placement):
    async with passage(placement, serve=lose) as way:
        client = await way.client()
        await client.send(b"lost")
        (connector,) = way.egress.router.data.egress.targets.connectors
        (instance,) = connector.instances
        await wait_until(lambda: instance.backlog._waiting, "it is waited for")
        await wait_until(lambda: not instance.backlog._waiting, "it is waited for no more")
        assert len(way.egress.router.flows) == 1


async def test_a_channel_serves_tcp_again_after_a_session():
    async def serve(stream):
        async with stream:
            async for data in stream:
                await stream.send_all(data)

    async with passage(idle=0.2) as way, trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        await way.egress.expose("tcp:7", listeners[0].socket.getsockname()[1])
        port = await way.ingress.reach("tcp:7")
        client = await way.client()
        for _ in range(2):
            assert await ask(client, b"x") == b"x"
            await nothing_left(way.ingress, way.egress)
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(b"y")
                assert await stream.receive_some(1) == b"y"
            await nothing_left(way.ingress, way.egress)
        nursery.cancel_scope.cancel()


# -- instances -------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def two_instances(**options):
    """Lend the port at the hub of an address that west and east serve, and their targets."""
    async with trio.open_nursery() as nursery, network() as net:
        west, hub, east = await net.line("west", "hub", "east")
        targets = {}
        for site in (west, east):
            targets[site.name] = sock = await udp_socket()
            nursery.start_soon(serve_until_closed, saying(site.name.encode()), sock)
            await site.expose("target:7", sock.getsockname()[1], protocol="udp", **options)
        port = await hub.reach("target:7", protocol="udp")
        services = hub.router.routes.fib
        await wait_until(
            lambda: len(hub.router.routes.fib.services["udp", "target:7"]) == 2, "both are known"
        )
        assert services is not None
        yield net, port, targets
        nursery.cancel_scope.cancel()


async def serve_until_closed(serve, sock):
    with contextlib.suppress(trio.ClosedResourceError):
        await serve(sock)


async def test_a_session_stays_with_its_instance():
    async with two_instances() as (_, port, _targets):
        for _ in range(6):
            client = await udp_socket(port)
            first = await ask(client, b"who")
            assert {await ask(client, b"who") for _ in range(10)} == {first}


async def test_new_sessions_go_to_all_instances():
    async with two_instances() as (_, port, _targets):
        clients = [await udp_socket(port) for _ in range(20)]
        assert {await ask(client, b"who") for client in clients} == {b"west", b"east"}


async def test_a_session_whose_target_dies_goes_to_another_with_the_next_datagram():
    async with two_instances() as (_, port, targets):
        client = await udp_socket(port)
        first = await ask(client, b"who")
        targets[first.decode()].close()
        await client.send(b"into the void")  # which is how it shows that nobody is there
        await trio.sleep(0.3)
        assert await ask(client, b"who") in {b"west", b"east"} - {first}


async def test_a_session_whose_site_dies_goes_to_another_with_the_next_datagram():
    async with two_instances() as (net, port, _targets):
        client = await udp_socket(port)
        first = await ask(client, b"who")
        site = net.sites[first.decode()]
        site.router.data.channels.table.abort("hub", "a test")
        site.scope.cancel()
        await trio.sleep(0.3)
        assert await ask(client, b"who") in {b"west", b"east"} - {first}


async def test_the_first_datagram_is_offered_to_another_when_no_target_is_there():
    async with two_instances() as (net, port, targets):
        targets["west"].close()
        for _ in range(5):
            client = await udp_socket(port)
            assert await ask(client, b"who") == b"east"
        assert net.sites["west"].router.flows.refused


async def test_an_instance_at_the_same_site_that_is_not_there_is_passed_over():
    async with two_instances() as (net, port, _):
        hub = net.sites["hub"]
        await hub.expose("target:7", free_port(is_udp=True), protocol="udp", precedence=200)
        await wait_until(
            lambda: "hub" in hub.router.routes.fib.services["udp", "target:7"], "it is known"
        )
        client = await udp_socket(port)
        assert await ask(client, b"who") in {b"west", b"east"}


async def test_nobody_there_is_counted_and_told_by_the_status():
    async with passage() as way:
        way.target.close()
        client = await way.client()
        with contextlib.suppress(OSError):
            for _ in range(3):
                await client.send(b"x")
        await wait_until(lambda: way.ingress.router.flows.refused, "it is refused")
        assert way.drops[DropCause.NO_INSTANCE] >= 1
        await nothing_left(way.ingress, way.egress)


# -- many ------------------------------------------------------------------------------------------


@pytest.mark.slow("each session is a client with a socket of its own")
@pytest.mark.scale
async def test_a_thousand_sessions_live_at_once(many_descriptors):
    async with passage(limits=attrs.evolve(FAST, answered_idle=60.0)) as way:
        clients = [await way.client() for _ in range(1000)]
        # No more at one time than the kernel keeps for the target.
        limit = trio.CapacityLimiter(100)
        for text in (b"once", b"again"):
            async with trio.open_nursery() as nursery:
                for client in clients:
                    nursery.start_soon(ask_in_turn, limit, client, text)
            assert len(way.ingress.router.flows) == 1000
        assert not +way.drops
        assert way.egress.router.flows.opened == 1000


async def ask_in_turn(limit, client, data):
    async with limit:
        assert await ask(client, data) == data


@pytest.mark.slow("more clients than there may be")
async def test_a_flood_of_clients_is_bounded_and_counted_and_harms_no_other():
    limits = attrs.evolve(FAST, max_port_sessions=50, answer_timeout=60.0)
    async with passage(serve=lose, limits=limits) as way, trio.open_nursery() as nursery:
        target = await udp_socket()
        nursery.start_soon(serve_until_closed, echo, target)
        await way.egress.expose("other:7", target.getsockname()[1], protocol="udp")
        other = await udp_socket(await way.ingress.reach("other:7", protocol="udp"))
        assert await ask(other, b"before") == b"before"
        with contextlib.ExitStack() as stack:
            for number in range(1000):
                sock = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
                sock.sendto(b"%d" % number, ("127.0.0.1", way.port))
                if number % 100 == 0:
                    assert await ask(other, b"meanwhile") == b"meanwhile"
                assert len(way.ingress.router.flows) <= 51
            await trio.sleep(0.1)
            assert way.drops[DropCause.TOO_MANY_SESSIONS] >= 800
            assert await ask(other, b"after") == b"after"
            fresh = await udp_socket(other.getpeername()[1])
            assert await ask(fresh, b"a new one") == b"a new one"
        nursery.cancel_scope.cancel()


async def test_answered_sessions_make_way_for_new_clients_and_conversations_stay():
    async with passage(limits=attrs.evolve(FAST, max_port_sessions=10)) as way:
        busy = await way.client()
        for _ in range(30):
            assert await ask(await way.client(), b"x") == b"x"
            assert await ask(busy, b"x") == b"x"
            assert len(way.ingress.router.data.ingress._context.sessions) <= 10
        assert not +way.drops
        assert len(way.ingress.router.flows) <= 11
        assert way.ingress.router.flows.opened == 31


async def test_a_question_and_its_answer_are_soon_over_and_a_conversation_is_not():
    async with passage(limits=attrs.evolve(FAST, answered_idle=0.1)) as way:
        talking, once = await way.client(), await way.client()
        for _ in range(2):
            assert await ask(talking, b"x") == b"x"
        assert await ask(once, b"x") == b"x"
        flows = way.ingress.router.flows
        await wait_until(lambda: len(flows) == 1, "the session that asked once is over")
        (left,) = flows.statuses(9)
        assert left.local == f"127.0.0.1:{talking.getsockname()[1]}"


async def test_what_waits_for_an_instance_is_bounded_and_the_newest_is_kept(monkeypatch):
    async with passage() as way:
        pool = way.ingress.router.data.channels.pools.pool(way.egress.name)
        monkeypatch.setattr(type(pool), "shortage", 0)
        await wait_until(lambda: not pool.growing, "no channel is being made")
        taken = [pool.take() for _ in range(pool.size)]
        may_go_on = trio.Event()
        acquire = type(pool).acquire

        async def wait_first(self, *patience):
            await may_go_on.wait()
            return await acquire(self, *patience)

        monkeypatch.setattr(type(pool), "acquire", wait_first)
        client = await way.client()
        for number in range(100):
            await client.send(b"%d" % number)
            await trio.sleep(0)
        await wait_until(lambda: way.drops[DropCause.NOT_PLACED] == 100 - MAX_KEPT, "it is counted")
        monkeypatch.undo()
        pool.check()
        may_go_on.set()
        with trio.fail_after(PATIENCE):
            got = [await client.recv(100) for _ in range(MAX_KEPT)]
        assert got == [b"%d" % number for number in range(100 - MAX_KEPT, 100)]
        for channel in taken:
            pool.release(channel)


async def test_a_channel_that_is_blocked_gets_the_newest_later():
    async with two_ends() as ends:
        channel = await ends.channel()
        drops = Drops()
        sender = DatagramSender(channel, drops)
        user = Nobody()
        user.channel_writable = sender.channel_writable  # type: ignore[method-assign]
        channel.user = user
        count = 0
        while not channel.is_blocked:
            send(sender, count, 1000)
            count += 1
        last = count + 100
        for number in range(count, last):
            send(sender, number, 1000)
        assert drops == {DropCause.PATH_BLOCKED: 100 - MAX_KEPT}
        got = await read_numbers(ends.far[0], until=last - 1)
        assert got == [*range(count), *range(last - MAX_KEPT, last)]
        channel.close()


def test_the_kernel_keeps_little_that_was_not_sent_when_it_is_told_so():
    taken = []
    for limit in (0, MAX_UNSENT, 0):
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with socket.create_connection(server.getsockname()) as near, server.accept()[0]:
                near.setblocking(False)
                limit_unsent(near, MAX_UNSENT)
                limit_unsent(near, limit)
                count = 0
                with contextlib.suppress(BlockingIOError):
                    while True:
                        count += near.send(bytes(1000))
                taken.append(count)
    assert taken[1] < 4 * MAX_UNSENT
    assert min(taken[0], taken[2]) > 4 * taken[1]


def send(sender, number, size):
    sender.send(number.to_bytes(4, "big") + bytes(size - 4))


async def read_numbers(tls, *, until):
    from van.router.reactor import tls_io
    from van.wire.framing import FrameReader

    reader = FrameReader(max_payload=70_000)
    got: list[int] = []
    with trio.fail_after(PATIENCE):
        while not got or got[-1] != until:
            reader.receive_data(await tls_io.receive_some(tls))
            while (frame := reader.next_frame()) is not None:
                assert frame[0] == Kind.DATAGRAM
                got.append(int.from_bytes(frame[1][:4], "big"))
    return got


def test_a_queue_is_bounded_by_number_and_by_size():
    queue = DatagramQueue()
    assert not any(queue.add(b"%d" % number) for number in range(MAX_KEPT))
    assert queue.add(b"one more") == 1
    assert next(iter(queue)) == b"1"
    while len(queue) > 1:
        queue.take()
    assert queue.take() == b"one more"
    assert not queue.add(bytes(65507))
    assert queue.add(bytes(65507)) == 1
    assert len(queue) == 1
    assert queue.clear() == 1
    assert not queue.clear()


async def test_a_datagram_that_a_socket_does_not_take_is_dropped_and_counted():
    async with two_ends() as ends:
        here, there = socket.socketpair(type=socket.SOCK_DGRAM)
        here.setblocking(False)
        drops = Drops()
        failures: list[str] = []
        target = DatagramTarget(
            ends.loop, here, drops, on_datagram=print, on_failure=failures.append
        )
        for _ in range(1000):
            target.send(bytes(1000))
        assert drops[DropCause.LOCAL_BLOCKED] > 0
        target.send(bytes(1 << 22))
        assert drops[DropCause.TOO_LARGE] == 1
        assert not failures
        there.close()
        target.send(b"x")
        assert failures == ["connection refused"]
        target.close()


@pytest.mark.parametrize("is_cut", [True, False])
async def test_a_burst_reaches_an_instance_as_the_datagrams_that_it_is(is_cut):
    async with two_ends() as ends:
        here, there = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
        with here, there:
            there.bind(("127.0.0.1", 0))
            here.setblocking(False)
            here.connect(there.getsockname())
            if not is_cut:  # without checksums, Linux cuts no piece
                here.setsockopt(socket.SOL_SOCKET, 11, 1)
            target = DatagramTarget(
                ends.loop, here, Drops(), on_datagram=print, on_failure=pytest.fail
            )
            burst = [b"%03d" % number for number in range(20)]
            target.send_burst([memoryview(each) for each in burst])
            there.settimeout(PATIENCE)
            assert [there.recv(100) for _ in burst] == burst
            target.close()


@pytest.mark.parametrize("placement", ["neighbor", "transit"])
async def test_what_comes_in_bursts_comes_back_as_it_was_sent(placement):
    rng = random.Random(placement)
    async with passage(placement) as way:
        client = await way.client()
        assert await ask(client, b"x") == b"x"
        for number in range(40):
            sent = [
                b"%d.%d" % (number, place) + bytes(rng.choice((0, 0, 0, 7, 1500)))
                for place in range(20)
            ]
            for each in sent:
                await client.send(each)
            with trio.fail_after(PATIENCE):
                assert [await client.recv(2000) for _ in sent] == sent
        assert not +way.drops


# -- ports -----------------------------------------------------------------------------------------


async def test_a_port_that_is_in_use_is_told_at_once():
    async with passage() as way:
        with socket.socket(type=socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            with pytest.raises(PortInUse, match="ss -lunp"):
                await bind_at(way.ingress, "target:7", other.getsockname()[1])
        with pytest.raises(AlreadyExists):
            await bind_at(way.ingress, "other:7", way.port)


async def test_the_same_port_of_tcp_and_udp_can_be_bound():
    async with passage() as way:
        await bind_at(way.ingress, "target:7", way.port, protocol="tcp")
        client = await way.client()
        assert await ask(client, b"x") == b"x"


async def bind_at(site, address, port, protocol="udp"):
    from van.control.values.attachments import ListenerSpec

    spec = ListenerSpec(address=address, listen=f"127.0.0.1:{port}", protocol=protocol)
    return await site.ask(api.BIND, spec)


async def test_a_port_is_open_only_while_something_serves_the_address():
    async with passage() as way:
        listener = way.ingress.router.data.ingress.listeners[0]
        client = await way.client()
        assert await ask(client, b"x") == b"x"
        (connector,) = way.egress.router.data.egress.targets.connectors
        way.egress.router.data.egress.targets.remove(connector)
        way.egress.router.data.attachments.advertising.advertise()
        await wait_until(lambda: listener.status().state == "waiting", "the port is closed")
        await nothing_left(way.ingress, way.egress)
        await client.send(b"x")
        with pytest.raises(OSError, match="refused"):
            await client.send(b"x")
        await way.egress.expose("target:7", way.target.getsockname()[1], protocol="udp")
        await wait_until(lambda: listener.status().state == "open", "the port is open again")
        assert await ask(client, b"x") == b"x"


async def test_a_listener_that_is_removed_ends_its_sessions():
    async with passage() as way:
        client = await way.client()
        assert await ask(client, b"x") == b"x"
        ingress = way.ingress.router.data.ingress
        ingress.remove(ingress.listeners[0])
        await nothing_left(way.ingress, way.egress)


async def test_a_defect_that_one_session_meets_ends_that_session_alone(monkeypatch, caplog):
    async with passage() as way:
        client, other = await way.client(), await way.client()
        assert await ask(other, b"x") == b"x"
        send = Session.send

        def fail(session, datagram):
            if session.flow.local.endswith(f":{client.getsockname()[1]}"):
                raise ZeroDivisionError
            send(session, datagram)

        monkeypatch.setattr(Session, "send", fail)
        await client.send(b"x")
        assert await ask(other, b"y") == b"y"
        await wait_until(lambda: "ZeroDivisionError" in caplog.text, "it is logged")
        monkeypatch.undo()
        assert await ask(client, b"z") == b"z"
        assert len(way.ingress.router.flows) == 2


async def test_programs_that_only_send_do_not_make_an_instance_look_overdue():
    limits = attrs.evolve(FAST, answer_timeout=0.5)  # it has to be seen waiting before
    async with passage(serve=lose, limits=limits) as way:
        client = await way.client()
        await client.send(b"x")
        balancer = way.ingress.router.data.ingress.ranking.balancer
        await wait_until(lambda: balancer.outstanding(("udp", "target:7")), "it is placed")
        (state,) = balancer._states["udp", "target:7"].values()
        await wait_until(lambda: state.unanswered, "its answer is waited for")
        await wait_until(lambda: not state.unanswered, "nobody waits for an answer")
        assert state.outstanding == 1
