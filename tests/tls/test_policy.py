"""What the VAN allows is said by its root, and by authorities second to it; by nobody else."""

from datetime import timedelta

import msgspec
import pytest

from tests.tls.test_expulsion import NOW, expel, let_in
from van.errors import CertificateError, LocalError, NotAllowed
from van.policy import UNREADABLE
from van.tls.authority import Authority
from van.tls.expulsion_list import ExpulsionList
from van.tls.policy import PolicyBook, check_may_sign, sign_policy
from van.wire.fields import MAX_UNSIGNED64
from van.wire.policy import MAX_SIGNERS

RULE = '[[rule]]\naction = "allow"\nfrom = ["*"]\nto = ["*"]\n'


@pytest.fixture(scope="module")
def root():
    return Authority.create_root(now=NOW - timedelta(days=9))


@pytest.fixture
def book(root):
    return PolicyBook(root.root)


@pytest.fixture
def nobody(root):
    return ExpulsionList(root.root)


def second(root, name):
    """Return a member, and its authority, which the root has made second to it."""
    member = let_in(root, name)
    held = member.authority
    chain = root.issue_authority(
        held.key.public_key(), site=name, first_issued=held.first_issued, now=NOW
    )
    return member, Authority(held.key, chain, root.root)


def say(authority, version=1, *, is_closed=True, document=RULE, at=NOW):
    return sign_policy(
        authority, version=version, is_closed=is_closed, document=document, at=at.timestamp()
    )


def take(book, *statements):
    """Put statements in, and tell which were new."""
    are_new = []
    for each in statements:
        found = book.examine(each)
        are_new.append(found is not None)
        if found is not None:
            book.put(found)
    return are_new


def in_force(book, expulsions):
    found = book.in_force(expulsions)
    return None if found is None else (found.statement.version, found.by)


def test_the_newest_statement_of_an_authority_counts(root, book, nobody):
    assert in_force(book, nobody) is None
    assert take(book, say(root, 2), say(root, 1), say(root, 2), say(root, 3, is_closed=False)) == [
        True, False, False, True,
    ]  # fmt: skip
    assert in_force(book, nobody) == (3, "")
    assert not book.in_force(nobody).policy.is_closed
    assert book.next_version(nobody) == 4


def test_only_the_root_and_who_is_second_to_it_say_anything(root, book, nobody):
    inviting = let_in(root, "inviting")
    with pytest.raises(CertificateError, match="only the root, and an authority second to it"):
        book.examine(say(inviting.authority))
    with pytest.raises(NotAllowed, match="do it at the site that made the VAN"):
        check_may_sign(inviting.authority)
    with pytest.raises(NotAllowed):
        check_may_sign(None)
    _, authority = second(root, "second")
    assert check_may_sign(authority) is authority
    assert take(book, say(authority, 5)) == [True]
    assert in_force(book, nobody) == (5, "second")
    below = let_in(authority, "below")
    with pytest.raises(CertificateError, match="only the root"):
        book.examine(say(below.authority))
    other = Authority.create_root(now=NOW)
    with pytest.raises(CertificateError):
        book.examine(say(other))


@pytest.mark.parametrize(
    "change",
    [{"version": 9}, {"is_closed": False}, {"document": ""}, {"at": 1.0}, {"signature": b""}],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_statement_is_not_genuine(root, book, nobody, change):
    with pytest.raises(CertificateError, match="signature does not hold"):
        book.examine(msgspec.structs.replace(say(root), **change))
    assert in_force(book, nobody) is None


def test_an_authority_that_is_expelled_has_said_nothing(root, book, nobody):
    member, authority = second(root, "second")
    take(book, say(root, 4), say(authority, 7, is_closed=False))
    assert in_force(book, nobody) == (7, "second")
    nobody.add(expel(root, member, at=NOW + timedelta(seconds=9)))
    assert in_force(book, nobody) == (4, "")
    assert book.next_version(nobody) == 5


def test_of_two_that_expelled_each_other_neither_has_said_anything(root, book, nobody):
    (one, first), (other, second_) = second(root, "first"), second(root, "second")
    take(book, say(root, 4), say(first, 7), say(second_, 8))
    at = NOW + timedelta(seconds=9)
    nobody.add(expel(first, other, at=at))
    assert in_force(book, nobody) == (7, "first")
    nobody.add(expel(second_, one, at=at))
    assert in_force(book, nobody) == (4, "")


def test_nobody_drives_the_version_to_its_end(root, book, nobody):
    _, authority = second(root, "second")
    take(book, say(root, 1), say(authority, MAX_UNSIGNED64, is_closed=False))
    with pytest.raises(LocalError, match="'second' has given its policy the last number there is"):
        book.next_version(nobody)
    # The root's word of the same number counts more, and it has always another.
    for seconds in range(1, 4):
        at = NOW + timedelta(seconds=seconds)
        assert take(book, say(root, MAX_UNSIGNED64, at=at)) == [True]
        assert in_force(book, nobody) == (MAX_UNSIGNED64, "")
        later = NOW + timedelta(days=seconds)
        assert take(book, say(authority, MAX_UNSIGNED64, at=later)) == [True]
        assert in_force(book, nobody) == (MAX_UNSIGNED64, "")
        assert book.next_version(nobody) == MAX_UNSIGNED64


def test_everybody_has_the_same_in_force_whatever_came_first(root):
    _, authority = second(root, "second")
    statements = [say(root, 3), say(authority, 3), say(root, 2), say(authority, 4, at=NOW)]
    found = set()
    for order in (statements, statements[::-1]):
        book = PolicyBook(root.root)
        take(book, *order)
        found.add(in_force(book, ExpulsionList(root.root)))
    assert found == {(4, "second")}


def test_what_this_version_does_not_understand_allows_nothing(root, book, nobody):
    take(book, say(root, is_closed=False, document="[[rule]]\nwhen = 'sundays'"))
    assert book.in_force(nobody).policy is UNREADABLE


def test_statements_of_so_many_authorities_are_kept(root, book):
    for number in range(MAX_SIGNERS):
        assert take(book, say(second(root, f"site-{number}")[1])) == [True]
    assert take(book, say(second(root, "one-more")[1])) == [False]
    assert len(list(book)) == MAX_SIGNERS
