"""The exchange of databases when a link comes up, and now and then after.

Each end sends a summary: a fingerprint for each of a fixed number of buckets. Each answers with a
digest of the buckets that differ, and sends what of those the other lacks. So a link that comes
back carries what has changed and little more, however large the database is. Digests are in order,
so that each part can be compared as it comes, and nothing has to be kept of it.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

import attrs

from van.errors import RemoteProtocolError
from van.routing.database.lsdb import NOTHING, Key, Lsdb, bucket_of
from van.wire.link import BUCKETS, FINGERPRINT_SIZE, Digest, DigestEntry, Request, Summary
from van.wire.lsa import LsaKind, LsaVersion

DIGEST_PART = 1024
"""Digest entries that we put into one message."""


@attrs.frozen
class Comparison:
    """What a part of a peer's digest says."""

    newer: list[Key]
    """Keys of which we hold something newer than the peer, or it holds nothing."""
    older: list[Key]
    """Keys of which the peer holds something newer than we."""
    cursor: Key | None
    """Up to where the digest has been compared; None at its end."""


def summary(lsdb: Lsdb) -> Summary:
    """Return the message that stands for all that is held."""
    return Summary(b"".join(each.to_bytes(FINGERPRINT_SIZE, "big") for each in lsdb.fingerprints()))


def differing(lsdb: Lsdb, message: Summary) -> bytes:
    """Return the buckets in which we hold something else than the peer."""
    ours = summary(lsdb).fingerprints
    starts = range(0, BUCKETS * FINGERPRINT_SIZE, FINGERPRINT_SIZE)
    return bytes(
        bucket
        for bucket, start in enumerate(starts)
        if ours[start : start + FINGERPRINT_SIZE]
        != message.fingerprints[start : start + FINGERPRINT_SIZE]
    )


def digest_entry(lsdb: Lsdb, key: Key) -> DigestEntry:
    """Return what is held under a key, version 0 meaning nothing."""
    version = lsdb.version(key)
    return DigestEntry(
        origin=key[0],
        kind=key[1],
        incarnation=version.incarnation,
        sequence=version.sequence,
    )


def digest(lsdb: Lsdb, buckets: bytes) -> Iterator[Digest]:
    """Return the messages that name all that is held in some buckets; at least one."""
    keys = lsdb.sorted_keys(buckets)
    for start in range(0, max(len(keys), 1), DIGEST_PART):
        part = tuple(digest_entry(lsdb, key) for key in keys[start : start + DIGEST_PART])
        yield Digest(buckets=buckets, entries=part, is_last=start + DIGEST_PART >= len(keys))


def compare(lsdb: Lsdb, message: Digest, cursor: Key | None) -> Comparison:
    """Compare a part of a peer's digest with what is held.

    Takes the key up to which the digest has been compared, None at its start. Raises
    `RemoteProtocolError` if the entries are not in order, or of other buckets than named.
    """
    if any(bucket >= BUCKETS for bucket in message.buckets):
        raise RemoteProtocolError(f"digest of a bucket above {BUCKETS - 1}")
    theirs: dict[Key, LsaVersion] = {}
    last = cursor
    for entry in message.entries:
        key = (entry.origin, entry.kind)
        if last is not None and key <= last:
            raise RemoteProtocolError(f"digest entry of {entry.origin!r} is out of order")
        if bucket_of(entry.origin) not in message.buckets:
            raise RemoteProtocolError(f"digest entry of {entry.origin!r} is of no named bucket")
        last = key
        theirs[key] = LsaVersion(entry.incarnation, entry.sequence)
    if not message.entries and not message.is_last:
        raise RemoteProtocolError("digest part is empty, but not the last")
    keys = lsdb.sorted_keys(set(message.buckets))
    start = 0 if cursor is None else bisect_right(keys, cursor)
    end = len(keys) if message.is_last or last is None else bisect_right(keys, last)
    return Comparison(
        newer=[key for key in keys[start:end] if lsdb.version(key) > theirs.get(key, NOTHING)],
        older=[key for key, version in theirs.items() if version > lsdb.version(key)],
        cursor=None if message.is_last else last,
    )


def requested(lsdb: Lsdb, message: Request) -> list[Key]:
    """Return the keys of a request of which we hold something newer than the peer."""
    return [
        key
        for entry in message.entries
        for key in ((entry.origin, entry.kind),)
        if lsdb.version(key) > LsaVersion(entry.incarnation, entry.sequence)
    ]


def request_for(lsdb: Lsdb, keys: Iterable[Key]) -> Request:
    """Return a request for advertisements newer than what is held."""
    return Request(tuple(digest_entry(lsdb, key) for key in keys))


def keys_of(origin: str, *kinds: LsaKind) -> list[Key]:
    """Return the keys of an origin's advertisements of some kinds."""
    return [(origin, kind) for kind in kinds]
