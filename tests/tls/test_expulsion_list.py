"""What follows from all that was said of who is out: the same, in whatever order it came."""

from datetime import timedelta
from itertools import product
from typing import Any

import attrs
import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from tests.tls.forging import as_issued, forge, site_form
from tests.tls.test_expulsion import NOW, Member, expel, let_in
from van.errors import CertificateError, Expelled, NotAllowed
from van.tls.authority import Authority
from van.tls.credentials import Credentials
from van.tls.expulsion import (
    check_may_expel,
    sign_expulsion,
    sign_forgetting,
    sign_replacements,
    verify_expulsion,
)
from van.tls.expulsion_list import ExpulsionList
from van.tls.forms import DER_NULL, HOLDS_ROOT
from van.tls.grants import FULL
from van.tls.identity import read_chain, verify_chain
from van.tls.keys import fingerprint, generate_key, make_request
from van.tls.pins import Pins


@attrs.frozen
class Van:
    """A VAN whose authorities stand above, beside, and below each other."""

    root: Any
    members: dict[str, Member]
    above: dict[str, tuple[str, ...]]
    """By name: who stands above, the nearest first, without the root."""
    level: dict[str, int]

    def identity(self, name):
        return self.members[name].identity

    def said(self, by, whom):
        authority = self.root if by == "root" else self.members[by].authority
        return expel(authority, self.members[whom])

    def known(self, *statements):
        found = ExpulsionList(self.root.root)
        for each in statements:
            found.add(each)
        return found

    def out(self, known):
        return {name for name in self.members if known.find(self.identity(name)) is not None}


AUTHORITIES = ("second", "third", "west", "east", "south", "below-west", "below-east", "deep")
PLAIN = ("plain", "plain-below-west")


def granted(root, name):
    credentials = let_in(root, name)
    key = generate_key()
    chain = root.issue_site(make_request(key), site=name, grants=FULL, now=NOW)
    first = credentials.identity.first_issued
    ca_chain = root.issue_authority(key.public_key(), site=name, first_issued=first, now=NOW)
    ours = Credentials(key, chain, root.root)
    held = ours.with_authority(Authority(key, ca_chain, root.root), now=NOW)
    return Member(held.identity, held.authority)


def plain(by, name):
    key = generate_key()
    grants = attrs.evolve(FULL, can_invite=False)
    chain = by.issue_site(make_request(key), site=name, grants=grants, now=NOW)
    return Member(read_chain(chain, by.root), by)


@pytest.fixture(scope="module")
def van():
    first = Credentials.create("root", now=NOW - timedelta(days=9))
    root = first.authority
    members = {"root": Member(first.identity, root)}
    members["second"], members["third"] = granted(root, "second"), granted(root, "third")
    members["west"], members["east"] = let_in(root, "west"), let_in(root, "east")
    members["south"] = let_in(members["second"].authority, "south")
    for name, by in (("below-west", "west"), ("below-east", "east"), ("deep", "below-west")):
        members[name] = let_in(members[by].authority, name)
    members["plain"] = plain(root, "plain")
    members["plain-below-west"] = plain(members["west"].authority, "plain-below-west")
    above = {name: tuple(each.identity.issuers) for name, each in members.items()}
    above["second"] = above["third"] = ()
    level = {name: members[name].authority.level for name in AUTHORITIES}
    return Van(root, members, above, level)


def test_levels_are_those_that_the_names_say(van):
    beside = {name: van.identity(name).held_level for name in van.members}
    assert beside == {"root": None, "plain": None, "plain-below-west": None, **van.level}
    assert van.level == {
        **dict.fromkeys(("second", "third"), 0),
        **dict.fromkeys(("west", "east", "south"), 1),
        **dict.fromkeys(("below-west", "below-east"), 2),
        "deep": 3,
    }


# -- in whatever order -------------------------------------------------------------------------


def overruled(van, said, by):
    """Tell by the rule as it is written, whether the word of an authority counts no more."""
    for each in (by, *van.above[by]):
        for other, whom in said:
            if whom != each or other == each:
                continue
            if other == "root" or other in van.above[each]:
                return True
            is_nearer = van.level[other] < van.level[by] and van.level[other] <= van.level[each]
            if is_nearer and not overruled(van, said, other):
                return True
    return False


def is_out(van, said, name):
    """Tell by the rule as it is written, whether a site is out."""
    for each in (name, *van.above[name]):
        for other, whom in said:
            if whom != each or other == each:
                continue
            if other == "root" or other in van.above[each]:
                return True
            is_beside = each in van.level and van.level[other] <= van.level[each]
            if is_beside and not overruled(van, said, other):
                return True
    return False


