"""The link-state database: the newest genuine advertisement of each origin and kind."""

import enum
import hashlib
import math
import struct
import zlib
from collections.abc import Iterable, Iterator

import attrs
import msgspec

from van.routing.database.keyring import Origin
from van.wire.link import BUCKETS, FINGERPRINT_SIZE
from van.wire.lsa import (
    AddressesBody,
    AdjacenciesBody,
    Body,
    IdentityBody,
    Lsa,
    LsaKind,
    LsaVersion,
)

Key = tuple[str, LsaKind]
"""Origin and kind; their order is the order of a digest."""
NOTHING = LsaVersion(0, 0)
"""Older than any version that is ever advertised."""
NO_ADJACENCIES = AdjacenciesBody(())
_FINGERPRINTED = struct.Struct("!BQQ")
"""Kind, incarnation, and sequence; the origin follows."""


class Change(enum.IntEnum):
    """What must be computed anew; the greater includes the lesser."""

    NONE = 0
    TABLES = 1
    TOPOLOGY = 2


@attrs.frozen
class Entry:
    """An advertisement as it is held."""

    lsa: Lsa
    body: Body
    """What of the body counts here: addresses that the origin may not have are left out."""
    expires_at: float

    @property
    def key(self) -> Key:
        """Return what the database files this under."""
        return self.lsa.origin, self.lsa.kind

    def as_sent(self, now: float) -> Lsa:
        """Return the advertisement with the lifetime that is left."""
        return msgspec.structs.replace(
            self.lsa, lifetime=max(0.0, min(self.lsa.lifetime, self.expires_at - now))
        )


