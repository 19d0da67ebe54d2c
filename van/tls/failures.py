"""Why TLS with a peer failed, for counters and for people."""

from typing import Final

import attrs

from van.errors import CertificateError, LinkLost, RemoteError
from van.tls.connection import TlsError


@attrs.frozen
class TlsFailure:
    """A cause for counters, and a text for people."""

    cause: str
    """`other-authority`, `wrong-purpose`, `no-certificate`, `expired`, `refused`, or
    `handshake`."""
    text: str

    @property
    def is_news(self) -> bool:
        """Tell whether the ends understood each other, and one did not believe the other."""
        return self.cause not in ("handshake", "no-certificate")


_VERIFY_CODES: Final = {
    2: "other-authority",  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT
    7: "other-authority",  # X509_V_ERR_CERT_SIGNATURE_FAILURE
    18: "other-authority",  # X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
    19: "other-authority",  # X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN
    20: "other-authority",  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    21: "other-authority",  # X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE
    26: "wrong-purpose",  # X509_V_ERR_INVALID_PURPOSE
    79: "wrong-purpose",  # X509_V_ERR_INVALID_CA
}
_TEXTS: Final = {
    "other-authority": "the peer's certificate is of another VAN",
    "wrong-purpose": "the peer's certificate is not good for this",
    "no-certificate": "the peer showed no certificate",
}
_ALERTS: Final = {
    "certificate required": ("no-certificate", "the peer asks for a certificate"),
    "certificate expired": ("expired", "the peer says that our certificate has expired"),
    "unknown ca": ("other-authority", "the peer says that our certificate is of another VAN"),
    "unsupported certificate": ("wrong-purpose", "the peer says our certificate is not for this"),
    "bad certificate": ("refused", "the peer refused our certificate: check both clocks"),
    "certificate unknown": ("refused", "the peer refused our certificate"),
}
"""Alerts of the peer, which in TLS 1.3 come with the first read after our side's handshake."""


def describe_tls_error(exc: Exception) -> TlsFailure:
    """Return why TLS with a peer failed, for a `TlsError`, or any error of a handshake."""
    if isinstance(exc, CertificateError):
        return TlsFailure("refused", str(exc))
    if not isinstance(exc, TlsError):
        return _describe_other(exc)
    if exc.verify_code is not None:
        return _describe_verification(exc.verify_code, exc.reason)
    if exc.reason == "peer did not return a certificate":
        return TlsFailure("no-certificate", _TEXTS["no-certificate"])
    alert = exc.reason.partition(" alert ")[2]
    if alert in _ALERTS:
        return TlsFailure(*_ALERTS[alert])
    return TlsFailure("handshake", f"TLS handshake failed: {exc.reason}")


def remote_error(exc: Exception, whom: str, *, remedy: str) -> RemoteError:
    """Return the error to raise when TLS failed with whom this side had dialled.

    It is a `CertificateError` if one end did not believe the other: then it is no matter of paths.
    The remedy is for an address that leads to another VAN.
    """
    failure = describe_tls_error(exc)
    if not failure.is_news:
        return LinkLost(f"{whom}: {failure.text}")
    advice = f": {remedy}" if failure.cause == "other-authority" else ""
    return CertificateError(f"{whom}: {failure.text}{advice}")


def _describe_other(exc: Exception) -> TlsFailure:
    text = (exc.strerror if isinstance(exc, OSError) else None) or str(exc) or "it ended early"
    return TlsFailure("handshake", f"TLS handshake failed: {text[0].lower()}{text[1:]}")


def _describe_verification(code: int, reason: str) -> TlsFailure:
    cause = _VERIFY_CODES.get(code)
    if cause is None:
        return TlsFailure("refused", f"the peer's certificate is refused: {reason}")
    return TlsFailure(cause, _TEXTS[cause])
