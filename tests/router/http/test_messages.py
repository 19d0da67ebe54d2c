"""What passes of HTTP/1 between a client and a target, byte by byte, and what is refused."""

import contextlib

import pytest
import trio

from lab.network import network, wait_until
from lab.ports import free_port
from tests.router.conftest import PLACEMENTS
from van.router.ingress import http_session, http_sessions
from van.wire.lsa import Distribution

ADDRESS = "api:8080"
PATIENCE = 5.0


class Scripted:
    """A target that hands each connection to a coroutine, and counts them."""

    def __init__(self, play):
        self.play = play
        self.connections = 0
        self.heard = []
        self.clients = []

    async def client(self, port):
        """Return a client's connection, which is closed in the end."""
        self.clients.append(await trio.open_tcp_stream("127.0.0.1", port))
        return self.clients[-1]

    async def serve(self, stream):
        number = self.connections
        self.connections += 1
        self.heard.append(b"")
        async with stream:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self.play(self, stream, number)

    async def hear(self, stream, number, until=b"\r\n\r\n"):
        """Read until something has come; return all that has, and forget it."""
        while until not in self.heard[number]:
            data = await stream.receive_some(65536)
            if not data:
                raise trio.ClosedResourceError
            self.heard[number] += data
        heard, self.heard[number] = self.heard[number], b""
        return heard

    async def start(self, nursery):
        listeners = await nursery.start(trio.serve_tcp, self.serve, 0)
        return listeners[0].socket.getsockname()[1]


@contextlib.asynccontextmanager
async def scene(play, names=("west", "east")):
    """Lend a target that is looked at no more, and a port that leads to it."""
    async with network() as net, trio.open_nursery() as nursery:
        sites = await net.line(*names)
        target = Scripted(play)
        await sites[-1].expose(ADDRESS, await target.start(nursery), protocol="http")
        port = await sites[0].reach(ADDRESS, protocol="http")
        await wait_until(lambda: target.connections, "it has been looked at")
        target.connections, target.heard = 0, []
        with trio.fail_after(PATIENCE):
            try:
                yield target, port, sites
            finally:
                for client in target.clients:
                    client.socket.close()
        nursery.cancel_scope.cancel()


async def until(stream, end, size=0):
    """Read until something has come."""
    data = b""
    while end not in data or len(data) < size:
        more = await stream.receive_some(65536)
        assert more, f"it was closed behind {data!r}"
        data += more
    return data


async def rest(stream):
    """Read to the end."""
    with contextlib.suppress(trio.BrokenResourceError):
        return b"".join([data async for data in stream])


def answering(answer, until=b"\r\n\r\n"):
    async def play(target, stream, number):
        while True:
            target.said = await target.hear(stream, number, until)
            await stream.send_all(answer)

    return play


GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_pipelined_requests_are_answered_in_their_order():
    async def play(target, stream, number):
        while True:
            path = (await target.hear(stream, number)).split(b" ")[1]
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + path)

    async with scene(play) as (target, port, _):
        client = await target.client(port)
        await client.send_all(b"".join(GET.replace(b"/ ", b"/%d " % n) for n in range(5)))
        said = await until(client, b"/4")
        assert [part[-2:] for part in said.split(b"HTTP/1.1")[1:]] == [b"/%d" % n for n in range(5)]
        assert target.connections == 1


@pytest.mark.parametrize("names", list(PLACEMENTS.values()), ids=list(PLACEMENTS))
async def test_chunks_and_trailers_pass_both_ways(names):
    body = b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with scene(answering(head + body, b"X-Sum"), names) as (target, port, _):
        client = await target.client(port)
        await client.send_all(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body
        )
        said = await until(client, b"X-Sum: 1\r\n\r\n")
        assert said.endswith(b"\r\n\r\n" + body)
        assert target.said.endswith(b"\r\n\r\n" + body)


