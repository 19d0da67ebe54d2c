import itertools

import pytest
from hyperframe.frame import Frame as OracleFrame
from hypothesis import given
from hypothesis import strategies as st

from tests.http.h2.peer import frame
from van.http.detection import H2_PREFACE
from van.http.h2.faults import ConnectionFault, ErrorCode
from van.http.h2.frames import (
    END_HEADERS,
    END_STREAM,
    FrameReader,
    FrameType,
    write_goaway,
    write_headers,
    write_uint32,
)

FRAMES = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 4, 6, 8, 9, 0x10, 0xFF]),
        st.integers(0, 255),
        st.sampled_from([0, 1, 2, (1 << 31) - 1]),
        st.sampled_from([b"", b"a", b"12345678", b"x" * 300, b"y" * 16384]),
    ),
    max_size=6,
)


def read(reader, *pieces):
    return [(k, f, i, b[x:y]) for piece in pieces for k, f, i, b, x, y in reader.read(piece)]


@given(FRAMES, st.lists(st.integers(0, 20000), max_size=6))
def test_frames_are_the_same_however_their_bytes_are_cut(frames, cuts):
    whole = H2_PREFACE + b"".join(frame(*parts) for parts in frames)
    cuts = sorted({0, *(cut % (len(whole) + 1) for cut in cuts), len(whole)})
    reader = FrameReader(max_frame_size=16384, preface=H2_PREFACE)
    pieces = [whole[a:b] for a, b in itertools.pairwise(cuts)]
    assert read(reader, *pieces) == frames
    assert reader.is_between_frames


@given(FRAMES)
def test_a_byte_at_a_time_is_enough(frames):
    whole = b"".join(frame(k, f, i, p[:300]) for k, f, i, p in frames)
    reader = FrameReader(max_frame_size=16384)
    pieces = [whole[at : at + 1] for at in range(len(whole))]
    assert read(reader, *pieces) == [(k, f, i, p[:300]) for k, f, i, p in frames]


def test_what_comes_whole_is_not_copied():
    whole = frame(FrameType.DATA, 0, 1, b"x" * 1000)
    (found,) = FrameReader(max_frame_size=16384).read(whole)
    assert found[3] is whole
    assert found[4:] == (9, 1009)


def test_a_frame_above_the_limit_is_refused_by_its_header_alone():
    reader = FrameReader(max_frame_size=16384)
    with pytest.raises(ConnectionFault) as caught:
        read(reader, (16385).to_bytes(3, "big") + bytes(6))
    assert caught.value.error_code == ErrorCode.FRAME_SIZE_ERROR
    reader = FrameReader(max_frame_size=16384)
    with pytest.raises(ConnectionFault):
        read(reader, (16385).to_bytes(3, "big"), bytes(6))


def test_the_reserved_bit_of_a_streams_number_is_ignored():
    whole = bytearray(frame(FrameType.PING, 0, 5, b"12345678"))
    whole[5] |= 0x80
    assert read(FrameReader(max_frame_size=16384), bytes(whole))[0][2] == 5


@pytest.mark.parametrize(
    "wrong", [b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", b"\x16"]
)
def test_what_is_not_the_preface_is_refused_at_the_first_byte_that_differs(wrong):
    with pytest.raises(ConnectionFault):
        read(FrameReader(max_frame_size=16384, preface=H2_PREFACE), wrong)
    reader = FrameReader(max_frame_size=16384, preface=H2_PREFACE)
    with pytest.raises(ConnectionFault):
        read(reader, *[wrong[at : at + 1] for at in range(len(wrong))])


@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 32768, 50000])
def test_a_block_is_as_many_frames_as_it_needs(size):
    output = bytearray()
    write_headers(output, 7, b"b" * size, 16384, ends=True)
    frames = read(FrameReader(max_frame_size=16384), bytes(output))
    assert b"".join(f[3] for f in frames) == b"b" * size
    assert [f[0] for f in frames] == [1] + [9] * (len(frames) - 1)
    assert frames[0][1] & END_STREAM
    assert [bool(f[1] & END_HEADERS) for f in frames] == [False] * (len(frames) - 1) + [True]
    assert all(not f[1] & ~END_HEADERS for f in frames[1:])
    assert len(frames) == max(1, -(-size // 16384))


def as_read_by_the_oracle(output):
    frame, _ = OracleFrame.parse_frame_header(memoryview(output[:9]))
    frame.parse_body(memoryview(output[9:]))
    return vars(frame)


def test_frames_are_what_the_oracle_reads():
    output = bytearray()
    write_uint32(output, FrameType.WINDOW_UPDATE, 3, 77)
    oracle = as_read_by_the_oracle(bytes(output))
    assert (oracle["stream_id"], oracle["window_increment"]) == (3, 77)
    output.clear()
    write_goaway(output, 9, ErrorCode.ENHANCE_YOUR_CALM, b"calm")
    oracle = as_read_by_the_oracle(bytes(output))
    assert (oracle["last_stream_id"], oracle["error_code"]) == (9, 11)
    assert oracle["additional_data"] == b"calm"
