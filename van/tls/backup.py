"""The back-up of a VAN's root: one file, which a passphrase opens.

The key of AES-256-GCM is derived from the passphrase by Argon2id (RFC 9106), whose parameters are
in the file, within bounds: a forged file costs its reader no more than a gigabyte. A checksum over
all of it tells a damaged file from a wrong passphrase, and is there for nothing else: what is
sealed is bound to the rest of the file as well.
"""

import base64
import binascii
import hashlib
import os
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import attrs
import msgspec
from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Meta

from van.errors import BackUpError, CertificateError, HostError, InvalidValue
from van.tls.authority import Authority
from van.tls.documents import Document, DocumentError, decode_document, encode_document
from van.tls.pem import decode_chain, decode_key, decode_root, encode_chain, encode_key

MAX_BACK_UP: Final = 64 * 1024
"""Largest file in bytes; one has some 2 KiB."""
MIN_PASSPHRASE: Final = 10
"""Fewest characters of a passphrase: what is shorter is guessed, whatever a guess costs."""
MAX_PASSPHRASE: Final = 1024
MAX_MEMORY: Final = 1024 * 1024
"""Most memory that a file may ask for, in KiB."""
MAX_PASSES: Final = 16
MAX_LANES: Final = 16
SALT_SIZE: Final = 16
NONCE_SIZE: Final = 12
KEY_SIZE: Final = 32
CONTEXT: Final = b"van back-up 1\0"
"""Set before what the seal is bound to, so that it is good for a back-up and for nothing else."""
HEADER: Final = """\
# The authority of VAN {van}, which site {site!r} held on {made:%F}: its root.
# SECRET with its passphrase: whoever has both is the authority of the VAN. Keep them apart.
# To have it on another site: van authority restore FILE

"""


@attrs.frozen
class Cost:
    """What it costs to try a passphrase."""

    memory: int = 256 * 1024
    """In KiB."""
    passes: int = 3
    lanes: int = 4


DEFAULT_COST: Final = Cost()
"""About a second; four times the memory of what RFC 9106 recommends where that is scarce."""


class _File(Document, frozen=True, kw_only=True):
    version: Literal[1]
    van: Annotated[str, Meta(max_length=64)]
    site: Annotated[str, Meta(max_length=64)]
    made: Annotated[datetime, Meta(tz=True)]
    kdf: Literal["argon2id"]
    memory: Annotated[int, Meta(ge=8, le=MAX_MEMORY)]
    passes: Annotated[int, Meta(ge=1, le=MAX_PASSES)]
    lanes: Annotated[int, Meta(ge=1, le=MAX_LANES)]
    salt: Annotated[str, Meta(max_length=64)]
    nonce: Annotated[str, Meta(max_length=64)]
    sealed: Annotated[str, Meta(max_length=MAX_BACK_UP)]
    checksum: Annotated[str, Meta(max_length=64)]
    """Last, so that a file that was cut off has none."""


class _Secret(msgspec.Struct, frozen=True, array_like=True):
    key: str
    certificates: str
    root: str


def check_passphrase(passphrase: str) -> str:
    """Return a passphrase that a back-up may be made with, or raise `InvalidValue`."""
    if not MIN_PASSPHRASE <= len(passphrase) <= MAX_PASSPHRASE:
        raise InvalidValue(
            f"a passphrase of {len(passphrase)} characters is not valid: use {MIN_PASSPHRASE} to "
            f"{MAX_PASSPHRASE}, such as five words that nobody would guess"
        )
    return passphrase


def seal_back_up(
    authority: Authority, *, site: str, passphrase: str, cost: Cost = DEFAULT_COST, now: datetime
) -> str:
    """Return the text of a back-up's file. It takes about a second, and a lot of memory."""
    check_passphrase(passphrase)
    secret = _Secret(**texts_of(authority))
    file = _File(
        version=1,
        van=authority.van_id,
        site=site,
        made=now.astimezone(UTC).replace(microsecond=0),
        kdf="argon2id",
        memory=cost.memory,
        passes=cost.passes,
        lanes=cost.lanes,
        salt=_encode(os.urandom(SALT_SIZE)),
        nonce=_encode(os.urandom(NONCE_SIZE)),
        sealed="",
        checksum="",
    )
    cipher = AESGCM(_derive(passphrase, file))
    data = msgspec.msgpack.encode(secret)
    sealed = cipher.encrypt(_decode(file.nonce), data, _bound(file))
    file = msgspec.structs.replace(file, sealed=_encode(sealed))
    file = msgspec.structs.replace(file, checksum=_checksum(file))
    return HEADER.format(van=file.van, site=site, made=file.made) + encode_document(file)


