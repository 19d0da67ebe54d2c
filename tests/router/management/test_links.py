"""What is asked about links."""

import trio

from lab.network import network
from van.control import endpoints as api


async def listen(nursery):
    async def hold(stream):
        async with stream:
            await stream.receive_some(1)
            await stream.send_all(b"x")
            await trio.sleep_forever()

    async def run(task_status):
        await trio.serve_tcp(hold, 0, host="127.0.0.1", task_status=task_status)

    (listener,) = await nursery.start(run)
    return listener.socket.getsockname()[1]


async def test_who_deletes_a_link_is_told_how_many_live_flows_that_ends(nursery):
    async with network() as net:
        west, hub, east = await net.line("west", "hub", "east")
        await east.expose("db:1", await listen(nursery))
        port = await west.reach("db:1")
        clients = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(2)]
        for client in clients:
            await client.send_all(b"x")
            assert await client.receive_some(1) == b"x"
        deleted = await west.ask(api.DELETE_LINK, None, site="hub")
        assert (deleted.state, deleted.detail) == ("deleted", "which ends 2 live flows over it")
        for client in clients:
            try:
                assert await client.receive_some(1) == b""
            except trio.BrokenResourceError:
                pass
            await client.aclose()
        deleted = await hub.ask(api.DELETE_LINK, None, site="east")
        assert deleted.detail == ""
