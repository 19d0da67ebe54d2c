"""A look at start-up whether the direct calls of OpenSSL do what public ones do.

A release of pyOpenSSL or `cryptography` may change what `van.tls.native` reaches for. Two ends in
this process tell: what one sends by the direct calls, the other has to read by them.
"""

import os
import socket
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from van.tls.connection import TlsConnection, WantRead
from van.tls.native import AVAILABILITY

_SIZE: Final = 5000
"""Bytes of the message that is sent: fewer than a record or a socket's buffer holds."""
_TURNS: Final = 8
"""More turns than a handshake in one thread takes."""


def check_native_calls() -> str:
    """Return why the direct calls of OpenSSL are not used in this process; nothing if they are."""
    if AVAILABILITY.native is not None:
        try:
            _exchange()
        except Exception as exc:  # noqa: BLE001 - whatever a changed call does, we go on without
            AVAILABILITY.give_up(str(exc) or type(exc).__name__)
    return AVAILABILITY.trouble


def _exchange() -> None:
    """Send a message each way, and raise when it does not arrive as it should."""
    context = _context()
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        client = TlsConnection(context, left, server_side=False)
        server = TlsConnection(context, right, server_side=True)
        for _ in range(_TURNS):
            for each in (client, server):
                try:
                    each.do_handshake()
                except WantRead:
                    continue
        _check_one_way(client, server)
        _check_one_way(server, client)


def _check_one_way(sender: TlsConnection, receiver: TlsConnection) -> None:
    message, buffer = bytearray(os.urandom(_SIZE)), bytearray(_SIZE)
    read = receiver.reader(buffer)
    if read() > 0:
        raise RuntimeError("SSL_read reads what nobody has sent")
    if sender.writer(message)(_SIZE) != _SIZE or read() != _SIZE or buffer != message:
        raise RuntimeError("SSL_write and SSL_read do not pass a message on")
    if sender.send(bytes(message[:1])) != 1 or receiver.recv_into(memoryview(buffer)) != 1:
        raise RuntimeError("SSL_write and SSL_read do not pass a byte on")


def _context() -> SSL.Context:
    """Return a context for either end, with a certificate that nobody looks at."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "self-test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(minutes=1))
        .sign(key, hashes.SHA256())
    )
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_options(SSL.OP_NO_TICKET)
    context.use_certificate(certificate)
    context.use_privatekey(key)
    return context
