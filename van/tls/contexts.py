"""TLS of the link port: contexts for either side, and who a handshake proves the peer to be.

This is the one module that knows which TLS library is used. TLS 1.3 only, certificates on both
sides, no resumption. Which ALPN was agreed is for the caller to check: TLS goes on without one.
"""

import os
import ssl
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from van.errors import CertificateError
from van.tls.failures import TlsFailure, describe_tls_error
from van.tls.identity import Identity, verify_chain
from van.tls.pem import encode_chain, encode_key

if TYPE_CHECKING:
    from van.tls.credentials import Credentials

__all__ = [
    "TlsFailure",
    "client_context",
    "describe_tls_error",
    "peer_chain",
    "peer_identity",
    "server_context",
]


def server_context(credentials: "Credentials", alpn: Sequence[str]) -> ssl.SSLContext:
    """Return a context for the side that was dialled; the peer must show a certificate."""
    context = _context(
        ssl.PROTOCOL_TLS_SERVER, credentials.chain, credentials.key, credentials.root, alpn
    )
    # A relay ends TLS with close_notify and goes on with the raw stream. A session ticket that the
    # client has not read by then would be in the way; without tickets there is none.
    context.num_tickets = 0
    return context


def client_context(
    chain: Sequence[bytes],
    key: ec.EllipticCurvePrivateKey,
    root: x509.Certificate,
    alpn: Sequence[str],
) -> ssl.SSLContext:
    """Return a context for the side that dials, with a site's certificate or a token's."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, chain, key, root, alpn)


def _context(
    protocol: int,
    chain: Sequence[bytes],
    key: ec.EllipticCurvePrivateKey,
    root: x509.Certificate,
    alpn: Sequence[str],
) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False  # sites are named by URI; `peer_identity` reads it
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=root.public_bytes(Encoding.DER))
    context.set_alpn_protocols(list(alpn))
    with _as_file((encode_key(key) + encode_chain(chain)).encode()) as path:
        context.load_cert_chain(path)
    return context


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """Lend data as a file, since `ssl` takes keys from files only; in memory if possible."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        with open(os.memfd_create("van-key"), "wb") as file:
            file.write(data)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile() as file:  # its mode is 0600
            file.write(data)
            file.flush()
            yield file.name


def peer_chain(sock: ssl.SSLSocket) -> tuple[bytes, ...]:
    """Return the peer's DER certificates from its own upward, without the root.

    Raises `CertificateError` when there are none, or when it sent others than those.
    """
    verified, sent = _chains(sock)
    if not verified:
        raise CertificateError("peer has shown no certificate")
    # OpenSSL sends the root after a certificate that the root itself issued, and `ssl` has no way
    # to stop it. Whatever else was sent beside the verified chain is refused.
    if sent not in (verified, verified[:-1]):
        raise CertificateError("peer sent other certificates than those of its chain")
    return tuple(verified[:-1])


def _chains(sock: ssl.SSLSocket) -> tuple[list[bytes], list[bytes]]:
    """Return the chain that was verified, down from the leaf to the root, and the one sent."""
    try:
        if sys.version_info >= (3, 13):
            return sock.get_verified_chain(), sock.get_unverified_chain()
        # Before 3.13 the methods are on the inner object only, and return objects of its own.
        inner = cast("Any", sock)._sslobj  # noqa: SLF001
        verified, sent = inner.get_verified_chain(), inner.get_unverified_chain()
    except (ValueError, AttributeError) as exc:
        raise CertificateError("peer has shown no certificate") from exc
    return _encode(verified), _encode(sent)


def _encode(certificates: Sequence[Any] | None) -> list[bytes]:
    """Return DER certificates of `_ssl.Certificate` objects."""
    return [
        ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in certificates or ()
    ]


def peer_identity(sock: ssl.SSLSocket, root: x509.Certificate, *, at: datetime) -> Identity:
    """Return who a handshake proved the peer to be, or raise `CertificateError`.

    Whether a token or a site belongs in this conversation is for the caller to check.
    """
    return verify_chain(peer_chain(sock), root, at=at)
