"""Certificates as an attacker would make them: any field can be anything."""

from datetime import UTC, datetime, timedelta

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from van.tls.authority import Authority
from van.tls.grants import FULL, OID, Grants, encode_grants
from van.tls.keys import generate_key, make_request

NOW = datetime(2031, 5, 4, 12, 0, 0, tzinfo=UTC)
"""The time of day in tests that make no handshake."""
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER = ExtendedKeyUsageOID.SERVER_AUTH
OPEN = FULL


def uri(text):
    return x509.UniformResourceIdentifier(text)


def usage(*names):
    fields = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{field: field in names for field in fields})


def grants_extension(grants: Grants):
    return x509.UnrecognizedExtension(OID, encode_grants(grants))


@attrs.frozen
class Issued:
    """A certificate with its key, which can issue others."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


def as_issued(authority: Authority) -> Issued:
    certificate = (
        x509.load_der_x509_certificate(authority.chain[0]) if authority.chain else authority.root
    )
    return Issued(certificate, authority.key)


@attrs.frozen
class Form:
    """Extensions by name, each with whether it is critical; None leaves one out."""

    extensions: dict[str, tuple[x509.ExtensionType, bool]]

    def but(self, **changes: tuple[x509.ExtensionType, bool] | None) -> "Form":
        changed = {**self.extensions, **changes}
        return Form({name: value for name, value in changed.items() if value is not None})


def names(*texts):
    return x509.SubjectAlternativeName([uri(text) for text in texts]), False


def site_form(van_id, site="mallory", grants: Grants = FULL):
    return Form(
        {
            "basic": (x509.BasicConstraints(ca=False, path_length=None), True),
            "usage": (usage("digital_signature"), True),
            "names": names(f"spiffe://{van_id}/site/{site}"),
            "purposes": (x509.ExtendedKeyUsage([CLIENT, SERVER]), False),
            "grants": (grants_extension(grants), False),
        }
    )


def token_form(van_id, token="abc"):
    return Form(
        {
            "basic": (x509.BasicConstraints(ca=False, path_length=None), True),
            "usage": (usage("digital_signature"), True),
            "names": names(f"spiffe://{van_id}/token/{token}"),
            "purposes": (x509.ExtendedKeyUsage([CLIENT]), False),
        }
    )


def ca_form(van_id, site="mallory", grants: Grants = OPEN):
    return Form(
        {
            "basic": (x509.BasicConstraints(ca=True, path_length=None), True),
            "usage": (usage("key_cert_sign"), True),
            "names": names(f"spiffe://{van_id}/ca/{site}"),
            "limits": (x509.NameConstraints([uri(van_id)], None), True),
            "grants": (grants_extension(grants), False),
        }
    )


def forge(
    issuer: Issued,
    form: Form,
    *,
    key=None,
    not_before: datetime = NOW - timedelta(minutes=5),
    not_after: datetime = NOW + timedelta(days=1),
    algorithm: hashes.SHA384 | None = None,
    says_whose_key_signed: bool = True,
) -> Issued:
    key = key or generate_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "forged")]))
        .issuer_name(issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if says_whose_key_signed:
        whose = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        builder = builder.add_extension(whose, critical=False)
    for value, critical in form.extensions.values():
        builder = builder.add_extension(value, critical=critical)
    return Issued(builder.sign(issuer.key, algorithm or hashes.SHA256()), key)


def invite(authority: Authority, site: str, grants: Grants = OPEN, now: datetime = NOW):
    """Return the authority of a site that was let invite."""
    key = generate_key()
    chain = authority.issue_intermediate(make_request(key), site=site, grants=grants, now=now)
    return Authority(key, chain, authority.root)
