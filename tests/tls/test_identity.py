from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tests.tls import forging
from tests.tls.forging import (
    CLIENT,
    NOW,
    OPEN,
    SERVER,
    as_issued,
    ca_form,
    forge,
    invite,
    names,
    site_form,
    token_form,
    uri,
    usage,
)
from van.errors import CertificateError
from van.tls.authority import Authority
from van.tls.forms import load_certificate
from van.tls.grants import FULL, OID, Grants
from van.tls.identity import BootstrapIdentity, SiteIdentity, read_chain, verify_chain
from van.tls.keys import generate_key, make_request
from van.tls.roots import check_root


@pytest.fixture(scope="module")
def long_chain(inviter):
    return site_chain(invite(inviter, "branch"))


def refused(chain, root, why, *, at=NOW):
    with pytest.raises(CertificateError, match=why):
        verify_chain(chain, root.root, at=at)


def site_chain(authority, site="edge", grants=FULL):
    return authority.issue_site(make_request(generate_key()), site=site, grants=grants, now=NOW)


def test_a_site_is_who_its_certificate_says(root, inviter):
    narrow = Grants(False, ("web",), ())
    chain = site_chain(inviter, "edge", narrow)
    identity = verify_chain(list(chain), root.root, at=NOW)
    assert isinstance(identity, SiteIdentity)
    assert (identity.van_id, identity.site) == (root.van_id, "edge")
    assert (identity.grants, identity.chain, identity.issuers) == (narrow, chain, ("hub",))
    assert identity.may_expose("web:1")
    assert not identity.may_expose("db:1")
    assert not identity.may_bind("web:1")
    assert identity.not_before == NOW - timedelta(days=1)
    assert identity.issued_at == NOW
    assert identity.not_after == NOW + timedelta(days=7)


def test_a_signature_is_good_for_its_message_and_key_only(root):
    key = generate_key()
    chain = root.issue_site(make_request(key), site="edge", grants=FULL, now=NOW)
    identity = verify_chain(chain, root.root, at=NOW)
    assert isinstance(identity, SiteIdentity)
    signature = key.sign(b"message", ec.ECDSA(hashes.SHA256()))
    assert identity.verify(signature, b"message")
    assert not identity.verify(signature, b"other")
    assert not identity.verify(b"", b"message")
    assert not identity.verify(signature[:-1], b"message")
    assert not identity.verify(generate_key().sign(b"message", ec.ECDSA(hashes.SHA256())), b"m")


def test_a_renewed_certificate_has_the_same_fingerprint(root):
    request = make_request(generate_key())
    one, two = (
        verify_chain(root.issue_site(request, site="edge", grants=FULL, now=NOW), root.root, at=NOW)
        for _ in range(2)
    )
    assert isinstance(one, SiteIdentity)
    assert isinstance(two, SiteIdentity)
    assert one != two
    assert one.public_key_fingerprint == two.public_key_fingerprint


def test_forged_forms_are_otherwise_right(root):
    """What the tests below alter is accepted when it is not altered."""
    issuer, van = as_issued(root), root.van_id
    site = verify_chain([forge(issuer, site_form(van)).der], root.root, at=NOW)
    assert isinstance(site, SiteIdentity)
    token = verify_chain([forge(issuer, token_form(van)).der], root.root, at=NOW)
    assert isinstance(token, BootstrapIdentity)
    ca = forge(issuer, ca_form(van))
    chain = [forge(ca, site_form(van)).der, ca.der]
    assert isinstance(verify_chain(chain, root.root, at=NOW), SiteIdentity)


@pytest.mark.parametrize("name", ["db", "laptop", "a-laptop-1"])
def test_an_inviting_site_gives_the_names_alone_that_it_may(root, name):
    limit = Grants(can_invite=True, may_name=("laptop-*",))
    ca = forge(as_issued(root), ca_form(root.van_id, grants=limit))
    good = forge(ca, site_form(root.van_id, site="laptop-1", grants=Grants()))
    assert isinstance(verify_chain([good.der, ca.der], root.root, at=NOW), SiteIdentity)
    leaf = forge(ca, site_form(root.van_id, site=name, grants=Grants()))
    refused([leaf.der, ca.der], root, "a name its issuer may not give")
    lower = forge(ca, ca_form(root.van_id, site=name, grants=limit))
    leaf = forge(lower, site_form(root.van_id, site="laptop-1", grants=Grants()))
    refused([leaf.der, lower.der, ca.der], root, "a name its issuer may not give")


