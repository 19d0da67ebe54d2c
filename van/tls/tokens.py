"""Tokens: files that let a site in, with bootstrap credentials that are good for nothing else.

Nobody can give a token more than was minted: its certificate carries the id and the expiry, and the
grants are in the minting site's ledger. The signature over all of its fields is there so that a
file that was cut off or edited is told from a good one, before anything is dialled.
"""

import base64
import binascii
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

import attrs
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Meta

from van.errors import CertificateError, InvalidName, LocalError, TokenError
from van.names import Endpoint, check_site_name, check_site_pattern
from van.tls.authority import Authority
from van.tls.documents import Document, DocumentError, decode_document, encode_document
from van.tls.forms import CLOCK_SKEW, load_certificate
from van.tls.grants import Grants, dump_grants, load_grants
from van.tls.identity import BootstrapIdentity, read_chain
from van.tls.keys import SIGNATURE, is_signed
from van.tls.pem import decode_chain, decode_key, decode_root, encode_chain, encode_key
from van.tls.subject import key_of

MAX_TOKEN: Final = 64 * 1024
"""Largest token in bytes: a chain of the largest certificates just fits."""
MAX_ADDRESSES: Final = 16
"""Most addresses in a token: they are tried one after another."""
MAX_NAMES: Final = 64
"""Most patterns of names in a token."""
MAX_COST: Final = 65535
"""Highest cost of a link; as in messages, where 0 is a cost that follows the round trip."""
SIGNING_CONTEXT: Final = b"van token 2\0"
"""Set before what is signed, so that a signature is good for a token and for nothing else."""
HEADER: Final = """\
# A van token: it lets a site link to site {site!r}.
# SECRET: whoever has this file can join, until {expires:%F %TZ}. Hand it over privately.
# At the other site: van link accept FILE

"""


@attrs.frozen(repr=False)
class Token:
    """An invitation, and all that is needed to act on it."""

    id: str
    van_id: str
    site: str
    """The site that minted it, and lets in."""
    addresses: tuple[Endpoint, ...]
    """Where that site can be dialled, the best first."""
    cost: int
    """The link's; 0 if it follows the round trip."""
    grants: Grants
    """What the new site will be let do."""
    names: tuple[str, ...]
    """Patterns of the names that it may have."""
    replaces: bool
    """Whether it may take a name from the site that had it."""
    expires: datetime
    root: x509.Certificate
    chain: tuple[bytes, ...]
    """DER certificates from the bootstrap certificate upward, without the root."""
    key: ec.EllipticCurvePrivateKey = attrs.field(eq=False)

    def time_there(self, ours: datetime) -> datetime:
        """Return the time at the site that minted it, as far as it can be told by our clock: that
        is right while the token is good, which is between its minting and its expiry."""
        minted = load_certificate(self.chain[0]).not_valid_before_utc + CLOCK_SKEW
        return min(max(ours, minted), self.expires)

    def __repr__(self) -> str:
        return f"<Token {self.id!r} of {self.site!r} until {self.expires:%F %TZ}>"


class _TokenFile(Document, frozen=True, kw_only=True):
    version: Literal[2]
    id: str
    van: str
    site: str
    addresses: Annotated[tuple[str, ...], Meta(min_length=1, max_length=MAX_ADDRESSES)]
    cost: Annotated[int, Meta(ge=0, le=MAX_COST)]
    names: Annotated[tuple[str, ...], Meta(min_length=1, max_length=MAX_NAMES)]
    replaces: bool
    can_invite: bool
    allow_expose: tuple[str, ...]
    allow_bind: tuple[str, ...]
    may_name: tuple[str, ...]
    may_tag: tuple[str, ...]
    tags: tuple[str, ...]
    life: int
    is_ephemeral: bool
    expires: Annotated[datetime, Meta(tz=True)]
    root: str
    certificates: str
    key: str
    signature: str
    """Last, so that a file that was cut off has none."""


def mint(
    authority: Authority,
    *,
    site: str,
    addresses: Sequence[Endpoint],
    grants: Grants,
    cost: int,
    lifetime: timedelta,
    names: Sequence[str] = (),
    replaces: bool = False,
    now: datetime | None = None,
) -> Token:
    """Make a token; it expires no later than the authority.

    Without patterns of names, who is let in may have any that the authority may give. Raises
    `NotAllowed` when the grants or the names are wider than the authority's, and `LocalError` for a
    cost, a lifetime, or a number of names or addresses that no token can have.
    """
    check_site_name(site)
    authority.check_may_grant(grants)
    if replaces and (not names or any("*" in each for each in names)):
        raise LocalError("a token that replaces a key is for certain names, without '*'")
    names = tuple(map(check_site_pattern, names)) or authority.grants.may_name
    authority.check_may_name(names)
    if len(names) > MAX_NAMES:
        raise LocalError(f"a token has up to {MAX_NAMES} patterns of names, not {len(names)}")
    if not 1 <= len(addresses) <= MAX_ADDRESSES:
        raise LocalError(f"a token has 1 to {MAX_ADDRESSES} addresses, not {len(addresses)}")
    if not 0 <= cost <= MAX_COST:
        raise LocalError(f"cost {cost} is not valid: use a number up to {MAX_COST}")
    token_id = secrets.token_hex(8)
    pem, certificate = authority.issue_bootstrap(token_id, lifetime=lifetime, now=now)
    return Token(
        id=token_id,
        van_id=authority.van_id,
        site=site,
        addresses=tuple(addresses),
        cost=cost,
        grants=grants,
        names=names,
        replaces=replaces,
        expires=load_certificate(certificate).not_valid_after_utc,
        root=authority.root,
        chain=(certificate, *authority.chain),
        key=decode_key(pem),
    )


