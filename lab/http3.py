"""HTTP/3 over QUIC: a server that answers with what it is sent, and a client.

`python -m lab.http3 serve DIRECTORY` prints its UDP port, `… get DIRECTORY PORT SIZE`
posts so many bytes and prints how many came back the same.
"""

import asyncio
import datetime as dt
import os
import ssl
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "quic.test"
PATIENCE = 15.0


class Http(QuicConnectionProtocol):
    """HTTP/3 on a QUIC connection; collects what comes on each stream."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.http = H3Connection(self._quic)
        self.bodies: dict[int, bytearray] = defaultdict(bytearray)

    def quic_event_received(self, event: QuicEvent) -> None:
        """Hand on what came."""
        for each in self.http.handle_event(event):
            self.http_event_received(each)

    def http_event_received(self, event: H3Event) -> None:
        """Collect a body."""
        if isinstance(event, DataReceived):
            self.bodies[event.stream_id] += event.data
        if isinstance(event, DataReceived | HeadersReceived) and event.stream_ended:
            self.ended(event.stream_id)

    def ended(self, stream: int) -> None:
        """Take note that a stream has been received."""


class Server(Http):
    """Sends back what it was sent."""

    def ended(self, stream: int) -> None:
        """Answer."""
        self.http.send_headers(stream, [(b":status", b"200")])
        self.http.send_data(stream, bytes(self.bodies.pop(stream)), end_stream=True)
        self.transmit()


class Client(Http):
    """Sends a body and waits for the answer."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._answers: dict[int, asyncio.Future[bytes]] = {}

    async def post(self, body: bytes) -> bytes:
        """Return what the server answers."""
        stream = self._quic.get_next_available_stream_id()
        self._answers[stream] = asyncio.get_running_loop().create_future()
        head = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/")]
        self.http.send_headers(stream, [*head, (b":authority", NAME.encode())])
        self.http.send_data(stream, body, end_stream=True)
        self.transmit()
        return await self._answers[stream]

    def ended(self, stream: int) -> None:
        """Hand the answer to whoever waits."""
        self._answers.pop(stream).set_result(bytes(self.bodies.pop(stream)))


def make_certificate(directory: Path) -> None:
    """Write a self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (directory / "quic.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "quic.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


async def serve_forever(directory: Path) -> None:
    """Print the port, and serve."""
    make_certificate(directory)
    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
    configuration.load_cert_chain(directory / "quic.pem", directory / "quic.key")
    server = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=Server)
    print(server._transport.get_extra_info("sockname")[1], flush=True)
    await asyncio.Event().wait()


async def post(directory: Path, port: int, size: int) -> int:
    """Post three bodies at once over one connection; return how many bytes came back the same."""
    configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name=NAME)
    configuration.load_verify_locations(str(directory / "quic.pem"))
    configuration.verify_mode = ssl.CERT_REQUIRED
    async with (
        asyncio.timeout(PATIENCE),
        connect(
            "127.0.0.1", port, configuration=configuration, create_protocol=Client
        ) as connection,
    ):
        assert isinstance(connection, Client)
        bodies = [os.urandom(size) for _ in range(3)]
        answers = await asyncio.gather(*map(connection.post, bodies))
        return sum(
            len(answer) for answer, body in zip(answers, bodies, strict=True) if answer == body
        )


if __name__ == "__main__":
    verb, where, *numbers = sys.argv[1:]
    if verb == "serve":
        asyncio.run(serve_forever(Path(where)))
    else:
        print(asyncio.run(post(Path(where), *map(int, numbers))))
