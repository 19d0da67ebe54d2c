import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.errors import RemoteProtocolError
from van.routing import exchange
from van.routing.exchange import digest, newer_than_digest, request_for, requested
from van.routing.lsdb import Entry, Key, Lsdb
from van.wire.link import Digest, DigestEntry, Request
from van.wire.lsa import AddressesBody, Lsa, LsaKind

keys = st.tuples(st.sampled_from("abcdefg"), st.sampled_from(LsaKind))
versions = st.tuples(st.integers(1, 3), st.integers(0, 3))
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
def test_exactly_what_the_peer_lacks_or_has_older_is_sent(ours, theirs, part):
    lsdb = holding(ours)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "DIGEST_PART", part)
        parts = list(digest(holding(theirs)))
    newer, cursor = [], None
    for message in parts:
        found, cursor = newer_than_digest(lsdb, message, cursor)
        newer += found
    assert newer == [key for key in sorted(ours) if ours[key] > theirs.get(key, (0, 0))]
    assert cursor is None
    assert [message.is_last for message in parts] == [False] * (len(parts) - 1) + [True]


def test_digest_of_nothing_is_one_message():
    assert list(digest(Lsdb())) == [Digest((), is_last=True)]


@pytest.mark.parametrize(
    "entries", [(entry("b"), entry("a")), (entry("a"), entry("a"))], ids=["descending", "twice"]
)
def test_digest_out_of_order_is_refused(entries):
    with pytest.raises(RemoteProtocolError, match="out of order"):
        newer_than_digest(Lsdb(), Digest(entries, is_last=True), None)


def test_digest_part_that_goes_back_is_refused():
    _, cursor = newer_than_digest(Lsdb(), Digest((entry("m"),), is_last=False), None)
    with pytest.raises(RemoteProtocolError, match="out of order"):
        newer_than_digest(Lsdb(), Digest((entry("b"),), is_last=True), cursor)


def test_empty_part_that_is_not_the_last_is_refused():
    with pytest.raises(RemoteProtocolError, match="empty"):
        newer_than_digest(Lsdb(), Digest((), is_last=False), None)


def test_request_is_answered_with_what_is_newer_alone():
    lsdb = holding({("a", LsaKind.IDENTITY): (1, 2), ("b", LsaKind.IDENTITY): (1, 2)})
    message = Request((entry("a", 1), entry("b", 2), entry("c", 0)))
    assert requested(lsdb, message) == [("a", LsaKind.IDENTITY)]


def test_request_names_what_is_held():
    message = request_for(Lsdb(), "a", LsaKind.IDENTITY, LsaKind.ADDRESSES)
    assert [each.kind for each in message.entries] == [LsaKind.IDENTITY, LsaKind.ADDRESSES]
    assert {(each.incarnation, each.sequence) for each in message.entries} == {(0, 0)}
