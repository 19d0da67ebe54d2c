import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tls.forging import NOW, OPEN, invite
from tests.tls.test_grants import grants
from van.errors import CertificateError, InvalidName, LocalError, NotAllowed
from van.tls.authority import Authority
from van.tls.credentials import Credentials
from van.tls.forms import Issuer, build_certificate, window_of
from van.tls.grants import FULL, INTERMEDIATE_LIFETIME, SITE_LIFETIME, Grants
from van.tls.identity import BootstrapIdentity, SiteIdentity, read_chain, verify_chain
from van.tls.keys import generate_key, make_request
from van.tls.pem import decode_key
from van.tls.subject import Kind, Subject, van_id_of


def load(der):
    return x509.load_der_x509_certificate(der)


def test_the_van_id_is_the_hash_of_the_root_key(root):
    key = root.root.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.sha256(key).digest()[:16]
    assert root.van_id == base64.b32encode(digest).decode().lower().rstrip("=")
    assert len(root.van_id) == 26
    assert van_id_of(root.root) == root.van_id


def test_every_van_has_an_id_of_its_own(root):
    assert Authority.create_root(now=NOW).van_id != root.van_id


def test_a_root_grants_everything_for_ten_years(root):
    assert root.is_root
    assert root.grants == FULL
    assert root.chain == ()
    assert root.not_after - NOW == timedelta(days=3652)


def test_a_site_is_named_by_one_uri_and_nothing_else(root):
    chain = root.issue_site(make_request(generate_key()), site="edge", grants=FULL, now=NOW)
    names = load(chain[0]).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier(f"spiffe://{root.van_id}/site/edge")]


def test_a_site_certificate_is_backdated_and_lives_a_week(root):
    chain = root.issue_site(make_request(generate_key()), site="edge", grants=FULL, now=NOW)
    assert load(chain[0]).not_valid_before_utc == NOW - timedelta(days=1)
    assert load(chain[0]).not_valid_after_utc == NOW + SITE_LIFETIME
    assert timedelta(days=7) == SITE_LIFETIME


@settings(max_examples=25)
@given(limit=grants, wanted=grants)
def test_an_authority_gives_no_more_than_it_has(root, limit, wanted):
    limit = Grants(True, limit.allow_expose, limit.allow_bind)
    authority = invite(root, "hub", limit)
    assert authority.grants == limit
    request = make_request(generate_key())
    if limit.covers(wanted):
        chain = authority.issue_site(request, site="new", grants=wanted, now=NOW)
        identity = verify_chain(chain, root.root, at=NOW)
        assert isinstance(identity, SiteIdentity)
        assert (identity.site, identity.grants, identity.issuers) == ("new", wanted, ("hub",))
    else:
        with pytest.raises(NotAllowed, match="wider"):
            authority.issue_site(request, site="new", grants=wanted, now=NOW)


def test_an_intermediate_needs_to_be_let_invite(root, inviter):
    request = make_request(generate_key())
    for authority in (root, inviter):
        with pytest.raises(NotAllowed, match="'edge' is not let invite"):
            authority.issue_intermediate(request, site="edge", grants=Grants(), now=NOW)


def test_nothing_outlives_its_issuer(root):
    hub = invite(root, "hub")
    late = NOW + INTERMEDIATE_LIFETIME - timedelta(hours=1)
    request = make_request(generate_key())
    site = hub.issue_site(request, site="edge", grants=FULL, now=late)
    lower = hub.issue_intermediate(request, site="edge", grants=OPEN, now=late)
    _, token = hub.issue_bootstrap("abc", lifetime=timedelta(days=9), now=late)
    for der in (site[0], lower[0], token):
        assert load(der).not_valid_after_utc == hub.not_after


def test_an_expired_authority_issues_nothing(root):
    hub = invite(root, "hub")
    late = hub.not_after
    with pytest.raises(NotAllowed, match="authority expired at"):
        hub.issue_site(make_request(generate_key()), site="edge", grants=FULL, now=late)


