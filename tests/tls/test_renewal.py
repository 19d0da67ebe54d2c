"""What of an answer is taken for a renewed certificate, and whom to ask for one."""

from datetime import timedelta
from functools import partial
from typing import Any

import attrs
import pytest

from tests.tls.forging import NOW
from van.errors import CertificateError
from van.tls.credentials import Credentials
from van.tls.grants import Grants
from van.tls.keys import generate_key, make_request
from van.tls.renewal import AuthorityHolder, authorities_for, renewal_time, take_renewed

INVITING = Grants(can_invite=True)
LATER = NOW + timedelta(days=5)


def let_in(by, site, grants=INVITING, *, now=NOW, **lives):
    """Return what a site holds that another one let in, with an authority if it may invite."""
    key, ca_key = generate_key(), generate_key()
    chain = by.authority.issue_site(make_request(key), site=site, grants=grants, now=now, **lives)
    ca_chain = ()
    if grants.can_invite:
        ca_chain = by.authority.issue_intermediate(
            make_request(ca_key), site=site, grants=grants, now=now
        )
    return Credentials.joined(key, chain, by.root, ca_key, ca_chain)


@pytest.fixture(scope="module")
def hub():
    return Credentials.create("hub", now=NOW)


@pytest.fixture(scope="module")
def east(hub):
    return let_in(hub, "east")


@pytest.fixture(scope="module")
def edge(east):
    """Return a site two steps below the root, with an authority."""
    return let_in(east, "edge")


def answer(by, ours, *, now=LATER, **changes):
    """Return what an authority answers that does as it is asked, but for some changes."""
    asked = {
        "site": ours.site,
        "grants": ours.identity.grants,
        "key": ours.key,
        "first_issued": ours.identity.first_issued,
    } | changes
    key, ca_key = asked.pop("key"), asked.pop("ca_key", ours.authority and ours.authority.key)
    authority = by.authority
    lifetime = asked.pop("lifetime", None)
    chain = authority.issue_site(make_request(key), now=now, lifetime=lifetime, **asked)
    if not ca_key or not asked["grants"].can_invite:
        return chain, ()
    return chain, authority.issue_intermediate(make_request(ca_key), now=now, **asked)


def test_what_was_asked_for_is_taken(hub, east, edge):
    for ours, by in ((east, hub), (edge, east), (edge, hub)):
        renewed = take_renewed(ours, *answer(by, ours), at=LATER)
        assert renewed.identity.not_after == LATER + timedelta(days=7)
        assert renewed.identity.public_key == ours.identity.public_key
        assert renewed.identity.grants == ours.identity.grants
        assert renewed.authority.key == ours.authority.key
        assert renewed.authority.not_after >= ours.authority.not_after


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another name": ({"site": "west"}, "names site 'west'"),
    "another key": ({"key": generate_key()}, "for another key"),
    "narrower grants": ({"grants": Grants(can_invite=True, allow_bind=())}, "something else"),
    "wider grants": (
        {"grants": Grants(can_invite=True, may_tag=("*",))},
        "something else",
    ),
    "another life": (
        {"grants": attrs.evolve(INVITING, life=timedelta(days=30))},
        "something else",
    ),
    "a shorter life": ({"lifetime": timedelta(days=1)}, "no longer than the present one"),
    "issued first": ({"first_issued": LATER}, "another time of its first issue"),
    "issued before": ({"first_issued": NOW - timedelta(days=9)}, "another time of its first issue"),
    "not valid yet": ({"now": LATER + timedelta(days=3)}, "is not valid before"),
    "not valid any more": ({"now": NOW + timedelta(days=6)}, "expired"),
    "another authority": ({"ca_key": generate_key()}, "for another key"),
    "no authority": ({"ca_key": None}, "was not renewed with"),
}


@pytest.mark.parametrize(("changes", "why"), WRONG.values(), ids=WRONG)
def test_nothing_else_is_taken(hub, east, changes, why):
    at = NOW + timedelta(days=20) if why == "expired" else LATER
    with pytest.raises(CertificateError, match=why):
        take_renewed(east, *answer(hub, east, **changes), at=at)


