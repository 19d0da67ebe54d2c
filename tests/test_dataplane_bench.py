"""The benchmark of the data plane, so that it still runs when somebody wants its figures."""

from benchmarks.dataplane.__main__ import describe
from benchmarks.dataplane.reach import judge
from benchmarks.dataplane.runs import Plan, measure


def test_a_round_trip_is_measured_with_and_without_van():
    plan = Plan(("direct", "van"), ("rtt",), repetitions=1, seconds=0.1, hops=(1,))
    ((part, figures),) = measure(plan)
    assert part == "one hop"
    wake_ups = "round trip, wake-ups"
    assert figures.keys() == {"round trip p50, µs", "round trip p99, µs", wake_ups}
    for what, values in figures.items():
        assert values.keys() == ({"van"} if what == wake_ups else {"direct", "van"})
        assert all(len(each) == 1 and each[0] > 0 for each in values.values())
    assert [len(line) for line in describe(figures, plan.contenders)] == [3, 3, 3]


def test_what_was_not_measured_is_not_judged():
    figures = {"round trip p50, µs": {"van": [90.0], "nginx": [120.0]}}
    lines = {what: rest for what, *rest in judge({"one hop": figures})}
    assert lines.pop("round trip p50, µs: of the best proxy's") == ["≤ 0.8", "0.75", "yes"]
    assert all(rest[1:] == ["–", "–"] for rest in lines.values())