def test_invitations_go_seven_levels_deep_and_no_further(root):
    authority = root
    for level in range(7):
        authority = invite(authority, f"level-{level}")
    chain = authority.issue_site(make_request(generate_key()), site="leaf", grants=FULL, now=NOW)
    identity = verify_chain(chain, root.root, at=NOW)
    assert isinstance(identity, SiteIdentity)
    assert identity.issuers == tuple(f"level-{level}" for level in reversed(range(7)))
    with pytest.raises(NotAllowed, match="invitations below the root"):
        invite(authority, "level-7")


def test_a_bootstrap_certificate_names_a_token(inviter):
    pem, der = inviter.issue_bootstrap("abc", lifetime=timedelta(minutes=15), now=NOW)
    identity = verify_chain((der, *inviter.chain), inviter.root, at=NOW)
    expires = NOW + timedelta(minutes=15)
    assert identity == BootstrapIdentity(inviter.van_id, "abc", expires)
    assert decode_key(pem).public_key() == load(der).public_key()


def test_names_are_checked_before_anything_is_signed(root):
    with pytest.raises(InvalidName):
        root.issue_site(make_request(generate_key()), site="a/b", grants=FULL)
    with pytest.raises(InvalidName):
        root.issue_intermediate(make_request(generate_key()), site="", grants=FULL)
    with pytest.raises(InvalidName):
        root.issue_bootstrap("../x", lifetime=timedelta(minutes=1))


def test_a_lifetime_is_at_least_a_second(root):
    with pytest.raises(LocalError, match="lifetime"):
        root.issue_bootstrap("abc", lifetime=timedelta(0))


