import os
import stat
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.tls.forging import NOW, as_issued, forge, token_form
from tests.tls.test_contexts import let_in
from van.errors import CertificateError, InvalidName, StorageError
from van.tls.authority import Authority
from van.tls.credentials import MAX_FILE, Credentials, read_identity
from van.tls.grants import FULL, Grants
from van.tls.identity import verify_chain
from van.tls.keys import generate_key, make_request


@pytest.fixture(scope="module")
def hub():
    return Credentials.create("hub")


@pytest.fixture(scope="module")
def east(hub):
    return let_in(hub, "east")


def renewed_chain(authority, credentials, site="hub"):
    return authority.issue_site(make_request(credentials.key), site=site, grants=FULL)


def test_a_new_van_has_one_site_that_may_do_everything():
    hub = Credentials.create("hub", now=NOW)
    assert (hub.site, hub.identity.grants, hub.identity.issuers) == ("hub", FULL, ())
    assert hub.authority is not None
    assert hub.authority.is_root
    assert hub.van_id == hub.authority.van_id == hub.identity.van_id
    assert verify_chain(hub.chain, hub.root, at=NOW) == hub.identity


def test_a_site_name_that_is_not_valid_makes_no_van():
    with pytest.raises(InvalidName):
        Credentials.create("Not A Name")


@pytest.mark.parametrize("kind", ["root", "intermediate", "none"])
def test_what_was_saved_is_loaded(tmp_path, hub, east, kind):
    site = {"root": hub, "intermediate": east, "none": let_in(east, "edge", Grants())}[kind]
    path = tmp_path / "identity.toml"
    site.save(path)
    loaded = Credentials.load(path)
    assert loaded == site
    assert site.identity.verify(loaded.sign(b"x"), b"x")
    if kind == "none":
        assert loaded.authority is None
    else:
        assert loaded.authority is not None
        request = make_request(generate_key())
        chain = loaded.authority.issue_site(request, site="new", grants=FULL)
        verify_chain(chain, hub.root, at=hub.identity.not_before + timedelta(minutes=6))


