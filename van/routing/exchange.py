"""The exchange of databases when a link comes up: digests, and what differs between them.

Both ends send a digest, so each sends what the other lacks, and neither has to ask for it. Digests
are in order, so that each part can be compared as it comes, and nothing has to be kept of it.
"""

from bisect import bisect_right
from collections.abc import Iterator

from van.errors import RemoteProtocolError
from van.routing.lsdb import NOTHING, Key, Lsdb
from van.wire.link import Digest, DigestEntry, Request
from van.wire.lsa import LsaKind, LsaVersion

DIGEST_PART = 1024
"""Digest entries that we put into one message."""


def digest_entry(lsdb: Lsdb, key: Key) -> DigestEntry:
    """Return what is held under a key, version 0 meaning nothing."""
    version = lsdb.version(key)
    return DigestEntry(
        origin=key[0],
        kind=key[1],
        incarnation=version.incarnation,
        sequence=version.sequence,
    )


def digest(lsdb: Lsdb) -> Iterator[Digest]:
    """Return the messages that name all that is held; at least one."""
    keys = lsdb.sorted_keys()
    for start in range(0, max(len(keys), 1), DIGEST_PART):
        part = tuple(digest_entry(lsdb, key) for key in keys[start : start + DIGEST_PART])
        yield Digest(entries=part, is_last=start + DIGEST_PART >= len(keys))


def newer_than_digest(
    lsdb: Lsdb, message: Digest, cursor: Key | None
) -> tuple[list[Key], Key | None]:
    """Compare a part of a peer's digest with what is held.

    Takes and returns the key up to which the digest has been compared, None at its start. Returns
    the keys of which we hold something newer than the peer, or it holds nothing. Raises
    `RemoteProtocolError` if the entries are not in order.
    """
    theirs: dict[Key, LsaVersion] = {}
    last = cursor
    for entry in message.entries:
        key = (entry.origin, entry.kind)
        if last is not None and key <= last:
            raise RemoteProtocolError(f"digest entry of {entry.origin!r} is out of order")
        last = key
        theirs[key] = LsaVersion(entry.incarnation, entry.sequence)
    if not message.entries and not message.is_last:
        raise RemoteProtocolError("digest part is empty, but not the last")
    keys = lsdb.sorted_keys()
    start = 0 if cursor is None else bisect_right(keys, cursor)
    end = len(keys) if message.is_last or last is None else bisect_right(keys, last)
    newer = [key for key in keys[start:end] if lsdb.version(key) > theirs.get(key, NOTHING)]
    return newer, None if message.is_last else last


def requested(lsdb: Lsdb, message: Request) -> list[Key]:
    """Return the keys of a request of which we hold something newer than the peer."""
    return [
        key
        for entry in message.entries
        for key in ((entry.origin, entry.kind),)
        if lsdb.version(key) > LsaVersion(entry.incarnation, entry.sequence)
    ]


def request_for(lsdb: Lsdb, origin: str, *kinds: LsaKind) -> Request:
    """Return a request for advertisements of an origin newer than what is held."""
    return Request(tuple(digest_entry(lsdb, (origin, kind)) for kind in kinds))
