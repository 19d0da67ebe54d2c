"""Cables between sites: TCP proxies that a test cuts, stalls, and mends.

A site dials the near end of a cable, and the far end leads to another site's link port; links and
channels alike run through it. All cables are laid in one process of their own, so that what the
test does meanwhile does not slow them: `python -m lab.cables` obeys lines of JSON.
"""

import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROOT = Path(__file__).parents[1]
CHUNK = 65536
HOST = "127.0.0.1"


class Cables:
    """The cables of a test, by name; they go when the process that lays them is ended."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def lay(self, name: str, target: int) -> int:
        """Lay a cable to a port of loopback, and return the port of its near end."""
        return int(self._ask("lay", name, target))

    def cut(self, name: str) -> None:
        """Close all connections of a cable, and refuse new ones until it is mended."""
        self._ask("cut", name)

    def snip(self, name: str) -> None:
        """Close all connections of a cable; new ones pass."""
        self._ask("cut", name)
        self._ask("mend", name)

    def stall(self, name: str) -> None:
        """Let nothing pass any more, and tell nobody: connections stay open, and more can be
        made to the near end."""
        self._ask("stall", name)

    def mend(self, name: str) -> None:
        """Let everything pass again; what was held back goes first."""
        self._ask("mend", name)

    def carried(self) -> dict[str, int]:
        """Return how many bytes each cable has carried, both ways together."""
        return dict(self._ask("carried"))

    def _ask(self, *request: object) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(request).encode() + b"\n")
        stdin.flush()
        return json.loads(stdout.readline())


class Cable:
    """One cable, in the process that lays it."""

    def __init__(self, target: int, nursery: trio.Nursery) -> None:
        self.carried = 0
        self.port = 0
        self._target = target
        self._nursery = nursery
        self._passes = trio.Event()
        self._passes.set()
        self._scope = trio.CancelScope()
        self._is_gone = trio.Event()

    async def open(self) -> None:
        """Take connections, at the same port as before."""
        self._scope, self._is_gone = trio.CancelScope(), trio.Event()
        await self._nursery.start(self._run)

    async def cut(self) -> None:
        """Return when every connection is closed."""
        self._scope.cancel()
        await self._is_gone.wait()

    async def stall(self) -> None:
        """Hold everything back."""
        if self._passes.is_set():
            self._passes = trio.Event()

    async def mend(self) -> None:
        """Let everything pass."""
        self._passes.set()
        if self._is_gone.is_set():
            await self.open()

    async def _run(self, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            with self._scope:
                listeners = await trio.open_tcp_listeners(self.port, host=HOST)
                self.port = listeners[0].socket.getsockname()[1]
                task_status.started()
                await trio.serve_listeners(self._carry, listeners)
        finally:
            self._is_gone.set()

    async def _carry(self, near: trio.SocketStream) -> None:
        async with near:
            await self._passes.wait()
            try:
                far = await trio.open_tcp_stream(HOST, self._target)
            except OSError:
                reset(near)
                return
            async with far:
                try:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._pass_on, near, far)
                        nursery.start_soon(self._pass_on, far, near)
                except* trio.BrokenResourceError:
                    reset(near)
                    reset(far)

    async def _pass_on(self, source: trio.SocketStream, sink: trio.SocketStream) -> None:
        while True:
            try:
                data = await source.receive_some(CHUNK)
            finally:
                await self._passes.wait()  # an end by reset is held back too
            if not data:
                await sink.send_eof()
                return
            self.carried += len(data)
            await sink.send_all(data)


def reset(stream: trio.SocketStream) -> None:
    """Close a stream so that its peer sees a reset."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


async def serve() -> None:
    """Lay cables as standard input asks, until it ends."""
    cables: dict[str, Cable] = {}
    async with trio.open_nursery() as nursery:

        async def lay(name: str, target: int) -> int:
            cables[name] = cable = Cable(target, nursery)
            await cable.open()
            return cable.port

        async def carried() -> dict[str, int]:
            return {name: cable.carried for name, cable in cables.items()}

        verbs: dict[str, Callable[..., Awaitable[Any]]] = {
            "lay": lay,
            "carried": carried,
            "cut": lambda name: cables[name].cut(),
            "stall": lambda name: cables[name].stall(),
            "mend": lambda name: cables[name].mend(),
        }
        buffer = b""
        async for data in trio.lowlevel.FdStream(os.dup(0)):
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                verb, *arguments = json.loads(line)
                reply = await verbs[verb](*arguments)
                sys.stdout.write(json.dumps(reply) + "\n")
                sys.stdout.flush()
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(serve)
