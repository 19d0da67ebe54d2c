"""A root that another one succeeds: the VAN stays what it was, and the old one can be shut out."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.tls.forging import NOW
from tests.tls.handshakes import close_all, connect, dialled, dialling
from van.errors import CertificateError, CertificateExpired, NotAllowed, RootReplaced
from van.names import Endpoint
from van.tls.authority import Authority
from van.tls.backup import Cost, read_back_up, seal_back_up
from van.tls.contexts import peer_identity
from van.tls.credentials import Credentials
from van.tls.expulsion import sign_expulsion, sign_replacements
from van.tls.expulsion_list import ExpulsionList
from van.tls.forms import CLOCK_SKEW, MAX_CHAIN, MAX_ROLLS, Issuer, Window, build_certificate
from van.tls.grants import FULL, Grants
from van.tls.identity import read_chain, verify_chain
from van.tls.keys import fingerprint, generate_key, make_request
from van.tls.renewal import take_renewed
from van.tls.roots import ROOT_LIFETIME
from van.tls.subject import Kind, Subject
from van.tls.tokens import decode_token, encode_token, mint

LATER = NOW + timedelta(days=5)
INVITING = Grants(can_invite=True)


def site(by, name="west", *, now=NOW):
    key = generate_key()
    chain = by.issue_site(make_request(key), site=name, grants=INVITING, now=now)
    return Credentials.joined(key, chain, by.root)


def below(by, name="west", *, now=NOW):
    key = generate_key()
    chain = by.issue_intermediate(make_request(key), site=name, grants=INVITING, now=now)
    return Authority(key, chain, by.root)


@pytest.fixture(scope="module")
def old():
    return Authority.create_root(now=NOW)


@pytest.fixture(scope="module")
def new(old):
    return old.roll(now=LATER)


def test_the_new_root_is_of_the_same_van_and_does_all_that_the_old_one_did(old, new):
    assert new.van_id == old.van_id
    assert (new.is_root, new.level, new.grants) == (True, 0, FULL)
    assert new.root == old.root
    assert new.key.public_key() != old.key.public_key()
    assert new.roots.keys == (*old.roots.keys, fingerprint(new.key.public_key()))
    assert new.issued_at == LATER
    leaf = verify_chain(site(new, now=LATER).chain, old.root, at=LATER)
    assert (leaf.depth, leaf.issuers, leaf.roots) == (0, (), new.roots)
    assert leaf.van_id == old.van_id
    west = below(new, now=LATER)
    assert verify_chain(site(west, "x", now=LATER).chain, old.root, at=LATER).issuers == ("west",)


def test_it_outlives_the_one_before(old, new):
    newest = new.roll(now=NOW + ROOT_LIFETIME + timedelta(days=1))
    at = NOW + ROOT_LIFETIME + timedelta(days=2)
    chain = site(newest, now=at).chain
    assert verify_chain(chain, old.root, at=at).roots == newest.roots
    newest.check_valid(at=at)
    with pytest.raises(CertificateExpired, match="expired"):
        verify_chain(chain, old.root, at=at + ROOT_LIFETIME)


def test_tokens_and_back_ups_are_of_the_new_root(new, old):
    token = mint(
        new, site="hub", addresses=[Endpoint("127.0.0.1", 7)], grants=INVITING, cost=1,
        lifetime=timedelta(hours=1), now=LATER,
    )  # fmt: skip
    assert decode_token(encode_token(token)).chain[1:] == new.chain
    sealed = seal_back_up(
        new, site="hub", passphrase="correct horse", cost=Cost(32, 1, 1), now=LATER
    )
    assert read_back_up(sealed).open("correct horse").chain == new.chain


@pytest.mark.network
def test_sites_of_the_old_and_of_the_new_root_shake_hands():
    now = datetime.now(UTC)
    old = Authority.create_root(now=now)
    newest = old.roll(now=now).roll(now=now)
    for ours, theirs in ((old, newest), (newest, old), (newest, newest)):
        client, server = site(ours, "west", now=now), site(theirs, "east", now=now)
        pair = connect(dialling(client), dialled(server))
        assert peer_identity(pair.client, old.root, at=now).site == "east"
        assert peer_identity(pair.server, old.root, at=now).site == "west"
    close_all()


@pytest.mark.parametrize("kind", ["stranger", "intermediate", "leaf", "below", "other-van"])
def test_nobody_but_the_root_makes_a_successor(old, kind):
    key, west = generate_key(), below(old)
    issuer = {
        "stranger": Authority.create_root(now=NOW),
        "intermediate": west,
        "below": west,
        "other-van": old,
        "leaf": old,
    }[kind]
    subject = Subject("a" * 26 if kind == "other-van" else old.van_id, Kind.ROOT)
    if kind == "leaf":
        member = site(old)
        signer = Issuer(member.identity.certificate.subject, member.key)
    else:
        signer = Issuer(issuer._certificate.subject, issuer.key)
    forged = build_certificate(
        subject, key.public_key(), issuer=signer,
        window=Window(NOW - CLOCK_SKEW, NOW + ROOT_LIFETIME), grants=None,
    ).public_bytes(Encoding.DER)  # fmt: skip
    above = {"intermediate": west.chain, "below": west.chain, "leaf": site(old).chain}.get(kind, ())
    with pytest.raises(CertificateError):
        Authority(key, (forged, *above), old.root)
    with pytest.raises(NotAllowed, match="which alone makes a successor"):
        west.roll(now=NOW)


def test_there_is_a_bound_and_levels_are_as_many_as_ever(old):
    rolled = old
    for _ in range(MAX_ROLLS):
        rolled = rolled.roll(now=NOW)
    with pytest.raises(NotAllowed, match="was replaced 16 times"):
        rolled.roll(now=NOW)
    lowest = rolled
    for level in range(MAX_CHAIN - 1):
        lowest = below(lowest, f"s{level}")
    deepest = site(lowest, "deepest")
    assert verify_chain(deepest.chain, old.root, at=NOW).depth == MAX_CHAIN - 1
    assert len(deepest.chain) == MAX_CHAIN + MAX_ROLLS
    with pytest.raises(NotAllowed, match="invitations below the root"):
        below(lowest, "deeper")
    key = generate_key()
    beyond = successor(rolled, key.public_key())
    with pytest.raises(CertificateError, match="17 are right"):
        Authority(key, (beyond, *rolled.chain), old.root)


def successor(root, key):
    """Return a certificate by which a root makes a key its successor, though it may not."""
    certificate = build_certificate(
        Subject(root.van_id, Kind.ROOT), key,
        issuer=Issuer(root._certificate.subject, root.key),
        window=Window(NOW - CLOCK_SKEW, NOW + ROOT_LIFETIME), grants=None,
    )  # fmt: skip
    return certificate.public_bytes(Encoding.DER)


def test_no_root_succeeds_itself_or_one_before_it(old, new):
    first = old.root.public_bytes(Encoding.DER)
    circle = successor(new, old.key.public_key())
    for key, chain in (
        (old.key, (first,)),
        (old.key, (successor(old, old.key.public_key()),)),
        (old.key, (circle, *new.chain)),
        (new.key, (*new.chain, first)),
    ):
        with pytest.raises(CertificateError, match="may not issue others"):
            Authority(key, chain, old.root)


def test_a_renewal_follows_the_roots_and_never_goes_back(old, new):
    member = site(old)
    other = old.roll(now=LATER)
    renewed = take_renewed(member, renewal(new, member, now=NOW), (), at=LATER)
    assert renewed.identity.roots == new.roots, "though it is valid for no longer"
    for root in (old, other):
        with pytest.raises(CertificateError, match="rests on another root"):
            take_renewed(renewed, renewal(root, member), (), at=LATER)
    inviting = attrs.evolve(member, authority=below(old))
    with pytest.raises(CertificateError, match="authority was not renewed"):
        take_renewed(inviting, renewal(new, member), (), at=LATER)
    copy = attrs.evolve(member, authority=old)
    assert take_renewed(copy, renewal(new, member), (), at=LATER).authority is None


def renewal(root, member, *, now=LATER):
    return root.issue_site(
        make_request(member.key), site=member.site, grants=member.identity.grants, now=now,
        first_issued=member.identity.first_issued,
    )  # fmt: skip


# -- shutting the old one out ----------------------------------------------------------------------


def identity_of(credentials):
    return read_chain(credentials.chain, credentials.root)


def test_what_rests_on_the_old_root_counts_no_more_once_it_is_said(old, new):
    expulsions = ExpulsionList(old.root)
    members = {
        "old": identity_of(site(old)),
        "below the old": identity_of(site(below(old), "x")),
        "new": identity_of(site(new)),
        "below the new": identity_of(site(below(new), "x")),
        "newest": identity_of(site(new.roll(now=LATER))),
        "of a thief": identity_of(site(old.roll(now=LATER))),
    }
    for each in members.values():
        expulsions.check(each)
    (statement,) = sign_replacements(new, site="hub", at=LATER)
    verified = expulsions.add(statement)
    assert verified.successor == new.roots.newest
    assert "the root of the VAN was replaced" in verified.describe()
    out = {name for name, each in members.items() if expulsions.replacement(each.roots)}
    assert out == {"old", "below the old", "of a thief"}
    with pytest.raises(RootReplaced, match="counts no more, as the root of the VAN was replaced"):
        expulsions.check(members["old"])
    assert expulsions.find(members["old"]) is None, "it was not expelled"
    assert not expulsions.is_out(old.roots.newest)


def test_the_first_successor_that_is_heard_of_stays(old, new):
    thief = old.roll(now=LATER)
    expulsions = ExpulsionList(old.root)
    (ours,), (theirs,) = (sign_replacements(each, site="hub", at=LATER) for each in (new, thief))
    assert expulsions.add(ours) is not None
    assert expulsions.add(theirs) is None
    assert expulsions.replacement(identity_of(site(new)).roots) is None
    assert expulsions.replacement(identity_of(site(thief)).roots) is not None


def expel(by, member, at=LATER):
    return sign_expulsion(by, site=member.site, key=member.public_key_fingerprint, at=at, reason="")


def test_a_root_that_is_out_expels_nobody_whatever_date_it_writes(old, new):
    west = identity_of(site(new))
    expulsions = ExpulsionList(old.root)
    for each in sign_replacements(new, site="hub", at=LATER):
        expulsions.add(each)
    assert expulsions.add(expel(old, west, at=NOW)) is None
    assert expulsions.add(expel(below(old), west, at=NOW)) is None
    assert expulsions.add(expel(new, west)) is not None
    assert expulsions.find(west) is not None


def test_who_was_expelled_by_the_old_root_is_so_by_the_new_one_and_the_other_way_round(old, new):
    for by, of in ((old, new), (new, old)):
        expulsions, west = ExpulsionList(old.root), identity_of(site(of))
        expulsions.add(expel(by, west))
        assert expulsions.find(west) is not None
    expulsions, west = ExpulsionList(old.root), identity_of(site(new))
    expulsions.add(expel(old.roll(now=LATER), west))
    assert expulsions.find(west) is None, "a root of another line is not above"


def test_no_root_is_put_out_but_by_its_successors(old, new):
    newest = new.roll(now=LATER)
    assert len(sign_replacements(newest, site="hub", at=LATER)) == 2
    for by, key in (
        (old, new.roots.newest),
        (new, newest.roots.newest),
        (below(new), old.roots.newest),
        (new, new.roots.newest),
        (old, old.roots.newest),
    ):
        expulsions = ExpulsionList(old.root)
        verified = expulsions.add(sign_expulsion(by, site="hub", key=key, at=LATER, reason=""))
        assert verified.successor == ""
        for each in (old, new, newest):
            assert expulsions.replacement(each.roots) is None
