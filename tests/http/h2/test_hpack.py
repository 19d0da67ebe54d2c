import hpack
import hpack.table
import jh2.hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.h2.vectors import SEQUENCES, SINGLES
from van.http.h2.decoder import Decoder
from van.http.h2.encoder import NEVER_INDEXED, Encoder, _integer
from van.http.h2.faults import ConnectionFault, ErrorCode
from van.http.h2.static_table import STATIC_TABLE, entry_size

NAMES = [
    b":path",
    b"cookie",
    b"x-a",
    b"x-b",
    b"content-type",
    b"te",
    b"set-cookie",
    b"etag",
    b"x" * 70,
]
VALUES = [b"", b"a", b"/items/1", b"text/html", b"\x00\xff", b"v" * 200, b"w" * 1200, b"z" * 5000]
FIELDS = [(name, value) for name in NAMES for value in VALUES]
field_lists = st.lists(st.sampled_from(FIELDS), max_size=5).map(tuple)
conversations = st.lists(
    st.tuples(st.sampled_from([None, None, 0, 100, 4096]), field_lists), max_size=8
)


def a_decoder(max_size=1 << 20, max_fields=128):
    return Decoder(max_size=max_size, max_fields=max_fields)


def table_of(decoder):
    return decoder._fields[len(STATIC_TABLE) + 1 :]


def test_the_static_table_is_that_of_the_rfc():
    assert tuple(STATIC_TABLE) == tuple(hpack.table.HeaderTable.STATIC_TABLE)


@pytest.mark.parametrize(("code", "field", "table"), SINGLES)
def test_single_fields_of_rfc_7541_c2(code, field, table):
    decoder = a_decoder()
    assert decoder.decode(code).fields == (field,)
    assert table_of(decoder) == table


def test_a_field_that_is_never_to_be_indexed_says_so_and_stays_so():
    code = SINGLES[2].values[0]
    section = a_decoder().decode(code)
    assert section.never_indexed == {b"password"}
    assert Encoder().encode(section.fields, section.never_indexed) == code


@pytest.mark.parametrize("steps", SEQUENCES)
def test_sequences_of_rfc_7541_c3_to_c6(steps):
    decoder = a_decoder()
    for code, fields, table_size in steps:
        assert decoder.decode(code).fields == fields
        assert sum(entry_size(*field) for field in table_of(decoder)) == table_size
        assert decoder._table_size == table_size


@pytest.mark.parametrize("library", [hpack, jh2.hpack])
@given(conversations)
def test_what_we_encode_the_oracle_decodes(library, conversation):
    encoder, oracle = Encoder(), library.Decoder()
    oracle.max_header_list_size = 1 << 20
    for table_size, fields in conversation:
        if table_size is not None:
            encoder.limit_table(table_size)
            oracle.max_allowed_table_size = 4096
        decoded = oracle.decode(encoder.encode(fields), raw=True)
        assert [(bytes(name), bytes(value)) for name, value in decoded] == list(fields)


@pytest.mark.parametrize("library", [hpack, jh2.hpack])
@given(conversations, st.booleans())
def test_what_the_oracle_encodes_we_decode(library, conversation, huffman):
    oracle, decoder = library.Encoder(), a_decoder()
    for table_size, fields in conversation:
        if table_size is not None:
            oracle.header_table_size = table_size
        assert decoder.decode(bytes(oracle.encode(fields, huffman))).fields == fields


@given(conversations)
def test_what_we_encode_we_decode(conversation):
    encoder, decoder = Encoder(), a_decoder()
    for table_size, fields in conversation:
        if table_size is not None:
            encoder.limit_table(table_size)
        assert decoder.decode(encoder.encode(fields)).fields == fields
        assert table_of(decoder) == encoder._table[::-1]


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_any_bytes_are_decoded_as_the_oracle_does_or_refused(blocks):
    decoder, oracle = a_decoder(), hpack.Decoder(max_header_list_size=1 << 20)
    for block in blocks:
        try:
            fields = decoder.decode(block).fields
        except ConnectionFault as fault:
            assert fault.error_code == ErrorCode.COMPRESSION_ERROR
            return
        assert fields == tuple(tuple(field) for field in oracle.decode(block, raw=True))


