"""How many bundles there should be follows from what is lost, and settles."""

import itertools

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.router.bundles.width import CALM, FEW_IN_FLIGHT, LONG, MOST, STEP, Moved, Width

pytestmark = pytest.mark.unit

LOOK = 0.25
PACE = 1000.0
"""Segments in a second of a hundred small flows."""


@attrs.define
class Path:
    """Traffic that goes on as it is, over as many bundles as are wanted."""

    rate: float = PACE
    loss: float = 0.0
    round_trip: float = 0.03
    is_held_up: bool = False
    width: Width = attrs.field(factory=Width)
    now: float = 0.0
    _lost: float = 0.0

    def go_on(self, seconds: float) -> list[int]:
        """Return how many are wanted at each look."""
        found = []
        for _ in range(round(seconds / LOOK)):
            self.now += LOOK
            self._lost += self.rate * LOOK * self.loss
            lost, self._lost = int(self._lost), self._lost % 1
            moved = Moved(
                LOOK,
                round(self.rate * LOOK),
                lost,
                self.round_trip,
                self.round_trip,
                self.width.wanted,
                self.is_held_up,
            )
            self.width.look(moved, self.now)
            found.append(self.width.wanted)
        return found


def settled(
    rate: float = PACE, loss: float = 0.0, round_trip: float = 0.03, *, is_held_up: bool = False
) -> int:
    return Path(rate, loss, round_trip, is_held_up).go_on(60)[-1]


def test_nothing_is_gained_by_more_than_one_where_the_path_is_short():
    assert settled(rate=20_000, round_trip=0.0005, is_held_up=True) == 1


def test_a_long_path_has_two_where_there_is_enough_for_two():
    assert settled() == 2
    assert settled(rate=FEW_IN_FLIGHT / 0.03) == 1


def test_a_long_path_begins_with_two_and_a_short_one_with_one():
    long, short = Width(), Width()
    long.begin(LONG)
    short.begin(LONG / 2)
    assert (long.wanted, short.wanted) == (2, 1)


@pytest.mark.parametrize(("loss", "fewest", "most"), [(0.001, 2, 2), (0.01, 3, 5), (0.03, 7, 8)])
def test_the_more_is_lost_the_more_there_are(loss, fewest, most):
    assert fewest <= settled(loss=loss) <= most


def test_no_bundle_has_so_little_that_a_loss_goes_unseen():
    assert settled(rate=15 / 0.03, loss=0.2) == 3


def test_what_often_waits_for_the_path_has_more():
    assert settled(is_held_up=True) > settled()


def test_more_come_one_by_one():
    path = Path(rate=2 * PACE, loss=0.05)
    found = path.go_on(10)
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(found))
    assert found.index(MOST) * LOOK >= (MOST - 2) * STEP


def test_a_pause_changes_nothing_and_calm_does():
    path = Path(loss=0.03)
    before = path.go_on(20)[-1]
    path.rate = 10.0
    assert path.go_on(CALM / 2)[-1] == before
    assert path.go_on(60)[-1] == 2  # something has been lost of late


def test_a_path_that_loses_nothing_any_more_and_has_little_ends_with_one():
    path = Path(loss=0.03)
    path.go_on(20)
    path.loss, path.rate = 0.0, 10.0
    assert path.go_on(120)[-1] == 1


def test_two_are_kept_where_something_is_lost_however_little_there_is():
    assert settled(rate=20.0, loss=0.1) == 2
    assert settled(rate=200.0, loss=0.1, round_trip=0.001) == 2


def test_what_a_busy_machine_sends_again_is_no_loss():
    assert settled(rate=20_000, loss=0.0001, round_trip=0.0005) == 1


@given(st.floats(10, 1e5), st.one_of(st.just(0.0), st.floats(0.1, 0.5)), st.floats(0, 2))
def test_it_settles_between_one_and_the_most(rate, loss, round_trip):
    path = Path(rate, loss, round_trip)
    assert all(1 <= each <= MOST for each in path.go_on(15))
    assert len(set(path.go_on(10))) == 1


def test_it_asks_for_no_more_before_the_last_one_is_there():
    path = Path(loss=0.05)
    for _ in range(100):
        path.now += LOOK
        path.width.look(Moved(LOOK, 250, 12, 0.03, 0.03, bundles=2), path.now)
    assert path.width.wanted == 3


def test_without_any_time_or_bundle_nothing_follows():
    width = Width()
    width.look(Moved(0.0, 0, 0, 0.0, 0.0, bundles=1), 0.0)
    width.look(Moved(1.0, 1000, 500, 0.5, 0.5, bundles=0), 1.0)
    assert width.wanted == 1
