import base64
import tomllib
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
import tomli_w
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tls.forging import NOW, as_issued, forge, invite, site_form
from van.errors import InvalidName, LocalError, NotAllowed, TokenError
from van.names import Endpoint
from van.tls.authority import Authority
from van.tls.grants import FULL, Grants
from van.tls.identity import BootstrapIdentity, verify_chain
from van.tls.keys import generate_key
from van.tls.pem import decode_key, encode_chain, encode_key
from van.tls.tokens import MAX_TOKEN, decode_token, encode_token, mint, signed_bytes

ADDRESSES = (Endpoint("edge.example", 7671), Endpoint("fd00::1", 7671))


def make(authority, **changes):
    defaults: dict[str, Any] = {
        "site": "hub",
        "addresses": ADDRESSES,
        "grants": Grants(False, ("web", "*.staging"), ()),
        "cost": 3,
        "lifetime": timedelta(minutes=15),
        "now": NOW,
    }
    return mint(authority, **(defaults | changes))


@pytest.fixture(scope="module")
def token(inviter):
    return make(inviter)


@pytest.fixture(scope="module")
def text(token):
    return encode_token(token)


def refused(text, why):
    with pytest.raises(TokenError, match=why):
        decode_token(text)


def edit(text, **fields):
    return tomli_w.dumps(tomllib.loads(text) | fields)


def test_a_token_survives_its_file(token, text):
    assert decode_token(text) == token
    assert len(text) < 8192


@given(
    st.booleans(),
    st.sampled_from([(), ("*",), ("db", "*.x")]),
    st.integers(0, 65535),
    st.sampled_from([ADDRESSES, ADDRESSES[:1], (Endpoint("10.0.0.1", 1),) * 16]),
)
def test_every_token_survives_its_file(root, can_invite, patterns, cost, addresses):
    grants = Grants(can_invite, patterns, patterns)
    token = make(root, grants=grants, cost=cost, addresses=addresses)
    assert decode_token(encode_token(token)) == token


def test_the_file_says_what_it_is_and_how_to_use_it(text):
    lines = text.splitlines()
    assert lines[0] == "# A van token: it lets a site link to site 'hub'."
    assert "SECRET" in lines[1]
    assert "2031-05-04 12:15:00Z" in lines[1]
    assert lines[2].endswith("van link accept FILE")


def test_a_token_carries_credentials_for_itself(root, token):
    identity = verify_chain(token.chain, root.root, at=NOW)
    assert identity == BootstrapIdentity(root.van_id, token.id, token.expires)
    assert token.expires == NOW + timedelta(minutes=15)
    assert token.van_id == root.van_id


def test_every_token_has_an_id_and_a_key_of_its_own(root):
    one, two = make(root), make(root)
    assert one.id != two.id
    assert one.key.public_key() != two.key.public_key()


def test_a_token_that_was_cut_off_is_told_from_a_good_one(text):
    for size in range(0, len(text.rstrip()), 3):
        refused(text[:size], "cut off, or not a token; copy the whole file")


EDITS: dict[str, list[Any]] = {
    "id": ["0123456789abcdef", ""],
    "van": ["a" * 26, ""],
    "site": ["hub2", "HUB", ""],
    "addresses": [["evil.example:7671"], ["edge.example:7671"], ["7671"], ["fd00::1:7671"]],
    "cost": [0, 1, 65535],
    "names": [["hub"], ["Hub"], ["*", "edge"]],
    "replaces": [True],
    "can_invite": [True],
    "allow_expose": [["*"], [], ["web"], ["*.staging", "web"], ["WEB"]],
    "allow_bind": [["*"], ["web"]],
    "may_name": [["edge-*"], [], ["*-edge"]],
    "may_tag": [["*"], ["prod"], ["?"]],
    "tags": [["prod"], ["prod-*"]],
    "life": [604799, 0, 10**30],
    "is_ephemeral": [True],
    "expires": [
        NOW + timedelta(days=1),
        NOW + timedelta(minutes=15, seconds=1),
        NOW + timedelta(minutes=15, milliseconds=1),
    ],
    "signature": ["", "AAAA", "!", "é"],
    "root": ["", "x"],
    "certificates": ["", "x"],
    "key": ["", "x"],
}


def test_edits_are_of_every_field(text):
    assert EDITS.keys() == tomllib.loads(text).keys() - {"version"}


@pytest.mark.parametrize(("field", "value"), [(f, v) for f in EDITS for v in EDITS[f]])
def test_an_edited_field_is_noticed(text, field, value):
    why = "letters that no token has" if value == "é" else "edited or damaged"
    refused(edit(text, **{field: value}), why)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 1),
        ("cost", -1),
        ("cost", "1"),
        ("addresses", []),
        ("addresses", ["a:1"] * 17),
        ("expires", NOW.replace(tzinfo=None)),
        ("can_invite", 1),
        ("extra", 1),
    ],
)
def test_a_field_of_the_wrong_shape_is_named(text, field, value):
    refused(edit(text, **{field: value}), f"not a token; .*{field}")


@pytest.mark.parametrize("field", ["version", *EDITS])
def test_a_missing_field_is_named(text, field):
    fields = tomllib.loads(text)
    del fields[field]
    refused(tomli_w.dumps(fields), f"not a token; .*`{field}`")


@given(st.data())
@settings(max_examples=300)
@pytest.mark.slow("reads three hundred tokens, and checks the signature of each")
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_any_changed_character_is_noticed_or_means_nothing(token, text, data):
    place = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters(codec="ascii"))
    try:
        decoded = decode_token(text[:place] + character + text[place + 1 :])
    except TokenError:
        return
    assert decoded == token


