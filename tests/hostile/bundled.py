"""The other end of a bundle, in a test's own hands."""

import trio

from tests.hostile.network_under_attack import PATIENCE, NetworkUnderAttack
from van.router.reactor import tls_io
from van.tls.connection import TlsConnection
from van.tls.credentials import Credentials
from van.wire import bundle, framing
from van.wire.channel import CODEC, Bundle

BEGIN = CODEC.encode(Bundle(bytes(16)))
"""Makes a channel a bundle."""


def bundled(frames: bytes, number: int = 1) -> bytes:
    """Return frames as they are on a channel with a flow's number; what is none stays as it is."""
    out = b""
    while len(frames) >= framing.HEADER_SIZE:
        (word,) = framing.HEADER.unpack_from(frames)
        end = framing.HEADER_SIZE + (word & 0xFFFFFF)
        out += bundle.HEADER.pack(word, number) + frames[framing.HEADER_SIZE : end]
        frames = frames[end:]
    return out + frames


async def begin(
    attacked: NetworkUnderAttack, mallory: Credentials, frames: bytes = b""
) -> TlsConnection:
    """Return a connection to the hub that is a bundle, on which frames have been sent."""
    tls = (await attacked.channel(mallory)).detach()[0]
    await tls_io.send_all(tls, BEGIN + frames)
    return tls


class Frames:
    """What comes on a bundle."""

    def __init__(self, tls: TlsConnection) -> None:
        self._tls = tls
        self._kept = bytearray()

    async def next(self) -> tuple[int, int, bytes]:
        """Return kind, number, and payload of the next frame."""
        kept = self._kept
        with trio.fail_after(PATIENCE):
            while True:
                if len(kept) >= bundle.HEADER_SIZE:
                    word, number = bundle.HEADER.unpack_from(kept)
                    end = bundle.HEADER_SIZE + (word & 0xFFFFFF)
                    if len(kept) >= end:
                        payload = bytes(kept[bundle.HEADER_SIZE : end])
                        del kept[:end]
                        return word >> 24, number, payload
                kept += await tls_io.receive_some(self._tls)

    async def until(self, kind: int, number: int) -> bytes:
        """Return the payload of the next frame of a kind and a flow."""
        while True:
            found, of, payload = await self.next()
            if (found, of) == (kind, number):
                return payload
