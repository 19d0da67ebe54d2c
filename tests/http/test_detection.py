"""What a client speaks is told by its first bytes."""

import pytest

from van.http.detection import H2_PREFACE, Spoken, detect


@pytest.mark.parametrize(
    ("start", "spoken"),
    [
        (b"GET / HTTP/1.1\r\n", Spoken.H1),
        (b"PRI / HTTP/1.1\r\n", Spoken.H1),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\n", Spoken.H1),
        (b"PUT", Spoken.H1),
        (b"\r\nGET", Spoken.H1),
        (b"\x00", Spoken.H1),
        (b"\x16\x02", Spoken.H1),
        (H2_PREFACE, Spoken.H2),
        (H2_PREFACE + b"\x00\x00\x00\x04", Spoken.H2),
        (b"\x16\x03\x01\x02\x00\x01", Spoken.TLS),
        (b"\x16\x03", Spoken.TLS),
    ],
)
def test_it_is_told_by_the_first_bytes(start, spoken):
    assert detect(start) is spoken
    assert detect(bytearray(start)) is spoken


def test_too_few_bytes_tell_nothing():
    assert detect(b"") is detect(b"\x16") is Spoken.UNKNOWN
    for end in range(len(H2_PREFACE)):
        assert detect(H2_PREFACE[:end]) is Spoken.UNKNOWN