NO_HPACK = {
    "5.1-an-integer-that-ends-nowhere": b"\xff\x80\x80",
    "5.1-an-integer-of-too-many-bytes": b"\xff\x80\x80\x80\x80\x80\x00",
    "5.1-a-length-of-too-many-bytes": b"\x00\x7f\xff\xff\xff\xff\xff\x0f",
    "5.2-a-name-beyond-the-block": b"\x40\x05abc",
    "5.2-a-value-beyond-the-block": b"\x44\x05abc",
    "5.2-a-name-and-no-value": b"\x40\x01a",
    "5.2-a-field-without-a-name": b"\x00",
    "5.2-a-huffman-code-with-wrong-padding": b"\x44\x81\x18",
    "6.1-index-0": b"\x80",
    "6.1-an-index-beyond-the-tables": b"\xbe",
    "6.1-an-index-far-beyond-the-tables": b"\xff\xff\xff\xff\x7f",
    "6.2-a-name-beyond-the-tables": b"\x7e\x01a",
    "6.3-a-size-above-the-limit": b"\x3f\xe2\x1f",
    "6.3-a-size-cut-short": b"\x3f",
    "4.2-a-size-behind-a-field": b"\x82\x20",
    "4.2-three-sizes": b"\x20\x21\x22",
}


@pytest.mark.parametrize("block", NO_HPACK.values(), ids=NO_HPACK)
def test_what_is_no_hpack_is_refused(block):
    with pytest.raises(ConnectionFault) as caught:
        a_decoder().decode(block)
    assert caught.value.error_code == ErrorCode.COMPRESSION_ERROR


def test_sizes_up_to_the_limit_are_taken_at_the_head_of_a_block():
    decoder = a_decoder()
    assert decoder.decode(b"\x20\x3f\xe1\x1f\x82").fields == ((b":method", b"GET"),)
    assert decoder.decode(b"\x3f\xe1\x1f").fields == ()


def test_a_table_that_is_made_small_forgets_and_what_it_forgot_is_not_there():
    decoder = a_decoder()
    decoder.decode(b"\x40\x01a\x01b")
    assert decoder.decode(b"\xbe").fields == ((b"a", b"b"),)
    decoder.decode(b"\x20")
    with pytest.raises(ConnectionFault):
        decoder.decode(b"\xbe")


def test_a_block_that_refers_to_the_table_means_another_thing_when_that_has_changed():
    decoder = a_decoder()
    decoder.decode(b"\x40\x01a\x01b")
    assert decoder.decode(b"\xbe") is decoder.decode(b"\xbe")
    decoder.decode(b"\x40\x01c\x01d")
    assert decoder.decode(b"\xbe").fields == ((b"c", b"d"),)


def test_a_field_larger_than_the_table_empties_it():
    decoder = a_decoder()
    decoder.decode(b"\x40\x01a\x01b")
    huge = b"\x40\x01a\x7f\xff\x3f" + b"v" * (0x7F + 0x7F + (0x3F << 7))
    assert decoder.decode(huge).fields[0][0] == b"a"
    assert table_of(decoder) == []


@pytest.mark.parametrize(("count", "is_within"), [(128, True), (129, False), (5000, False)])
def test_a_section_may_have_so_many_fields(count, is_within):
    section = a_decoder().decode(b"\x82" * count)
    assert (section is not None) == is_within


