"""Who asks for a certificate proves to hold its key, in this connection and for this request.

A certificate request is signed by its own key, but says nothing of where it is shown: who has seen
one could show it again. So the site also signs what only the two ends of one TLS connection know. A
request that a neighbour passes on to an authority is bound to the connection of these two: the
neighbour tells the site what that is, and nothing that was signed before can be good for it.
"""

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from van.errors import CertificateError
from van.tls.connection import TlsConnection
from van.tls.keys import SIGNATURE, is_signed
from van.wire.join import (
    EXPORTED_SIZE,
    EXPORTER_LABEL,
    PASSED_ON_LABEL,
    JoinRequest,
    passed_on_bytes,
    proved_bytes,
)

OUTDATED: Final = "its van may be of an earlier version"


def prove(request: JoinRequest, tls: TlsConnection, key: ec.EllipticCurvePrivateKey) -> JoinRequest:
    """Return a request with the proof that it comes, over a connection, from who holds a key."""
    exported = tls.export(EXPORTER_LABEL, EXPORTED_SIZE)
    return replace(request, proof=key.sign(proved_bytes(request, exported), SIGNATURE))


def check_proof(request: JoinRequest, tls: TlsConnection, key: ec.EllipticCurvePublicKey) -> None:
    """Raise `CertificateError` unless a request comes over this connection from who holds a key."""
    exported = tls.export(EXPORTER_LABEL, EXPORTED_SIZE)
    if not is_signed(key, request.proof, proved_bytes(request, exported)):
        raise CertificateError(
            f"site {request.site!r} has not proved in this connection that it holds its key: "
            f"{OUTDATED}"
        )


def challenge_of(tls: TlsConnection) -> bytes:
    """Return what the proof in a request is bound to that is passed on over a connection."""
    return tls.export(PASSED_ON_LABEL, EXPORTED_SIZE)


def prove_passed_on(
    request: JoinRequest, challenge: bytes, key: ec.EllipticCurvePrivateKey
) -> JoinRequest:
    """Return a request with the proof that who holds a key wants it passed on."""
    return replace(request, proof=key.sign(passed_on_bytes(request, challenge), SIGNATURE))


def check_passed_on(
    request: JoinRequest, tls: TlsConnection, key: ec.EllipticCurvePublicKey
) -> None:
    """Raise `CertificateError` unless who holds a key wants a request passed on over this
    connection, of which it was told."""
    if not is_signed(key, request.proof, passed_on_bytes(request, challenge_of(tls))):
        raise CertificateError(
            f"site {request.site!r} has not proved that it holds its key, and wants this now"
        )
