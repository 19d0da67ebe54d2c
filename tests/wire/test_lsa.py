import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.examples import addresses, chains, costs, lsas, site_names, u32
from van.errors import RemoteProtocolError
from van.wire.lsa import (
    SIGNING_CONTEXT,
    AddressesBody,
    AdjacenciesBody,
    Adjacency,
    Binding,
    IdentityBody,
    LsaKind,
    LsaVersion,
    Service,
    decode_body,
    encode_body,
)

protocols = st.sampled_from(["tcp", "udp"])
services = st.lists(
    st.builds(
        Service,
        addresses,
        protocols,
        distribution=st.integers(0, 255),
        weight=st.integers(1, 1000),
        precedence=st.integers(0, 255),
        since=st.integers(0, 2**63 - 1),
        allow_from=st.lists(st.sampled_from(["tag:prod", "laptop-*", "*", "db"]), max_size=3).map(
            tuple
        ),
        is_limited=st.booleans(),
    ),
    max_size=4,
).map(tuple)
bindings = st.lists(st.builds(Binding, addresses, protocols), max_size=4).map(tuple)
bodies = st.one_of(
    st.tuples(st.just(LsaKind.IDENTITY), st.builds(IdentityBody, chains)),
    st.tuples(
        st.just(LsaKind.ADJACENCIES),
        st.builds(
            AdjacenciesBody,
            st.lists(st.builds(Adjacency, site_names, costs, u32), max_size=4).map(tuple),
        ),
    ),
    st.tuples(st.just(LsaKind.ADDRESSES), st.builds(AddressesBody, services, bindings)),
)
CHANGES = {
    "origin": "other",
    "kind": LsaKind.ADDRESSES,
    "incarnation": 12345,
    "sequence": 12345,
    "body": b"other",
}


@given(bodies)
def test_body_is_decoded_as_it_was_encoded(example):
    kind, body = example
    assert decode_body(kind, encode_body(body)) == body


@given(st.sampled_from(LsaKind), st.binary(max_size=100))
def test_no_body_raises_anything_but_a_protocol_error(kind, payload):
    try:
        decode_body(kind, payload)
    except RemoteProtocolError as exc:
        assert "malformed" in str(exc)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (LsaKind.ADJACENCIES, AdjacenciesBody((Adjacency("A", 1, 0),))),
        (LsaKind.ADJACENCIES, AdjacenciesBody((Adjacency("a", 0, 0),))),
        (LsaKind.ADJACENCIES, AdjacenciesBody((Adjacency("a", 65536, 0),))),
        (LsaKind.ADJACENCIES, AdjacenciesBody((Adjacency("a", 1, -1),))),
        (LsaKind.ADDRESSES, AddressesBody((Service("db", "tcp"),), ())),
        (LsaKind.ADDRESSES, AddressesBody((), (Binding("db:1", "x" * 17),))),
        (LsaKind.IDENTITY, IdentityBody((b"",) * 25)),
        (LsaKind.IDENTITY, IdentityBody((), software="1" * 33)),
        (LsaKind.IDENTITY, IdentityBody((), software="1\n")),
        (LsaKind.IDENTITY, IdentityBody((), software="\x1b[2J")),
    ],
)
def test_field_of_a_body_beyond_its_limit_is_refused(kind, body):
    with pytest.raises(RemoteProtocolError):
        decode_body(kind, encode_body(body))


@pytest.mark.parametrize("field", CHANGES)
def test_signature_covers_every_field_that_matters(field):
    @given(lsas)
    def check(lsa):
        changed = msgspec.structs.replace(lsa, **{field: CHANGES[field]})
        if changed != lsa:
            assert changed.signed_bytes() != lsa.signed_bytes()

    check()


@given(lsas)
def test_signature_does_not_cover_the_lifetime_that_holders_lower(lsa):
    changed = msgspec.structs.replace(lsa, lifetime=1.0, signature=b"")
    assert changed.signed_bytes() == lsa.signed_bytes()


@given(lsas)
def test_what_is_signed_can_be_taken_for_nothing_else(lsa):
    assert lsa.signed_bytes().startswith(SIGNING_CONTEXT)


def test_incarnation_outweighs_sequence():
    assert LsaVersion(1, 9) < LsaVersion(2, 0) < LsaVersion(2, 1) < LsaVersion(10, 0)