@pytest.mark.parametrize(("size", "is_within"), [(32768, True), (32769, False)])
def test_a_section_may_be_so_large_with_32_bytes_for_each_field(size, is_within):
    fields = ((b"a", b"v" * 16351), (b"a", b"v" * (size - 2 * 33 - 16351)))
    block = hpack.Encoder().encode(fields, huffman=False)
    assert sum(entry_size(*field) for field in fields) == size
    assert (a_decoder(max_size=32768).decode(block) is not None) == is_within


def test_a_section_above_the_limits_leaves_the_tables_in_step():
    decoder = a_decoder(max_size=200)
    assert decoder.decode(b"\x82" * 10 + b"\x40\x01a\x01b") is None
    assert decoder.decode(b"\xbe").fields == ((b"a", b"b"),)


def test_references_to_a_large_field_are_no_more_than_the_limit_of_a_section():
    decoder = a_decoder(max_size=32768, max_fields=128)
    large = b"v" * 4000
    decoder.decode(Encoder().encode(((b"a", large),)).replace(b"\x00\x01a", b"\x40\x01a"))
    assert table_of(decoder) == [(b"a", large)]
    assert decoder.decode(b"\xbe" * 8).size == 8 * 4033
    for count in (9, 100, 60000):
        assert decoder.decode(b"\xbe" * count) is None


def test_large_sections_are_not_remembered():
    decoder = a_decoder()
    decoder.decode(Encoder().encode(((b"a", b"v" * 4000),)).replace(b"\x00\x01a", b"\x40\x01a"))
    decoder.decode(b"\xbe")
    assert len(decoder._sections) == 1
    decoder.decode(b"\xbe\xbe")
    assert len(decoder._sections) == 1


def test_few_blocks_are_remembered():
    decoder, encoder = a_decoder(), Encoder()
    for index in range(1, 62):
        decoder.decode(bytes([0x80 | index]))
        encoder.encode((STATIC_TABLE[index - 1],))
    assert len(decoder._sections) <= 16
    assert len(encoder._blocks) <= 16


def test_a_field_goes_into_the_table_when_it_comes_again():
    encoder = Encoder()
    sizes = [len(encoder.encode(((b"x-name", b"a value of some length"),))) for _ in range(4)]
    assert sizes[0] > sizes[1] > sizes[2] == sizes[3] == 1


def test_fields_that_differ_from_message_to_message_leave_the_table_alone():
    encoder = Encoder()
    for count in range(1000):
        encoder.encode(((b":path", b"/items/%d" % count), (b"x-request-id", b"1")))
    assert encoder._table == []
    assert len(encoder._seen) <= 128


@pytest.mark.parametrize("name", sorted(NEVER_INDEXED))
def test_secrets_go_into_no_table(name):
    encoder = Encoder()
    for _ in range(3):
        block = encoder.encode(((name, b"secret"),))
    assert encoder._table == []
    assert block[0] & 0xF0 == 0x10
    assert block.endswith(b"secret")


def test_what_is_in_the_table_already_is_not_referred_to_where_it_may_not_be():
    encoder, field = Encoder(), (b"x-key", b"secret")
    for _ in range(3):
        block = encoder.encode((field,))
    assert block[0] & 0x80
    assert encoder.encode((field,), frozenset({b"x-key"}))[0] & 0xF0 == 0x10


def test_what_the_peer_lets_a_table_be_is_said_at_the_head_of_the_next_block():
    encoder = Encoder()
    encoder.limit_table(1 << 20)
    assert encoder.encode(((b":method", b"GET"),)) == b"\x82"
    encoder.limit_table(0)
    encoder.limit_table(100)
    assert encoder.encode(((b":method", b"GET"),)) == b"\x20\x3f\x45\x82"
    assert encoder.encode(((b":method", b"GET"),)) == b"\x82"


@pytest.mark.parametrize(
    ("value", "bits", "code"), [(10, 5, "0a"), (1337, 5, "1f9a0a"), (42, 8, "2a"), (31, 5, "1f00")]
)
def test_integers_of_rfc_7541_c1(value, bits, code):
    assert _integer(value, bits, 0).hex() == code
