"""Flows of every kind, each of which checks what came by its hash or byte by byte."""

import contextlib
import errno
import hashlib
import random
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import attrs
import trio

TIMEOUT: Final = 30.0
"""Seconds after which a flow that makes no progress counts as lost."""
ANSWER_TIMEOUT: Final = 3.0
MAX_BULK: Final = 2 << 20
PIECE: Final = 65536
TOO_LARGE: Final = b"413 too large"
_LINGER_NONE: Final = struct.pack("ii", 1, 0)

Use = Callable[[int], Awaitable[None]]


class Spoilt(Exception):
    """What came is not what was sent."""


@attrs.define
class Tally:
    """How the flows of each kind went."""

    passed: Counter[str] = attrs.field(factory=Counter)
    lost: Counter[str] = attrs.field(factory=Counter)
    """Those that were broken off, or got no answer, and came to no harm otherwise."""
    spoilt: Counter[str] = attrs.field(factory=Counter)

    async def count(self, kind: str, use: Use, port: int) -> None:
        """Use a port once."""
        try:
            with trio.fail_after(TIMEOUT):
                await use(port)
        except Spoilt:
            self.spoilt[kind] += 1
        except (OSError, trio.BrokenResourceError, trio.TooSlowError):
            self.lost[kind] += 1
        else:
            self.passed[kind] += 1


# -- servers -----------------------------------------------------------------------------------


async def echo(stream: trio.SocketStream) -> None:
    """Say what is heard."""
    with contextlib.suppress(trio.BrokenResourceError):
        async with stream:
            async for data in stream:
                await stream.send_all(data)


async def turn_away(stream: trio.SocketStream) -> None:
    """Answer in the midst of what is sent, and close."""
    with contextlib.suppress(trio.BrokenResourceError):
        async with stream:
            await stream.receive_some(2048)
            await stream.send_all(TOO_LARGE)


async def echo_datagrams(sock: trio.socket.SocketType) -> None:
    """Send every datagram back."""
    while True:
        data, peer = await sock.recvfrom(PIECE)
        with contextlib.suppress(OSError):
            await sock.sendto(data, peer)


# -- clients -----------------------------------------------------------------------------------


async def connect(port: int) -> trio.SocketStream:
    """Open a flow."""
    return await trio.open_tcp_stream("127.0.0.1", port)


async def bulk(port: int, rng: random.Random) -> None:
    """Send much, end, and compare the hash of what comes back."""
    piece, count = rng.randbytes(PIECE), rng.randrange(1, MAX_BULK // PIECE)
    heard, said = hashlib.sha256(), hashlib.sha256()

    async def say(stream: trio.SocketStream) -> None:
        for _ in range(count):
            said.update(piece)
            await stream.send_all(piece)
        await stream.send_eof()

    async with await connect(port) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(say, stream)
        async for data in stream:
            heard.update(data)
    if heard.digest() != said.digest():
        raise Spoilt


async def ask(port: int, rng: random.Random) -> None:
    """Ask now and then over one flow."""
    async with await connect(port) as stream:
        for _ in range(rng.randrange(1, 5)):
            text = rng.randbytes(rng.randrange(1, 2000))
            await stream.send_all(text)
            if await _receive(stream, len(text)) != text:
                raise Spoilt


async def be_turned_away(port: int, _rng: random.Random) -> None:
    """Send on while the answer comes, and read it."""
    async with await connect(port) as stream:
        with contextlib.suppress(trio.BrokenResourceError):
            for _ in range(20):
                await stream.send_all(bytes(PIECE))
        heard = b""
        with contextlib.suppress(trio.BrokenResourceError):
            async for data in stream:
                heard += data
    if heard != TOO_LARGE:
        raise Spoilt


async def leave(port: int, _rng: random.Random) -> None:
    """Reset the flow with an answer unread."""
    stream = await connect(port)
    await stream.send_all(bytes(1000))
    await stream.receive_some(1)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
    await stream.aclose()


async def be_refused(port: int, _rng: random.Random) -> None:
    """See that a target that is not there is told of at once."""
    try:
        async with await connect(port) as stream:
            await stream.send_all(b"?")
            if await stream.receive_some(1):
                raise Spoilt
    except (trio.BrokenResourceError, OSError):
        return


async def send_datagrams(port: int, rng: random.Random) -> None:
    """Ask with a few datagrams from a port of its own."""
    with trio.socket.socket(type=socket.SOCK_DGRAM) as sock:
        await sock.connect(("127.0.0.1", port))
        for _ in range(rng.randrange(1, 4)):
            text = rng.randbytes(rng.randrange(1, 1200))
            await sock.send(text)
            heard = b""
            with trio.move_on_after(ANSWER_TIMEOUT):
                heard = await sock.recv(PIECE)
            if not heard:
                raise OSError(errno.ETIMEDOUT, "no answer")
            if heard != text:
                raise Spoilt


async def _receive(stream: trio.SocketStream, size: int) -> bytes:
    heard = b""
    while len(heard) < size:
        data = await stream.receive_some(size - len(heard))
        if not data:
            raise trio.BrokenResourceError
        heard += data
    return heard


KINDS: Final[dict[str, Callable[[int, random.Random], Awaitable[None]]]] = {
    "bulk": bulk,
    "bulk to a unix socket": bulk,
    "asked": ask,
    "asked of many": ask,
    "turned away": be_turned_away,
    "left": leave,
    "refused": be_refused,
    "copied to all": ask,
    "UDP": send_datagrams,
    "UDP to all": send_datagrams,
}


def user(kind: str, rng: random.Random) -> Use:
    """Return what uses a port once in a way."""
    return partial(_use, KINDS[kind], rng)


async def _use(
    use: Callable[[int, random.Random], Awaitable[None]], rng: random.Random, port: int
) -> None:
    await use(port, rng)
