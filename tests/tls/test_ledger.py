import os
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tls.forging import NOW
from tests.tls.test_tokens import make
from van.errors import AlreadyExists, JoinRefused, LocalError, NotFound, StorageError
from van.tls.grants import Grants
from van.tls.ledger import TokenLedger

KEYS = {"east": "11" * 32, "west": "22" * 32, "north": "33" * 32}


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "tokens"


@pytest.fixture
def ledger(directory):
    return TokenLedger(directory)


def admit(ledger, token, site, *, now=NOW):
    return ledger.admit(token.id, site=site, fingerprint=KEYS[site], now=now)


def on_disk(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_token_lets_one_site_in(ledger, inviter):
    token = make(inviter)
    ledger.add(token, 1)
    record = admit(ledger, token, "east")
    assert record.used_by == (("east", KEYS["east"]),)
    assert (record.cost, record.grants, record.expires) == (3, token.grants, token.expires)
    with pytest.raises(JoinRefused, match="is used up: ask for a new one"):
        admit(ledger, token, "west")


def test_a_lost_reply_can_be_asked_for_again(ledger, inviter):
    token = make(inviter)
    ledger.add(token, 2)
    first = admit(ledger, token, "east")
    assert admit(ledger, token, "east") == first
    admit(ledger, token, "west")
    assert admit(ledger, token, "east").used_by == admit(ledger, token, "west").used_by
    with pytest.raises(JoinRefused, match="used up"):
        admit(ledger, token, "north")


def test_another_key_under_the_same_name_is_another_site(ledger, inviter):
    token = make(inviter)
    ledger.add(token, 1)
    admit(ledger, token, "east")
    with pytest.raises(JoinRefused, match="used up"):
        ledger.admit(token.id, site="east", fingerprint=KEYS["west"], now=NOW)
    with pytest.raises(JoinRefused, match="used up"):
        ledger.admit(token.id, site="west", fingerprint=KEYS["east"], now=NOW)


def test_an_unknown_token_is_refused(ledger):
    for token_id in ("abc", "../../etc/passwd", ""):
        with pytest.raises(JoinRefused, match="not known here"):
            ledger.admit(token_id, site="east", fingerprint=KEYS["east"], now=NOW)
        with pytest.raises(NotFound, match="was not minted here"):
            ledger.revoke(token_id)


def test_an_expired_token_is_refused(ledger, inviter):
    token = make(inviter)
    ledger.add(token, 5)
    late = token.expires + timedelta(seconds=1)
    admit(ledger, token, "east", now=token.expires)
    for site in ("east", "west"):
        with pytest.raises(JoinRefused, match="is expired"):
            admit(ledger, token, site, now=late)


def test_a_revoked_token_is_refused_and_stays_so(ledger, inviter, directory):
    token = make(inviter)
    ledger.add(token, 5)
    admit(ledger, token, "east")
    assert ledger.revoke(token.id).is_revoked
    assert ledger.revoke(token.id).is_revoked
    for holder in (ledger, TokenLedger(directory)):
        for site in ("east", "west"):
            with pytest.raises(JoinRefused, match="is revoked"):
                admit(holder, token, site)


def test_state_names_what_matters_most(ledger, inviter):
    token = make(inviter)
    late = token.expires + timedelta(seconds=1)
    record = ledger.add(token, 1)
    assert (record.state(NOW), record.state(late)) == ("valid", "expired")
    record = admit(ledger, token, "east")
    assert (record.state(NOW), record.state(late)) == ("used up", "expired")
    record = ledger.revoke(token.id)
    assert (record.state(NOW), record.state(late)) == ("revoked", "revoked")


@pytest.fixture(scope="module")
def token(inviter):
    return make(inviter)


@given(st.integers(1, 3), st.lists(st.sampled_from(sorted(KEYS)), max_size=8))
@settings(max_examples=50)  # each waits for the disk, once for every site
def test_never_more_sites_than_uses(token, tmp_path_factory, uses, arrivals):
    directory = tmp_path_factory.mktemp("tokens")
    TokenLedger(directory).add(token, uses)
    admitted = []
    for site in arrivals:
        try:
            admit(TokenLedger(directory), token, site)  # as after a restart
            admitted.append(site)
        except JoinRefused:
            assert site not in admitted
            assert len(set(admitted)) == uses
    assert len(set(admitted)) == min(uses, len(set(arrivals)))


def test_records_outlive_the_process(ledger, inviter, directory):
    tokens = [make(inviter, lifetime=timedelta(minutes=minutes)) for minutes in (30, 10, 20)]
    for token in tokens:
        ledger.add(token, 2)
    admit(ledger, tokens[0], "east")
    again = TokenLedger(directory)
    assert again.records() == ledger.records()
    assert [record.id for record in again.records()] == [tokens[i].id for i in (1, 2, 0)]
    assert again.records()[2].grants == Grants(False, ("web", "*.staging"), ())


@pytest.mark.parametrize("step", ["replace", "fsync", "open"])
def test_what_could_not_be_written_did_not_happen(ledger, inviter, directory, monkeypatch, step):
    token, other = make(inviter), make(inviter)
    ledger.add(token, 1)
    before, files = ledger.records(), on_disk(directory)

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        for change in (
            lambda: admit(ledger, token, "east"),
            lambda: ledger.revoke(token.id),
            lambda: ledger.add(other, 1),
        ):
            with pytest.raises(StorageError, match="no space left"):
                change()
    assert ledger.records() == TokenLedger(directory).records() == before
    assert on_disk(directory) == files
    assert not ledger.issued_any
    assert admit(ledger, token, "west").used_by == (("west", KEYS["west"]),)


def test_what_a_crash_left_half_written_is_no_record(ledger, inviter, directory):
    token = make(inviter)
    ledger.add(token, 1)
    whole = on_disk(directory)[f"{token.id}.toml"]
    (directory / f".{token.id}.toml.1a2b3c4d").write_bytes(whole[:20])
    assert TokenLedger(directory).records() == ledger.records()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: text.replace("uses", "usage"),
        lambda text: text.replace("uses = 1", "uses = 0"),
        lambda text: text.replace('id = "', 'id = "0'),
        lambda text: text.replace("*.staging", "*staging"),
        lambda text: text + "more = 1\n",
    ],
)
def test_a_damaged_record_is_named(ledger, inviter, directory, damage):
    token = make(inviter)
    ledger.add(token, 1)
    path = directory / f"{token.id}.toml"
    path.write_text(damage(path.read_text()))
    with pytest.raises(StorageError, match=f"{token.id}.toml is damaged"):
        TokenLedger(directory)


