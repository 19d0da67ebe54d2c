"""What is said again leaves no gap and says nothing twice, wherever it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.router.bundles.tail import MAX_TAIL, Tail
from van.wire.bundle import MAX_REPEAT

pytestmark = pytest.mark.unit

AROUND = 22
pieces = st.lists(st.integers(1, 200), min_size=1, max_size=60)


def stream(sizes: list[int]) -> list[bytes]:
    """Return pieces of which no part looks like another."""
    whole = b"".join(number.to_bytes(2, "big") for number in range(sum(sizes) // 2 + 1))
    found: list[bytes] = []
    offset = 0
    for size in sizes:
        found.append(whole[offset : offset + size])
        offset += size
    return found


class Receiver:
    """Takes what comes over both, as docs/protocol.md has it."""

    def __init__(self) -> None:
        self.got = b""
        self._ahead = 0

    def receive(self, data: bytes) -> None:
        known = min(self._ahead, len(data))
        self._ahead -= known
        self.got += data[known:]

    def receive_repeat(self, position: int, data: bytes) -> None:
        new = position + len(data) - len(self.got)
        if 0 < new <= len(data):
            self.got += data[-new:]
            self._ahead += new


@given(
    pieces,
    st.integers(0, 10),
    st.lists(st.sampled_from(("send", "arrive", "repeat", "turn", "lose")), max_size=200),
)
def test_what_arrives_is_the_beginning_of_what_was_sent_and_repeats_close_the_gap(
    sizes, before, steps
):
    sent: list[bytes] = []
    on_the_way: list[bytes] = []
    waiting = stream(sizes)
    receiver, tail = Receiver(), Tail(0)
    whole = b"".join(waiting)
    for step in [*["send"] * before, *steps]:
        unheard = sum(len(each) + AROUND for each in on_the_way)
        if step == "send" and waiting:
            piece = waiting.pop(0)
            sent.append(piece)
            on_the_way.append(piece)
            tail.append(piece)
        elif step == "arrive" and on_the_way:
            receiver.receive(on_the_way.pop(0))
        elif step == "turn":
            tail.begin_again()
        elif step == "lose":  # the receiver did not want what came
            list(tail.repeats(unheard))
            tail.begin_again()
        elif step == "repeat":
            for repeat in tail.repeats(unheard):
                receiver.receive_repeat(*repeat)
            assert receiver.got == b"".join(sent)
        assert whole.startswith(receiver.got)
    for piece in on_the_way + waiting:
        receiver.receive(piece)
    assert receiver.got == whole


def test_nothing_is_repeated_twice_unless_it_goes_another_way():
    tail = Tail(1000)
    tail.append(b"abc")
    assert list(tail.repeats(3 + AROUND)) == [(1000, b"abc")]
    tail.append(b"de")
    assert list(tail.repeats(5 + 2 * AROUND)) == [(1003, b"de")]
    assert list(tail.repeats(5 + 2 * AROUND)) == []
    tail.begin_again()
    assert list(tail.repeats(2 + AROUND)) == [(1003, b"de")]


def test_nothing_is_repeated_where_the_beginning_is_not_kept_any_more():
    tail = Tail(0)
    for _ in range(5):
        tail.append(bytes(16_000))
    unheard = 5 * (16_000 + AROUND)
    assert list(tail.repeats(unheard)) == []
    assert sum(len(data) for _, data in tail.repeats(unheard // 5)) == 16_000


def test_what_is_kept_is_bounded_and_goes_out_in_frames_that_fit():
    tail = Tail(0)
    tail.append(bytes(40_000))
    around = 3 * AROUND
    parts = list(tail.repeats(40_000 + around))
    assert [len(data) for _, data in parts] == [MAX_REPEAT, MAX_REPEAT, 40_000 - 2 * MAX_REPEAT]
    for _ in range(100):
        tail.append(bytes(1000))
    tail.begin_again()
    kept = sum(len(data) for _, data in tail.repeats(MAX_TAIL - 1022))
    assert MAX_TAIL - 3000 < kept <= MAX_TAIL