pairs = st.sampled_from(list(product(("root", *AUTHORITIES), (*AUTHORITIES, *PLAIN))))


@pytest.fixture(scope="module")
def statements(van):
    """All that anybody may say of anybody, verified, which takes long."""
    return {
        (by, whom): verify_expulsion(van.said(by, whom), van.root.root)
        for by in ("root", *AUTHORITIES)
        for whom in (*AUTHORITIES, *PLAIN, "root")
        if (by, whom) != ("root", "root")
    }


@given(st.lists(pairs, unique=True, max_size=9), st.data())
def test_all_who_have_heard_the_same_come_to_the_same_end_in_whatever_order(
    van, statements, said, data
):
    expected = {name for name in van.members if is_out(van, set(said), name)}
    for _ in range(3):
        order = data.draw(st.permutations(said))
        restart = data.draw(st.integers(0, len(said)))
        known = ExpulsionList(van.root.root)
        for place, pair in enumerate(order):
            if place == restart:
                kept, known = known, ExpulsionList(van.root.root)
                for each in kept:
                    known.put(each)
            known.put(statements[pair])
            van.out(known)  # what was found out before does not count later
        assert van.out(known) == expected


@given(st.lists(pairs, unique=True, max_size=9))
def test_what_has_no_authority_and_who_holds_the_root_are_put_out_from_above_alone(
    van, statements, said
):
    known = ExpulsionList(van.root.root)
    for pair in [*said, *((by, whom) for by in AUTHORITIES for whom in ("root", "plain"))]:
        if pair[0] != "root":
            known.put(statements[pair])
    assert not van.out(known) & {"root", "plain"}
    assert known.is_out(van.identity("root").public_key_fingerprint)


# -- one by one --------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
def test_two_equals_that_expel_each_other_are_both_out(van, reverse):
    both = [van.said("west", "east"), van.said("east", "west")]
    known = van.known(*(reversed(both) if reverse else both))
    assert van.out(known) == {
        *("west", "east", "below-west", "below-east", "deep", "plain-below-west")
    }
    for each in known:
        text = known.describe(each)
        assert "sites 'east' and 'west' have expelled each other, and both are out" in text
    with pytest.raises(Expelled, match="both are out, until the root"):
        known.check(van.identity("west"))


def test_who_did_not_answer_is_told_of_as_ever(van):
    known = van.known(van.said("west", "east"), van.said("east", "south"))
    assert van.out(known) == {"east", "below-east", "south"}
    for each in known:
        assert "each other" not in known.describe(each)
        assert known.answer_to(each) is None


@pytest.mark.parametrize("reverse", [False, True])
def test_the_nearer_one_wins(van, reverse):
    both = [van.said("east", "below-west"), van.said("below-west", "east")]
    known = van.known(*(reversed(both) if reverse else both))
    assert van.out(known) == {"below-west", "deep"}
    assert all(known.answer_to(each) is None for each in known)


@pytest.mark.parametrize("settled_first", [False, True])
def test_who_is_nearer_settles_it_and_the_other_is_a_member_again(van, settled_first):
    both = [van.said("west", "east"), van.said("east", "west")]
    for nearer in ("root", "second"):
        settled = van.said(nearer, "east")
        order = (settled, *both) if settled_first else (*both, settled)
        known = van.known(*order)
        assert van.out(known) == {"east", "below-east"}
        texts = [known.describe(each) for each in known if each.by == "east"]
        assert all("counts for those below it alone, since site 'east'" in each for each in texts)


def test_who_holds_the_root_is_not_put_out_by_a_lesser_one(van):
    for by in AUTHORITIES:
        assert van.out(van.known(van.said(by, "root"))) == set()
        authority, level = van.members[by].authority, van.identity("root").held_level
        with pytest.raises(NotAllowed):
            check_may_expel(authority, "root", (), held_level=level)


def test_who_holds_the_root_after_a_renewal_a_roll_or_by_a_back_up_is_known_by_it():
    first = Credentials.create("root", now=NOW)
    root: Any = first.authority
    chain = root.issue_site(make_request(first.key), site="root", grants=FULL, now=NOW, is_own=True)
    assert first.with_chain(chain).identity.held_level is None
    rolled = first.with_authority(root.roll(now=NOW), now=NOW)
    assert rolled.identity.held_level is None
    other = Credentials.create("other", now=NOW).with_authority(root, now=NOW)
    assert (other.identity.holds_root, other.identity.held_level) == (True, None)


