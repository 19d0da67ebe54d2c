"""TOML that van writes and reads back itself: identities, tokens, and records of tokens."""

import tomllib
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec
import tomli_w

from van.errors import StorageError, VanError
from van.files import read_bytes


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what is in a file; fields that are missing, unknown, or wrong are refused."""


D = TypeVar("D", bound=Document)


class DocumentError(VanError):
    """A text is not the document that it should be; callers say which, in an error of their own."""


def encode_document(document: Document) -> str:
    """Encode a document as TOML, with text of several lines as such."""
    fields = msgspec.to_builtins(document, builtin_types=(datetime,))
    present = {name: value for name, value in fields.items() if value is not None}
    return tomli_w.dumps(present, multiline_strings=True)


def decode_document(text: str, form: type[D]) -> D:
    """Decode a document from TOML, or raise `DocumentError`; the error shows no values."""
    try:
        return msgspec.convert(tomllib.loads(text), form)
    except RecursionError as exc:
        raise DocumentError("brackets are nested too deep") from exc
    except ValueError as exc:
        raise DocumentError(f"not valid TOML: {exc}") from exc
    except msgspec.ValidationError as exc:
        raise DocumentError(str(exc)[:1].lower() + str(exc)[1:]) from exc


def load_document(path: Path, form: type[D], *, limit: int) -> D:
    """Read a document from a file of at most `limit` bytes; `StorageError` names the file."""
    data = read_bytes(path, limit=limit)
    if data is None:
        raise StorageError(f"can't read {path}: no such file")
    try:
        return decode_document(data.decode(), form)
    except UnicodeDecodeError as exc:
        raise StorageError(f"file {path} is damaged: it is not text") from exc
    except DocumentError as exc:
        raise StorageError(f"file {path} is damaged: {exc}") from exc
