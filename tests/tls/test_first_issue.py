"""Since when a key has had its name: carried on by renewals, and backdated by nobody."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from tests.tls.forging import NOW, as_issued, ca_form, forge, site_form
from van.errors import CertificateError
from van.tls.authority import Authority
from van.tls.first_issue import OID, decode_first_issue, encode_first_issue
from van.tls.grants import FULL
from van.tls.identity import SiteIdentity, verify_chain
from van.tls.keys import generate_key, make_request

LONG_AGO = NOW - timedelta(days=400)
LATER = NOW + timedelta(days=3)


def extension(at):
    return x509.UnrecognizedExtension(OID, encode_first_issue(at)), False


def proved(chain, root, *, at=NOW):
    identity = verify_chain(chain, root.root, at=at)
    assert isinstance(identity, SiteIdentity)
    return identity


def test_it_is_when_the_first_certificate_was_issued(root):
    request = make_request(generate_key())
    first = proved(root.issue_site(request, site="a", grants=FULL, now=NOW), root)
    assert first.first_issued == NOW
    later = root.issue_site(
        request, site="a", grants=FULL, now=LATER, first_issued=first.first_issued
    )
    assert proved(later, root, at=LATER).first_issued == NOW
    assert proved(later, root, at=LATER).issued_at == LATER


def test_without_it_a_certificate_was_first_issued_when_it_was_issued(root):
    leaf = forge(as_issued(root), site_form(root.van_id))
    identity = proved([leaf.der], root)
    assert identity.first_issued == identity.issued_at


def test_who_lets_in_can_say_nothing_from_before_it_was_there(root, inviter):
    """Neither by the extension, nor by the certificate's own dates, nor by an authority between."""
    issuer, since = as_issued(inviter), proved(site_of(inviter), root).authorities[0].first_issued
    form = site_form(root.van_id)
    said = forge(issuer, form.but(first=extension(LONG_AGO)))
    dated = forge(issuer, form, not_before=LONG_AGO)
    lower = forge(issuer, ca_form(root.van_id).but(first=extension(LONG_AGO)))
    below = forge(lower, form.but(first=extension(LONG_AGO)))
    for chain in ([said.der], [dated.der], [below.der, lower.der]):
        identity = proved([*chain, *inviter.chain], root)
        assert identity.first_issued == since
        assert {each.first_issued for each in identity.authorities} == {since}


def site_of(authority):
    return authority.issue_site(make_request(generate_key()), site="guest", grants=FULL, now=NOW)


def test_an_authority_that_is_renewed_carries_it_on(root):
    key, since = generate_key(), NOW - timedelta(days=100)
    chain = root.issue_intermediate(
        make_request(key), site="hub", grants=FULL, now=NOW, first_issued=since
    )
    hub = Authority(key, chain, root.root)
    assert proved(site_of(hub), root).authorities[0].first_issued == since


def test_what_the_root_says_is_so(root):
    leaf = forge(as_issued(root), site_form(root.van_id).but(first=extension(LONG_AGO)))
    assert proved([leaf.der], root).first_issued == LONG_AGO


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x02",
        b"\x02\x00",
        b"\x02\x01",
        b"\x04\x01\x05",
        b"\x02\x01\x05\x00",
        b"\x02\x02\x00\x05",
        b"\x02\x01\xff",
        b"\x02\x08" + b"\x7f" * 8,
        b"\x02\x0a" + b"\x01" * 10,
    ],
)
def test_a_malformed_one_makes_the_certificate_invalid(root, value):
    with pytest.raises(CertificateError, match="malformed time"):
        decode_first_issue(value)
    form = site_form(root.van_id).but(first=(x509.UnrecognizedExtension(OID, value), False))
    leaf = forge(as_issued(root), form)
    with pytest.raises(CertificateError, match="malformed time"):
        verify_chain([leaf.der], root.root, at=NOW)


@pytest.mark.parametrize("seconds", [0, 1, 127, 128, 255, 2**31, 2**32, 253402300799])
def test_every_time_is_read_as_it_was_written(seconds):
    at = datetime.fromtimestamp(seconds, UTC)
    assert decode_first_issue(encode_first_issue(at)) == at
