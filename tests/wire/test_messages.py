"""What holds for the messages of all three conversations."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.examples import channel_messages, join_messages, link_messages
from van.errors import RemoteProtocolError
from van.wire import channel, join, link
from van.wire.framing import HEADER_SIZE, Codec, FrameReader, Message
from van.wire.lsa import MAX_BODY, Lsa, LsaKind
from van.wire.revision import MAJOR

CODECS = {"link": link.CODEC, "channel": channel.CODEC, "join": join.CODEC}
messages = st.one_of(
    st.tuples(st.just(link.CODEC), link_messages),
    st.tuples(st.just(channel.CODEC), channel_messages),
    st.tuples(st.just(join.CODEC), join_messages),
)


def decode(codec: Codec, frame: bytes) -> Message | None:
    return codec.decode(frame[0], frame[HEADER_SIZE:])


def refused(codec: Codec, message: Message) -> bool:
    """Tell whether a message is refused by the receiver; encoding does not check limits."""
    frame = codec.encode(message)
    try:
        decode(codec, frame)
    except RemoteProtocolError:
        return True
    return False


@given(messages)
def test_message_is_decoded_as_it_was_encoded(example):
    codec, message = example
    assert decode(codec, codec.encode(message)) == message


@given(messages, st.lists(st.booleans() | st.text(), min_size=1, max_size=3))
def test_unknown_trailing_fields_are_ignored(example, extra):
    codec, message = example
    frame = codec.encode(message)
    fields = msgspec.msgpack.decode(frame[HEADER_SIZE:])
    payload = msgspec.msgpack.encode([*fields, *extra])
    assert codec.decode(frame[0], payload) == message


@given(messages, st.data())
def test_payload_that_is_cut_short_is_refused(example, data):
    codec, message = example
    frame = codec.encode(message)
    end = data.draw(st.integers(HEADER_SIZE, len(frame) - 1))
    with pytest.raises(RemoteProtocolError):
        decode(codec, frame[:end])


@given(st.sampled_from(list(CODECS)), st.integers(0, 255), st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_protocol_error(name, kind, payload):
    try:
        CODECS[name].decode(kind, payload)
    except RemoteProtocolError:
        pass


@pytest.mark.parametrize("name", CODECS)
def test_deeply_nested_payload_is_refused(name):
    with pytest.raises(RemoteProtocolError):
        CODECS[name].decode(1, b"\x91" * 100_000)


@pytest.mark.parametrize("name", CODECS)
def test_unknown_kind_ends_the_conversation_unless_it_may_be_skipped(name):
    with pytest.raises(RemoteProtocolError, match="unknown frame kind 127"):
        CODECS[name].decode(127, b"")
    assert CODECS[name].decode(200, b"anything") is None


BAD_SITES = ["", "-a", "A", "a.b", "a\n", "x" * 64]
BAD_ADDRESSES = ["", "db", "db:0", "db:", ":1", "db:123456", "DB:1", "db:1\n", "x" * 260 + ":1"]


@pytest.mark.parametrize("site", BAD_SITES)
def test_site_names_are_checked_while_decoding(site):
    entry = link.DigestEntry(site, LsaKind.IDENTITY, 1, 1)
    assert refused(link.CODEC, link.Hello(MAJOR, site, 1, 1, 0.3))
    assert refused(link.CODEC, link.Digest(b"", (entry,), is_last=True))
    assert refused(link.CODEC, link.Request((entry,)))
    assert refused(link.CODEC, link.Advertisements((lsa(origin=site),)))
    assert refused(channel.CODEC, channel.Relay(site, 3))
    assert refused(join.CODEC, join.JoinRequest(MAJOR, site, b"", b"", ()))
    assert refused(join.CODEC, join.JoinAccepted(site, b"", (), (), 1))


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_addresses_are_checked_while_decoding(address):
    assert refused(channel.CODEC, channel.Open("f", "tcp", address))


def lsa(**changes: object) -> Lsa:
    return msgspec.structs.replace(Lsa("a", LsaKind.IDENTITY, 1, 1, 1.0, b"", b""), **changes)


def test_largest_body_is_taken_and_a_larger_one_refused():
    assert not refused(link.CODEC, link.Advertisements((lsa(body=bytes(MAX_BODY)),)))
    assert refused(link.CODEC, link.Advertisements((lsa(body=bytes(MAX_BODY + 1)),)))


@pytest.mark.parametrize(
    "message",
    [
        link.Advertisements((lsa(sequence=-1),)),
        link.Advertisements((lsa(incarnation=2**63),)),
        link.Advertisements((lsa(lifetime=-1.0),)),
        link.Advertisements((lsa(lifetime=float("nan")),)),
        link.Advertisements((lsa(lifetime=float("inf")),)),
        link.Advertisements((lsa(signature=bytes(257)),)),
        link.Advertisements((lsa(kind=9),)),
        link.Advertisements((lsa(),) * 1025),
        link.Digest(b"", (link.DigestEntry("a", LsaKind.IDENTITY, 1, 1),) * 4097, is_last=True),
        link.Heartbeat(-1.0, 0.0, 0.0),
        link.Heartbeat(float("nan"), 0.0, 0.0),
        link.CostChange(-1),
        link.Summary(bytes(511)),
        link.Summary(bytes(513)),
        link.Digest(bytes(65), (), is_last=True),
        link.Announcement((link.DigestEntry("a", LsaKind.IDENTITY, 1, 1),) * 4097),
        link.HoldChange(-1.0),
        link.CostChange(65536),
        link.ChannelRequest(0),
        link.ChannelRequest(65),
        link.Goodbye("x" * 513, is_final=True),
        link.Hello(0, "a", 1, 1, 0.3),
        link.Hello(MAJOR, "a", 1, 1, 0.3, software="\x1b[2J"),
        link.Hello(MAJOR, "a", 1, 1, 0.3, software="1" * 33),
    ],
    ids=lambda message: type(message).__name__,
)
def test_field_of_a_link_message_beyond_its_limit_is_refused(message):
    assert refused(link.CODEC, message)


@pytest.mark.parametrize(
    "message",
    [
        channel.Hello(MAJOR, 3),  # type: ignore[arg-type]
        channel.Open("x" * 65, "tcp", "db:1"),
        channel.Open("x", "x" * 17, "db:1"),
        channel.Refused(99, ""),  # type: ignore[arg-type]
        channel.Renewed((b"",) * 25, (), ""),
        channel.Renewed((bytes(8193),), (), ""),
        channel.Renewed((), (), "x" * 513),
        channel.Renew(bytes(4097), b""),
        channel.Relay("a", 256),
        channel.Relay("a", -1),
        channel.Done(-1, channel.Report(0, 0.0, 0.0)),
        channel.Opened(channel.Report(2**32, 0.0, 0.0)),
    ],
    ids=lambda message: type(message).__name__,
)
def test_field_of_a_channel_message_beyond_its_limit_is_refused(message):
    assert refused(channel.CODEC, message)


@given(channel_messages)
def test_channel_messages_fit_into_a_control_frame(message):
    assert len(channel.CODEC.encode(message)) - HEADER_SIZE <= channel.MAX_CONTROL_PAYLOAD


def test_full_digest_fits_into_a_message():
    entry = link.DigestEntry("x" * 63, LsaKind.IDENTITY, 2**63 - 1, 2**63 - 1)
    message = link.Digest(b"", (entry,) * link.MAX_DIGEST_ENTRIES, is_last=False)
    frame = link.CODEC.encode(message)
    reader = FrameReader(max_payload=link.MAX_MESSAGE)
    reader.receive_data(frame)
    assert reader.next_frame() is not None


def test_largest_join_messages_fit_into_their_limit():
    chain = (bytes(8192),) * 2
    message = join.JoinAccepted("x" * 63, bytes(8192), chain, chain, 65535)
    assert len(join.CODEC.encode(message)) - HEADER_SIZE <= join.MAX_MESSAGE


def test_largest_answer_to_a_request_for_renewal_fits_into_its_limit():
    chain = (bytes(8192),) * 8 + (bytes(600),) * 16  # those of roots are small
    message = channel.Renewed(chain, chain, "x" * 512)
    assert len(channel.CODEC.encode(message)) - HEADER_SIZE <= channel.MAX_RENEWED_PAYLOAD


def test_largest_data_frame_of_the_sender_fills_records_to_the_last_byte():
    assert (channel.MAX_DATA + HEADER_SIZE) % channel.MAX_RECORD == 0
    assert channel.MAX_DATA <= channel.MAX_DATA_PAYLOAD
