"""Bytes and texts of every kind, given to whatever reads what comes from outside."""

import string

import attrs
import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.generators import tuples_of
from van.cli.render.humanize import format_duration, parse_duration
from van.config import MAX_COST
from van.errors import ConfigError, InvalidName, LocalError, RemoteProtocolError, TokenError
from van.names import (
    MAX_LABEL,
    Address,
    Endpoint,
    check_pattern,
    check_site_name,
    is_label,
    is_name,
    pattern_covers,
    pattern_matches,
)
from van.router.channels.channel import Channel
from van.router.reactor.loop import BUFFER_SIZE, EventLoop
from van.router.reactor.poller import READ
from van.tls.connection import WantRead
from van.tls.identity import SiteIdentity
from van.tls.tokens import decode_token
from van.toml.table import parse_toml
from van.wire import channel, join, link, lsa
from van.wire.framing import FIRST_IGNORABLE_KIND, FrameReader, Message, pack_header

CODECS = {"channel": channel.CODEC, "link": link.CODEC, "join": join.CODEC}

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=20),
    st.binary(max_size=20),
)  # fmt: skip
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=8), max_leaves=20)


# -- messages --------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())
@given(kind=st.integers(0, 255), payload=st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_protocol_error(codec, kind, payload):
    check(codec, kind, payload)


@pytest.mark.scale
@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())
@given(kind=st.integers(0, 12), fields=st.lists(trees, max_size=9))
def test_no_fields_raise_anything_but_a_protocol_error(codec, kind, fields):
    check(codec, kind, msgspec.msgpack.encode(fields))


def check(codec, kind, payload):
    try:
        message = codec.decode(kind, payload)
    except RemoteProtocolError as exc:
        assert "\n" not in str(exc)
        return
    if message is None:
        assert kind >= FIRST_IGNORABLE_KIND
    else:
        # What was taken can be sent on, and is taken again as the same.
        frame = codec.encode(message)
        assert codec.decode(kind, frame[4:]) == message


@given(kind=st.sampled_from(lsa.LsaKind), payload=st.binary(max_size=200) | trees)
def test_no_body_raises_anything_but_a_protocol_error(kind, payload):
    data = payload if isinstance(payload, bytes) else msgspec.msgpack.encode(payload)
    try:
        lsa.decode_body(kind, data)
    except RemoteProtocolError:
        pass


@st.composite
def messages(draw):
    codec = draw(st.sampled_from([link.CODEC, channel.CODEC]))
    return draw(
        st.sampled_from(
            [link.CostChange(7), link.Heartbeat(1.0, 2.0, 3.0), link.Digest(b"", (), is_last=True)]
            if codec is link.CODEC
            else [channel.Open("f", "tcp", "a:1"), channel.Relay("x", 3)]
        )
    ), codec


@given(
    sent=st.lists(messages(), max_size=10),
    cuts=st.lists(st.integers(1, 40), max_size=30),
)
def test_frames_are_the_same_however_the_stream_is_cut(sent, cuts):
    stream = b"".join(codec.encode(message) for message, codec in sent)
    reader = FrameReader(max_payload=100)
    got = []
    for part in pieces(stream, cuts):
        reader.receive_data(part)
        while (frame := reader.next_frame()) is not None:
            got.append(frame)
    assert got == [(frame[0], frame[4:]) for frame in (codec.encode(m) for m, codec in sent)]
    assert not reader.unread()


def pieces(stream, cuts):
    offset = 0
    for size in cuts:
        yield stream[offset : offset + size]
        offset += size
    yield stream[offset:]


# -- channels --------------------------------------------------------------------------------------


class Silent:
    """A connection that hands out chosen bytes, in chosen pieces, and is then quiet."""

    def __init__(self, parts):
        self._parts = [part for part in parts if part]

    def fileno(self):
        return 999

    def reader(self, buffer):
        def read():
            try:
                return self.recv_into(buffer)
            except WantRead:
                return -1

        return read

    def writer(self, _buffer):
        return lambda size: size

    def recv_into(self, buffer):
        if not self._parts:
            raise WantRead
        part = self._parts.pop(0)
        buffer[: len(part)] = part
        return len(part)

    @property
    def sock(self):
        return self

    def setsockopt(self, *_):
        pass

    def close(self):
        pass


