"""A connection stands still when nothing is heard of what was sent, and not when it is merely
busy or at rest."""

import attrs
import pytest

from van.router.bundles.progress import PATIENCE, Progress
from van.router.reactor.tcp_info import TcpInfo

pytestmark = pytest.mark.unit

INFO = TcpInfo(100, 0, 5000, 3, 0, 0.03, 0.03, is_timed_out=False)


def is_stalled_after(*looks: tuple[TcpInfo, float]) -> bool:
    progress = Progress()
    for info, now in looks:
        progress.look(info, now)
    return progress.is_stalled


def test_what_is_acknowledged_in_time_does_not_stand_still():
    progress = Progress()
    for look in range(100):
        progress.look(attrs.evolve(INFO, acknowledged=look // 3), look * 0.015)
        assert not progress.is_stalled


def test_two_round_trips_without_news_are_too_many():
    assert not is_stalled_after((INFO, 0.0), (INFO, 0.059))
    assert is_stalled_after((INFO, 0.0), (INFO, 0.059), (INFO, 0.061))
    news = attrs.evolve(INFO, acknowledged=5001)
    assert not is_stalled_after((INFO, 0.0), (INFO, 0.061), (news, 0.07))


def test_what_was_sent_after_a_rest_has_its_time():
    progress = Progress()
    progress.look(INFO, 0.0)
    progress.look(attrs.evolve(INFO, acknowledged=5001, in_flight=0), 0.05)
    progress.look(attrs.evolve(INFO, acknowledged=5001), 10.0)
    assert not progress.is_stalled


def test_on_a_short_path_the_other_end_may_wait_before_it_acknowledges():
    info = attrs.evolve(INFO, round_trip=0.0002)
    assert not is_stalled_after((info, 0.0), (info, PATIENCE * 0.9))
    assert is_stalled_after((info, 0.0), (info, PATIENCE * 1.1))


def test_a_timer_that_has_run_out_is_seen_at_once():
    info = attrs.evolve(INFO, is_timed_out=True)
    assert is_stalled_after((info, 0.0))
    assert not is_stalled_after((info, 0.0), (attrs.evolve(info, in_flight=0), 0.1))
