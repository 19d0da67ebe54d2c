import math
from collections import Counter
from itertools import product
from random import Random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.balancing.answer_times import ENOUGH, AnswerTimes
from van.balancing.balancer import (
    EJECT_AFTER,
    EJECTION,
    MAX_EJECTION,
    MAX_SILENCE,
    SILENCE,
    Balancer,
)
from van.balancing.delay_curve import Load
from van.balancing.estimate import GIVE_UP, Candidate, Work

DB = ("tcp", "db:5432")
WEB = ("tcp", "web:80")
NEAR, FAR = Candidate("near", 0.001), Candidate("far", 0.03)
A, B, C = (Candidate(site, 0.01) for site in "abc")
LATER = 100.0
"""A time at which no site is new any more."""


def balancer(seed: int = 1) -> Balancer:
    return Balancer(Random(seed))


def load(in_flight: float, delay: float, deeper: float | None = None) -> Load:
    return Load(
        in_flight, delay, delay * (9 + in_flight) / (1 + in_flight) if deeper is None else deeper
    )


def begin(one: Balancer, candidate: Candidate, now: float, told: Load | None = None) -> Work:
    """Let a flow begin, and its client ask."""
    work = one.start(DB, candidate, now)
    if told is not None:
        one.report(work, told, now)
    one.request_sent(work, now)
    return work


def know(one: Balancer, candidate: Candidate, delay: float, now: float = 0.0) -> None:
    """Let a flow begin and end, whose egress told of a delay for whoever comes next."""
    work = begin(one, candidate, now, load(1, delay))
    one.response_started(work, now + delay)
    one.end(work, now + delay, load(0, delay))


def scores(one: Balancer, candidates: list[Candidate], now: float) -> dict[str, float]:
    return {each.site: each.score for each in one.explain(DB, candidates, now)}


def firsts(one: Balancer, candidates: list[Candidate], now: float, times: int = 300) -> Counter:
    return Counter(one.rank(DB, candidates, now)[0] for _ in range(times))


# -- what may come in any order ------------------------------------------------------------------

sites = st.sampled_from("abcdef")
WHAT = ["start", "asked", "report", "answered", "end", "end told", "fail"]
steps = st.lists(
    st.tuples(
        st.sampled_from(list(product(WHAT, "abcdef"))),
        st.floats(0, 5),
        st.floats(0, 20),
        st.floats(0, 3),
    ),
    max_size=30,
)
candidates_of = st.lists(
    st.builds(
        Candidate,
        site=sites,
        round_trip=st.floats(0, 1),
        weight=st.integers(1, 100),
        precedence=st.integers(0, 3),
    ),
    min_size=1,
    unique_by=lambda each: each.site,
)


def play(one: Balancer, steps, candidates=()) -> tuple[list[Work], float]:
    """Do what is said where there is a flow for it; return those that are left, and the time."""
    by_site = {each.site: each for each in candidates}
    alive: list[Work] = []
    now = LATER
    for (what, site), passed, in_flight, delay in steps:
        now += passed
        told = load(in_flight, delay)
        if what == "start":
            alive.append(one.start(DB, by_site.get(site, Candidate(site, 0.01)), now))
            continue
        work = next((each for each in alive if each.candidate.site == site), None)
        if work is None:
            continue
        match what:
            case "asked":
                one.request_sent(work, now)
            case "report":
                one.report(work, told, now)
            case "answered":
                one.response_started(work, now)
            case "end" | "end told":
                one.end(work, now, told if what == "end told" else None)
            case "fail":
                one.fail(work, now)
        if what in {"end", "end told", "fail"}:
            alive.remove(work)
    return alive, now


@given(steps, candidates_of, st.integers())
def test_every_candidate_is_ranked_once(steps, candidates, seed):
    one = balancer(seed)
    _, now = play(one, steps, candidates)
    expected = sorted(each.site for each in candidates)
    assert sorted(one.rank(DB, candidates, now)) == expected
    assert sorted(one.rank_closest(DB, candidates, now)) == expected
    assert sorted(each.site for each in one.explain(DB, candidates, now)) == expected