class Nothing:
    """A poller of no sockets."""

    def register(self, fd, mask):
        pass

    modify = register

    def unregister(self, fd):
        pass


@attrs.define
class Recorder:
    """A channel's user that keeps what it is told, and pauses the channel now and then."""

    pauses: list[int]
    events: list[object] = attrs.field(factory=list)
    count: int = 0
    channel: Channel | None = None

    def receive_data(self, data):
        assert len(data)
        if self.events and isinstance(self.events[-1], bytes):
            self.events[-1] += bytes(data)
        else:
            self.events.append(bytes(data))
        self.pause()

    def receive_datagram(self, data):
        self.events.append(("datagram", bytes(data)))
        self.pause()

    def receive_frame(self, kind, message):
        self.events.append((int(kind), message))
        self.pause()

    def pause(self):
        self.count += 1
        if self.channel is not None and self.count in self.pauses:
            self.channel.pause()

    def channel_writable(self):
        pass

    def channel_lost(self, reason):
        assert "\n" not in reason
        self.events.append("lost")


def run_channel(stream, cuts, pauses=()):
    """Return what a channel's user is told of a stream that arrives in pieces."""
    loop = EventLoop(poller=Nothing())  # type: ignore[arg-type]
    user = Recorder(list(pauses))
    parts = [p for piece in pieces(stream, cuts) for p in chunks(piece)]
    made = Channel(
        loop,
        Silent(parts),  # type: ignore[arg-type]
        peer=SiteIdentity.__new__(SiteIdentity),
        neighbor="x",
        user=user,
    )
    user.channel = made
    for _ in range(len(parts) + len(user.pauses) + 2):
        if made.is_open:
            made._handle(READ)
            made.resume()
    return user.events


def chunks(data):
    return [data[start : start + BUFFER_SIZE] for start in range(0, len(data), BUFFER_SIZE)]


@st.composite
def frames(draw):
    kind = draw(st.sampled_from([*channel.Kind, 0, 77, 200, 255]))
    if kind in (channel.Kind.EOF, channel.Kind.RESET) and draw(st.booleans()):
        return pack_header(kind, 0)
    valid = {
        channel.Kind.OPEN: channel.Open("f", "tcp", "db:1"),
        channel.Kind.OPENED: channel.Opened(channel.Report(0, 0, 0)),
        channel.Kind.DONE: channel.Done(7, channel.Report(0, 0, 0)),
        channel.Kind.RELAY: channel.Relay("x", 1),
    }
    if kind in valid and draw(st.booleans()):
        return channel.CODEC.encode(valid[kind])
    payload = draw(st.binary(max_size=60))
    length = draw(st.sampled_from([len(payload)] * 8 + [5000, 70_000, (1 << 24) - 1]))
    return pack_header(kind, length) + payload


streams = st.lists(frames(), max_size=12).map(b"".join) | st.binary(max_size=300)
cuttings = st.lists(st.integers(1, 50), max_size=30)


@given(stream=streams, cuts=cuttings)
def test_a_channel_tells_the_same_however_its_stream_is_cut(stream, cuts):
    assert run_channel(stream, cuts) == run_channel(stream, ())


@given(stream=streams, cuts=cuttings, pauses=st.sets(st.integers(1, 30)))
def test_a_channel_tells_the_same_however_often_it_is_paused(stream, cuts, pauses):
    assert run_channel(stream, cuts, pauses) == run_channel(stream, ())


def test_a_flow_in_the_largest_frames_is_told_whole():
    data = bytes(range(256)) * 1024
    size = channel.MAX_DATA_PAYLOAD
    stream = b"".join(
        pack_header(channel.Kind.DATA, len(part)) + part
        for part in (data[start : start + size] for start in range(0, len(data), size))
    )
    assert run_channel(stream, [17, 5000, 1]) == [data]


