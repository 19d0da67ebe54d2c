import json
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.generators import tuples_of
from van.errors import CertificateError, InvalidName, LocalError
from van.tls.grants import FULL, MAX_ENCODED, Grants, decode_grants, encode_grants

# What covers much is there often, or hardly any grants would cover others.
PATTERNS = ["*", "*", "*", "*:1", "*.a", "a", "a.b:1", "x1.a.b", "a-b.api", "web:12"]
NAMES = ["a", "ab", "a-b", "web"]
SITES = ["*", "*", "*", *NAMES, "a*", "a-*", "w*"]

addresses = st.sampled_from(["a:1", "a:12", "a.b:1", "b.a:1", "x1.a.b:12", "a-b.api:1", "web:12"])
pattern_lists = st.lists(st.sampled_from(PATTERNS), max_size=4).map(tuple)
names = st.sampled_from(NAMES)
site_pattern_lists = st.sampled_from(tuples_of(SITES, 2))
grants = st.builds(
    Grants,
    st.sampled_from([False, True, True]),
    pattern_lists,
    pattern_lists,
    may_name=site_pattern_lists,
    may_tag=site_pattern_lists,
    tags=st.sampled_from(tuples_of(NAMES, 2)),
    life=st.integers(10, 366 * 86400).map(lambda seconds: timedelta(seconds=seconds)),
    is_ephemeral=st.booleans(),
)


@given(grants)
def test_grants_survive_encoding(value):
    assert decode_grants(encode_grants(value)) == value


@given(grants, grants, addresses)
def test_what_covers_allows_all_that_is_covered(wide, narrow, address):
    if wide.covers(narrow):
        assert wide.may_expose(address) or not narrow.may_expose(address)
        assert wide.may_bind(address) or not narrow.may_bind(address)
        assert wide.can_invite or not narrow.can_invite
        assert set(wide.tags) >= set(narrow.tags)
        for each in NAMES:
            assert wide.may_give_name(each) or not narrow.may_give_name(each)
            tagged = Grants(allow_expose=(), allow_bind=(), may_name=(), tags=(each,))
            assert wide.may_grant(tagged) or not narrow.may_grant(tagged)


@given(grants, grants, grants)
def test_covering_is_an_order(one, two, three):
    assert one.covers(one)
    assert FULL.may_grant(one)
    if one.covers(two) and two.covers(three):
        assert one.covers(three)


@given(grants, grants, grants, names)
def test_nobody_passes_on_more_than_may_be_given(top, middle, leaf, name):
    tagged = Grants(allow_expose=(), allow_bind=(), tags=(name,))
    assert top.can_invite or not top.may_grant(tagged)
    if top.may_grant(middle) and middle.may_grant(leaf):
        assert top.may_grant(leaf)
        assert top.may_give_name(name) or not middle.may_give_name(name)
        assert top.may_grant(tagged) or not middle.may_grant(tagged)
    if top.may_grant(leaf):
        assert FULL.may_grant(top)
        for tag in leaf.tags:
            assert top.may_grant(Grants(allow_expose=(), allow_bind=(), tags=(tag,)))


@given(site_pattern_lists, site_pattern_lists, names)
def test_names_and_tags_that_may_be_given_are_covered_like_others(wide, narrow, name):
    one, two = Grants(can_invite=True, may_name=wide), Grants(can_invite=True, may_name=narrow)
    if one.covers(two):
        assert one.may_give_name(name) or not two.may_give_name(name)
    one, two = Grants(can_invite=True, may_tag=wide), Grants(can_invite=True, may_tag=narrow)
    if one.covers(two):
        tagged = Grants(tags=(name,))
        assert one.may_grant(tagged) or not two.may_grant(tagged)


@given(grants, grants)
def test_a_union_covers_both(one, two):
    assert one.union(two).covers(one)
    assert one.union(two).covers(two)


def test_an_authority_gives_the_names_and_tags_alone_that_it_may():
    inviter = Grants(can_invite=True, may_name=("laptop-*",), may_tag=("dev",), tags=("prod",))
    assert inviter.may_give_name("laptop-1")
    assert not inviter.may_give_name("laptop")
    assert not inviter.may_give_name("db")
    assert inviter.may_grant(Grants(tags=("dev",)))
    assert not inviter.may_grant(Grants(tags=("prod",)))
    assert not inviter.may_grant(Grants(can_invite=True))
    assert inviter.may_grant(Grants(can_invite=True, may_name=("laptop-x*",)))
    assert not Grants(may_name=("*",)).may_give_name("db")
    assert not Grants(can_invite=True).may_grant(Grants(tags=("dev",)))


