import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from van.errors import CertificateError, InvalidName, LocalError
from van.tls.grants import FULL, MAX_ENCODED, Grants, decode_grants, encode_grants

labels = st.sampled_from(["a", "b", "web", "api", "x1", "a-b"])
address_names = st.lists(labels, min_size=1, max_size=3).map(".".join)
name_patterns = st.one_of(st.just("*"), address_names, address_names.map("*.{}".format))
patterns = st.builds("{}{}".format, name_patterns, st.sampled_from(["", ":1", ":12"]))
addresses = st.builds("{}:{}".format, address_names, st.sampled_from([1, 12]))
pattern_lists = st.lists(patterns, max_size=4).map(tuple)
grants = st.builds(Grants, st.booleans(), pattern_lists, pattern_lists)


@given(grants)
def test_grants_survive_encoding(value):
    assert decode_grants(encode_grants(value)) == value


@given(grants, grants, addresses)
def test_what_covers_allows_all_that_is_covered(wide, narrow, address):
    if wide.covers(narrow):
        assert wide.may_expose(address) or not narrow.may_expose(address)
        assert wide.may_bind(address) or not narrow.may_bind(address)
        assert wide.can_invite or not narrow.can_invite


@given(grants, grants, grants)
def test_covering_is_an_order(one, two, three):
    assert one.covers(one)
    assert FULL.covers(one)
    if one.covers(two) and two.covers(three):
        assert one.covers(three)


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
