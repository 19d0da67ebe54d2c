"""The form of the VAN's certificates: what an authority issues, and all that a verifier accepts.

Both are made of the same description, so they can't drift apart. A certificate names its subject
by one SPIFFE URI, whose first path segment is the kind of certificate.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Self

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from van.errors import CertificateError
from van.tls import first_issue
from van.tls import grants as grants_extension
from van.tls.grants import FULL, Grants
from van.tls.subject import MALFORMED, Kind, Subject, key_of

MAX_CERTIFICATE: Final = 8192
"""Largest certificate in bytes; as in messages."""
MAX_CHAIN: Final = 8
"""Most certificates from a leaf upward, without those of roots."""
MAX_ROLLS: Final = 16
"""Most certificates above these by which one root makes another its successor; with those it is
as in messages."""
CLOCK_SKEW: Final = timedelta(days=1)
"""How far a certificate is backdated, for a peer whose clock is behind: that of a machine which is
set to another zone's time is so by hours. One that is good for less is so by as much as that, for a
site that wants its certificates to be worth nothing soon has clocks that agree."""

HOLDS_ROOT: Final = x509.ObjectIdentifier("2.25.256723350138429232261247975238106112681")
"""Names the extension by which a root says that a site holds it: the arc of UUIDs (ITU-T X.667)."""
DER_NULL: Final = b"\x05\x00"


@attrs.frozen
class Window:
    """When a certificate is valid."""

    not_before: datetime
    not_after: datetime

    @classmethod
    def from_issue(cls, at: datetime, *, until: datetime) -> Self:
        """Return that of a site's or an authority's certificate which is issued at a time."""
        return cls(at - min(CLOCK_SKEW, until - at), until)

    @property
    def issued_at(self) -> datetime:
        """Return the time of issue that `from_issue` was told."""
        return self.not_before + min(CLOCK_SKEW, (self.not_after - self.not_before) / 2)


@attrs.frozen
class Issuer:
    """Who signs: a name and its key."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey


def build_certificate(
    subject: Subject,
    key: ec.EllipticCurvePublicKey,
    *,
    issuer: Issuer,
    window: Window,
    grants: Grants | None,
    first_issued: datetime | None = None,
    holds_root: bool = False,
) -> x509.Certificate:
    """Sign a certificate of the subject's kind; only sites and intermediates have grants, and a
    time of first issue, and only a root's own site is said to hold that."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject.distinguished_name)
        .issuer_name(issuer.name)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(window.not_before)
        .not_valid_after(window.not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()),
            critical=False,
        )
    )
    for value, critical in _extensions(subject):
        builder = builder.add_extension(value, critical=critical)
    if grants is not None:
        encoded = grants_extension.encode_grants(grants)
        value = x509.UnrecognizedExtension(grants_extension.OID, encoded)
        builder = builder.add_extension(value, critical=False)
    if first_issued is not None:
        encoded = first_issue.encode_first_issue(first_issued)
        value = x509.UnrecognizedExtension(first_issue.OID, encoded)
        builder = builder.add_extension(value, critical=False)
    if holds_root:
        value = x509.UnrecognizedExtension(HOLDS_ROOT, DER_NULL)
        builder = builder.add_extension(value, critical=False)
    return builder.sign(issuer.key, hashes.SHA256())


def _extensions(subject: Subject) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """Yield the extensions that a subject's certificate has, and whether each is critical."""
    is_authority = subject.kind.is_authority
    yield x509.BasicConstraints(ca=is_authority, path_length=None), True
    yield _key_usage(signs_certificates=is_authority), True
    yield x509.SubjectAlternativeName([x509.UniformResourceIdentifier(subject.uri)]), False
    if subject.kind in (Kind.AUTHORITY, Kind.INTERMEDIATE):
        permitted = [x509.UniformResourceIdentifier(subject.van_id)]
        yield x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), True
    if subject.kind is Kind.SITE:
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        yield x509.ExtendedKeyUsage(purposes), False
    if subject.kind is Kind.TOKEN:
        yield x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def load_certificate(der: bytes) -> x509.Certificate:
    """Parse one certificate from outside, or raise `CertificateError`; nothing is verified."""
    if len(der) > MAX_CERTIFICATE:
        raise CertificateError(f"certificate of {len(der)} bytes is larger than {MAX_CERTIFICATE}")
    try:
        certificate = x509.load_der_x509_certificate(der)
        signature = certificate.signature
    except MALFORMED as exc:
        raise CertificateError(f"certificate is malformed: {exc}") from exc
    # The parser overlooks the count of unused bits before the signature, which nobody signed.
    if not der.endswith(b"\0" + signature):
        raise CertificateError("certificate is malformed: its signature has loose bits")
    return certificate