def test_of_what_is_further_below_the_root_nothing_is_taken(hub, east, edge):
    west = let_in(hub, "west")
    plain = let_in(hub, "plain", Grants())
    for ours in (west, plain):
        with pytest.raises(CertificateError, match="certificate is further below the root"):
            take_renewed(ours, *answer(east, ours), at=LATER)
    with pytest.raises(CertificateError, match="further below the root"):
        take_renewed(edge, *answer(edge, edge), at=LATER)
    chain, _ = answer(hub, west)
    _, ca_chain = answer(east, west)
    with pytest.raises(CertificateError, match="authority is further below the root"):
        take_renewed(west, chain, ca_chain, at=LATER)


def test_a_site_that_returns_takes_what_is_further_below_the_root_but_nothing_else(hub, east):
    west = let_in(hub, "west")
    deeper = take_renewed(west, *answer(east, west, first_issued=LATER), at=LATER, is_return=True)
    assert deeper.identity.issuers == ("east",)
    for each in ("wider grants", "narrower grants", "another name", "another key", "issued before"):
        changes, why = WRONG[each]
        with pytest.raises(CertificateError, match=why):
            take_renewed(east, *answer(hub, east, **changes), at=LATER, is_return=True)


def test_an_authority_that_was_shortened_or_is_of_another_kind_is_not_taken(hub, east):
    chain, _ = answer(hub, east)
    request = make_request(east.authority.key)
    issue = partial(hub.authority.issue_intermediate, request, first_issued=NOW)
    for wrong in (
        issue(site="west", grants=INVITING, now=LATER),
        issue(site="east", grants=attrs.evolve(INVITING, allow_bind=()), now=LATER),
    ):
        with pytest.raises(CertificateError, match="the authority is another one"):
            take_renewed(east, chain, wrong, at=LATER)
    short = issue(site="east", grants=INVITING, now=LATER, lifetime=timedelta(days=9))
    with pytest.raises(CertificateError, match="valid for less long"):
        take_renewed(east, chain, short, at=LATER)
    early = issue(site="east", grants=INVITING, now=LATER + timedelta(days=3))
    with pytest.raises(CertificateError, match="not valid before"):
        take_renewed(east, chain, early, at=LATER)
    new = issue(site="east", grants=INVITING, now=LATER, first_issued=LATER)
    with pytest.raises(CertificateError, match="later time of its first issue"):
        take_renewed(east, chain, new, at=LATER)


def test_another_van_renews_nothing(east):
    stranger = Credentials.create("hub", now=NOW)
    with pytest.raises(CertificateError):
        take_renewed(east, *answer(stranger, east), at=LATER)


def test_who_let_a_site_in_is_asked_before_those_above_and_all_others(hub, east, edge):
    west = let_in(hub, "west")
    plain = let_in(hub, "plain", Grants())
    narrow = let_in(hub, "narrow", Grants(can_invite=True, allow_bind=("db",)))
    names = let_in(hub, "names", Grants(can_invite=True, may_name=("laptop-*",)))
    deep = let_in(edge, "deep", Grants())
    every = [
        AuthorityHolder(each.identity, len(each.authority.chain))
        for each in (west, narrow, names, hub, east, edge)
    ]
    every.append(AuthorityHolder(let_in(east, "heir", Grants(allow_bind=())).identity, 0))

    def asked(ours):
        return [each.identity.site for each in authorities_for(ours.identity, every)]

    assert asked(deep) == ["edge", "east", "heir", "hub", "west"]
    assert asked(edge) == ["east", "heir", "hub", "west"]
    assert asked(plain) == ["heir", "hub"], "who holds the root may give everything"
    limited = let_in(east, "db", attrs.evolve(INVITING, allow_bind=("db",)))
    assert asked(limited) == ["east", "heir", "hub", "narrow", "west"]
    beyond = let_in(east, "dbhost", Grants(allow_bind=("web",)))
    assert asked(beyond) == ["east", "heir", "hub", "west"]


@pytest.mark.slow("signs and verifies a thousand certificates")
def test_a_thousand_renewals_change_nothing_but_the_dates():
    life = timedelta(days=3)
    hub = Credentials.create("hub", now=NOW)
    first = edge = let_in(hub, "edge", Grants(allow_bind=("db",), life=life))
    for _ in range(1000):
        now = renewal_time(edge.identity) + timedelta(hours=1)
        edge = take_renewed(edge, *answer(hub, edge, now=now), at=now)
        assert edge.identity.not_after == now + life
    assert now > NOW + timedelta(days=2000)
    for what in ("site", "grants", "public_key_fingerprint", "authorities", "first_issued"):
        assert getattr(edge.identity, what) == getattr(first.identity, what)