def texts_of(authority: Authority) -> dict[str, str]:
    """Return an authority's `key`, `certificates`, and `root` in PEM."""
    return {
        "key": encode_key(authority.key),
        "certificates": encode_chain(authority.chain),
        "root": authority.root.public_bytes(Encoding.PEM).decode(),
    }


def read_back_up(text: str) -> "BackUp":
    """Read the text of a back-up's file, still sealed, or raise `BackUpError`."""
    if len(text.encode(errors="replace")) > MAX_BACK_UP:
        raise BackUpError(f"back-up is larger than {MAX_BACK_UP // 1024} KiB: this is another file")
    try:
        file = decode_document(text, _File)
    except DocumentError as exc:
        raise BackUpError(
            f"back-up can't be read: it is cut off, or not a back-up ({exc}): take another copy"
        ) from exc
    if file.checksum != _checksum(file):
        raise BackUpError("back-up is damaged: its checksum does not match: take another copy")
    if file.memory < 8 * file.lanes:
        raise BackUpError("back-up is damaged: it has less memory than its lanes take")
    return BackUp(file)


@attrs.frozen(repr=False)
class BackUp:
    """A back-up as it is in its file."""

    _file: _File

    @property
    def van_id(self) -> str:
        """Return the VAN that it says it is of."""
        return self._file.van

    def open(self, passphrase: str) -> Authority:
        """Return what is in it, which takes about a second and a lot of memory.

        Raises `BackUpError` for another passphrase than that which it was made with.
        """
        cipher = AESGCM(_derive(passphrase, self._file))
        try:
            data = cipher.decrypt(
                _decode(self._file.nonce), _decode(self._file.sealed), _bound(self._file)
            )
        except (InvalidTag, ValueError) as exc:
            raise BackUpError(
                "passphrase is not the one that the back-up was made with: nothing is changed"
            ) from exc
        try:
            secret = msgspec.msgpack.decode(data, type=_Secret)
            authority = Authority(
                decode_key(secret.key), decode_chain(secret.certificates), decode_root(secret.root)
            )
        except (msgspec.DecodeError, ValueError, CertificateError) as exc:
            raise BackUpError(f"back-up holds no authority: {exc}") from exc
        if not authority.is_root or authority.van_id != self._file.van:
            raise BackUpError("back-up holds another authority than it says")
        return authority

    def __repr__(self) -> str:
        return f"<BackUp of {self._file.van} made {self._file.made:%F} at {self._file.site!r}>"


def _derive(passphrase: str, file: _File) -> bytes:
    try:
        kdf = Argon2id(
            salt=_decode(file.salt),
            length=KEY_SIZE,
            iterations=file.passes,
            lanes=file.lanes,
            memory_cost=file.memory,
        )
        # One is typed on many keyboards, which have more than one way to write a letter.
        normal = unicodedata.normalize("NFC", passphrase)
        return kdf.derive(normal.encode(errors="surrogateescape"))
    except UnsupportedAlgorithm as exc:
        raise HostError(
            "this machine's 'cryptography' has no Argon2id: install it by pip, not from the system"
        ) from exc
    except MemoryError as exc:
        raise HostError(f"the back-up takes {file.memory // 1024} MiB of memory to open") from exc
    except ValueError as exc:
        raise BackUpError(f"back-up is damaged: {exc}") from exc


def _bound(file: _File) -> bytes:
    """Return what the seal is bound to: all that stands beside it."""
    return CONTEXT + msgspec.msgpack.encode(
        (file.van, file.site, int(file.made.timestamp()), file.kdf, file.memory, file.passes,
         file.lanes, file.salt, file.nonce)
    )  # fmt: skip


def _checksum(file: _File) -> str:
    return hashlib.sha256(_bound(file) + file.sealed.encode()).hexdigest()


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as exc:
        raise BackUpError("back-up is damaged: what should be base64 is not") from exc