def test_the_file_is_private_and_says_so(tmp_path, hub):
    path = tmp_path / "identity.toml"
    old_mask = os.umask(0)
    try:
        hub.save(path)
    finally:
        os.umask(old_mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "SECRET" in path.read_text().splitlines()[1]
    assert list(tmp_path.iterdir()) == [path]


def test_an_expired_site_can_be_loaded(tmp_path):
    path = tmp_path / "identity.toml"
    old = Credentials.create("hub", now=NOW - timedelta(days=20_000))
    old.save(path)
    assert Credentials.load(path) == old
    with pytest.raises(CertificateError, match="expired"):
        verify_chain(old.chain, old.root, at=NOW)


def test_a_failed_save_leaves_the_old_identity(tmp_path, hub, monkeypatch):
    path = tmp_path / "identity.toml"
    hub.save(path)
    other = Credentials.create("other")

    def fail(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(StorageError, match="no space left"):
            other.save(path)
    assert Credentials.load(path) == hub
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"identity\.toml: no such file"):
        Credentials.load(tmp_path / "identity.toml")


def test_a_file_that_was_cut_off_is_named(tmp_path, east):
    path = tmp_path / "identity.toml"
    east.save(path)
    whole = path.read_bytes()
    for size in range(0, len(whole.rstrip()), 37):
        path.write_bytes(whole[:size])
        try:
            loaded = Credentials.load(path)
        except StorageError as exc:
            assert str(path) in str(exc)
            assert "PRIVATE" not in str(exc)
        else:
            # The table of the authority is the last, and a file may well have none.
            assert size < whole.index(b"[authority]") + len("[authority]")
            assert (loaded.identity, loaded.authority) == (east.identity, None)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("version = 1", "version = 2", "version"),
        ("version = 1", "version = 1\nextra = 1", "extra"),
        ("root = ", "rood = ", "ro"),
        ("BEGIN PRIVATE", "BEGIN PUBLIC", "private key is malformed"),
        ("BEGIN CERTIFICATE", "BEGIN NOTHING", "malformed"),
        ("key = ", "key = 1\n#", "key"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, hub, old, new, why):
    path = tmp_path / "identity.toml"
    hub.save(path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(StorageError, match=f"identity.toml is damaged: .*{why}"):
        Credentials.load(path)


def test_a_file_that_is_no_text_or_huge_is_named(tmp_path):
    path = tmp_path / "identity.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(StorageError, match=r"identity\.toml is damaged: it is not text"):
        Credentials.load(path)
    path.write_bytes(b"#" * (MAX_FILE + 1))
    with pytest.raises(StorageError, match=r"identity\.toml is larger"):
        Credentials.load(path)


def test_parts_of_two_sites_make_no_credentials(hub, east):
    other = Credentials.create("other")
    with pytest.raises(CertificateError, match="site's certificate is for another key"):
        Credentials(generate_key(), hub.chain, hub.root)
    with pytest.raises(CertificateError, match="not issued by"):
        Credentials(hub.key, hub.chain, other.root)
    with pytest.raises(CertificateError, match="authority is of another VAN"):
        Credentials(hub.key, hub.chain, hub.root, other.authority)
    with pytest.raises(CertificateError, match="another key"):
        Credentials.joined(east.key, east.chain, east.root, generate_key(), east.authority.chain)


def test_a_token_makes_no_credentials():
    authority = Authority.create_root(now=NOW)
    token = forge(as_issued(authority), token_form(authority.van_id))
    with pytest.raises(CertificateError, match="a token's certificate is not a site's"):
        Credentials(token.key, (token.der,), authority.root)


def test_a_site_that_may_not_invite_gets_no_authority(hub):
    edge = let_in(hub, "edge", Grants())
    assert edge.authority is None
    declined = Credentials.joined(edge.key, edge.chain, edge.root, generate_key(), ())
    assert declined.authority is None


def test_a_renewal_changes_the_certificate_and_nothing_else(hub, east):
    chain = renewed_chain(hub.authority, east, "east")
    renewed = east.with_chain(chain)
    assert renewed.chain == chain
    assert renewed.authority == east.authority
    assert renewed.identity.public_key_fingerprint == east.identity.public_key_fingerprint
    ca_chain = hub.authority.issue_intermediate(
        make_request(east.authority.key), site="east", grants=FULL
    )
    both = east.with_chain(chain, ca_chain=ca_chain)
    assert both.authority.chain == ca_chain
    assert east.authority.chain != ca_chain


def test_a_renewal_for_another_site_or_key_is_refused(hub, east):
    with pytest.raises(CertificateError, match="names site 'west'"):
        east.with_chain(renewed_chain(hub.authority, east, "west"))
    with pytest.raises(CertificateError, match="another key"):
        east.with_chain(hub.chain)
    with pytest.raises(CertificateError, match="does not hold"):
        hub.with_chain(renewed_chain(hub.authority, hub), ca_chain=east.authority.chain)


def test_credentials_show_no_keys(hub, east):
    for site in (hub, east):
        shown = repr(site) + str(site) + repr(site.authority) + repr(site.identity)
        assert "PRIVATE" not in shown
        assert "key" not in shown.lower()
        assert site.site in shown


def test_a_root_is_saved_as_one_certificate(tmp_path, hub):
    path = tmp_path / "identity.toml"
    hub.save(path)
    pem = hub.root.public_bytes(Encoding.PEM).decode()
    assert path.read_text().count(pem) == 1
    path.write_text(path.read_text().replace(pem, pem + pem))
    with pytest.raises(StorageError, match="2 root certificates where one is right"):
        Credentials.load(path)


def test_who_a_site_is_can_be_read_without_its_keys(tmp_path, hub, east):
    path = tmp_path / "identity.toml"
    for credentials in (hub, east):
        credentials.save(path)
        assert read_identity(path) == credentials.identity
    path.write_text(path.read_text().replace("BEGIN CERTIFICATE", "BEGIN"))
    with pytest.raises(StorageError, match=r"identity\.toml is damaged"):
        read_identity(path)
