"""Requests of HTTP go each to an instance of its own choice, over connections that are kept."""

from collections import Counter

import h11
import pytest
import trio

from lab.network import network, wait_until
from tests.router.conftest import PLACEMENTS

ADDRESS = "api:8080"


class Server:
    """A server of HTTP/1.1, by h11, that keeps what it is asked and says who it is."""

    def __init__(self, name="only", takes=0.0):
        self.name = name
        self.takes = takes
        self.requests = []
        self.connections = 0
        self.closes_after = None

    async def serve(self, stream):
        connection = h11.Connection(h11.SERVER)
        self.connections += 1
        async with stream:
            while True:
                request, body = await self._request(stream, connection)
                if request is None:
                    return
                self.requests.append((request, body))
                await self._answer(stream, connection, request, body)
                if connection.our_state is h11.MUST_CLOSE:
                    return
                connection.start_next_cycle()

    async def _request(self, stream, connection):
        request, body = None, b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                try:
                    connection.receive_data(await stream.receive_some(65536))
                except trio.BrokenResourceError:
                    return None, b""
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return request, body
            else:
                return None, b""

    async def _answer(self, stream, connection, request, body):
        await trio.sleep(self.takes)
        text = body or self.name.encode()
        headers = [("content-length", str(len(text))), ("server", self.name)]
        out = connection.send(h11.Response(status_code=200, headers=headers))
        if request.method != b"HEAD":
            out += connection.send(h11.Data(data=text))
        await stream.send_all(out + connection.send(h11.EndOfMessage()))

    async def start(self, nursery):
        listeners = await nursery.start(trio.serve_tcp, self.serve, 0)
        return listeners[0].socket.getsockname()[1]


class Client:
    """A client of HTTP/1.1, by h11, on one connection."""

    def __init__(self, stream):
        self.stream = stream
        self.connection = h11.Connection(h11.CLIENT)

    @classmethod
    async def connect(cls, port):
        return cls(await trio.open_tcp_stream("127.0.0.1", port))

    async def ask(self, method="GET", target="/", body=b"", **headers):
        head = [("host", "api"), *((k.replace("_", "-"), v) for k, v in headers.items())]
        if body:
            head.append(("content-length", str(len(body))))
        out = self.connection.send(h11.Request(method=method, target=target, headers=head))
        if body:
            out += self.connection.send(h11.Data(data=body))
        await self.stream.send_all(out + self.connection.send(h11.EndOfMessage()))
        return await self.answer()

    async def answer(self):
        response, body = None, b""
        while True:
            event = self.connection.next_event()
            if event is h11.NEED_DATA:
                self.connection.receive_data(await self.stream.receive_some(65536))
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                if self.connection.our_state is h11.DONE:
                    self.connection.start_next_cycle()
                return response, body
            elif isinstance(event, h11.ConnectionClosed):
                raise AssertionError("the connection was closed amid an answer")


@pytest.fixture(params=list(PLACEMENTS.values()), ids=list(PLACEMENTS))
def names(request):
    return request.param


async def test_requests_and_answers_pass_on_a_connection_that_is_kept(names):
    async with network() as net, trio.open_nursery() as nursery:
        sites = await net.line(*names)
        server = Server()
        await sites[-1].expose(ADDRESS, await server.start(nursery), protocol="http")
        port = await sites[0].reach(ADDRESS, protocol="http")
        client = await Client.connect(port)
        for number in range(5):
            response, body = await client.ask(target=f"/{number}")
            assert (response.status_code, body) == (200, b"only")
        response, body = await client.ask("POST", body=b"x" * 300_000)
        assert (response.status_code, len(body)) == (200, 300_000)
        response, body = await client.ask("HEAD")
        assert (response.status_code, body) == (200, b"")
        fields = dict(server.requests[0][0].headers)
        assert fields[b"forwarded"] == b"for=_%s" % names[0].encode()
        assert fields[b"via"] == b"1.1 van"
        assert fields[b"x-request-id"]
        assert dict(response.headers)[b"via"] == b"1.1 van"
        await wait_until(lambda: not len(sites[-1].router.flows), "no exchange is left")
        await wait_until(lambda: not len(sites[0].router.flows), "no exchange is left")
        assert sites[0].router.flows.opened == 7
        await client.stream.aclose()
        nursery.cancel_scope.cancel()


async def test_each_request_of_a_connection_goes_where_it_is_answered_soonest():
    async with network() as net, trio.open_nursery() as nursery:
        west, hub, east = await net.line("west", "hub", "east")
        for site in (hub, east):
            server = Server(site.name, takes=0.01)
            await site.expose(ADDRESS, await server.start(nursery), protocol="http", join=True)
        port = await west.reach(ADDRESS, protocol="http")
        await wait_until(
            lambda: len(west.router.routes.fib.services.get(("http", ADDRESS), ())) == 2, "both"
        )
        found: Counter[bytes] = Counter()

        async def ask_often():
            client = await Client.connect(port)
            for _ in range(5):
                found[(await client.ask())[1]] += 1
            await client.stream.aclose()

        async with trio.open_nursery() as clients:
            for _ in range(10):
                clients.start_soon(ask_often)
        assert set(found) == {b"hub", b"east"}
        assert min(found.values()) >= 10
        nursery.cancel_scope.cancel()