def check_form(certificate: x509.Certificate) -> Subject:
    """Return whom a certificate names, if it is exactly of the form that its kind has.

    Raises `CertificateError`. Validity in time, the signature, and grants are left to the caller.
    """
    try:
        return _check_form(certificate)
    except MALFORMED as exc:
        raise CertificateError(f"certificate is malformed: {exc}") from exc


def _check_form(certificate: x509.Certificate) -> Subject:
    key_of(certificate)
    subject = Subject.parse(_only_uri(certificate))
    expected = {value.oid: (value, critical) for value, critical in _extensions(subject)}
    for extension in certificate.extensions:
        form = expected.pop(extension.oid, None)
        if form is None and extension.critical:
            oid = extension.oid.dotted_string
            raise CertificateError(
                f"certificate {subject.uri} has unknown critical extension {oid}"
            )
        if form is not None and form != (extension.value, extension.critical):
            raise CertificateError(
                f"certificate {subject.uri} has a wrong {type(form[0]).__name__} for its kind"
            )
    for missing, _critical in expected.values():
        raise CertificateError(f"certificate {subject.uri} has no {type(missing).__name__}")
    return subject


def _only_uri(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    match list(names):
        case [x509.UniformResourceIdentifier(value=uri)]:
            return uri
    raise CertificateError("certificate does not name its subject by exactly one URI")


def check_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Raise `CertificateError` unless the issuer's key signed the certificate in its name."""
    if certificate.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        raise CertificateError("certificate is not signed by ECDSA with SHA-256")
    try:
        certificate.verify_directly_issued_by(issuer)
    except (*MALFORMED, TypeError, InvalidSignature) as exc:
        raise CertificateError(
            "certificate is not issued by the next of its chain, or by this VAN's root"
        ) from exc


def read_grants(certificate: x509.Certificate, subject: Subject) -> Grants:
    """Return the grants in a certificate, or raise `CertificateError`; a root grants all."""
    if subject.kind is Kind.ROOT:
        return FULL
    try:
        extension = certificate.extensions.get_extension_for_oid(grants_extension.OID)
    except x509.ExtensionNotFound:
        raise CertificateError(f"certificate {subject.uri} does not say what it grants") from None
    return grants_extension.decode_grants(_raw_value(extension))


def read_first_issued(certificate: x509.Certificate) -> datetime:
    """Return when a certificate was first issued, by what it says itself, or raise
    `CertificateError`; one from before that was written was so when it was issued."""
    try:
        extension = certificate.extensions.get_extension_for_oid(first_issue.OID)
    except x509.ExtensionNotFound:
        return window_of(certificate).issued_at
    return first_issue.decode_first_issue(_raw_value(extension))


def read_holds_root(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate says that its site holds the root, or raise `CertificateError`."""
    try:
        extension = certificate.extensions.get_extension_for_oid(HOLDS_ROOT)
    except x509.ExtensionNotFound:
        return False
    if _raw_value(extension) != DER_NULL:
        raise CertificateError("malformed extension in a certificate, of who holds the root")
    return True


def _raw_value(extension: x509.Extension[x509.ExtensionType]) -> bytes:
    value = extension.value
    if isinstance(value, x509.UnrecognizedExtension):
        return value.value
    oid = extension.oid.dotted_string
    raise CertificateError(f"certificate's extension {oid} is not one of this VAN")


def window_of(certificate: x509.Certificate) -> Window:
    """Return when a certificate is valid."""
    return Window(certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def utc_now() -> datetime:
    """Return the time of day, for callers that were not told it."""
    return datetime.now(UTC)
