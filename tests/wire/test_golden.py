"""What sites send each other has the bytes that its revision of the protocol has always had.

A failure means that the protocol was changed: docs/protocol.md, "Changing the protocol", says how
that is done.
"""

from pathlib import Path

import msgspec
import pytest

from tests.wire.golden.values import (
    BODIES,
    MESSAGES,
    NUMBER,
    ON_BUNDLE,
    RAW,
    SEALED,
    SEALED_KEY,
    lines,
)
from van.tls.sealing import Opener
from van.wire import bundle, channel, join, link
from van.wire.channel import Kind
from van.wire.framing import HEADER_SIZE, FrameReader, Message
from van.wire.lsa import LsaKind, decode_body
from van.wire.revision import MAJOR, MINOR

DIRECTORY = Path(__file__).parent / "golden"
FILES = sorted(DIRECTORY.glob("*.txt"))


def golden(path=DIRECTORY / f"{MAJOR}.{MINOR}.txt"):
    """Map the names of a file to their bytes."""
    pairs = (line.split(" ") for line in path.read_text().splitlines())
    return {name: bytes.fromhex(text) for name, text in pairs}


def framed(frame):
    """Return the only frame in some bytes: its kind and payload."""
    reader = FrameReader(max_payload=1 << 20)
    reader.receive_data(frame)
    found = reader.next_frame()
    assert found is not None
    assert not reader.unread()
    return found


EXAMPLES = [(place, name) for place, (_, messages) in MESSAGES.items() for name in messages]
TYPES = {
    type(message): f"{place}/{name}"
    for place, (_, messages) in MESSAGES.items()
    for name, message in messages.items()
}


def test_everything_is_encoded_as_this_revision_has_it():
    assert lines() == {name: each.hex() for name, each in golden().items()}


@pytest.mark.parametrize(("place", "name"), EXAMPLES)
def test_messages_are_decoded_to_their_values(place, name):
    codec, messages = MESSAGES[place]
    assert codec.decode(*framed(golden()[f"{place}/{name}"])) == messages[name]


@pytest.mark.parametrize("name", RAW)
def test_frames_that_are_no_messages_are_decoded_to_their_values(name):
    assert framed(golden()[f"channel/{name}"]) == RAW[name]


@pytest.mark.parametrize("name", ON_BUNDLE)
def test_frames_of_a_bundle_are_decoded_to_their_values(name):
    frame = golden()[f"bundle/{name}"]
    (word, number), payload = bundle.HEADER.unpack_from(frame), frame[bundle.HEADER_SIZE :]
    kind, content = ON_BUNDLE[name]
    assert (word >> 24, word & 0xFFFFFF, number) == (kind, len(payload), NUMBER)
    is_message = isinstance(content, Message)
    assert (channel.CODEC.decode(kind, payload) if is_message else payload) == content


@pytest.mark.parametrize("kind", LsaKind)
def test_bodies_of_advertisements_are_decoded_to_their_values(kind):
    assert decode_body(kind, golden()[f"lsa/{kind.name.lower()}"]) == BODIES[kind]


def test_sealed_datagrams_are_opened():
    assert Opener(SEALED_KEY).open(golden()["sealed/datagram"]) == SEALED


def test_padding_is_skipped():
    reader = FrameReader(max_payload=1 << 20)
    reader.receive_data(golden()["link/padded"])
    frames = [reader.next_frame(), reader.next_frame()]
    assert [frame and link.CODEC.decode(*frame) for frame in frames] == [link.Ping(), None]


@pytest.mark.parametrize("conversation", [join, link, channel], ids=["join", "link", "channel"])
def test_every_message_has_its_line(conversation):
    assert set(conversation.CODEC._kinds) <= set(TYPES)


def test_every_kind_of_frame_has_its_line():
    found = golden()
    on_channels = {frame[0] for name, frame in found.items() if name.startswith("channel/")}
    on_bundles = {frame[0] for name, frame in found.items() if name.startswith("bundle/")}
    assert on_channels | on_bundles == set(map(int, Kind))
    for place, (codec, _) in MESSAGES.items():
        kinds = {frame[0] for name, frame in found.items() if name.startswith(f"{place}/")}
        assert kinds >= set(codec._kinds.values())


@pytest.mark.parametrize(("place", "name"), EXAMPLES)
def test_unknown_trailing_fields_of_a_message_are_ignored(place, name):
    codec, messages = MESSAGES[place]
    kind, payload = framed(golden()[f"{place}/{name}"])
    fields = msgspec.msgpack.decode(payload)
    longer = msgspec.msgpack.encode([*fields, "of a later revision", [1, 2]])
    assert codec.decode(kind, longer) == messages[name]


@pytest.mark.parametrize("kind", LsaKind)
def test_unknown_trailing_fields_of_an_advertisement_are_ignored(kind):
    fields = msgspec.msgpack.decode(golden()[f"lsa/{kind.name.lower()}"])
    assert decode_body(kind, msgspec.msgpack.encode([*fields, "later"])) == BODIES[kind]


@pytest.mark.parametrize("path", [each for each in FILES if each.stem.startswith(f"{MAJOR}.")])
def test_messages_of_every_minor_revision_are_taken(path):
    """What an earlier one did not have is there by default, and nothing else is another."""
    for name, frame in golden(path).items():
        place = name.partition("/")[0]
        if place in MESSAGES and name not in {f"channel/{each}" for each in RAW}:
            codec, _ = MESSAGES[place]
            kind, payload = frame[0], frame[HEADER_SIZE : HEADER_SIZE + int.from_bytes(frame[1:4])]
            message = codec.decode(kind, payload)
            assert message is not None, name
            fields = msgspec.msgpack.decode(payload)
            again = msgspec.msgpack.decode(codec.encode(message)[HEADER_SIZE:])
            assert again[: len(fields)] == fields, name


FIRST = {
    (link.CODEC, 1): [1, "hub", 9, 10, 0.25, 1.75e9, 11, 1.5e9],
    (channel.CODEC, 1): [1, 2],
    (join.CODEC, 1): [1, "guest", b"request", b"ca", [], b"proof"],
    (join.CODEC, 4): [1],
}
"""What a router of the first revision greets with."""


@pytest.mark.parametrize(("codec", "kind"), FIRST)
def test_the_greeting_of_another_major_revision_is_understood_as_far_as_that(codec, kind):
    payload = msgspec.msgpack.encode(FIRST[codec, kind])
    assert codec.decode(kind, payload).major == 1


def test_who_does_not_say_in_what_it_accepts_is_of_the_first_revision():
    payload = msgspec.msgpack.encode(["hub", b"root", [], [], 10, 1.75e9, ""])
    assert join.CODEC.decode(2, payload).major == 1


def test_the_present_revision_is_the_latest_that_is_kept():
    revisions = [tuple(map(int, each.stem.split("."))) for each in FILES]
    assert max(revisions) == (MAJOR, MINOR)
