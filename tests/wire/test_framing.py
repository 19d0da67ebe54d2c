import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.errors import RemoteProtocolError
from van.wire.framing import HEADER, HEADER_SIZE, PADDING, FrameReader, pack_header, pad

MAX = 1000
frames = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=MAX)), max_size=6)


def taken(reader: FrameReader) -> list[tuple[int, bytes]]:
    found = []
    while (frame := reader.next_frame()) is not None:
        found.append(frame)
    return found


@given(frames, st.data())
def test_frames_are_found_however_the_stream_is_cut(frames, data):
    stream = b"".join(pack_header(kind, len(payload)) + payload for kind, payload in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = FrameReader(max_payload=MAX)
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.receive_data(memoryview(stream)[start:end])
        found += taken(reader)
    assert found == frames


@given(st.integers(0, 255), st.integers(0, 2**24 - 1))
def test_header_is_one_big_endian_word(kind, length):
    header = pack_header(kind, length)
    assert len(header) == HEADER_SIZE == 4
    assert header == bytes([kind]) + length.to_bytes(3, "big")
    assert HEADER.unpack(header) == (kind << 24 | length,)


def test_frame_beyond_the_limit_is_refused_by_its_header_alone():
    reader = FrameReader(max_payload=MAX)
    reader.receive_data(pack_header(1, MAX + 1))
    with pytest.raises(RemoteProtocolError, match="frame of 1001 bytes is larger than 1000"):
        reader.next_frame()


def test_frame_of_the_largest_size_is_taken():
    reader = FrameReader(max_payload=MAX)
    reader.receive_data(pack_header(1, MAX) + bytes(MAX))
    assert reader.next_frame() == (1, bytes(MAX))
    assert reader.next_frame() is None


def test_frames_before_one_that_is_too_large_still_count():
    reader = FrameReader(max_payload=MAX)
    reader.receive_data(pack_header(1, 2) + b"ok" + pack_header(1, MAX + 1))
    assert reader.next_frame() == (1, b"ok")
    with pytest.raises(RemoteProtocolError):
        reader.next_frame()


def test_empty_frame_is_a_frame():
    reader = FrameReader(max_payload=MAX)
    reader.receive_data(pack_header(7, 0))
    assert reader.next_frame() == (7, b"")


@given(st.binary(max_size=300), st.integers(0, 300))
def test_padding_is_a_frame_of_its_own_that_makes_it_long_enough(payload, size):
    frame = pack_header(7, len(payload)) + payload
    padded = pad(frame, size)
    assert len(padded) >= size
    assert len(padded) <= max(len(frame), size + HEADER_SIZE - 1)
    reader = FrameReader(max_payload=1000)
    reader.receive_data(padded)
    assert reader.next_frame() == (7, payload)
    if len(padded) > len(frame):
        assert reader.next_frame() == (PADDING, bytes(len(padded) - len(frame) - HEADER_SIZE))
    assert reader.next_frame() is None