def test_an_authority_can_not_say_that_a_site_holds_the_root(van):
    """`is_own` of one below the root says nothing; what says it in spite of that is not taken."""
    west = van.members["west"].authority
    chain = west.issue_site(
        make_request(generate_key()), site="x", grants=FULL, now=NOW, is_own=True
    )
    assert not read_chain(chain, van.root.root).holds_root

    for value, issuer, error in (
        (DER_NULL, west, "says of a root what only that can say"),
        (b"\x05\x01", van.root, "malformed"),
    ):
        extension = x509.UnrecognizedExtension(HOLDS_ROOT, value)
        form = site_form(van.root.van_id).but(holds_root=(extension, False))
        forged = forge(as_issued(issuer), form, not_before=NOW, not_after=NOW + timedelta(hours=1))
        with pytest.raises(CertificateError, match=error):
            verify_chain((forged.der, *issuer.chain), van.root.root, at=NOW)


def test_an_authority_that_has_run_out_puts_out_nobody_who_was_renewed_since(van):
    """Or a disk that was thrown away years ago could be the end of all authorities."""
    key = generate_key()
    statement = sign_expulsion(
        van.members["west"].authority, site="east", key=fingerprint(key.public_key()), at=NOW,
        reason="",
    )  # fmt: skip
    known = van.known(statement)

    def renewed(days):
        chain = van.root.issue_site(
            make_request(key), site="east", grants=FULL, now=NOW + timedelta(days=days)
        )
        return read_chain(chain, van.root.root)

    assert known.find(renewed(0)) is not None
    assert known.find(renewed(30)) is not None
    assert known.find(renewed(31)) is None


def test_a_name_is_freed_from_above_alone(van):
    """Or an authority could have the name, and the flows, of any other."""
    known = van.known(van.said("west", "east"))
    pins = Pins(known)
    for name in ("east", "below-east"):
        pins.saw(van.identity(name), at=NOW)
    assert {"east", "below-east"} <= van.out(known)
    assert pins.holder("east") is not None
    assert pins.holder("below-east") is not None
    known.add(van.said("root", "east"))
    assert pins.holder("east") is None
    assert pins.holder("below-east") is None


def test_a_key_is_given_up_from_above_alone(van):
    east = van.identity("east")
    statement = sign_forgetting(
        van.members["west"].authority, site="east", key=east.public_key_fingerprint, at=NOW
    )
    assert van.out(van.known(statement)) == set()
    with pytest.raises(NotAllowed, match="free the name of it"):
        check_may_expel(
            van.members["west"].authority, "east", east.authorities, verb="free the name of"
        )


def test_what_was_said_under_a_root_that_is_out_puts_out_nobody_beside(van):
    """Who has heard of it in time, and who has not, come to the same end."""
    new = van.root.roll(now=NOW)
    followed = let_in(new, "east")
    statement = expel(van.members["west"].authority, followed)
    (replacement,) = sign_replacements(new, site="root", at=NOW)
    early, late = van.known(statement), van.known()
    assert early.find(followed.identity) is not None
    for known in (early, late):
        known.add(replacement)
        known.add(statement)
        assert known.find(followed.identity) is None


def test_a_statement_of_somebody_else_is_no_reason_not_to_say_it(van):
    """Who is to be expelled could be safe from that by a word that counts for nothing."""
    key = van.identity("west").public_key_fingerprint
    known = van.known(van.said("below-west", "west"), van.said("east", "west"))
    east = fingerprint(van.members["east"].authority.key.public_key())
    root = fingerprint(van.root.key.public_key())
    assert not known.is_expelled_by(key, root)
    assert known.is_expelled_by(key, east)
    known.add(van.said("root", "west"))
    assert known.is_expelled_by(key, root)


def test_an_authority_given_later_to_a_site_of_the_name_counts(van):
    """It is another one's, whether it is put out, or does that."""
    later = let_in(van.root, "west", at=NOW + timedelta(days=1))
    below = let_in(later.authority, "below-new")
    known = van.known(van.said("root", "west"), expel(later.authority, van.members["east"]))
    assert {"east", "below-east"} <= van.out(known)
    known = van.known(van.said("east", "west"))
    assert known.find(van.identity("below-west")) is not None
    assert known.find(below.identity) is None


def test_an_authority_puts_out_nobody_who_rests_on_another_successor_of_the_root(van):
    ours, thief = van.root.roll(now=NOW), van.root.roll(now=NOW)
    followed, lured = let_in(ours, "east"), let_in(thief, "west")
    assert van.known(expel(let_in(ours, "west").authority, followed)).find(followed.identity)
    assert not van.known(expel(lured.authority, followed)).find(followed.identity)
