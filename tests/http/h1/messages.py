"""Messages of HTTP/1 for Hypothesis: well formed, with what they mean, and changed a little."""

import math
import string
from itertools import pairwise, product

import attrs
from hypothesis import strategies as st

METHODS = [b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH"]
TOKEN = "!#$%&'*+-.^_`|~" + string.digits + string.ascii_letters
VISIBLE = bytes(range(0x21, 0x7F)) + bytes(range(0x80, 0x100))

FRAMING = {b"Host", b"Content-Length", b"Transfer-Encoding"}
"""Fields whose values have no tab around them."""

Field = tuple[bytes, bytes]


@attrs.frozen
class Message:
    """A message, and what it means."""

    data: bytes
    start: tuple[bytes, ...]
    """Method and target, or the status."""
    fields: tuple[Field, ...]
    payload: bytes
    trailers: tuple[Field, ...] = ()

    def __repr__(self) -> str:
        return repr(self.data)


CASES = [bytes.lower, bytes.upper, bytes.title]
plain_styles = st.sampled_from(list(product(CASES, [b" ", b"", b"  "], [b"", b" "])))
styles = st.sampled_from(list(product(CASES, [b" ", b"", b"\t", b"  \t "], [b"", b" ", b"\t"])))
"""How a field may be written: its name, and what is before and behind its value."""
tokens = st.text(TOKEN, min_size=1, max_size=8).map(str.encode)
words = st.lists(st.sampled_from(VISIBLE), min_size=1, max_size=8).map(bytes)
values = st.lists(words, max_size=3).map(b" ".join)
known_fields = st.sampled_from(
    [
        (b"Connection", b"close"),
        (b"connection", b"Keep-Alive, X-Own"),
        (b"TE", b"trailers, gzip;q=0.5"),
        (b"Keep-Alive", b"timeout=5, max=1000"),
        (b"Forwarded", b"for=_a"),
        (b"X-Request-Id", b"1"),
        (b"Via", b"1.1 a"),
        (b"Trailer", b"X-Own"),
        (b"Accept", b"*/*"),
        (b"Cookie", b"a=b; c=d"),
    ]
)
own_fields = st.tuples(tokens.map(b"X-".__add__), values)
field_lists = st.lists(own_fields | known_fields, max_size=5)
trailer_lists = st.lists(own_fields, max_size=2)
targets = st.sampled_from(
    [b"/", b"/a/b?c=d&e", b"//a", b"/%00%ff", b"/a;b=c", b"http://host:80/a", b"http://host:80"]
)
payloads = st.binary(max_size=40) | st.sampled_from([b"\r\n\r\n", b"0\r\n\r\n", b"GET / HTTP/1.1"])
EXTENSIONS = [b"", b"", b";a", b";a=b", b';a="b\\" ;\t"', b";a;b=c"]
chunk_styles = st.sampled_from(list(product([1.0, 0.3, 0.01], [b"", b"", b"000"], EXTENSIONS)))
"""How large a part of what is left a chunk is, and how that is written."""


@st.composite
def lines_of(draw, fields):
    """Draw how fields are written."""
    lines = b""
    for name, value in fields:
        written, before, behind = draw(plain_styles if name in FRAMING else styles)
        lines += b"%b:%b%b%b\r\n" % (written(name), before, value, behind)
    return lines


@st.composite
def chunks_of(draw, payload):
    """Draw how a payload is cut into chunks."""
    data, left = b"", payload
    while left:
        part, zeros, extension = draw(chunk_styles)
        size = math.ceil(len(left) * part)
        data += b"%b%x%b\r\n%b\r\n" % (zeros, size, extension, left[:size])
        left = left[size:]
    _, zeros, extension = draw(chunk_styles)
    return data + zeros + b"0" + extension + b"\r\n"


@st.composite
def bodies(draw, minor):
    """Draw fields, a body as it is framed, its payload, and trailers."""
    kind = draw(st.sampled_from(["none", "length", "chunked"] if minor else ["none", "length"]))
    if kind == "none":
        return (), b"", b"", ()
    payload = draw(payloads)
    if kind == "length":
        return ((b"Content-Length", b"%d" % len(payload)),), payload, payload, ()
    trailers = tuple(draw(trailer_lists))
    data = draw(chunks_of(payload)) + draw(lines_of(trailers)) + b"\r\n"
    return ((b"Transfer-Encoding", b"chunked"),), data, payload, trailers


@st.composite
def requests(draw):
    method, target = draw(st.sampled_from(METHODS)), draw(targets)
    minor = draw(st.sampled_from([1, 1, 0]))
    framing, body, payload, trailers = draw(bodies(minor))
    fields = [(b"Host", b"host:80"), *draw(field_lists), *framing]
    order = tuple(draw(st.permutations(fields)))
    head = b"%b %b HTTP/1.%d\r\n%b\r\n" % (method, target, minor, draw(lines_of(order)))
    return Message(head + body, (method, target), order, payload, trailers)


@st.composite
def answers(draw):
    """Draw answers to GET that end by themselves."""
    minor = draw(st.sampled_from([1, 1, 0]))
    status = draw(st.sampled_from([200, 204, 304, 404, 503]))
    framing, body, payload, trailers = draw(bodies(minor))
    if status in {204, 304}:
        framing, body, payload, trailers = (), b"", b"", ()
    elif not framing:
        framing = ((b"Content-Length", b"0"),)
    fields = tuple(draw(st.permutations([*draw(field_lists), *framing])))
    reason = draw(values)
    head = b"HTTP/1.%d %d %b\r\n%b\r\n" % (minor, status, reason, draw(lines_of(fields)))
    return Message(head + body, (b"%d" % status,), fields, payload, trailers)


PIECES = [
    b"\r", b"\n", b"\r\n", b"\x00", b" ", b"\t", b"\x0b", b":", b",", b";", b"0", b"1", b"a", b"-",
    b"+", b"_", b"\x80", b"\x7f", b"chunked", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Host: b\r\n",
    b"HTTP/1.1", b"http://b", b"\r\n\r\n", b"0\r\n\r\n", b"5;a\r\n", b" X: 1\r\n", b"Expect: a\r\n",
]  # fmt: skip
changes = st.tuples(
    st.sampled_from(["insert", "replace", "delete", "repeat", "insert line"]),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(PIECES),
)


def changed(data: bytes, steps: list[tuple[str, float, bytes]]) -> bytes:
    """Return data after changes, each at a place from 0 to 1."""
    for what, place, piece in steps:
        at = int(place * (len(data) + 1))
        if what == "insert":
            data = data[:at] + piece + data[at:]
        elif what == "replace":
            data = data[:at] + piece + data[at + len(piece) :]
        elif what == "delete":
            data = data[:at] + data[at + 1 :]
        elif what == "repeat":
            data = data[:at] + data[max(0, at - 12) :]
        else:
            lines = data.split(b"\r\n")
            lines.insert(int(place * (len(lines) + 1)), piece.removesuffix(b"\r\n"))
            data = b"\r\n".join(lines)
    return data


def cut(data: bytes, places: list[float]) -> list[bytes]:
    """Return data in pieces, cut at places from 0 to 1."""
    at = sorted({0, len(data), *(int(place * len(data)) for place in places)})
    return [data[start:end] for start, end in pairwise(at)]


cuts = st.lists(st.floats(0, 1), max_size=6)
