"""A site is shown with all that is known of it, and nothing that is not."""

from datetime import UTC, datetime
from typing import Any

from van.cli.render.layout import plain_text
from van.cli.render.site import site_sections
from van.control.values.sites import SiteCertificate, SiteShown

AT = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
CERTIFICATE = SiteCertificate(
    id="spiffe://van/site/dbhost",
    tags=("prod", "db"),
    can_invite=False,
    allow_expose=("db:5432",),
    allow_bind=(),
    may_name=("*",),
    may_tag=(),
    is_ephemeral=False,
    issued_by=("edge", "hub"),
    first_issued=AT,
    expires_at=AT,
)


def shown(**changes):
    fields: dict[str, Any] = {
        "site": "dbhost",
        "state": "up",
        "key": "5" * 64,
        "pinned_since": AT,
        "seen": None,
        "certificate": CERTIFICATE,
        "tokens": ("k3v9q2",),
        "statements": (),
    }
    return plain_text(site_sections(SiteShown(**(fields | changes))), None)


def test_a_site_that_is_up_is_shown_whole():
    text = shown()
    for each in (
        "up",
        "5" * 64,
        "spiffe://van/site/dbhost",
        "prod, db",
        "expose db:5432; bind nothing; and not invite others",
        "the authority of edge below hub",
        "k3v9q2",
    ):
        assert each in text
    assert "last there" not in text


def test_of_one_that_is_away_and_not_known_any_more_there_is_less():
    text = shown(state="away", seen=AT, certificate=None, tokens=())
    assert f"away, and was last there {AT.astimezone():%F %T}" in text
    assert "tags" not in text
    assert "token" not in text


def test_what_was_said_of_a_name_is_told():
    text = shown(state="expelled", statements=("site 'dbhost' was expelled\x1b[2J",))
    assert "was expelled\N{REPLACEMENT CHARACTER}[2J" in text


def test_the_version_is_told_where_it_is_known():
    assert "version" not in shown()
    line = next(each for each in shown(version="1.2.3").splitlines() if "version" in each)
    assert line.split() == ["version", "1.2.3"]


def test_who_stands_right_below_the_root_and_is_ephemeral_says_so():
    from msgspec.structs import replace

    text = shown(certificate=replace(CERTIFICATE, issued_by=(), is_ephemeral=True, tags=()))
    assert "the authority of the VAN" in text
    assert "it is not renewed" in text
    assert "none" in text