class Lsdb:
    """Holds entries, and the authenticated sites they come from. Admits whatever it is given."""

    def __init__(self) -> None:
        self._entries: dict[Key, Entry] = {}
        self._origins: dict[str, Origin] = {}
        self._buckets: list[set[Key]] = [set() for _ in range(BUCKETS)]
        self._fingerprints = [0] * BUCKETS

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Entry | None:
        """Return what is held of an origin and kind."""
        return self._entries.get(key)

    def version(self, key: Key) -> LsaVersion:
        """Return the version held, or `NOTHING`."""
        entry = self._entries.get(key)
        return NOTHING if entry is None else entry.lsa.version

    def sorted_keys(self, buckets: Iterable[int] = range(BUCKETS)) -> list[Key]:
        """Return the keys of all entries in some buckets, in digest order."""
        return sorted(key for bucket in buckets for key in self._buckets[bucket])

    def fingerprints(self) -> tuple[int, ...]:
        """Return for each bucket what stands for the versions of all entries in it."""
        return tuple(self._fingerprints)

    def install(self, entry: Entry) -> Change:
        """Put an entry in the place of the one held, if any, and say what that changes."""
        key = entry.key
        held = self._entries.get(key)
        self._entries[key] = entry
        if held is not None:
            self._fingerprint(held)
        self._fingerprint(entry)
        self._buckets[bucket_of(key[0])].add(key)
        return _difference(entry.lsa.kind, None if held is None else held.body, entry.body)

    def remove(self, key: Key) -> Change:
        """Take an entry out, and with an identity all that it vouches for."""
        origin, kind = key
        if kind is LsaKind.IDENTITY:
            self._origins.pop(origin, None)
            return max(self._remove_one((origin, each)) for each in LsaKind)
        return self._remove_one(key)

    def _remove_one(self, key: Key) -> Change:
        entry = self._entries.pop(key, None)
        if entry is None:
            return Change.NONE
        self._fingerprint(entry)
        self._buckets[bucket_of(key[0])].discard(key)
        return _difference(entry.lsa.kind, entry.body, None)

    def _fingerprint(self, entry: Entry) -> None:
        """Put an entry into its bucket's fingerprint, or take it out: the two are the same."""
        self._fingerprints[bucket_of(entry.lsa.origin)] ^= fingerprint(entry.lsa)

    def origin(self, name: str) -> Origin | None:
        """Return the authenticated site of a name, or None if its identity is not held."""
        return self._origins.get(name)

    def set_origin(self, name: str, origin: Origin) -> None:
        """Keep the authenticated site whose identity has been installed."""
        self._origins[name] = origin

    def origins(self) -> Iterator[tuple[str, Origin]]:
        """Iterate over the authenticated sites; our own is not among them."""
        return iter(tuple(self._origins.items()))

    def adjacencies(self) -> dict[str, AdjacenciesBody]:
        """Return what each known site advertises of its neighbours."""
        found: dict[str, AdjacenciesBody] = {}
        for (origin, _), entry in self._entries.items():
            if self.has_left(origin):
                continue
            if isinstance(entry.body, AdjacenciesBody):
                found[origin] = entry.body
            else:
                found.setdefault(origin, NO_ADJACENCIES)
        return found

    def addresses(self) -> dict[str, AddressesBody]:
        """Return what each known site serves and listens for, as far as it may."""
        return {
            origin: entry.body
            for (origin, _), entry in self._entries.items()
            if isinstance(entry.body, AddressesBody)
        }

    def is_outdated(self, origin: str, incarnation: int) -> bool:
        """Tell whether the adjacencies that are held are from before an origin's latest start."""
        held = self._entries.get((origin, LsaKind.ADJACENCIES))
        return held is not None and held.lsa.incarnation < incarnation

    def has_left(self, name: str) -> bool:
        """Tell whether the last word of a site is goodbye. Its identity is held on, so that no
        older one is taken for it."""
        entry = self._entries.get((name, LsaKind.IDENTITY))
        return entry is not None and _has_left(entry.body)

    def identities(self) -> dict[str, IdentityBody]:
        """Return what each known site has told of itself, but for those that have left."""
        return {
            origin: entry.body
            for (origin, _), entry in self._entries.items()
            if isinstance(entry.body, IdentityBody) and not entry.body.has_left
        }

    def expired(self, now: float) -> list[Key]:
        """Return the keys of entries whose lifetime is over."""
        return [key for key, entry in self._entries.items() if entry.expires_at <= now]

    def next_expiry(self) -> float:
        """Return when the first entry's lifetime is over, or infinity."""
        return min((entry.expires_at for entry in self._entries.values()), default=math.inf)


def bucket_of(origin: str) -> int:
    """Return the number of the bucket that an origin's entries belong to."""
    return zlib.crc32(origin.encode()) % BUCKETS


def fingerprint(lsa: Lsa) -> int:
    """Return a number that stands for an advertisement's key and version.

    Those of a bucket are combined by exclusive or, so that one entry can be replaced alone.
    """
    numbers = _FINGERPRINTED.pack(lsa.kind, lsa.incarnation, lsa.sequence)
    digest = hashlib.blake2b(numbers + lsa.origin.encode(), digest_size=FINGERPRINT_SIZE)
    return int.from_bytes(digest.digest(), "big")


def _difference(kind: LsaKind, old: Body | None, new: Body | None) -> Change:
    if old == new:
        return Change.NONE
    if kind is LsaKind.ADJACENCIES:
        return Change.TABLES if _topology(old) == _topology(new) else Change.TOPOLOGY
    if kind is LsaKind.IDENTITY and old is not None and new is not None:
        return Change.NONE if _has_left(old) == _has_left(new) else Change.TOPOLOGY
    return Change.TABLES


def _has_left(body: Body) -> bool:
    return isinstance(body, IdentityBody) and body.has_left


def _topology(body: Body | None) -> tuple[dict[str, int], bool]:
    """Return what of an advertisement of adjacencies routes are computed from."""
    if not isinstance(body, AdjacenciesBody):
        return {}, True
    return {each.neighbor: each.cost for each in body.adjacencies}, body.is_transit