def test_an_inviting_site_gives_the_tags_alone_that_it_may(root):
    limit = Grants(can_invite=True, may_tag=("dev",), tags=("prod",))
    ca = forge(as_issued(root), ca_form(root.van_id, grants=limit))
    good = forge(ca, site_form(root.van_id, grants=Grants(tags=("dev",))))
    assert isinstance(verify_chain([good.der, ca.der], root.root, at=NOW), SiteIdentity)
    leaf = forge(ca, site_form(root.van_id, grants=Grants(tags=("prod",))))
    refused([leaf.der, ca.der], root, "grants more than its issuer may")


def test_another_authority_is_refused(root):
    other = Authority.create_root(now=NOW)
    refused(site_chain(other), root, "not issued by")
    # Even one that claims this VAN's id, and the root's name.
    imposter = forging.Issued(root.root, other.key)
    refused([forge(imposter, site_form(root.van_id)).der], root, "not issued by")


def test_a_root_of_another_id_is_no_root(root):
    """The id follows from the key, so that a root can't be exchanged for another of its name."""
    key = generate_key()
    form = forging.Form(
        {
            "basic": (x509.BasicConstraints(ca=True, path_length=None), True),
            "usage": (usage("key_cert_sign"), True),
            "names": names(f"spiffe://{root.van_id}"),
        }
    )
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "forged")])
    template = x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
    base = (
        template.public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    fake = forge(forging.Issued(base, key), form, key=key)
    with pytest.raises(CertificateError, match="is not that of VAN"):
        check_root(fake.certificate)


def test_a_certificate_is_good_from_its_first_to_its_last_second(root):
    chain = site_chain(root)
    first, last = NOW - timedelta(days=1), NOW + timedelta(days=7)
    assert verify_chain(chain, root.root, at=first) == verify_chain(chain, root.root, at=last)
    second = timedelta(seconds=1)
    refused(chain, root, "is not valid before 2031-05-03 12:00:00Z", at=first - second)
    refused(chain, root, "certificate of site 'edge' expired at 2031-05-11", at=last + second)


def test_validity_is_checked_each_time(root):
    """A chain that was verified once, and is remembered, still expires."""
    chain = site_chain(root)
    verify_chain(chain, root.root, at=NOW)
    refused(chain, root, "expired", at=NOW + timedelta(days=8))
    refused(chain, root, "not valid before", at=NOW - timedelta(days=8))
    assert isinstance(read_chain(chain, root.root), SiteIdentity)


def test_an_expired_intermediate_takes_what_is_below_along(root):
    issuer, van = as_issued(root), root.van_id
    ca = forge(issuer, ca_form(van), not_after=NOW + timedelta(hours=1))
    leaf = forge(ca, site_form(van), not_after=NOW + timedelta(days=1))
    later = NOW + timedelta(hours=2)
    refused([leaf.der, ca.der], root, "authority of site 'mallory' expired", at=later)


def test_an_expired_root_ends_its_van(root):
    site = forge(as_issued(root), site_form(root.van_id), not_after=NOW + timedelta(days=5000))
    refused([site.der], root, f"{root.van_id} expired", at=NOW + timedelta(days=4000))


def test_a_bootstrap_certificate_is_no_site(root):
    form = token_form(root.van_id)
    identity = verify_chain([forge(as_issued(root), form).der], root.root, at=NOW)
    assert identity == BootstrapIdentity(root.van_id, "abc", NOW + timedelta(days=1))
    # Nor does a site's certificate for clients alone pass, or a token's for servers too.
    clients = (x509.ExtendedKeyUsage([CLIENT]), False)
    both = (x509.ExtendedKeyUsage([CLIENT, SERVER]), False)
    site = site_form(root.van_id).but(purposes=clients)
    refused([forge(as_issued(root), site).der], root, "wrong ExtendedKeyUsage")
    refused([forge(as_issued(root), form.but(purposes=both)).der], root, "wrong ExtendedKeyUsage")


def test_an_authority_is_no_site(root, inviter):
    refused(inviter.chain, root, "is an authority's, not a site's")
    refused([root.root.public_bytes(Encoding.DER)], root, "is an authority's, not a site's")


def test_a_site_is_no_authority(root):
    form = site_form(root.van_id)
    site = forge(as_issued(root), form)
    leaf = forge(site, site_form(root.van_id, "victim"))
    refused([leaf.der, site.der], root, "may not issue others")
    token = forge(as_issued(root), token_form(root.van_id))
    leaf = forge(token, site_form(root.van_id, "victim"))
    refused([leaf.der, token.der], root, "may not issue others")


def test_an_extra_certificate_is_refused(root, inviter):
    direct, below = site_chain(root), site_chain(inviter)
    root_der = root.root.public_bytes(Encoding.DER)
    refused((*direct, root_der), root, "may not issue others")
    refused((*direct, *inviter.chain), root, "not issued by")
    refused((*below, root_der), root, "may not issue others")
    refused((*below, *site_chain(root)), root, "may not issue others")
    refused((*below, *inviter.chain), root, "not issued by")
    refused((below[0], *direct, below[1]), root, "may not issue others|not issued by")


def test_order_matters(root, inviter):
    refused(tuple(reversed(site_chain(inviter))), root, "may not issue others|not issued by")


def test_a_missing_certificate_is_missed(root, inviter):
    refused(site_chain(inviter)[:1], root, "not issued by")
    refused((), root, "chain of 0")


def test_a_chain_is_at_most_eight_long(root):
    issuer, van = as_issued(root), root.van_id
    chain: list[bytes] = []
    for level in range(8):
        issuer = forge(issuer, ca_form(van, f"level-{level}"))
        chain.insert(0, issuer.der)
    refused([forge(issuer, site_form(van)).der, *chain], root, "chain of 8 authorities")


def test_an_intermediate_without_the_grant_to_invite_is_refused(root):
    ca = forge(as_issued(root), ca_form(root.van_id, grants=Grants()))
    leaf = forge(ca, site_form(root.van_id, grants=Grants()))
    refused([leaf.der, ca.der], root, "was not let invite")


@pytest.mark.parametrize(
    "wide",
    [
        Grants(True, ("db",), ("web",)),
        Grants(True, ("*",), ()),
        Grants(True, ("web",), ("web", "db")),
        FULL,
    ],
)
def test_grants_never_widen_on_the_way_down(root, wide):
    van, limit = root.van_id, Grants(True, ("web",), ("web",))
    top = forge(as_issued(root), ca_form(van, "top", limit))
    leaf = forge(top, site_form(van, grants=wide))
    refused([leaf.der, top.der], root, "/site/mallory grants more")
    middle = forge(top, ca_form(van, "middle", wide))
    leaf = forge(middle, site_form(van, grants=limit))
    refused([leaf.der, middle.der, top.der], root, "/ca/middle grants more")


def test_a_certificate_that_does_not_say_what_it_grants_is_refused(root):
    form = site_form(root.van_id).but(grants=None)
    refused([forge(as_issued(root), form).der], root, "does not say what it grants")
    garbage = (x509.UnrecognizedExtension(OID, b"\x0c\x02{}"), False)
    form = site_form(root.van_id).but(grants=garbage)
    refused([forge(as_issued(root), form).der], root, "malformed grants")


@pytest.mark.parametrize("make", [site_form, token_form])
def test_a_name_of_another_van_is_refused(root, make):
    other = Authority.create_root(now=NOW).van_id
    refused([forge(as_issued(root), make(other)).der], root, "is of another VAN")
    ca = forge(as_issued(root), ca_form(root.van_id))
    refused([forge(ca, make(other)).der, ca.der], root, "is of another VAN")


def test_an_intermediate_is_limited_to_this_van(root):
    van = root.van_id
    other = Authority.create_root(now=NOW).van_id
    limits = {
        "other": (x509.NameConstraints([uri(other)], None), True),
        "both": (x509.NameConstraints([uri(van), uri(other)], None), True),
        "excluded": (x509.NameConstraints([uri(van)], [uri(other)]), True),
        "not critical": (x509.NameConstraints([uri(van)], None), False),
    }
    for limit in limits.values():
        ca = forge(as_issued(root), ca_form(van).but(limits=limit))
        refused([forge(ca, site_form(van)).der, ca.der], root, "wrong NameConstraints")
    ca = forge(as_issued(root), ca_form(van).but(limits=None))
    refused([forge(ca, site_form(van)).der, ca.der], root, "no NameConstraints")


VAN = "a" * 26
NAMES = [
    [],
    [x509.DNSName("edge")],
    [uri(f"spiffe://{VAN}/site/a"), uri(f"spiffe://{VAN}/site/b")],
    [uri(f"spiffe://{VAN}/site/a"), x509.DNSName("b")],
    [uri(f"https://{VAN}/site/a")],
    [uri(f"spiffe://{VAN}/site/")],
    [uri(f"spiffe://{VAN}/site/a/b")],
    [uri(f"spiffe://{VAN}/site/A")],
    [uri(f"spiffe://{VAN}/site/-a")],
    [uri(f"spiffe://{VAN}/site/a\n")],
    [uri(f"spiffe://{VAN}/site/{'a' * 64}")],
    [uri(f"spiffe://{VAN}/host/a")],
    [uri(f"spiffe://{VAN}/ca")],
    [uri(f"spiffe://{VAN}:80/site/a")],
    [uri(f"spiffe://user@{VAN}/site/a")],
    [uri(f"spiffe://{VAN}/site/a?b")],
]


@pytest.mark.parametrize("general_names", NAMES)
def test_a_subject_has_exactly_one_name_of_the_right_form(root, general_names):
    def at_root(name):
        return type(name)(name.value.replace(VAN, root.van_id))

    names = x509.SubjectAlternativeName(list(map(at_root, general_names)))
    form = site_form(root.van_id).but(names=(names, False))
    refused([forge(as_issued(root), form).der], root, "exactly one URI|not one of a van site")


def test_a_subject_without_a_name_is_refused(root):
    form = site_form(root.van_id).but(names=None)
    refused([forge(as_issued(root), form).der], root, "exactly one URI")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"basic": None}, "no BasicConstraints"),
        ({"basic": (x509.BasicConstraints(ca=True, path_length=None), True)}, "BasicConstraints"),
        ({"basic": (x509.BasicConstraints(ca=False, path_length=None), False)}, "BasicConstraints"),
        ({"usage": None}, "no KeyUsage"),
        ({"usage": (usage("key_cert_sign"), True)}, "wrong KeyUsage"),
        ({"usage": (usage("digital_signature", "key_cert_sign"), True)}, "wrong KeyUsage"),
        ({"usage": (usage("digital_signature"), False)}, "wrong KeyUsage"),
        ({"purposes": None}, "no ExtendedKeyUsage"),
        ({"purposes": (x509.ExtendedKeyUsage([SERVER]), False)}, "wrong ExtendedKeyUsage"),
        ({"limits": (x509.NameConstraints([uri(VAN)], None), True)}, "unknown critical extension"),
    ],
)
def test_a_site_has_the_form_of_a_site(root, changes, why):
    form = site_form(root.van_id).but(**changes)
    refused([forge(as_issued(root), form).der], root, why)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"basic": (x509.BasicConstraints(ca=False, path_length=None), True)}, "BasicConstraints"),
        ({"basic": (x509.BasicConstraints(ca=True, path_length=0), True)}, "BasicConstraints"),
        ({"basic": (x509.BasicConstraints(ca=True, path_length=None), False)}, "BasicConstraints"),
        ({"usage": (usage("digital_signature"), True)}, "wrong KeyUsage"),
        ({"usage": (usage("key_cert_sign", "crl_sign"), True)}, "wrong KeyUsage"),
        ({"grants": None}, "does not say what it grants"),
    ],
)
def test_an_authority_has_the_form_of_an_authority(root, changes, why):
    ca = forge(as_issued(root), ca_form(root.van_id).but(**changes))
    refused([forge(ca, site_form(root.van_id)).der, ca.der], root, why)