# -- names -----------------------------------------------------------------------------------------

NAMES = string.ascii_lowercase + string.digits + "."
names = st.text(max_size=70) | st.text(f"{NAMES}*-", min_size=1, max_size=70)


@given(text=names)
@example(text="a\n")
@example(text="²")
@example(text="a" * (MAX_LABEL + 1))
def test_a_name_is_taken_as_it_is_or_refused_with_its_text(text):
    for check_name in (check_site_name, check_pattern):
        try:
            assert check_name(text) == text
        except InvalidName as exc:
            assert repr(text)[1:-1] in str(exc)
    if is_label(text):
        assert is_name(text)
        assert text.isascii()
        assert text == text.lower()
        assert not set(text) & set("\n /.\\\0")


@given(text=names | st.text(f"{NAMES}:[]", min_size=1, max_size=40))
@example(text="a:00080")
@example(text="a:0070000")
@example(text="0070000")
@example(text="a:000")
@example(text="a:٣")
@example(text="[::1]:80")
def test_an_address_or_endpoint_that_is_read_is_written_and_read_as_the_same(text):
    for form in (Address, Endpoint):
        try:
            value = form.parse(text)
        except InvalidName as exc:
            assert "\n" not in str(exc)
            continue
        assert form.parse(str(value)) == value
        assert 1 <= value.port <= 65535


@given(text=st.text(max_size=40))
def test_what_the_wire_takes_for_a_site_is_a_site_name(text):
    try:
        relay = channel.CODEC.decode(channel.Kind.RELAY, msgspec.msgpack.encode([text, 1]))
    except RemoteProtocolError:
        assume(len(text) <= MAX_LABEL)
        assert not is_label(text)
    else:
        assert isinstance(relay, Message)
        assert is_label(text)


NARROW = [".".join(each) for each in tuples_of("abc", 3) if each]
WIDE = [*(["*"] * len(NARROW)), *map("*.{}".format, NARROW)]
patterns = st.sampled_from([f"{name}{port}" for name in WIDE + NARROW for port in ("", ":1", ":2")])
SHORT = [".".join(each) for each in tuples_of("abc", 4) if each]
short_names = st.sampled_from([f"{name}:{port}" for name in SHORT for port in (1, 2)])


@given(wide=patterns, narrow=patterns, name=short_names)
def test_what_a_covered_pattern_matches_the_covering_one_does(wide, narrow, name):
    if pattern_covers(wide, narrow) and pattern_matches(narrow, name):
        assert pattern_matches(wide, name)


# -- durations and files ---------------------------------------------------------------------------


@given(text=st.text(max_size=12) | st.text("0123456789dhms", max_size=12))
@example(text="٣s")
@example(text="999999999d")
def test_a_duration_is_a_number_or_refused(text):
    try:
        seconds = parse_duration(text)
    except LocalError as exc:
        assert repr(text)[1:-1] in str(exc)
        return
    assert 0 <= seconds < 1e15
    assert text.isascii()


@given(seconds=st.integers(0, 10**9).map(float))
def test_a_duration_that_is_shown_is_never_more_than_it_is(seconds):
    shown = format_duration(seconds)
    if "." not in shown:
        assert parse_duration(shown) <= seconds


@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_configuration_raises_anything_but_its_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "config.toml"
    try:
        root = parse_toml(path, data)
        root.read_table("router").finish()
        for table in root.read_tables("link"):
            table.read_number("cost", low=1, high=MAX_COST, default=1)
        root.finish()
    except ConfigError as exc:
        assert str(exc).startswith(f"{path}:")
        assert len(str(exc).splitlines()) == 1


@given(text=st.text(max_size=200))
@example(text="\ud800")
def test_no_text_is_taken_for_a_token(text):

    with pytest.raises(TokenError):
        decode_token(text)
