import pytest

from van.errors import RemoteProtocolError
from van.wire.framing import HEADER_SIZE
from van.wire.link import CODEC, MAX_PROBE_PATH, Probe, ProbeOutcome, ProbeReply

LONGEST = tuple(f"s{number}" for number in range(MAX_PROBE_PATH))


def decode(message):
    frame = CODEC.encode(message)
    return CODEC.decode(frame[0], frame[HEADER_SIZE:])


def test_the_longest_path_is_taken():
    for message in (Probe(1, LONGEST, "east", 255), ProbeReply(1, LONGEST, 1)):
        assert decode(message) == message


def test_an_outcome_that_a_later_revision_adds_is_taken():
    unknown = max(ProbeOutcome) + 1
    assert decode(ProbeReply(1, ("west", "hub"), unknown)).outcome == unknown


@pytest.mark.parametrize(
    "message",
    [
        Probe(1, (), "east", 1),
        Probe(1, (*LONGEST, "more"), "east", 1),
        Probe(1, ("A",), "east", 1),
        Probe(1, ("west",), "", 1),
        Probe(1, ("west",), "east", 256),
        Probe(1, ("west",), "east", -1),
        Probe(2**63, ("west",), "east", 1),
        ProbeReply(1, ("west",), 1),
        ProbeReply(1, (*LONGEST, "more"), 1),
        ProbeReply(1, ("west", "-"), 1),
        ProbeReply(1, ("west", "hub"), 256),
    ],
    ids=repr,
)
def test_field_of_a_probe_beyond_its_limit_is_refused(message):
    with pytest.raises(RemoteProtocolError):
        decode(message)
