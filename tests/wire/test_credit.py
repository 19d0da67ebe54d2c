"""Credit: no more is on its way than may be, no flow stands still, and what can't be is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.errors import RemoteProtocolError
from van.wire.credit import CREDIT, WINDOW, FlowCredit

sizes = st.integers(1, 3 * WINDOW)
steps = st.lists(st.tuples(st.sampled_from(("send", "arrive", "take", "tell")), sizes), max_size=60)


@given(steps)
def test_a_window_at_most_waits_for_a_program_and_none_is_forgotten(steps):
    sender, receiver = FlowCredit(), FlowCredit()
    on_the_way = 0
    words: list[bytes] = []
    for step, size in steps:
        if step == "send" and (count := min(size, sender.room)) > 0:
            sender.sent(count)
            on_the_way += count
        elif step == "arrive" and (count := min(size, on_the_way)):
            receiver.received(count)
            on_the_way -= count
        elif step == "take" and (count := min(size, receiver.untaken)):
            if receiver.took(count):
                words.append(receiver.credit())
        elif step == "tell" and words:
            sender.receive_credit(words.pop(0))
        assert on_the_way + receiver.untaken <= WINDOW
        assert sender.unacknowledged >= on_the_way + receiver.untaken
    # Once everything has come, been taken, and been told, there is room again.
    receiver.received(on_the_way)
    if receiver.took(receiver.untaken):
        words.append(receiver.credit())
    for word in words:
        sender.receive_credit(word)
    assert sender.room >= WINDOW // 2


def test_bytes_beyond_the_credit_are_refused_to_the_byte():
    receiver = FlowCredit()
    receiver.received(WINDOW)
    with pytest.raises(RemoteProtocolError, match="1 bytes came that there was no credit for"):
        receiver.received(1)


def test_an_end_that_sends_without_credit_is_a_defect():
    sender = FlowCredit()
    sender.sent(WINDOW)
    assert sender.room == 0
    with pytest.raises(AssertionError, match="without credit"):
        sender.sent(1)


def test_small_exchanges_need_no_word_and_half_a_window_is_told_at_once():
    receiver = FlowCredit()
    receiver.received(WINDOW // 2)
    assert not receiver.took(WINDOW // 2 - 1)
    assert receiver.took(1)
    assert CREDIT.unpack(receiver.credit()) == (WINDOW // 2, WINDOW // 2 + WINDOW)
    assert not receiver.took(0)


BAD_WORDS = {
    "taken-back": ((20, 2 * WINDOW), (19, 2 * WINDOW), "goes back"),
    "limit-back": ((20, 2 * WINDOW), (20, 2 * WINDOW - 1), "goes back"),
    "below-the-window": (None, (0, WINDOW - 1), "goes back"),
    "more-than-was-sent": (None, (101, 2 * WINDOW), "101 bytes were taken of 100"),
    "at-the-top": (None, (2**64 - 1, 2**64 - 1), "were taken of 100"),
}


@pytest.mark.parametrize(("before", "word", "why"), BAD_WORDS.values(), ids=BAD_WORDS.keys())
def test_a_credit_that_cannot_be_is_refused(before, word, why):
    sender = FlowCredit()
    sender.sent(100)
    if before is not None:
        sender.receive_credit(CREDIT.pack(*before))
    with pytest.raises(RemoteProtocolError, match=why):
        sender.receive_credit(CREDIT.pack(*word))


@pytest.mark.parametrize("size", [0, 15, 17, 4096])
def test_a_credit_of_another_size_is_refused(size):
    with pytest.raises(RemoteProtocolError, match="a credit of"):
        FlowCredit().receive_credit(bytes(size))