def test_what_a_request_asks_for_is_ignored(root):
    key = generate_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "root")])
    evil = x509.UniformResourceIdentifier(f"spiffe://{root.van_id}/site/hub")
    request = (
        x509.CertificateSigningRequestBuilder(name)
        .add_extension(x509.SubjectAlternativeName([evil]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    chain = root.issue_site(request, site="edge", grants=Grants(), now=NOW)
    identity = verify_chain(chain, root.root, at=NOW)
    assert isinstance(identity, SiteIdentity)
    assert (identity.site, identity.grants) == ("edge", Grants())
    assert identity.public_key == key.public_key()


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()]
)
def test_only_keys_on_p256_are_certified(root, key):
    algorithm = hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None
    request = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(key, algorithm)
    with pytest.raises(CertificateError, match="P-256"):
        root.issue_site(request.public_bytes(Encoding.DER), site="edge", grants=FULL)


def test_a_request_that_its_key_did_not_sign_is_refused(root):
    request = bytearray(make_request(generate_key()))
    other = make_request(generate_key())
    start = bytes(request).index(b"\x03\x42\x00\x04")
    request[start : start + 68] = other[start : start + 68]
    with pytest.raises(CertificateError, match="not signed by its own key"):
        root.issue_site(bytes(request), site="edge", grants=FULL)


@given(st.binary(max_size=300))
def test_other_bytes_are_no_request(root, request_bytes):
    with pytest.raises(CertificateError, match="request is malformed"):
        root.issue_site(request_bytes, site="edge", grants=FULL)


def test_a_huge_request_is_refused_unread(root):
    with pytest.raises(CertificateError, match="over 4096"):
        root.issue_site(bytes(5000), site="edge", grants=FULL)


def test_an_authority_is_of_its_key_and_its_root(root, inviter):
    with pytest.raises(CertificateError, match="another key"):
        Authority(generate_key(), inviter.chain, root.root)
    with pytest.raises(CertificateError, match="another key"):
        Authority(generate_key(), (), root.root)
    other = Authority.create_root(now=NOW)
    with pytest.raises(CertificateError, match="not issued by"):
        Authority(inviter.key, inviter.chain, other.root)


def test_a_site_certificate_makes_no_authority(root):
    key = generate_key()
    chain = root.issue_site(make_request(key), site="edge", grants=FULL, now=NOW)
    with pytest.raises(CertificateError, match="may not issue"):
        Authority(key, chain, root.root)


def test_an_authority_shows_no_key(root, inviter):
    assert repr(root) == f"<Authority root of {root.van_id} until 2041-05-03 12:00:00Z>"
    assert "intermediate" in repr(inviter)


def test_an_authority_that_is_granted_is_second_to_the_root_and_no_level_below():
    root, ours, theirs = Authority.create_root(), generate_key(), generate_key()
    since = datetime(2026, 1, 1, tzinfo=UTC)
    chain = root.issue_authority(ours.public_key(), site="west", first_issued=since)
    granted = Authority(ours, chain, root.root)
    assert (granted.is_root, granted.is_granted, granted.is_lasting) == (False, True, True)
    assert granted.grants == FULL
    assert granted.not_after == root.not_after
    leaf = granted.issue_site(
        make_request(theirs), site="east", grants=FULL, first_issued=since - timedelta(days=9)
    )
    identity = read_chain(leaf, root.root)
    assert (identity.issuers, identity.depth) == (("west",), 0)
    assert identity.first_issued == since - timedelta(days=9)
    below = granted.issue_intermediate(make_request(theirs), site="east", grants=FULL)
    authority = Authority(theirs, below, root.root)
    assert not authority.is_granted
    assert (
        read_chain(authority.issue_site(make_request(ours), site="x", grants=FULL), root.root).depth
        == 1
    )
    for each in (granted, authority):
        with pytest.raises(NotAllowed, match="which alone grants its authority"):
            each.issue_authority(theirs.public_key(), site="east", first_issued=since)


def test_none_is_granted_but_by_the_root_itself():
    root, ours, theirs = Authority.create_root(), generate_key(), generate_key()
    chain = root.issue_intermediate(make_request(ours), site="west", grants=FULL)
    between = Authority(ours, chain, root.root)
    forged = build_certificate(
        Subject(root.van_id, Kind.AUTHORITY, "west"),
        theirs.public_key(),
        issuer=Issuer(between._certificate.subject, ours),
        window=window_of(between._certificate),
        grants=FULL,
        first_issued=datetime(2026, 1, 1, tzinfo=UTC),
    )
    with pytest.raises(CertificateError, match="is not issued by the root"):
        Authority(theirs, (forged.public_bytes(Encoding.DER), *chain), root.root)


LIVES = [timedelta(seconds=10), timedelta(minutes=1), timedelta(hours=5), timedelta(days=1)]
LIVES += [timedelta(days=1, seconds=1), timedelta(days=7), timedelta(days=366)]


@pytest.mark.parametrize("life", LIVES, ids=str)
def test_a_certificate_says_when_it_was_issued_however_long_it_is_good(life):
    hub = Credentials.create("hub", life=life, now=NOW)
    identity = hub.identity
    assert (identity.grants.life, identity.issued_at) == (life, NOW)
    assert identity.not_after == NOW + life
    assert identity.not_before == NOW - min(life, timedelta(days=1))


def test_a_certificate_that_its_issuer_cuts_short_says_when_it_was_issued():
    hub = Credentials.create("hub", now=NOW)
    request, grants = make_request(generate_key()), Grants(can_invite=True)
    key = generate_key()
    chain = hub.authority.issue_intermediate(
        make_request(key), site="east", grants=grants, now=NOW, lifetime=timedelta(hours=2)
    )
    east = Authority(key, chain, hub.root)
    late = NOW + timedelta(hours=1)
    identity = read_chain(east.issue_site(request, site="edge", grants=grants, now=late), hub.root)
    assert (identity.issued_at, identity.not_after) == (late, NOW + timedelta(hours=2))
    assert identity.authorities[0].issued_at == NOW


def test_nothing_lives_longer_than_what_its_issuer_s_site_has():
    hub = Credentials.create("hub", now=NOW)
    key, short = generate_key(), Grants(can_invite=True, life=timedelta(hours=7))
    chain = hub.authority.issue_intermediate(make_request(key), site="east", grants=short, now=NOW)
    east = Authority(key, chain, hub.root)
    assert east.not_after == NOW + timedelta(hours=30)
    long = Grants(life=timedelta(days=300))
    request = make_request(generate_key())
    for authority, life in ((hub.authority, long.life), (east, short.life)):
        chain = authority.issue_site(request, site="edge", grants=long, now=NOW)
        assert load(chain[0]).not_valid_after_utc == NOW + life
    hub.authority.check_may_live(long.life)
    east.check_may_live(short.life)
    with pytest.raises(NotAllowed, match="longer life than its own have: 25200 s"):
        east.check_may_live(short.life + timedelta(seconds=1))
