"""An expulsion counts if the root, or an authority above, has signed it; and for nobody else."""

from datetime import timedelta
from typing import Any

import attrs
import msgspec
import pytest

from van.errors import CertificateError, Expelled, NotAllowed
from van.tls.authority import Authority
from van.tls.expulsion import check_may_expel, sign_expulsion
from van.tls.expulsion_list import ExpulsionList
from van.tls.forms import CLOCK_SKEW, utc_now
from van.tls.grants import FULL
from van.tls.identity import read_chain
from van.tls.keys import generate_key, make_request

NOW = utc_now().replace(microsecond=0)


@attrs.frozen
class Member:
    """A site of a VAN, with an authority of its own."""

    identity: Any
    authority: Any


@pytest.fixture(scope="module")
def root():
    return Authority.create_root(now=NOW - timedelta(days=9))


def let_in(by, name, *, at=NOW):
    key, ca_key = generate_key(), generate_key()
    chain = by.issue_site(make_request(key), site=name, grants=FULL, now=at)
    ca_chain = by.issue_intermediate(make_request(ca_key), site=name, grants=FULL, now=at)
    return Member(read_chain(chain, by.root), Authority(ca_key, ca_chain, by.root))


def expel(by, member, *, at=NOW, reason="stolen"):
    identity = member.identity
    return sign_expulsion(
        by, site=identity.site, key=identity.public_key_fingerprint, at=at, reason=reason
    )


def is_out(root, member, *statements):
    known = ExpulsionList(root.root)
    for each in statements:
        known.add(each)
    return known.find(member.identity) is not None


def test_the_root_puts_out_whom_it_let_in_and_all_that_these_let_in(root):
    west, east = let_in(root, "west"), let_in(root, "east")
    below = let_in(west.authority, "below")
    statement = expel(root, west)
    assert is_out(root, west, statement)
    assert is_out(root, below, statement)
    assert is_out(root, below, expel(root, below))
    assert not is_out(root, west, expel(root, below))
    assert not is_out(root, east, statement)


def test_who_is_out_is_told_why(root):
    west = let_in(root, "west")
    known = ExpulsionList(root.root)
    known.check(west.identity)
    known.add(expel(root, west))
    with pytest.raises(
        Expelled, match=r"'west' was expelled by the authority .*: stolen"
    ) as caught:
        known.check(west.identity)
    assert caught.value.site == "west"


def test_an_authority_puts_out_whom_it_stands_above_and_nobody_else(root):
    west = let_in(root, "west")
    below = let_in(west.authority, "below")
    deep = let_in(below.authority, "deep")
    assert is_out(root, below, expel(west.authority, below))
    assert is_out(root, deep, expel(west.authority, below))
    assert is_out(root, deep, expel(west.authority, deep))
    for by, whom in ((below, west), (deep, below), (west, west)):
        assert not is_out(root, whom, expel(by.authority, whom))
        with pytest.raises(NotAllowed, match="at the site that made the VAN"):
            check_may_expel(by.authority, whom.identity.site, whom.identity.authorities)
    check_may_expel(west.authority, "deep", deep.identity.authorities)
    check_may_expel(root, "deep", deep.identity.authorities)


def test_nobody_is_sent_to_a_site_to_have_it_expel_itself(root):
    """A second authority renews itself, so that its certificate rests on its own."""
    west, east = let_in(root, "west"), let_in(root, "east")
    own = let_in(west.authority, "west")
    with pytest.raises(NotAllowed, match="authority: expel it at the site that made the VAN"):
        check_may_expel(east.authority, "west", own.identity.authorities)
    below = let_in(west.authority, "below")
    with pytest.raises(NotAllowed, match="expel it at site 'west' or at the site that made"):
        check_may_expel(east.authority, "below", below.identity.authorities)


def test_a_renewed_certificate_is_of_the_same_key(root):
    west = let_in(root, "west", at=NOW - timedelta(days=3))
    key = west.identity.public_key_fingerprint
    again = attrs.evolve(west, identity=let_in(root, "west").identity)
    assert not is_out(root, again, expel(root, west)), "another key is another site"
    assert expel(root, west).key.hex() == key


def test_an_authority_given_later_to_a_site_of_the_name_counts(root):
    old = let_in(root, "west", at=NOW - timedelta(days=2))
    statement = expel(root, old, at=NOW - timedelta(days=1))
    new = let_in(root, "west")
    below_new, below_old = let_in(new.authority, "east"), let_in(old.authority, "east")
    assert not is_out(root, new, statement)
    assert not is_out(root, below_new, statement)
    assert is_out(root, below_old, statement), "though it was let in after that"


def test_it_is_no_matter_what_the_expelled_writes_into_what_it_issues(root):
    west = let_in(root, "west", at=NOW - timedelta(days=2))
    statement = expel(root, west)
    for moved in (-CLOCK_SKEW, timedelta(days=20)):
        assert is_out(root, let_in(west.authority, "new", at=NOW + moved), statement)


@pytest.mark.parametrize(
    "change",
    [
        {"site": "east"},
        {"key": bytes(32)},
        {"at": 1.0},
        {"reason": "other"},
        {"signature": b"x" * 70},
        {"authority": (b"x",)},
    ],
)
def test_what_was_changed_or_forged_is_noticed(root, change):
    statement = expel(root, let_in(root, "west"))
    with pytest.raises(CertificateError):
        ExpulsionList(root.root).add(msgspec.structs.replace(statement, **change))


def test_one_of_another_van_is_none(root):
    other = Authority.create_root()
    with pytest.raises(CertificateError, match="not genuine"):
        ExpulsionList(root.root).add(expel(other, let_in(root, "west")))


def test_a_statement_is_taken_once_and_listed(root):
    known = ExpulsionList(root.root)
    statement = expel(root, let_in(root, "west"))
    assert known.add(statement) is not None
    assert known.add(statement) is None
    assert len(known) == 1
    assert known.ids() == (statement.id,)
    assert known.but(()) == [statement]
    assert known.but((statement.id,)) == []


def test_statements_are_small(root):
    west = let_in(root, "west")
    assert len(msgspec.msgpack.encode(expel(root, west))) < 200
    below = let_in(west.authority, "below")
    assert len(msgspec.msgpack.encode(expel(west.authority, below))) < 1100