@pytest.mark.parametrize(
    "changes", [{"tags": ("Prod",)}, {"tags": ("a*",)}, {"may_name": ("*-x",)}, {"may_tag": ("",)}]
)
def test_names_and_tags_that_are_not_valid_are_refused(changes):
    with pytest.raises(InvalidName):
        Grants(**changes)


@pytest.mark.parametrize("seconds", [0, 9, -10, 0.5, 367 * 86400])
def test_a_life_that_no_certificate_can_have_is_refused(seconds):
    with pytest.raises(LocalError, match="life"):
        Grants(life=timedelta(seconds=seconds))


def test_what_is_as_usual_is_not_in_a_certificate():
    """So what was issued before a field was there, and by who does not use it, is the same."""
    usual = b'{"can_invite":false,"allow_expose":["*"],"allow_bind":["*"]}'
    assert encode_grants(Grants()) == bytes((12, len(usual))) + usual
    assert decode_grants(encode_grants(Grants())) == Grants()


def test_no_patterns_allow_nothing():
    nothing = Grants(allow_expose=(), allow_bind=())
    assert not nothing.may_expose("web:1")
    assert not nothing.may_bind("web:1")
    assert nothing.covers(Grants(allow_expose=(), allow_bind=()))
    assert not nothing.covers(Grants(allow_expose=("web",), allow_bind=()))


def test_a_suffix_pattern_allows_names_below_it_only():
    grants = Grants(allow_expose=("web", "*.staging"))
    assert grants.may_expose("web:1")
    assert grants.may_expose("db.staging:1")
    assert not grants.may_expose("staging:1")
    assert not grants.may_expose("notstaging:1")
    assert not grants.may_expose("web.staging.evil:1")


@pytest.mark.parametrize("pattern", ["", "Web", "*web", "a b", "*.*", "web.", "**"])
def test_a_pattern_that_is_not_valid_is_refused(pattern):
    with pytest.raises(InvalidName, match="pattern"):
        Grants(allow_expose=(pattern,))
    with pytest.raises(InvalidName, match="pattern"):
        Grants(allow_bind=(pattern,))


def test_grants_that_no_certificate_can_hold_are_refused():
    many = tuple(f"service-number-{number}" for number in range(300))
    with pytest.raises(LocalError, match="fewer or shorter"):
        Grants(allow_expose=many)


@given(st.binary(max_size=200))
@example(b"")
@example(b"\x0c")
@example(b"\x0c\x80")
@example(b"\x0c\x02{}")
def test_other_bytes_are_no_grants(value):
    with pytest.raises(CertificateError, match="malformed grants"):
        decode_grants(value)


def der_text(content: bytes) -> bytes:
    size = len(content)
    return (b"\x0c\x81" if size > 127 else b"\x0c") + bytes([size]) + content


@pytest.mark.parametrize(
    "change",
    [
        {"can_invite": 1},
        {"can_invite": None},
        {"allow_expose": "web"},
        {"allow_expose": ["WEB"]},
        {"allow_bind": [1]},
        {"deny": ["db"]},
        {"tags": ["*"]},
        {"tags": "prod"},
        {"may_name": ["a*b"]},
        {"life": 9},
        {"life": 10**18},
        {"life": 60.5},
        {"is_ephemeral": 1},
    ],
)
def test_grants_of_an_unknown_shape_are_refused(change):
    fields = {"can_invite": False, "allow_expose": ["*"], "allow_bind": ["*"]}
    assert decode_grants(der_text(json.dumps(fields).encode())) == Grants()
    with pytest.raises(CertificateError, match="malformed grants"):
        decode_grants(der_text(json.dumps(fields | change).encode()))


def test_a_missing_field_is_not_taken_as_allowed():
    with pytest.raises(CertificateError, match="malformed grants"):
        decode_grants(der_text(b'{"can_invite":false,"allow_expose":["*"]}'))


def test_huge_grants_are_refused_unread():
    with pytest.raises(CertificateError, match="larger"):
        decode_grants(bytes(MAX_ENCODED + 1))


def test_only_the_shortest_der_length_is_right():
    value = encode_grants(Grants())
    with pytest.raises(CertificateError):
        decode_grants(b"\x0c\x82\x00" + value[1:])
    with pytest.raises(CertificateError):
        decode_grants(value + b" ")
