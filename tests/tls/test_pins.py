"""A name is that of the key first seen for it, until an authority above says otherwise."""

from datetime import timedelta

import attrs
import pytest

from tests.tls.test_expulsion import NOW, expel, let_in
from van.errors import NameTaken
from van.tls import pins as pins_module
from van.tls.authority import Authority
from van.tls.expulsion import sign_forgetting
from van.tls.expulsion_list import ExpulsionList
from van.tls.grants import Grants
from van.tls.keys import fingerprint
from van.tls.pins import Pins

LATER = NOW + timedelta(hours=1)


@pytest.fixture(scope="module")
def root():
    return Authority.create_root(now=NOW - timedelta(days=9))


@pytest.fixture
def expulsions(root):
    return ExpulsionList(root.root)


@pytest.fixture
def pins(expulsions):
    return Pins(expulsions)


def forget(by, member, *, at=NOW):
    identity = member.identity
    return sign_forgetting(by, site=identity.site, key=identity.public_key_fingerprint, at=at)


def is_taken(pins, member):
    try:
        pins.check(member.identity)
    except NameTaken as exc:
        assert exc.site == member.identity.site
        return True
    return False


def test_a_name_is_that_of_the_key_that_was_seen_first(root, pins):
    first, second = let_in(root, "x"), let_in(root, "x")
    assert not is_taken(pins, second)
    pins.saw(first.identity, at=NOW)
    assert not is_taken(pins, first)
    assert is_taken(pins, second)
    assert not is_taken(pins, let_in(root, "y"))


def test_neither_age_nor_being_near_to_the_root_changes_whose_a_name_is(root, pins):
    deep = let_in(let_in(root, "hub").authority, "x")
    pins.saw(deep.identity, at=NOW)
    assert is_taken(pins, let_in(root, "x", at=NOW - timedelta(days=5)))


@pytest.mark.parametrize("say", [forget, expel])
def test_a_key_that_is_out_has_no_name(root, expulsions, pins, say):
    first, second = let_in(root, "x"), let_in(root, "x")
    pins.saw(first.identity, at=NOW)
    expulsions.add(say(root, first))
    assert pins.holder("x") is None
    assert not is_taken(pins, second)
    assert pins.saw(second.identity, at=LATER).key == first.identity.public_key_fingerprint
    assert is_taken(pins, first)
    assert pins.holder("x").since == LATER


def test_only_who_stands_above_a_key_frees_its_name(root, expulsions, pins):
    hub, other = let_in(root, "hub"), let_in(root, "other")
    near, below = let_in(root, "near"), let_in(hub.authority, "below")
    for each in (near, below):
        pins.saw(each.identity, at=NOW)
    for by, member in ((other, near), (other, below), (hub, near)):
        expulsions.add(forget(by.authority, member))
        assert pins.holder(member.identity.site) is not None
    expulsions.add(forget(hub.authority, below))
    assert pins.holder("below") is None


def test_a_name_goes_with_the_authority_that_gave_it(root, expulsions, pins):
    hub = let_in(root, "hub")
    below = let_in(hub.authority, "below")
    pins.saw(below.identity, at=NOW)
    expulsions.add(expel(root, hub))
    assert pins.holder("below") is None


def test_whom_the_forgotten_let_in_stays(root, expulsions):
    hub = let_in(root, "hub")
    below = let_in(hub.authority, "below")
    statement = forget(root, hub)
    expulsions.add(statement)
    assert expulsions.find(hub.identity) is not None
    assert expulsions.find(below.identity) is None
    key = hub.identity.public_key_fingerprint
    assert expulsions.is_out(key)
    assert not expulsions.is_expelled_by(key, fingerprint(root.key.public_key()))
    assert "was given up by" in next(iter(expulsions)).describe()


def test_a_forgetting_is_no_expulsion_and_the_other_way_round(root, expulsions):
    hub = let_in(root, "hub")
    for statement in (forget(root, hub), expel(root, hub)):
        turned = type(statement)(
            *(getattr(statement, name) for name in statement.__struct_fields__[:-1]),
            is_forgotten=not statement.is_forgotten,
        )
        with pytest.raises(Exception, match="not genuine"):
            expulsions.add(turned)


def test_a_renewal_by_another_authority_says_who_may_free_the_name_from_then_on(
    root, expulsions, pins
):
    hub, member = let_in(root, "hub"), let_in(root, "x")
    pins.saw(member.identity, at=NOW)
    moved = attrs.evolve(
        member.identity, authorities=let_in(hub.authority, "x").identity.authorities
    )
    assert pins.saw(moved, at=LATER) is None
    pin = pins.holder("x")
    assert (pin.since, pin.seen, pin.authorities) == (NOW, LATER, moved.authorities)


def test_the_name_of_an_ephemeral_site_is_not_remembered(root, expulsions, pins):
    passing = let_in(root, "pod")
    ephemeral = attrs.evolve(passing.identity, grants=Grants(is_ephemeral=True))
    pins.saw(ephemeral, at=NOW)
    assert pins.get("pod") is None
    lost = let_in(root, "x")
    pins.saw(lost.identity, at=NOW)
    expulsions.add(forget(root, lost))
    successor = attrs.evolve(let_in(root, "x").identity, grants=Grants(is_ephemeral=True))
    assert pins.saw(successor, at=NOW).key == lost.identity.public_key_fingerprint
    assert pins.get("x") is None


def test_what_is_remembered_makes_way_for_nobody(root, pins, monkeypatch):
    monkeypatch.setattr(pins_module, "MAX_PINS", 2)
    sites = [let_in(root, name) for name in ("a", "b", "c")]
    for each in sites:
        pins.saw(each.identity, at=NOW)
    assert {each.site for each in pins} == {"a", "b"}
    assert is_taken(pins, let_in(root, "a"))
    pins.saw(sites[0].identity, at=LATER)
    assert pins.get("a").seen == LATER
