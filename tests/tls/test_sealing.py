"""Only the key opens what was sealed, and each datagram is taken once."""

from hypothesis import given
from hypothesis import strategies as st

from van.tls.sealing import OVERHEAD, WINDOW, Opener, Sealer, new_key


@given(st.binary(max_size=2000))
def test_what_was_sealed_is_opened_as_it_was(data):
    key = new_key()
    sealed = Sealer(key).seal(data)
    assert len(sealed) == len(data) + OVERHEAD
    assert Opener(key).open(memoryview(sealed)) == data


@given(st.binary(min_size=4, max_size=200), st.data())
def test_a_changed_byte_or_a_shorter_text_is_not_opened(data, draw):
    key = new_key()
    sealed = bytearray(Sealer(key).seal(data))
    place = draw.draw(st.integers(0, len(sealed) - 1))
    assert Opener(key).open(bytes(sealed[:place])) is None
    sealed[place] ^= draw.draw(st.integers(1, 255))
    assert Opener(key).open(bytes(sealed)) is None


def test_another_key_does_not_open_it_and_the_plaintext_does_not_show():
    sealed = Sealer(new_key()).seal(b"a secret that is long enough")
    assert Opener(new_key()).open(sealed) is None
    assert b"secret" not in sealed


def test_nothing_is_opened_twice():
    key = new_key()
    sealer, opener = Sealer(key), Opener(key)
    sealed = [sealer.seal(b"%d" % number) for number in range(50)]
    order = [*sealed[::2], *sealed[1::2]]
    assert [opener.open(each) for each in order] == [
        b"%d" % number for number in (*range(0, 50, 2), *range(1, 50, 2))
    ]
    assert {opener.open(each) for each in order} == {None}


def test_one_that_comes_too_late_is_not_opened():
    key = new_key()
    sealer, opener = Sealer(key), Opener(key)
    sealed = [sealer.seal(b"%d" % number) for number in range(2 * WINDOW + 2)]
    assert opener.open(sealed[-1]) is not None
    assert opener.open(sealed[-WINDOW - 1]) is None
    assert opener.open(sealed[-WINDOW]) is not None
    assert opener.open(sealed[0]) is None


def test_a_forged_counter_spoils_nothing():
    key = new_key()
    sealer, opener = Sealer(key), Opener(key)
    first = sealer.seal(b"first")
    assert opener.open(b"\xff" * 8 + first[8:]) is None
    assert opener.open(first) == b"first"
