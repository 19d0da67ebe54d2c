import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.errors import RemoteProtocolError
from van.routing.database.lsdb import Entry, Key, Lsdb, bucket_of
from van.routing.flooding import exchange
from van.routing.flooding.exchange import (
    compare,
    differing,
    digest,
    keys_of,
    request_for,
    requested,
    summary,
)
from van.wire.link import BUCKETS, Digest, DigestEntry, Request
from van.wire.lsa import AddressesBody, Lsa, LsaKind

ALL = bytes(range(BUCKETS))
keys = st.sampled_from(list(product("abcdefg", LsaKind)))
versions = st.sampled_from(list(product((1, 2, 3), (0, 1, 2, 3))))
holdings = st.dictionaries(keys, versions)


def holding(versions: dict[Key, tuple[int, int]]) -> Lsdb:
    lsdb = Lsdb()
    for (origin, kind), (incarnation, sequence) in versions.items():
        lsa = Lsa(origin, kind, incarnation, sequence, 900.0, b"", b"")
        lsdb.install(Entry(lsa, AddressesBody((), ()), math.inf))
    return lsdb


def entry(origin: str, sequence: int = 1) -> DigestEntry:
    return DigestEntry(origin, LsaKind.IDENTITY, 1, sequence)


@given(ours=holdings, theirs=holdings, part=st.integers(1, 4))
def test_exactly_what_one_side_lacks_or_has_older_is_found(ours, theirs, part):
    us, them = holding(ours), holding(theirs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "DIGEST_PART", part)
        parts = list(digest(them, differing(them, summary(us))))
    newer, older, cursor = [], [], None
    for message in parts:
        found = compare(us, message, cursor)
        newer += found.newer
        older += found.older
        cursor = found.cursor
    assert newer == [key for key in sorted(ours) if ours[key] > theirs.get(key, (0, 0))]
    assert older == [key for key in sorted(theirs) if theirs[key] > ours.get(key, (0, 0))]
    assert cursor is None
    assert [message.is_last for message in parts] == [False] * (len(parts) - 1) + [True]


@given(ours=holdings, theirs=holdings)
def test_buckets_differ_exactly_where_the_holdings_do(ours, theirs):
    expected = {
        bucket_of(origin)
        for origin, kind in ours.keys() | theirs.keys()
        if ours.get((origin, kind)) != theirs.get((origin, kind))
    }
    assert set(differing(holding(ours), summary(holding(theirs)))) == expected


@given(holdings, holdings)
def test_summary_does_not_depend_on_what_was_held_before(before, now):
    lsdb = holding(before)
    for key in before:
        lsdb.remove(key)
    for origin, kind in now:
        incarnation, sequence = now[(origin, kind)]
        lsa = Lsa(origin, kind, incarnation, sequence, 900.0, b"", b"")
        lsdb.install(Entry(lsa, AddressesBody((), ()), math.inf))
    assert summary(lsdb) == summary(holding(now))


def test_difference_of_one_site_is_told_without_the_rest():
    versions = {(f"s{number}", kind): (1, 1) for number in range(1000) for kind in LsaKind}
    ours = holding(versions)
    theirs = holding(versions | {("s7", LsaKind.ADDRESSES): (1, 2)})
    (message,) = digest(theirs, differing(theirs, summary(ours)))
    assert len(message.entries) < 3 * 1000 / BUCKETS * 2
    assert compare(ours, message, None).older == [("s7", LsaKind.ADDRESSES)]


def test_digest_of_nothing_is_one_message():
    assert list(digest(Lsdb(), b"")) == [Digest(b"", (), is_last=True)]


@pytest.mark.parametrize(
    "entries", [(entry("b"), entry("a")), (entry("a"), entry("a"))], ids=["descending", "twice"]
)
def test_digest_out_of_order_is_refused(entries):
    with pytest.raises(RemoteProtocolError, match="out of order"):
        compare(Lsdb(), Digest(ALL, entries, is_last=True), None)


def test_digest_part_that_goes_back_is_refused():
    cursor = compare(Lsdb(), Digest(ALL, (entry("m"),), is_last=False), None).cursor
    with pytest.raises(RemoteProtocolError, match="out of order"):
        compare(Lsdb(), Digest(ALL, (entry("b"),), is_last=True), cursor)


def test_empty_part_that_is_not_the_last_is_refused():
    with pytest.raises(RemoteProtocolError, match="empty"):
        compare(Lsdb(), Digest(ALL, (), is_last=False), None)


def test_entry_of_a_bucket_that_is_not_named_is_refused():
    others = bytes(set(ALL) - {bucket_of("a")})
    with pytest.raises(RemoteProtocolError, match="no named bucket"):
        compare(Lsdb(), Digest(others, (entry("a"),), is_last=True), None)


def test_bucket_that_there_is_none_of_is_refused():
    with pytest.raises(RemoteProtocolError, match="bucket"):
        compare(Lsdb(), Digest(bytes([BUCKETS]), (), is_last=True), None)


def test_request_is_answered_with_what_is_newer_alone():
    lsdb = holding({("a", LsaKind.IDENTITY): (1, 2), ("b", LsaKind.IDENTITY): (1, 2)})
    message = Request((entry("a", 1), entry("b", 2), entry("c", 0)))
    assert requested(lsdb, message) == [("a", LsaKind.IDENTITY)]


def test_request_names_what_is_held():
    message = request_for(Lsdb(), keys_of("a", LsaKind.IDENTITY, LsaKind.ADDRESSES))
    assert [each.kind for each in message.entries] == [LsaKind.IDENTITY, LsaKind.ADDRESSES]
    assert {(each.incarnation, each.sequence) for each in message.entries} == {(0, 0)}