async def test_an_answer_that_ends_with_its_connection_is_chunked_for_the_client():
    async def play(target, stream, number):
        await target.hear(stream, number)
        await stream.send_all(b"HTTP/1.0 200 OK\r\n\r\nold")

    async with scene(play) as (target, port, _):
        client = await target.client(port)
        await client.send_all(GET)
        said = await until(client, b"0\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\n3\r\nold\r\n0\r\n\r\n" in said
        await client.send_all(GET)  # the client's connection stays
        await until(client, b"0\r\n\r\n")


async def test_a_client_of_http_1_0_has_its_connection_closed():
    async with scene(answering(OK)) as (target, port, _):
        client = await target.client(port)
        await client.send_all(b"GET / HTTP/1.0\r\n\r\n")
        assert (await rest(client)).endswith(b"\r\n\r\nok")


async def test_interim_answers_pass_and_a_body_waits_for_them():
    async def play(target, stream, number):
        await target.hear(stream, number)
        await stream.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
        await target.hear(stream, number, b"body")
        await stream.send_all(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK)

    async with scene(play) as (target, port, _):
        client = await target.client(port)
        await client.send_all(
            b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
        assert await until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send_all(b"body")
        said = await until(client, b"\r\n\r\nok")
        assert said.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("names", list(PLACEMENTS.values()), ids=list(PLACEMENTS))
async def test_bytes_pass_as_they_are_once_the_target_has_switched(names):
    async def play(target, stream, number):
        await target.hear(stream, number)
        await stream.send_all(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nhi"
        )
        async for data in stream:
            await stream.send_all(data)

    async with scene(play, names) as (target, port, sites):
        client = await target.client(port)
        await client.send_all(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
        )
        said = await until(client, b"hi")
        assert said.startswith(b"HTTP/1.1 101 ")
        for number in range(20):
            words = b"\0GET / HTTP/1.1\r\n%d" % number
            await client.send_all(words)
            assert await until(client, words) == words
        await client.send_eof()
        assert await rest(client) == b""
        await wait_until(lambda: not len(sites[0].router.flows), "nothing is left")
        await wait_until(lambda: not len(sites[-1].router.flows), "nothing is left")


async def test_an_upgrade_that_the_target_does_not_make_is_answered_as_any_request():
    async with scene(answering(OK)) as (target, port, _):
        client = await target.client(port)
        for _ in range(2):
            await client.send_all(
                b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
            )
            await until(client, b"\r\n\r\nok")
        assert b"Upgrade: echo" in target.said


async def test_an_answer_before_the_request_is_whole_is_the_last_one():
    async def play(target, stream, number):
        await target.hear(stream, number)
        await stream.send_all(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await trio.sleep_forever()

    async with scene(play) as (target, port, sites):
        client = await target.client(port)
        await client.send_all(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000)
        )
        said = await rest(client)
        assert said.startswith(b"HTTP/1.1 413 ")
        assert b"Connection: close" in said
        assert said.endswith(b"big")
        await wait_until(lambda: not len(sites[0].router.flows), "nothing is left")
        await wait_until(lambda: not len(sites[1].router.flows), "nothing is left")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (GET[:-2] + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"x" * 40_000), 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ],
    ids=["host", "hosts", "version", "both-lengths", "bare-lf", "connect", "large", "tls", "h2"],
)  # fmt: skip
async def test_what_is_no_request_is_refused_and_gets_to_no_target(said, status):
    async with scene(answering(OK)) as (target, port, _):
        client = await target.client(port)
        await client.send_all(said)
        answer = await rest(client)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert b"Content-Type: application/problem+json".lower() in answer.lower()
        assert target.connections == 0