def test_an_unknown_extension_matters_only_when_critical(root):
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    form = site_form(root.van_id)
    allowed = forge(as_issued(root), form.but(strange=(strange, False)))
    assert isinstance(verify_chain([allowed.der], root.root, at=NOW), SiteIdentity)
    critical = forge(as_issued(root), form.but(strange=(strange, True)))
    refused([critical.der], root, "unknown critical extension 1.2.3.4")
    grants = (forging.grants_extension(FULL), True)
    refused([forge(as_issued(root), form.but(grants=grants)).der], root, "critical extension 2.25")


KNOWN_EXTENSIONS = [
    x509.BasicConstraints.oid,
    x509.KeyUsage.oid,
    x509.SubjectAlternativeName.oid,
    x509.ExtendedKeyUsage.oid,
    OID,
]


@given(st.sampled_from(KNOWN_EXTENSIONS), st.binary(max_size=20), st.booleans())
def test_an_extension_that_can_t_be_read_is_refused(root, oid, value, critical):
    others = [form for form in site_form(root.van_id).extensions.values() if form[0].oid != oid]
    garbage = (x509.UnrecognizedExtension(oid, value), critical)
    form = forging.Form({str(number): form for number, form in enumerate([*others, garbage])})
    refused([forge(as_issued(root), form).der], root, None)