def test_the_parts_of_two_tokens_make_none(inviter, text):
    """Each of another token of the same site, minted at the same moment."""
    other = tomllib.loads(encode_token(make(inviter)))
    for field in ("id", "certificates", "key", "signature"):
        refused(edit(text, **{field: other[field]}), "edited or damaged")
    both = {field: other[field] for field in ("certificates", "key", "signature")}
    refused(edit(text, **both), "its signature does not match")


def resign(token):
    """Encode a token as someone can who has its key, and thus can sign what it says."""
    return encode_token(token)


@pytest.mark.parametrize(
    "change",
    [{"id": "0123456789abcdef"}, {"van_id": "a" * 26}, {"expires": NOW + timedelta(days=1)}],
)
def test_what_the_certificate_says_can_t_be_edited_even_with_the_key(token, change):
    refused(resign(attrs.evolve(token, **change)), "does not say what its certificate does")


def test_an_exchanged_authority_is_noticed(token):
    other = Authority.create_root(now=NOW)
    refused(resign(attrs.evolve(token, root=other.root)), "not issued by")
    theirs = make(other)
    refused(resign(attrs.evolve(theirs, van_id=token.van_id, id=theirs.id)), "does not say what")


def test_a_site_s_certificate_makes_no_token(root, token):
    site = forge(as_issued(root), site_form(root.van_id))
    forged = attrs.evolve(token, chain=(site.der,), key=site.key)
    refused(resign(forged), "its certificate is not a token's")


@pytest.mark.parametrize("ours", [NOW - timedelta(days=20_000), NOW + timedelta(days=20_000)])
def test_a_token_is_read_by_any_clock_and_tells_the_time_where_it_was_minted(token, ours):
    there = token.time_there(ours)
    assert there == (NOW if ours < NOW else token.expires)
    for time in (NOW, NOW + timedelta(minutes=1), token.expires):
        assert token.time_there(time) == time


def test_an_expired_authority_ends_its_tokens(root):
    from tests.tls.forging import ca_form

    ca = forge(as_issued(root), ca_form(root.van_id), not_after=NOW + timedelta(minutes=1))
    hub = Authority(ca.key, (ca.der,), root.root)
    token = make(hub)
    assert token.expires == NOW + timedelta(minutes=1)


@pytest.mark.parametrize(
    "text", ["", "hello", "[" * 5000, "a = " + "[" * 20_000, "\0", "\ud800", "x=1\n" * 2]
)
def test_other_texts_are_no_tokens(text):
    refused(text, "not a token|another file")


@given(st.text(max_size=100))
def test_any_text_is_a_token_or_an_error(text):
    refused(text, "not a token|another file")


def test_a_huge_text_is_refused_unread():
    refused("#" * (MAX_TOKEN + 1), "larger than 64 KiB")


def test_the_deepest_and_widest_token_still_fits(root):
    patterns = tuple(f"{number:03}." + "x" * 60 + ".example" for number in range(26))
    grants, authority = Grants(True, patterns, patterns), root
    for level in range(7):
        authority = invite(authority, f"level-{level}", grants)
    text = encode_token(make(authority, grants=grants, addresses=ADDRESSES * 8))
    assert 40_000 < len(text) < MAX_TOKEN
    assert decode_token(text).grants == grants


def test_a_token_gives_no_more_than_its_site_may(root):
    narrow = invite(root, "narrow", Grants(True, ("web",), ("web",)))
    with pytest.raises(NotAllowed, match="wider"):
        make(narrow, grants=FULL)
    assert make(narrow, grants=Grants(True, ("web",), ()))


@pytest.mark.parametrize(
    "change",
    [
        {"cost": -1},
        {"cost": 65536},
        {"addresses": ()},
        {"addresses": ADDRESSES * 9},
        {"lifetime": timedelta(0)},
    ],
)
def test_what_no_token_can_hold_is_not_minted(root, change):
    with pytest.raises(LocalError):
        make(root, **change)


def test_a_token_is_of_a_site(root):
    with pytest.raises(InvalidName):
        make(root, site="")


def test_a_token_shows_no_key(token):
    assert repr(token) == f"<Token {token.id!r} of 'hub' until 2031-05-04 12:15:00Z>"


def test_the_signature_is_over_the_documented_bytes(token, text):
    """Spelled out as `docs/security.md` has it, without the code under test."""
    import msgspec

    fields = tomllib.loads(text)
    assert isinstance(fields["expires"], datetime)
    array = [fields["id"], fields["van"], fields["site"], fields["addresses"], fields["cost"]]
    array += [fields["names"], fields["replaces"]]
    array += [fields["can_invite"], fields["allow_expose"], fields["allow_bind"]]
    array += [fields["may_name"], fields["may_tag"], fields["tags"]]
    array += [fields["life"], fields["is_ephemeral"]]
    array += [int(fields["expires"].astimezone(UTC).timestamp())]
    array += [token.root.public_bytes(Encoding.DER), list(token.chain)]
    message = b"van token 2\0" + msgspec.msgpack.encode(array)
    assert signed_bytes(token) == message
    signature = base64.b64decode(fields["signature"])
    key = decode_key(fields["key"])
    key.public_key().verify(signature, message, ec.ECDSA(hashes.SHA256()))
    assert encode_key(key) == fields["key"]
    assert encode_chain(token.chain) == fields["certificates"]


def test_another_key_for_the_same_certificate_is_noticed(text):
    refused(edit(text, key=encode_key(generate_key())), "its key is not that of its certificate")


@pytest.mark.parametrize("names", [(), ("laptop-*",), ("db", "*")])
def test_a_token_that_replaces_a_key_is_for_certain_names(root, names):
    with pytest.raises(LocalError, match="is for certain names"):
        make(root, names=names, replaces=True)
    assert make(root, names=("db",), replaces=True).replaces
