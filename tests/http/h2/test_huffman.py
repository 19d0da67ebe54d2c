import hpack.huffman
import hpack.huffman_constants
import hpack.huffman_table
import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.http.h2.faults import ConnectionFault, ErrorCode
from van.http.h2.huffman import CODES, huffman_decode, huffman_encode


def test_every_byte_has_the_code_of_the_rfc():
    codes = hpack.huffman_constants.REQUEST_CODES
    lengths = hpack.huffman_constants.REQUEST_CODES_LENGTH
    assert [f"{code:0{length}b}" for code, length in zip(codes, lengths, strict=True)][
        :256
    ] == CODES


@given(st.binary(max_size=200))
def test_what_is_encoded_is_what_the_oracle_encodes_and_decodes_again(text):
    constants = hpack.huffman_constants
    oracle = hpack.huffman.HuffmanEncoder(constants.REQUEST_CODES, constants.REQUEST_CODES_LENGTH)
    code = huffman_encode(text)
    assert code == oracle.encode(text)
    assert huffman_decode(code) == text


@given(st.binary(max_size=40))
def test_any_bytes_are_decoded_as_the_oracle_does_or_refused_as_it_does(code):
    try:
        expected = hpack.huffman_table.decode_huffman(code)
    except hpack.HPACKDecodingError:
        expected = None
    try:
        assert huffman_decode(code) == expected
    except ConnectionFault as fault:
        assert fault.error_code == ErrorCode.COMPRESSION_ERROR
        assert expected is None


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(b"\xff\xff\xff\xff", id="end-of-string"),
        pytest.param(b"\x1f\xff\xff\xff\xff", id="end-of-string-behind-a-byte"),
        pytest.param(b"\xff", id="a-whole-byte-of-padding"),
        pytest.param(b"\x1f\xff", id="eight-bits-of-padding"),
        pytest.param(b"\x18", id="padding-with-zeros"),
        pytest.param(b"\x1e", id="padding-that-ends-in-zero"),
    ],
)
def test_what_is_no_code_is_refused(code):
    with pytest.raises(ConnectionFault):
        huffman_decode(code)


@pytest.mark.parametrize("padding", range(8))
def test_padding_of_up_to_seven_ones_is_taken(padding):
    text = {(-len("".join(CODES[b] for b in t))) % 8: t for t in (b"0" * n for n in range(1, 9))}
    code = huffman_encode(text[padding])
    assert code[-1] & ((1 << padding) - 1) == (1 << padding) - 1
    assert huffman_decode(code) == text[padding]