@given(steps, candidates_of)
def test_higher_precedence_comes_first(steps, candidates):
    one = balancer()
    _, now = play(one, steps, candidates)
    by_site = {each.site: each for each in candidates}
    for ranking in (one.rank, one.rank_closest):
        bands = [by_site[site].precedence for site in ranking(DB, candidates, now)]
        assert bands == sorted(bands, reverse=True)


@given(steps, candidates_of)
def test_scores_are_durations(steps, candidates):
    one = balancer()
    _, now = play(one, steps, candidates)
    for each in one.explain(DB, candidates, now + 1e6):
        assert math.isfinite(each.score)
        assert each.score >= each.round_trip


@given(steps, candidates_of, st.data())
def test_failure_never_improves_a_score(steps, candidates, data):
    one = balancer()
    alive, now = play(one, steps, candidates)
    if not alive:
        alive = [one.start(DB, candidates[0], now)]
    work = data.draw(st.sampled_from(alive))
    mine = [work.candidate]
    site = work.candidate.site
    before = scores(one, mine, now)[site]
    one.fail(work, now)
    assert scores(one, mine, now)[site] > before


@given(st.lists(st.tuples(sites, st.integers(0, 8)), max_size=20), candidates_of)
def test_never_more_than_half_of_a_band_is_ejected(failures, candidates):
    one = balancer()
    by_site = {each.site: each for each in candidates}
    for site, times in failures:
        for _ in range(times if site in by_site else 0):
            one.fail(one.start(DB, by_site[site], LATER), LATER)
    out = {each.site for each in one.explain(DB, candidates, LATER) if each.ejected_for > 0}
    scored = scores(one, candidates, LATER)
    ranked = one.rank(DB, candidates, LATER)
    for band in {each.precedence for each in candidates}:
        of_band = [site for site in ranked if by_site[site].precedence == band]
        last = of_band[len(of_band) - min(len(out & {*of_band}), len(of_band) // 2) :]
        assert {*last} <= out
        # All others stand in the order of their scores, ejected or not.
        rest = [scored[site] for site in of_band[: len(of_band) - len(last)]]
        assert rest == sorted(rest)


@given(steps, candidates_of)
def test_flows_are_counted(steps, candidates):
    one = balancer()
    alive, now = play(one, steps, candidates)
    assert one.outstanding(DB) == Counter(each.candidate.site for each in alive)
    for work in alive:
        one.end(work, now)
    assert one.outstanding(DB) == {}
    for state in one._states.get(DB, {}).values():
        assert state.unopened == 0
        assert not state.unanswered


# -- choosing ------------------------------------------------------------------------------------


def test_nearest_comes_first_while_nothing_is_known():
    assert balancer().rank(DB, [FAR, NEAR], 0.0) == ["near", "far"]


def test_ties_spread_evenly():
    found = firsts(balancer(), [A, B, C], LATER, 3000)
    assert min(found[site] for site in "abc") > 900


def test_idle_far_site_beats_a_busy_near_one():
    one = balancer()
    know(one, NEAR, 0.02)
    know(one, FAR, 0.02)
    assert one.rank(DB, [NEAR, FAR], 0.05)[0] == "near"
    begin(one, NEAR, 0.05, load(20, 0.12))
    assert one.rank(DB, [NEAR, FAR], 0.06)[0] == "far"


def test_own_flows_since_a_report_count():
    one = balancer()
    for each in (A, B):
        know(one, each, 0.02, LATER - 50)
        know(one, each, 0.02, LATER)
    chosen: Counter[str] = Counter()
    for _ in range(20):
        site = one.rank(DB, [A, B], LATER + 0.02)[0]
        chosen[site] += 1
        one.start(DB, A if site == "a" else B, LATER + 0.02)
    assert chosen == {"a": 10, "b": 10}


def test_report_counts_what_had_come_there_and_not_what_is_on_its_way():
    one = balancer()
    first, _second = begin(one, A, LATER), begin(one, A, LATER)
    (found,) = one.explain(DB, [A], LATER)
    assert found.in_flight is None
    one.report(first, load(1, 0.02), LATER + 0.01)
    (found,) = one.explain(DB, [A], LATER + 0.01)
    assert found.in_flight == 2
    assert found.report_age == 0
    _third = begin(one, A, LATER + 0.02)
    assert one.explain(DB, [A], LATER + 0.02)[0].in_flight == 3
    one.end(first, LATER + 0.03)
    assert one.explain(DB, [A], LATER + 0.03)[0].in_flight == 2


def test_flow_of_which_nothing_is_told_counts_beside_what_was_told_before():
    one = balancer()
    first, second = begin(one, A, LATER), begin(one, A, LATER)
    one.report(first, load(1, 0.02), LATER + 0.01)
    one.report(second, None, LATER + 0.01)
    assert one.explain(DB, [A], LATER + 0.01)[0].in_flight == 2
    one.end(first, LATER + 0.02)
    assert one.explain(DB, [A], LATER + 0.02)[0].in_flight == 1
    one.report(begin(one, A, LATER + 0.03), load(5, 0.02), LATER + 0.04)
    assert one.explain(DB, [A], LATER + 0.04)[0].in_flight == 5


def test_weights_share_work_where_nothing_was_told():
    one = balancer()
    pair = [attrs.evolve(A, round_trip=0.0, weight=3), attrs.evolve(B, round_trip=0.0)]
    chosen: Counter[str] = Counter()
    for _ in range(400):
        site = one.rank(DB, pair, LATER)[0]
        chosen[site] += 1
        one.start(DB, pair[0] if site == "a" else pair[1], LATER)
    assert chosen["a"] == pytest.approx(300, abs=4)


def test_closest_ignores_how_busy_they_are():
    one = balancer()
    know(one, NEAR, 5.0)
    assert one.rank_closest(DB, [FAR, NEAR], 6.0) == ["near", "far"]
    assert [each.reason for each in one.explain(DB, [FAR, NEAR], 6.0, is_closest=True)] == [
        "chosen",
        "29.0 ms further",
    ]


def test_a_difference_that_nobody_can_measure_decides_nothing():
    one = balancer()
    pair = [A, attrs.evolve(B, round_trip=A.round_trip + 0.0001)]
    found = firsts(one, pair, LATER, 1000)
    assert min(found.values()) > 400
    begin(one, A, LATER, load(1, 0.02))
    one.report(begin(one, B, LATER), load(1, 0.02001), LATER)
    assert min(firsts(one, pair, LATER, 1000).values()) > 400


def test_of_two_that_answer_as_soon_the_one_with_the_cheaper_path_comes_first():
    one = balancer()
    pair = [attrs.evolve(A, cost=2), attrs.evolve(B, cost=1, round_trip=A.round_trip + 0.0005)]
    assert firsts(one, pair, LATER) == {"b": 300}


def hold(one: Balancer, candidate: Candidate, took: float, now: float) -> Work:
    """Let a flow be answered, and stay."""
    work = begin(one, candidate, now, load(0, 0.002, 0.002))
    one.response_started(work, now + took)
    return work


def test_flows_that_are_held_are_shared_by_number_where_the_curve_is_flat():
    one = balancer()
    by_site = {"a": A, "b": B, "c": C}
    for number in range(60):
        site = one.rank(DB, [A, B, C], LATER + number)[0]
        # To one of them the path is a little longer, and answers differ as they do.
        hold(
            one, by_site[site], 0.0120 + (site == "b") * 0.0005 + number % 3 / 1000, LATER + number
        )
    assert set(one.outstanding(DB).values()) <= {19, 20, 21}


def test_flows_that_are_held_are_shared_in_proportion_to_how_soon_sites_answer():
    one = balancer()
    for number in range(90):
        site = one.rank(DB, [A, B], LATER + number)[0]
        hold(one, A if site == "a" else B, 0.02 if site == "a" else 0.04, LATER + number)
    assert one.outstanding(DB)["a"] == pytest.approx(60, abs=4)


def test_flows_that_began_and_have_no_answer_yet_do_not_all_go_to_one_site():
    one = balancer()
    for each, delay in ((A, 0.0020), (B, 0.0024), (C, 0.0028)):
        one.end(hold(one, each, 0.012, LATER - 1), LATER - 1, load(0, delay, delay))
    for _ in range(60):
        site = one.rank(DB, [A, B, C], LATER)[0]
        begin(one, {"a": A, "b": B, "c": C}[site], LATER)
    assert min(one.outstanding(DB).values()) >= 15


def test_a_site_that_answers_soon_again_is_not_held_to_be_slow_for_long():
    one = balancer()
    for turn in range(20):
        one.end(hold(one, A, 7.0, LATER + turn), LATER + turn)
    for turn in range(8):
        one.end(hold(one, A, 0.02, LATER + 50 + turn), LATER + 50 + turn)
    assert one._states[DB]["a"].answers.typical < 0.2


def test_nothing_is_overdue_before_anybody_has_answered():
    one = balancer()
    by_site = {"a": A, "b": B, "c": C}
    for number in range(30):
        now = LATER + number
        begin(one, by_site[one.rank(DB, [A, B, C], now)[0]], now)
    assert set(one.outstanding(DB).values()) == {10}


def test_answers_that_came_together_are_one_round():
    times = AnswerTimes()
    for number in range(9):
        times.add(1.0, LATER + number / 100)
    assert times.rounds == 1
    for number in range(1, ENOUGH):
        assert not times.are_enough
        times.add(0.1, LATER + number)
    assert times.are_enough


def test_one_answer_in_four_that_is_late_does_not_count():
    times = AnswerTimes()
    for number in range(20):
        times.add(0.05 if number % 4 == 2 else 0.01, LATER + number)
    assert times.typical == pytest.approx(0.01)


def test_a_first_answer_that_met_a_pause_is_made_up_for_once_there_is_a_second():
    one, by_site, got = balancer(), {"a": A, "b": B}, ""
    hold(one, B, 5.0, LATER)
    for number in range(13):
        site = one.rank(DB, [A, B], LATER + 10 + number)[0]
        hold(one, by_site[site], 0.01, LATER + 10 + number)
        got += site
    assert {got.count("a"), got.count("b") + 1} <= {6, 7, 8}


@pytest.mark.parametrize(("second", "expected"), [(0.03, {"a", "c"}), (0.12, {"b"})])
def test_a_late_answer_tells_of_a_slow_site_unless_another_site_is_as_uneven(second, expected):
    one = balancer()
    for number, (site, took) in enumerate([(A, 0.03), (A, 0.03), (C, 0.03), (C, second)]):
        hold(one, site, took, LATER + number)
    hold(one, B, 0.11, LATER + 5)
    assert firsts(one, [A, B, C], LATER + 6).keys() == expected


def test_a_burst_that_is_late_does_not_unsay_an_answer_from_before_it():
    times = AnswerTimes()
    times.add(0.08, LATER, 0.15)
    assert times.error_of_few(times.typical, 1.0) == pytest.approx(0.012)
    times = AnswerTimes()
    times.add(0.08, LATER, 1.0)
    assert times.error_of_few(times.typical, 1.0) == pytest.approx(0.08)


def test_flows_that_wait_count_by_their_number_where_the_latest_have_stayed():
    one = balancer()
    for site in (A, B):
        for turn in range(9):
            hold(one, site, 0.02, LATER + turn / 10)
    # What waits at one was told to wait long for what came before it.
    for _ in range(4):
        one.report(begin(one, A, LATER + 1), load(13, 0.5), LATER + 1)
    assert firsts(one, [A, B], LATER + 1) == {"b": 300}
    for _ in range(8):
        begin(one, B, LATER + 1)
    assert firsts(one, [A, B], LATER + 1) == {"a": 300}


def test_a_site_that_leaves_flows_without_a_word_gets_no_part_of_those_that_stay():
    one = balancer()
    for _ in range(2):
        hold(one, B, 0.01, LATER)
        begin(one, A, LATER)
    for _ in range(5):
        assert one.rank(DB, [A, B], LATER + 1)[0] == "b"
        hold(one, B, 0.01, LATER + 1)


def test_why_a_site_with_many_flows_is_not_chosen_is_said():
    one = balancer()
    for turn in range(5):
        hold(one, A, 0.012, LATER + turn)
    hold(one, B, 0.012, LATER)
    _, found = one.explain(DB, [A, B], LATER + 10)
    assert found.site == "a"
    assert found.reason == "holds 5 flows from here already"
    assert found.held_delay > 0


def test_closest_is_what_costs_least_and_not_what_is_quickest():
    dear = Candidate("dear", 0.001, cost=100)
    cheap = Candidate("cheap", 0.05, cost=2)
    one = balancer()
    assert one.rank_closest(DB, [dear, cheap], LATER) == ["cheap", "dear"]
    assert [each.reason for each in one.explain(DB, [dear, cheap], LATER, is_closest=True)] == [
        "chosen",
        "its path costs 98 more",
    ]


def test_of_those_that_are_as_near_the_one_with_fewest_flows_is_closest():
    one = balancer()
    pair = [A, attrs.evolve(B, round_trip=A.round_trip + 0.0005)]
    for _ in range(20):
        site = one.rank_closest(DB, pair, LATER)[0]
        one.start(DB, pair[site == "b"], LATER)
    assert one.outstanding(DB) == {"a": 10, "b": 10}
    assert one.rank_closest(DB, [FAR, NEAR], LATER) == ["near", "far"]


def test_new_site_is_not_flooded():
    one = balancer()
    for each in (A, B):
        know(one, each, 0.02, LATER - 1)
    now = LATER
    chosen: Counter[str] = Counter()
    for turn in range(40):
        now = LATER + turn / 1000
        site = one.rank(DB, [A, B, C], now)[0]
        chosen[site] += 1
        one.start(DB, {"a": A, "b": B, "c": C}[site], now)
    assert 1 <= chosen["c"] <= 14


# -- slow sites ----------------------------------------------------------------------------------


def test_overdue_request_moves_flows_away():
    one = balancer()
    for each in (NEAR, FAR):
        know(one, each, 0.02, LATER - 50)
        know(one, each, 0.02, LATER)
    begin(one, NEAR, LATER + 0.1)
    assert one.rank(DB, [NEAR, FAR], LATER + 0.11)[0] == "near"
    assert one.rank(DB, [NEAR, FAR], LATER + 0.6)[0] == "far"
    *_, found = one.explain(DB, [NEAR, FAR], LATER + 0.6)
    assert found.overdue == pytest.approx(0.5)
    assert found.reason == "a request has waited there for 0.5 s"


def test_long_request_that_others_overtake_is_no_evidence():
    one = balancer()
    know(one, NEAR, 0.02, LATER)
    begin(one, NEAR, LATER + 0.1)
    quick = begin(one, NEAR, LATER + 0.11)
    one.response_started(quick, LATER + 0.13)
    one.end(quick, LATER + 0.13, load(1, 0.02))
    assert one.explain(DB, [NEAR, FAR], LATER + 30)[0].overdue == 0


def test_request_without_an_answer_is_given_up():
    one = balancer()
    begin(one, A, LATER)
    assert one.explain(DB, [A], LATER + GIVE_UP - 1)[0].overdue > 0
    assert one.explain(DB, [A], LATER + GIVE_UP)[0].overdue == 0


@pytest.mark.parametrize("slow", [0.1, 1.0, 10.0])
def test_slow_site_is_tried_again_though_others_are_well(slow):
    one = balancer()
    now = LATER
    for _ in range(50):
        know(one, A, slow, now)
    tried: list[float] = []
    while len(tried) < 3 and now < LATER + 1000 * slow:
        now += slow / 10
        know(one, B, 0.02, now)
        site = one.rank(DB, [A, B], now)[0]
        if site == "a":
            tried.append(now)
            know(one, A, slow, now)
            now += slow
    assert len(tried) == 3
    # Not too often, either: that costs whoever is sent there.
    assert tried[1] - tried[0] > 1


@pytest.mark.parametrize("slow", [0.4, 4.0])
def test_site_that_recovered_is_used_again(slow):
    one = balancer()
    now = LATER
    for _ in range(50):
        know(one, A, slow, now)
    recovered_at = now
    chosen: list[tuple[float, str]] = []
    while now < recovered_at + 60 * slow:
        now += 0.02
        site = one.rank(DB, [A, B], now)[0]
        chosen.append((now, site))
        know(one, A if site == "a" else B, 0.02, now)
    late = Counter(site for at, site in chosen if at > now - 2)
    assert late["a"] > 10


def test_report_of_far_less_than_usual_is_believed_for_longer_than_what_was_usual():
    one = balancer()
    for turn in range(50):
        know(one, A, 4.0, LATER + turn)
    know(one, A, 0.02, LATER + 50)
    (found,) = one.explain(DB, [A], LATER + 51)
    assert found.expected_delay < 0.05


def test_slow_site_is_left_alone_while_a_request_waits_there():
    one = balancer()
    know(one, A, 1.0, LATER)
    begin(one, A, LATER + 1)
    for turn in range(50):
        know(one, B, 0.02, LATER + 1 + turn)
        assert one.rank(DB, [A, B], LATER + 1 + turn)[0] == "b"


def test_own_delays_count_where_the_site_tells_none():
    one = balancer()
    for turn in range(20):
        work = begin(one, A, LATER + turn, load(0, 0.0))
        one.response_started(work, LATER + turn + 0.9)
        one.end(work, LATER + turn + 0.9, load(0, 0.0))
    assert scores(one, [A], LATER + 20)["a"] > 0.5
    assert scores(one, [A], LATER + 60)["a"] < 0.1


# -- failures ------------------------------------------------------------------------------------


def test_site_that_refuses_is_no_sinkhole():
    one = balancer()
    know(one, FAR, 0.02, LATER)
    one.fail(one.start(DB, NEAR, LATER), LATER + 0.001)
    assert one.rank(DB, [NEAR, FAR], LATER + 0.002)[0] == "far"
    (*_, found) = one.explain(DB, [NEAR, FAR], LATER + 0.002)
    assert found.reason == "a flow failed there 1 times of late"


def test_failure_is_forgiven():
    one = balancer()
    one.fail(one.start(DB, NEAR, LATER), LATER)
    assert one.rank(DB, [NEAR, FAR], LATER + 30)[0] == "near"


def fail(one: Balancer, candidate: Candidate, times: int, now: float) -> None:
    for _ in range(times):
        one.fail(one.start(DB, candidate, now), now)


def test_repeated_failures_eject_for_longer_and_longer():
    one = balancer()
    fail(one, A, EJECT_AFTER - 1, LATER)
    assert one.explain(DB, [A, B], LATER)[1].ejected_for == 0
    fail(one, A, 1, LATER)
    assert one.explain(DB, [A, B], LATER)[1].ejected_for == EJECTION
    fail(one, A, 1, LATER)
    assert one.explain(DB, [A, B], LATER)[1].ejected_for == 2 * EJECTION
    fail(one, A, 100, LATER)
    found = one.explain(DB, [A, B], LATER)[1]
    assert found.ejected_for == MAX_EJECTION
    assert "times in a row: out for another 30.0 s" in found.reason


def test_a_site_that_says_nothing_comes_after_those_of_a_lower_precedence():
    one, now = balancer(), LATER
    better = attrs.evolve(NEAR, precedence=200)
    for lasts in (SILENCE, 2 * SILENCE, 4 * SILENCE, MAX_SILENCE, MAX_SILENCE):
        one.fail(one.start(DB, better, now), now, is_silent=True)
        assert one.rank(DB, [better, FAR], now + lasts - 0.1) == ["far", "near"]
        assert one.rank_closest(DB, [better, FAR], now + lasts - 0.1) == ["far", "near"]
        assert "said nothing" in one.explain(DB, [better, FAR], now)[1].reason
        now += lasts
        assert one.rank(DB, [better, FAR], now) == ["near", "far"]
    one.fail(one.start(DB, better, now), now, is_silent=True)
    one.report(one.start(DB, better, now), load(1, 0.01), now)
    assert one.rank(DB, [better, FAR], now) == ["near", "far"]
    one.fail(one.start(DB, better, now), now, is_silent=True)
    assert one.rank(DB, [better, FAR], now + SILENCE - 0.1) == ["far", "near"]
    assert one.rank(DB, [better, FAR], now + SILENCE) == ["near", "far"]


def test_ejected_site_comes_last_even_where_it_is_closest():
    one = balancer()
    fail(one, NEAR, EJECT_AFTER, LATER)
    assert one.rank_closest(DB, [NEAR, FAR], LATER) == ["far", "near"]
    assert one.rank_closest(DB, [NEAR, FAR], LATER + EJECTION) == ["near", "far"]


def test_of_three_ejected_out_of_four_the_best_keeps_its_place():
    one = balancer()
    remote = Candidate("remote", 1000.0)
    for each in (A, B, C):
        fail(one, each, EJECT_AFTER, LATER)
    first, second, *others = one.rank(DB, [A, B, C, remote], LATER)
    assert first in "abc"
    assert second == "remote"
    assert {first, *others} == {*"abc"}


def test_success_ends_a_row_of_failures():
    one = balancer()
    fail(one, A, EJECT_AFTER - 1, LATER)
    know(one, A, 0.02, LATER)
    fail(one, A, EJECT_AFTER - 1, LATER)
    assert all(each.ejected_for == 0 for each in one.explain(DB, [A, B], LATER))


# -- what is kept --------------------------------------------------------------------------------


def test_addresses_are_kept_apart():
    one = balancer()
    begin(one, A, 0.0)
    assert one.outstanding(DB) == {"a": 1}
    assert one.outstanding(WEB) == {}


def test_forget_bounds_memory():
    one = balancer()
    for turn in range(100):
        know(one, Candidate(f"site-{turn}", 0.01), 0.02, turn)
        one.forget(DB, {f"site-{turn}", f"site-{turn - 1}"})
        assert len(one._states[DB]) <= 2
    one.forget(DB, set())
    assert not one._states


def test_what_nobody_serves_any_more_is_forgotten():
    one = balancer()
    know(one, A, 0.02, 0.0)
    one.forget_all_but({DB})
    assert DB in one._states
    one.forget_all_but(set())
    assert not one._states


def test_flow_may_end_at_a_site_that_was_forgotten():
    one = balancer()
    work, other = begin(one, A, 0.0), begin(one, A, 0.0)
    one.forget(DB, set())
    one.report(work, load(1, 0.02), 1.0)
    one.response_started(work, 1.0)
    one.end(work, 1.0, load(0, 0.02))
    one.fail(other, 1.0)
    assert one.outstanding(DB) == {}


def test_second_request_of_a_flow_is_waited_for_anew():
    one = balancer()
    work = begin(one, A, LATER, load(0, 0.02))
    one.response_started(work, LATER + 0.02)
    assert one.explain(DB, [A], LATER + 50)[0].overdue == 0
    one.request_sent(work, LATER + 50)
    assert one.explain(DB, [A], LATER + 51)[0].overdue == pytest.approx(1)


@given(steps, candidates_of)
def test_all_but_the_chosen_have_a_reason(steps, candidates):
    one = balancer()
    _, now = play(one, steps, candidates)
    first, *others = one.explain(DB, candidates, now)
    assert first.reason == "chosen"
    assert all(each.reason and each.reason != "chosen" for each in others)
