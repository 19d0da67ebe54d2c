"""A line of three real routers in one process carries a flow."""

import trio

from tests.support.network import network


async def echo(stream: trio.SocketStream) -> None:
    async with stream:
        async for data in stream:
            await stream.send_all(data)


async def test_a_flow_passes_through_a_transit_site() -> None:
    async with trio.open_nursery() as nursery, network() as net:
        west, _, east = await net.line("west", "hub", "east")
        listeners = await nursery.start(trio.serve_tcp, echo, 0)
        await east.expose("echo:7", listeners[0].socket.getsockname()[1])
        async with await trio.open_tcp_stream("127.0.0.1", await west.reach("echo:7")) as client:
            await client.send_all(b"ping")
            assert await client.receive_some() == b"ping"
        nursery.cancel_scope.cancel()
