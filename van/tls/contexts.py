"""TLS of the link port: contexts for either side, and who a handshake proves the peer to be.

TLS 1.3 only, certificates on both sides, no resumption. Which ALPN was agreed is for the caller to
check: TLS goes on without one. Whether certificates are valid now is checked by `peer_identity`,
and not in the handshake, so that a peer can be told in words; nothing may be believed of it before.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto

from van.errors import CertificateError
from van.tls.connection import TlsConnection, verify_but_for_times
from van.tls.identity import Identity, verify_chain

if TYPE_CHECKING:
    from van.tls.credentials import Credentials

Context = SSL.Context

Select = Callable[[SSL.Connection, list[bytes]], Any]
"""Returns bytes, or a constant whose type has no public name."""

# Modes of OpenSSL that pyOpenSSL has no names for: memory of idle connections is given back, and no
# certificates are sent beside those that were put in.
_RELEASE_BUFFERS: Final = 0x10
_NO_AUTO_CHAIN: Final = 0x08


def server_context(credentials: "Credentials", alpn: Sequence[str]) -> Context:
    """Return a context for the side that was dialled; the peer must show a certificate."""
    context = _context(credentials.chain, credentials.key, credentials.root)
    context.set_alpn_select_callback(_select_of(alpn))
    return context


def client_context(
    chain: Sequence[bytes],
    key: ec.EllipticCurvePrivateKey,
    root: x509.Certificate,
    alpn: Sequence[str],
) -> Context:
    """Return a context for the side that dials, with a site's certificate or a token's."""
    context = _context(chain, key, root)
    if alpn:
        context.set_alpn_protos([each.encode() for each in alpn])
    return context


def _context(
    chain: Sequence[bytes], key: ec.EllipticCurvePrivateKey, root: x509.Certificate
) -> Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_max_proto_version(SSL.TLS1_3_VERSION)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_mode(_RELEASE_BUFFERS | _NO_AUTO_CHAIN)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verify_but_for_times)
    leaf, *issuers = [x509.load_der_x509_certificate(each) for each in chain]
    context.use_certificate(leaf)
    for each in issuers:
        context.add_extra_chain_cert(each)
    context.use_privatekey(key)
    # Sites are named by URI, which `peer_identity` reads; there is no host name to check.
    store = context.get_cert_store()
    assert store is not None  # only a context that owns nothing has none
    store.add_cert(crypto.X509.from_cryptography(root))
    store.set_flags(crypto.X509StoreFlags.X509_STRICT)
    return context


def _select_of(alpn: Sequence[str]) -> Select:
    """Return what chooses the first of our protocols that the peer offers."""
    ours = [each.encode() for each in alpn]

    def select(_: SSL.Connection, offered: list[bytes]) -> object:
        return next((each for each in ours if each in offered), SSL.NO_OVERLAPPING_PROTOCOLS)

    return select


def peer_chain(connection: TlsConnection) -> tuple[bytes, ...]:
    """Return the peer's DER certificates from its own upward, without the root.

    Raises `CertificateError` when there are none, or when it sent others than those.
    """
    verified, sent = connection.chains()
    if not verified:
        raise CertificateError("peer has shown no certificate")
    # Some libraries send the root after a certificate that it issued, and have no way to stop that.
    # Whatever else was sent beside the verified chain is refused.
    if list(sent) not in (list(verified), list(verified[:-1])):
        raise CertificateError("peer sent other certificates than those of its chain")
    return tuple(each.public_bytes(Encoding.DER) for each in verified[:-1])


def peer_identity(connection: TlsConnection, root: x509.Certificate, *, at: datetime) -> Identity:
    """Return who a handshake proved the peer to be, or raise `CertificateError`.

    Whether a token or a site belongs in this conversation is for the caller to check.
    """
    return verify_chain(peer_chain(connection), root, at=at)
