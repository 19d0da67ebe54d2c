import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from van.errors import CertificateError
from van.tls.keys import generate_key
from van.tls.pem import decode_chain, decode_key, decode_root, encode_chain, encode_key


def pem(label, der):
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n"


def test_keys_and_chains_survive_their_text(root, inviter):
    key = generate_key()
    assert decode_key(encode_key(key)).private_numbers() == key.private_numbers()
    assert decode_chain(encode_chain(inviter.chain)) == inviter.chain
    assert decode_chain(encode_chain(())) == ()
    assert decode_root(encode_chain([root.root.public_bytes(Encoding.DER)])) == root.root


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (ec.generate_private_key(ec.SECP384R1()), "not an ECDSA key on P-256"),
        (ed25519.Ed25519PrivateKey.generate(), "not an ECDSA key on P-256"),
    ],
)
def test_keys_of_other_kinds_are_refused(key, why):
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(CertificateError, match=why):
        decode_key(text)


def test_a_key_under_a_passphrase_is_refused():
    encryption = BestAvailableEncryption(b"secret")
    text = generate_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()
    with pytest.raises(CertificateError, match="private key is malformed"):
        decode_key(text)


@given(st.binary(max_size=60))
def test_other_bytes_are_no_key_and_no_certificate(data):
    with pytest.raises(CertificateError, match="private key is malformed"):
        decode_key(pem("PRIVATE KEY", data))
    with pytest.raises(CertificateError, match="certificates are malformed"):
        decode_chain(pem("CERTIFICATE", data))


@given(st.text(min_size=1, max_size=60))
def test_other_text_is_no_key_and_no_certificate(text):
    for decode in (decode_key, decode_chain, decode_root):
        with pytest.raises(CertificateError):
            decode(text)


@pytest.mark.parametrize("version", [3, 90, 127])
def test_a_certificate_of_an_unknown_version_is_malformed(inviter, version):
    altered = inviter.chain[0].replace(b"\xa0\x03\x02\x01\x02", bytes((0xA0, 3, 2, 1, version)), 1)
    with pytest.raises(CertificateError, match=f"{version} is not a valid"):
        decode_chain(pem("CERTIFICATE", altered))


def test_a_root_is_one_certificate(inviter):
    with pytest.raises(CertificateError, match="0 root certificates"):
        decode_root("")
    with pytest.raises(CertificateError, match="2 root certificates"):
        decode_root(encode_chain(inviter.chain * 2))