BAD_ANSWERS = {
    "nonsense": b"hello there, this is not HTTP\r\n\r\n",
    "both-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
    "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "switched-unasked": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n"
    b"Connection: Upgrade\r\n\r\n",
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
async def test_what_is_no_answer_is_told_as_502_and_its_connection_is_not_used_again(answer):
    async with scene(answering(answer)) as (target, port, _):
        client = await target.client(port)
        for number in range(2):
            await client.send_all(GET)
            said = await until(client, b"}")
            assert said.startswith(b"HTTP/1.1 502 ")
            assert target.connections == number + 1


async def test_bytes_behind_an_answer_are_nobodys():
    async with scene(answering(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")) as (
        target,
        port,
        _,
    ):
        client = await target.client(port)
        for number in range(3):
            await client.send_all(GET)
            said = await until(client, b"\r\n\r\nok")
            assert b"evil" not in said
            assert target.connections == number + 1


async def test_a_target_that_breaks_off_in_an_answer_breaks_the_client_off():
    async def play(target, stream, number):
        await target.hear(stream, number)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")

    async with scene(play) as (target, port, sites):
        client = await target.client(port)
        await client.send_all(GET)
        await until(client, b"half")
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some(1)
        await wait_until(lambda: not len(sites[0].router.flows), "nothing is left")


async def test_a_client_that_leaves_takes_its_exchange_with_it():
    left = trio.Event()

    async def play(target, stream, number):
        await target.hear(stream, number)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        try:
            await stream.receive_some(1)
        except trio.BrokenResourceError:
            left.set()

    async with scene(play) as (target, port, sites):
        client = await target.client(port)
        await client.send_all(GET)
        await until(client, b"x")
        client.socket.setsockopt(
            trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, bytes([1] + [0] * 7)
        )
        await client.aclose()
        await left.wait()
        await wait_until(lambda: not len(sites[0].router.flows), "nothing is left")
        await wait_until(lambda: not len(sites[1].router.flows), "nothing is left")


# -- trying again ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "asked"), [("GET", 2), ("PUT", 2), ("DELETE", 2), ("POST", 1), ("PATCH", 1)]
)
async def test_what_a_target_left_unanswered_is_repeated_if_that_may_be(method, asked):
    requests = []

    async def play(target, stream, number):
        requests.append(await target.hear(stream, number))
        if len(requests) > 1:
            await stream.send_all(OK)
            await trio.sleep_forever()

    async with scene(play) as (target, port, _):
        client = await target.client(port)
        await client.send_all(
            b"%b / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" % method.encode()
        )
        said = await until(client, b"ok" if asked == 2 else b"}")
        assert said.startswith(b"HTTP/1.1 200 " if asked == 2 else b"HTTP/1.1 502 ")
        assert len(requests) == asked


async def test_a_kept_connection_that_the_target_closes_meanwhile_fails_nobody():
    async def play(target, stream, number):
        await target.hear(stream, number)
        await stream.send_all(OK)
        if number % 2:  # it takes the next request, and closes in the face of it
            await target.hear(stream, number)

    async with scene(play) as (target, port, _):
        client = await target.client(port)
        for _ in range(12):
            await client.send_all(GET)
            await until(client, b"\r\n\r\nok")
        for _ in range(4):
            await client.send_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            await until(client, b"\r\n\r\nok")


async def test_a_large_body_waits_for_a_target_that_reads_nothing():
    async def play(target, stream, number):
        await target.hear(stream, number)
        await trio.sleep_forever()

    async with scene(play) as (target, port, sites):
        client = await target.client(port)
        await client.send_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        sent = 0
        with trio.move_on_after(1):
            while True:
                await client.send_all(bytes(65536))
                sent += 65536
        assert 65536 < sent < 64 << 20
        assert len(sites[0].router.flows) == 1


# -- many at once ----------------------------------------------------------------------------------


async def test_requests_in_a_row_that_are_refused_at_once_are_each_answered():
    async with network() as net:
        west = await net.start("west")
        west.claim(ADDRESS, free_port(), protocol="http", distribution=Distribution.MULTICAST)
        port = await west.reach(ADDRESS, protocol="http")
        with trio.fail_after(PATIENCE):
            async with await trio.open_tcp_stream("127.0.0.1", port) as client:
                await client.send_all(GET * 1500)
                said = b""
                while said.count(b"HTTP/1.1 503 ") < 1500:
                    said += await client.receive_some(65536)
        assert west.router.defects.count == 0


async def test_a_request_without_an_instance_is_told_when_to_come_again():
    async with scene(answering(OK)) as (target, port, sites):
        client = await target.client(port)
        await client.send_all(GET)
        await until(client, b"ok")
        sites[1].router.data.egress.is_stopping = True
        await client.send_all(GET)
        said = await until(client, b"}")
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1\r\n" in said.lower()
        sites[1].router.data.egress.is_stopping = False


async def test_clients_that_are_silent_are_given_up(monkeypatch):
    monkeypatch.setattr(http_session, "HEAD_TIME", 0.05)
    monkeypatch.setattr(http_session, "IDLE_TIME", 0.05)
    monkeypatch.setattr(http_sessions, "LOOK_INTERVAL", 0.02)
    async with scene(answering(OK)) as (target, port, _):
        client = await target.client(port)
        assert await rest(client) == b""
        client = await target.client(port)
        await client.send_all(b"GET / HTTP/1.1\r\nHost:")
        assert (await rest(client)).startswith(b"HTTP/1.1 408 ")


async def test_the_answer_under_way_is_the_last_one_when_a_port_is_closed():
    may_answer = trio.Event()

    async def play(target, stream, number):
        await target.hear(stream, number)
        await may_answer.wait()
        await stream.send_all(OK)

    async with scene(play) as (target, port, sites):
        idle, busy = await target.client(port), await target.client(port)
        await busy.send_all(GET)
        await wait_until(lambda: target.connections, "it is asked")
        (listener,) = sites[0].router.data.ingress.listeners
        sites[0].router.data.ingress.remove(listener)
        assert await rest(idle) == b""
        may_answer.set()
        said = await rest(busy)
        assert b"Connection: close\r\n" in said
        assert said.endswith(b"ok")