@given(st.binary(max_size=20))
def test_name_constraints_that_can_t_be_read_are_refused(root, value):
    garbage = (x509.UnrecognizedExtension(x509.NameConstraints.oid, value), True)
    ca = forge(as_issued(root), ca_form(root.van_id).but(limits=garbage))
    refused([forge(ca, site_form(root.van_id)).der, ca.der], root, None)


def test_only_p256_and_sha256_are_taken(root):
    form = site_form(root.van_id)
    weak = forge(as_issued(root), form, key=ec.generate_private_key(ec.SECP384R1()))
    refused([weak.der], root, "P-256")
    other_hash = forge(as_issued(root), form, algorithm=hashes.SHA384())
    refused([other_hash.der], root, "ECDSA with SHA-256")


@given(st.data())
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_no_byte_of_a_chain_can_be_altered(root, long_chain, data):
    chain = list(long_chain)
    number = data.draw(st.sampled_from(range(len(chain))))
    altered = bytearray(chain[number])
    place = data.draw(st.integers(0, len(altered) - 1))
    altered[place] ^= data.draw(st.integers(1, 255))
    chain[number] = bytes(altered)
    refused(chain, root, None)


@given(st.data())
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_no_byte_of_a_root_can_be_altered(root, data):
    altered = bytearray(root.root.public_bytes(Encoding.DER))
    place = data.draw(st.integers(0, len(altered) - 1))
    altered[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CertificateError):
        check_root(load_certificate(bytes(altered)))


