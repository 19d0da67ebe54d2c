"""Who holds an authority proves it by its key; what is advertised of it, anybody could show."""

from datetime import UTC, datetime, timedelta

import pytest

from van.errors import CertificateError, CertificateExpired, NotAllowed
from van.tls.credentials import Credentials
from van.tls.expulsion import sign_expulsion
from van.tls.expulsion_list import ExpulsionList
from van.tls.grants import Grants
from van.tls.keys import generate_key, make_request
from van.tls.possession import check_authority, prove_authority

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def hub():
    return Credentials.create("hub", now=NOW)


def member(hub, name, *, can_invite=False):
    key, ca_key = generate_key(), generate_key()
    asked = {"site": name, "grants": Grants(can_invite=can_invite), "now": NOW}
    chain = hub.authority.issue_site(make_request(key), **asked)
    if not can_invite:
        return Credentials.joined(key, chain, hub.root)
    ca_chain = hub.authority.issue_intermediate(make_request(ca_key), **asked)
    return Credentials.joined(key, chain, hub.root, ca_key, ca_chain)


def check(hub, holder, chain, proof, *, expulsions=None, at=NOW):
    known = expulsions or ExpulsionList(hub.root)
    return check_authority(holder.identity, chain, proof, hub.root, known, at=at)


def test_the_root_and_one_below_it_are_proved(hub):
    east = member(hub, "east", can_invite=True)
    assert not check(hub, hub, (), prove_authority(hub.authority, hub.identity)).authorities
    proof = prove_authority(east.authority, east.identity)
    assert check(hub, east, east.authority.chain, proof).authorities[0].site == "east"


def test_who_shows_another_ones_authority_holds_none(hub):
    east, mallory = member(hub, "east", can_invite=True), member(hub, "mallory")
    of_hub = prove_authority(hub.authority, hub.identity)
    of_east = prove_authority(east.authority, east.identity)
    for chain, proof in (((), of_hub), ((), b""), (east.authority.chain, of_east)):
        with pytest.raises(NotAllowed, match="mallory"):
            check(hub, mallory, chain, proof)
    # Not even if the two are in league: the certificate says whose the authority is.
    assert east.authority is not None
    lent = prove_authority(east.authority, mallory.identity)
    with pytest.raises(NotAllowed, match="is not that of site 'mallory'"):
        check(hub, mallory, east.authority.chain, lent)


def test_an_authority_of_another_van_is_none(hub):
    other = Credentials.create("hub", now=NOW)
    assert other.authority is not None
    with pytest.raises(NotAllowed):
        check(hub, hub, (), prove_authority(other.authority, hub.identity))
    stranger = member(other, "east", can_invite=True)
    assert stranger.authority is not None
    proof = prove_authority(stranger.authority, stranger.identity)
    with pytest.raises(CertificateError):
        check(hub, stranger, stranger.authority.chain, proof)


def test_an_authority_that_was_put_out_or_has_run_out_counts_no_more(hub):
    east = member(hub, "east", can_invite=True)
    proof, chain = prove_authority(east.authority, east.identity), east.authority.chain
    with pytest.raises(CertificateExpired):
        check(hub, east, chain, proof, at=NOW + timedelta(days=40))
    expulsions = ExpulsionList(hub.root)
    key = east.identity.public_key_fingerprint
    at = NOW + timedelta(minutes=1)
    expulsions.add(sign_expulsion(hub.authority, site="east", key=key, at=at, reason=""))
    with pytest.raises(NotAllowed, match="counts no more"):
        check(hub, east, chain, proof, expulsions=expulsions)