def test_records_of_long_expired_tokens_are_purged(ledger, inviter, directory):
    short = make(inviter)
    long = make(inviter, lifetime=timedelta(days=20))
    ledger.add(short, 1)
    ledger.add(long, 1)
    ledger.purge(short.expires + timedelta(days=30))
    assert len(ledger.records()) == 2
    ledger.purge(short.expires + timedelta(days=30, seconds=1))
    assert [record.id for record in ledger.records()] == [long.id]
    assert TokenLedger(directory).records() == ledger.records()


def test_that_a_site_was_let_in_is_never_forgotten(ledger, inviter, directory):
    unused, used = make(inviter), make(inviter)
    ledger.add(unused, 1)
    ledger.add(used, 1)
    assert not ledger.issued_any
    admit(ledger, used, "east")
    assert ledger.issued_any
    assert TokenLedger(directory).issued_any
    ledger.purge(used.expires + timedelta(days=99))
    assert ledger.records() == ()
    assert ledger.issued_any
    assert TokenLedger(directory).issued_any


def test_purging_unused_tokens_is_not_letting_in(ledger, inviter, directory):
    token = make(inviter)
    ledger.add(token, 1)
    ledger.purge(token.expires + timedelta(days=99))
    assert not TokenLedger(directory).issued_any


def test_uses_are_bounded_and_ids_unique(ledger, inviter):
    token = make(inviter)
    for uses in (0, 100_001):
        with pytest.raises(LocalError, match="uses"):
            ledger.add(token, uses)
    ledger.add(token, 100_000)
    with pytest.raises(AlreadyExists):
        ledger.add(token, 1)


def test_records_hold_no_secrets_and_are_private(ledger, inviter, directory):
    ledger.add(make(inviter), 1)
    (content,) = on_disk(directory).values()
    assert b"KEY" not in content
    assert directory.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in directory.iterdir()] == [0o600]
    assert repr(ledger) == f"<TokenLedger {directory} tokens=1>"