def encode_token(token: Token) -> str:
    """Encode a token as the text of its file: TOML under a comment that says what it is."""
    signature = token.key.sign(signed_bytes(token), SIGNATURE)
    file = _TokenFile(
        version=2,
        id=token.id,
        van=token.van_id,
        site=token.site,
        addresses=tuple(map(str, token.addresses)),
        cost=token.cost,
        names=token.names,
        replaces=token.replaces,
        **dump_grants(token.grants),
        expires=token.expires.astimezone(UTC),
        root=token.root.public_bytes(Encoding.PEM).decode(),
        certificates=encode_chain(token.chain),
        key=encode_key(token.key),
        signature=base64.b64encode(signature).decode(),
    )
    return HEADER.format(site=token.site, expires=file.expires) + encode_document(file)


def decode_token(text: str) -> Token:
    """Decode the text of a token's file, or raise `TokenError`, which says what is wrong.

    Whether it has expired is for the site that minted it to say: clocks differ.
    """
    if len(text.encode(errors="replace")) > MAX_TOKEN:
        raise TokenError(f"token is larger than {MAX_TOKEN // 1024} KiB: this is another file")
    if not text.isascii():
        raise TokenError("token has letters that no token has: this is another file")
    try:
        file = decode_document(text, _TokenFile)
    except DocumentError as exc:
        raise TokenError(
            f"token can't be read: it is cut off, or not a token; copy the whole file ({exc})"
        ) from exc
    try:
        token = _read(file)
        _check_unaltered(token, file)
    except (CertificateError, LocalError) as exc:
        raise TokenError(f"token was edited or damaged: {exc}; copy the whole file again") from exc
    return token


def signed_bytes(token: Token) -> bytes:
    """Return what a token's signature covers: the context, then a msgpack array.

    The key is not in it, because the certificate, which is, is of that key.
    """
    fields = (
        token.id,
        token.van_id,
        token.site,
        tuple(map(str, token.addresses)),
        token.cost,
        token.names,
        token.replaces,
        *dump_grants(token.grants).values(),
        int(token.expires.timestamp()),
        token.root.public_bytes(Encoding.DER),
        token.chain,
    )
    return SIGNING_CONTEXT + msgspec.msgpack.encode(fields)


def _read(file: _TokenFile) -> Token:
    return Token(
        id=file.id,
        van_id=file.van,
        site=check_site_name(file.site),
        addresses=tuple(map(_read_address, file.addresses)),
        cost=file.cost,
        grants=load_grants(msgspec.structs.asdict(file)),
        names=tuple(map(check_site_pattern, file.names)),
        replaces=file.replaces,
        expires=_whole_second(file.expires),
        root=decode_root(file.root),
        chain=decode_chain(file.certificates),
        key=decode_key(file.key),
    )


def _read_address(text: str) -> Endpoint:
    endpoint = Endpoint.parse(text)
    if str(endpoint) != text:
        raise InvalidName(f"address {text!r} is not valid: use HOST:PORT")
    return endpoint


def _whole_second(expires: datetime) -> datetime:
    if expires.microsecond:
        raise LocalError("its expiry has fractions of a second")
    return expires.astimezone(UTC)


def _check_unaltered(token: Token, file: _TokenFile) -> None:
    """Raise `CertificateError` unless all parts of a token belong together."""
    identity = read_chain(token.chain, token.root)
    certificate = load_certificate(token.chain[0])
    if not isinstance(identity, BootstrapIdentity):
        raise CertificateError("its certificate is not a token's")
    if key_of(certificate) != token.key.public_key():
        raise CertificateError("its key is not that of its certificate")
    if not is_signed(token.key.public_key(), _read_signature(file), signed_bytes(token)):
        raise CertificateError("its signature does not match")
    stated = (token.van_id, token.id, token.expires)
    if stated != (identity.van_id, identity.token_id, identity.not_after):
        raise CertificateError("it does not say what its certificate does")


def _read_signature(file: _TokenFile) -> bytes:
    try:
        return base64.b64decode(file.signature, validate=True)
    except (ValueError, binascii.Error) as exc:
        raise CertificateError("its signature is not base64") from exc
