from hypothesis import given
from hypothesis import strategies as st

from van.routing.flooding.flooding import MAX_BATCH, MAX_BATCH_COUNT, pack_advertisements
from van.wire.framing import HEADER_SIZE
from van.wire.link import CODEC, MAX_MESSAGE
from van.wire.lsa import MAX_BODY, Lsa, LsaKind

BIG = 2**63 - 1


def lsa(size: int) -> Lsa:
    return Lsa("a" * 63, LsaKind.ADDRESSES, BIG, BIG, 900.0, bytes(size), bytes(256))


@given(st.lists(st.integers(0, MAX_BATCH)))
def test_every_message_is_within_bounds_and_nothing_is_lost(sizes):
    lsas = [lsa(size) for size in sizes]
    packed = list(pack_advertisements(lsas))
    assert [each for message in packed for each in message.lsas] == lsas
    for message in packed:
        size = len(CODEC.encode(message)) - HEADER_SIZE
        assert size <= MAX_BATCH + 8 or len(message.lsas) == 1


def test_largest_advertisement_fits_into_a_message():
    (message,) = pack_advertisements([lsa(MAX_BODY)])
    payload = CODEC.encode(message)[HEADER_SIZE:]
    assert len(payload) <= MAX_MESSAGE
    assert CODEC.decode(5, payload) == message


def test_count_of_advertisements_in_a_message_is_bounded():
    small = Lsa("a", LsaKind.IDENTITY, 1, 1, 1.0, b"", b"")
    assert all(len(m.lsas) <= MAX_BATCH_COUNT for m in pack_advertisements([small] * 5000))


def test_nothing_makes_no_message():
    assert list(pack_advertisements([])) == []
