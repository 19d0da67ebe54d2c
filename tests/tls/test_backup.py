"""The back-up of a root: its passphrase opens it, and nothing else does."""

import re
import tracemalloc
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given, settings
from hypothesis import strategies as st

from van.errors import BackUpError, InvalidValue
from van.tls import backup
from van.tls.authority import Authority
from van.tls.backup import Cost, read_back_up, seal_back_up
from van.tls.documents import decode_document
from van.tls.grants import FULL
from van.tls.keys import generate_key, make_request

CHEAP = Cost(memory=32, passes=1, lanes=1)
PASSPHRASE = "correct horse battery"
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
ROOT = Authority.create_root()


def seal(authority=ROOT, passphrase=PASSPHRASE):
    return seal_back_up(authority, site="hub", passphrase=passphrase, cost=CHEAP, now=NOW)


TEXT = seal()


def test_its_passphrase_opens_it():
    opened = read_back_up(TEXT).open(PASSPHRASE)
    assert opened.key.private_numbers() == ROOT.key.private_numbers()
    assert (opened.chain, opened.root) == (ROOT.chain, ROOT.root)
    assert opened.issue_site(make_request(generate_key()), site="west", grants=FULL)


def test_it_says_what_it_is_and_shows_no_key():
    assert TEXT.startswith(
        f"# The authority of VAN {ROOT.van_id}, which site 'hub' held on 2026-11-"
    )
    assert "PRIVATE" not in TEXT
    assert len(TEXT) < 4096
    assert ROOT.van_id in repr(read_back_up(TEXT))
    assert seal() != TEXT, "the same salt or nonce twice"


@settings(max_examples=20)
@given(st.text(max_size=40).filter(lambda text: text != PASSPHRASE))
def test_another_passphrase_opens_nothing(passphrase):
    with pytest.raises(BackUpError, match="passphrase is not the one that the back-up was made"):
        read_back_up(TEXT).open(passphrase)


@given(st.text(min_size=10, max_size=30))
def test_every_passphrase_does_that_is_long_enough(passphrase):
    assert read_back_up(seal(passphrase=passphrase)).open(passphrase).van_id == ROOT.van_id


def test_a_letter_that_is_written_in_two_ways_is_one_letter():
    sealed = seal(passphrase="caf\N{LATIN SMALL LETTER E WITH ACUTE} au lait")
    opened = read_back_up(sealed).open("cafe\N{COMBINING ACUTE ACCENT} au lait")
    assert opened.van_id == ROOT.van_id


@pytest.mark.parametrize("passphrase", ["", "short", "x" * 1025])
def test_no_back_up_is_made_with_a_passphrase_that_is_guessed(passphrase):
    with pytest.raises(InvalidValue, match="is not valid: use 10 to 1024"):
        seal(passphrase=passphrase)


@given(st.data())
def test_a_file_that_is_damaged_is_told_from_a_wrong_passphrase(data):
    body = TEXT.index("version = 1")
    place = data.draw(st.integers(body, len(TEXT) - 1))
    letter = data.draw(st.characters(min_codepoint=32, max_codepoint=126))
    damaged = TEXT[:place] + letter + TEXT[place + 1 :]
    try:
        opened = read_back_up(damaged)
    except BackUpError as exc:
        assert re.search("damaged|can't be read", str(exc))
    else:  # space, or another way to write the same
        assert opened.open(PASSPHRASE).van_id == ROOT.van_id


@given(st.integers(0, len(TEXT) - 2))
def test_a_file_that_was_cut_off_is_none(size):
    with pytest.raises(BackUpError):
        read_back_up(TEXT[:size])


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_what_is_no_back_up_is_an_error(text):
    with pytest.raises(BackUpError):
        read_back_up(text)


def test_a_file_that_is_too_large_is_not_read():
    with pytest.raises(BackUpError, match="larger than 64 KiB"):
        read_back_up("#" * 70_000)


def edit(text, **changes):
    """Return the file with other fields."""
    for name, value in changes.items():
        shown = f'"{value}"' if isinstance(value, str) and name != "made" else value
        text, count = re.subn(rf"^{name} = .*$", f"{name} = {shown}", text, flags=re.MULTILINE)
        assert count == 1
    return text


def forge(**changes):
    """Return the file with other fields, and a checksum that is right."""
    text = edit(TEXT, **changes)
    return edit(text, checksum=backup._checksum(decode_document(text, backup._File)))


@pytest.mark.parametrize(
    "changes",
    [
        {"memory": 2 * 1024 * 1024},
        {"passes": 17},
        {"lanes": 17},
        {"memory": 0},
        {"passes": 0},
        {"lanes": 0},
        {"memory": 2**70},
        {"kdf": "none"},
        {"version": 2},
    ],
)
def test_no_file_has_its_reader_use_more_than_it_may(changes, monkeypatch):
    monkeypatch.setattr(Argon2id, "derive", lambda *_: pytest.fail("it was derived"))
    tracemalloc.start()
    try:
        with pytest.raises(BackUpError, match="can't be read"):
            read_back_up(edit(TEXT, **changes))
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "changes", [{"lanes": 5}, {"salt": "AA=="}, {"salt": "?"}, {"nonce": "AA=="}]
)
def test_what_no_back_up_has_is_an_error_when_it_is_opened(changes):
    with pytest.raises(BackUpError):
        read_back_up(forge(**changes)).open(PASSPHRASE)


@pytest.mark.parametrize(
    "changes",
    [{"van": "a" * 26}, {"site": "east"}, {"made": "2020-01-01T00:00:00Z"}, {"passes": 2}],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_sealed_is_bound_to_what_stands_beside_it(changes):
    with pytest.raises(BackUpError, match="passphrase is not the one"):
        read_back_up(forge(**changes)).open(PASSPHRASE)


def test_an_authority_below_the_root_is_not_restored():
    key = generate_key()
    chain = ROOT.issue_intermediate(make_request(key), site="west", grants=FULL)
    sealed = seal(Authority(key, chain, ROOT.root))
    with pytest.raises(BackUpError, match="another authority than it says"):
        read_back_up(sealed).open(PASSPHRASE)


def test_the_cost_that_a_back_up_has_is_that_of_the_recommendation_or_more():
    assert backup.DEFAULT_COST.memory >= 64 * 1024
    assert backup.DEFAULT_COST.passes >= 3
    assert backup.DEFAULT_COST.memory <= backup.MAX_MEMORY