def test_the_bits_that_nobody_signed_are_fixed_too(root):
    """A signature's BIT STRING says how many of its last bits don't count: none."""
    while (altered := bytearray(site_chain(root)[0]))[-1] & 1:
        pass
    place = len(altered) - len(x509.load_der_x509_certificate(bytes(altered)).signature) - 1
    altered[place] = 1
    refused([bytes(altered)], root, "loose bits")


@given(st.lists(st.binary(max_size=100), max_size=3))
def test_other_bytes_are_no_chain(root, chain):
    refused(chain, root, "malformed|chain of 0")


def test_a_huge_certificate_is_refused_unread(root):
    refused([bytes(100_000_000)], root, "larger than 8192")
    refused(list(site_chain(root)) * 100_000, root, "chain of 100000")


def test_the_way_down_names_every_inviting_site(root):
    east = invite(root, "east")
    west = invite(east, "west", OPEN)
    identity = verify_chain(site_chain(west), root.root, at=NOW)
    assert isinstance(identity, SiteIdentity)
    assert identity.issuers == ("west", "east")


def test_an_identity_shows_who_and_until_when(root):
    identity = verify_chain(site_chain(root), root.root, at=NOW)
    assert repr(identity) == f"<SiteIdentity 'edge' of {root.van_id} until 2031-05-11 12:00:00Z>"
