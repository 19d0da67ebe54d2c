"""Instances, sites, and links that go while requests are under way: what may be repeated does not
fail, and nothing else is sent twice."""

from collections import Counter

import pytest
import trio

from lab.network import network, wait_until
from tests.router.http.test_exchanges import ADDRESS, Client, Server

pytestmark = pytest.mark.slow("keeps clients busy while something is taken away")


class Crowd:
    """Clients that ask again and again over connections that are kept."""

    def __init__(self, port, method="GET"):
        self.port = port
        self.method = method
        self.statuses: Counter[int] = Counter()
        self.sent: Counter[str] = Counter()
        self.is_over = False

    async def run(self, size=8):
        async with trio.open_nursery() as nursery:
            for number in range(size):
                nursery.start_soon(self._ask, number)

    async def _ask(self, number):
        client = await Client.connect(self.port)
        count = 0
        while not self.is_over:
            path = f"/{number}/{count}"
            count += 1
            self.sent[path] += 1
            response, _ = await client.ask(self.method, path)
            self.statuses[response.status_code] += 1
            if dict(response.headers).get(b"connection") == b"close":
                await client.stream.aclose()
                client = await Client.connect(self.port)
            await trio.sleep(0.005)
        await client.stream.aclose()


async def serve(server, nursery, scope):
    """Run a server until its scope is cancelled, which breaks its connections off."""

    async def run(task_status):
        with scope:
            async with trio.open_nursery() as inner:
                port = await server.start(inner)
                task_status.started(port)

    async def started(task_status=trio.TASK_STATUS_IGNORED):
        await run(task_status)

    return await nursery.start(started)


@pytest.mark.parametrize("placement", ["one-site", "three-sites"])
async def test_no_get_fails_when_one_of_three_instances_is_killed(placement):
    async with network() as net, trio.open_nursery() as nursery:
        west, hub, east = await net.line("west", "hub", "east")
        sites = {"one-site": [east] * 3, "three-sites": [west, hub, east]}[placement]
        scopes, servers = [], []
        for number, site in enumerate(sites):
            server, scope = Server(f"{number}", takes=0.003), trio.CancelScope()
            port = await serve(server, nursery, scope)
            target = f"127.0.0.1:{port}"
            await site.expose(ADDRESS, target, protocol="http", join=True)
            servers.append(server)
            scopes.append(scope)
        crowd = Crowd(await west.reach(ADDRESS, protocol="http"))
        await wait_until(
            lambda: (
                len(west.router.routes.fib.services.get(("http", ADDRESS), ()))
                == len({site.name for site in sites})
            ),
            "all serve it",
        )
        async with trio.open_nursery() as clients:
            clients.start_soon(crowd.run)
            await wait_until(lambda: all(each.requests for each in servers), "all are asked")
            scopes[1].cancel()
            before = sum(crowd.statuses.values())
            await wait_until(lambda: sum(crowd.statuses.values()) > before + 200, "it goes on")
            crowd.is_over = True
        assert set(crowd.statuses) == {200}
        nursery.cancel_scope.cancel()


async def test_no_post_gets_to_a_target_twice():
    async with network() as net, trio.open_nursery() as nursery:
        west, east = await net.line("west", "east")
        scopes, servers = [], []
        for number in range(2):
            server, scope = Server(f"{number}", takes=0.003), trio.CancelScope()
            target = f"127.0.0.1:{await serve(server, nursery, scope)}"
            await east.expose(ADDRESS, target, protocol="http", join=True)
            servers.append(server)
            scopes.append(scope)
        crowd = Crowd(await west.reach(ADDRESS, protocol="http"), "POST")
        async with trio.open_nursery() as clients:
            clients.start_soon(crowd.run)
            await wait_until(lambda: all(each.requests for each in servers), "all are asked")
            scopes[1].cancel()
            before = sum(crowd.statuses.values())
            await wait_until(lambda: sum(crowd.statuses.values()) > before + 100, "it goes on")
            crowd.is_over = True
        heard = Counter(request.target for each in servers for request, _ in each.requests)
        assert max(heard.values()) == 1
        assert set(crowd.statuses) <= {200, 502}
        assert crowd.statuses[502] <= 8
        nursery.cancel_scope.cancel()
