"""Who asks for a certificate proves to hold its key, in this connection and for this request.

A certificate request is signed by its own key, but says nothing of where it is shown: who has seen
one could show it again. So the site also signs what only the two ends of one TLS connection know.
"""

from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from van.errors import CertificateError
from van.tls.connection import TlsConnection
from van.tls.keys import SIGNATURE, is_signed
from van.wire.join import EXPORTED_SIZE, EXPORTER_LABEL, JoinRequest, proved_bytes


def prove(request: JoinRequest, tls: TlsConnection, key: ec.EllipticCurvePrivateKey) -> JoinRequest:
    """Return a request with the proof that it comes, over a connection, from who holds a key."""
    exported = tls.export(EXPORTER_LABEL, EXPORTED_SIZE)
    return replace(request, proof=key.sign(proved_bytes(request, exported), SIGNATURE))


def check_proof(request: JoinRequest, tls: TlsConnection, key: ec.EllipticCurvePublicKey) -> None:
    """Raise `CertificateError` unless a request comes over this connection from who holds a key."""
    exported = tls.export(EXPORTER_LABEL, EXPORTED_SIZE)
    if not is_signed(key, request.proof, proved_bytes(request, exported)):
        raise CertificateError(
            f"site {request.site!r} has not proved in this connection that it holds its key: its "
            "van may be of an earlier version"
        )
