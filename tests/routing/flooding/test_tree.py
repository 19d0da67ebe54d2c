from random import Random

from van.routing.flooding.tree import MAX_LATE, MIN_EAGER, FloodTree


def tree(neighbors: int) -> FloodTree:
    made = FloodTree(Random(1))
    for number in range(neighbors):
        made.open(f"n{number}")
    return made


def test_neighbor_whose_copies_come_late_is_asked_to_announce():
    made = tree(10)
    assert [made.received_late("n0") for _ in range(MAX_LATE + 2)] == [
        *([False] * (MAX_LATE - 1)),
        True,
        False,
        False,
    ]


def test_neighbor_that_is_first_at_times_goes_on_sending():
    made = tree(10)
    for _ in range(20):
        assert not any(made.received_late("n0") for _ in range(MAX_LATE - 1))
        made.received_first("n0")


def test_a_few_go_on_sending_however_late_they_are():
    made = tree(10)
    asked = [
        name for _ in range(50) for name in map("n{}".format, range(10)) if made.received_late(name)
    ]
    assert len(asked) == len(set(asked)) == 10 - MIN_EAGER


def test_sparse_network_is_never_pruned():
    made = tree(MIN_EAGER)
    assert not any(made.received_late(f"n{each % MIN_EAGER}") for each in range(100))


def test_neighbor_that_knew_what_nobody_sent_sends_again():
    made = tree(10)
    for _ in range(MAX_LATE):
        made.received_late("n0")
    assert made.missed("n0")
    assert not made.missed("n0")
    assert not made.missed("n1")


def test_lost_sender_is_replaced():
    made = tree(MIN_EAGER + 2)
    lazy = {name for _ in range(MAX_LATE) for name in ("n0", "n1") if made.received_late(name)}
    assert lazy == {"n0", "n1"}
    assert made.close("n2") in lazy
    assert made.close("n3") in lazy
    assert made.close("n4") is None
