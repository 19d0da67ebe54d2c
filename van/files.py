"""Files that survive a crash: what was written is there whole, or the old content is."""

import os
import secrets
from pathlib import Path

from van.errors import StorageError


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace a file's content so that a crash at any instant leaves the old or the new.

    Raises `StorageError`; the old content is then untouched.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)
    except OSError as exc:
        raise storage_error("write", path, exc) from exc


def append_at(path: Path, offset: int, data: bytes, *, mode: int = 0o600) -> None:
    """Put bytes at an offset of a file, which ends with them then, and on disk.

    What a crash left behind the offset is written over. Raises `StorageError`; the file ends at the
    offset then, if it can.
    """
    try:
        is_new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.truncate(offset)
            file.seek(offset)
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(offset)
                raise
        if is_new:
            sync_directory(path.parent)
    except OSError as exc:
        raise storage_error("write", path, exc) from exc


def rename(path: Path, new: Path) -> None:
    """Give a file another name, in the place of what has that; raise `StorageError`."""
    try:
        path.replace(new)
        sync_directory(new.parent)
    except OSError as exc:
        raise storage_error("rename", path, exc) from exc


def sync_directory(path: Path) -> None:
    """Make a rename or removal in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bytes(path: Path, *, limit: int) -> bytes | None:
    """Return a file's content, or None when there is no such file.

    Raises `StorageError` when it can't be read or is larger than the limit in bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise storage_error("read", path, exc) from exc
    if len(data) > limit:
        raise StorageError(f"file {path} is larger than {limit} bytes")
    return data


def remove(path: Path) -> None:
    """Remove a file for good, if it is there."""
    try:
        path.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as exc:
        raise storage_error("remove", path, exc) from exc


def make_private_directory(path: Path) -> None:
    """Create a directory that only its owner may enter, with its parents."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as exc:
        raise storage_error("create", path, exc) from exc


def storage_error(verb: str, path: Path, exc: OSError) -> StorageError:
    """Return the error that says what could not be done with a file, and why."""
    reason = (exc.strerror or str(exc)).lower()
    return StorageError(f"can't {verb} {path}: {reason}")
