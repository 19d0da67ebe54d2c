"""What the benchmark of the data plane reads, delays, and judges."""

import pytest

from benchmarks.dataplane.reach import judge
from benchmarks.dataplane.system_calls import EVENT, read_perf, read_strace
from benchmarks.dataplane.wire import Lane
from lab.usage import read_voluntary_switches

PERF = """\
# started on Sun Nov 29 18:33:31 2026

7009,,raw_syscalls:sys_enter,100734250,100.00,,
"""
STRACE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 33.70    0.000062           2        30        13 openat
 19.02    0.000035           1        21           mmap
  0.00    0.000000           0         1         1 access
------ ----------- ----------- --------- --------- ----------------
100.00    0.000097           1        52        14 total
"""
STATUS = """\
Name:\tpython3
Cpus_allowed_list:\t0-1
voluntary_ctxt_switches:\t1021
nonvoluntary_ctxt_switches:\t77
"""


def test_perf_tells_how_many_calls_there_were():
    assert read_perf(PERF) == 7009


def test_what_perf_has_not_counted_is_none():
    assert read_perf(f"<not counted>,,{EVENT},0,100.00,,\n") == 0


def test_calls_that_strace_saw_fail_are_counted_once_and_the_total_not_at_all():
    assert read_strace(STRACE) == 52


def test_a_process_that_made_no_calls_has_no_table():
    assert read_strace("") == 0


def test_only_switches_of_a_threads_own_will_are_counted():
    assert read_voluntary_switches(STATUS) == 1021


@pytest.fixture
def lane():
    return Lane(delay=0.5, rate=100.0, longest_queue=2.0)


def test_a_packet_comes_out_after_the_delay_and_the_time_that_it_takes_to_go_in(lane):
    lane.put(b"x" * 100, now=0.0)
    assert lane.next_due() == 1.5
    assert list(lane.take(now=1.4)) == []
    assert list(lane.take(now=1.5)) == [b"x" * 100]
    assert lane.next_due() is None


def test_packets_of_one_moment_come_out_one_after_the_other(lane):
    for letter in (b"a", b"b"):
        lane.put(letter * 50, now=0.0)
    assert list(lane.take(now=1.0)) == [b"a" * 50]
    assert list(lane.take(now=1.5)) == [b"b" * 50]


def test_a_packet_that_would_wait_for_too_long_is_dropped(lane):
    taken = [lane.put(bytes(100), now=0.0) for _ in range(4)]
    assert taken == [True, True, True, False]
    assert lane.put(bytes(100), now=1.0)


@pytest.mark.parametrize(
    ("part", "what", "others", "van", "line"),
    [
        (
            "one hop",
            "bulk 1, Gbit/s",
            {"nginx": 4.0, "envoy": 8.0},
            6.0,
            ("bulk 1, Gbit/s: of the best but Envoy's", "≥ 1", "1.5", "yes"),
        ),
        (
            "one hop",
            "new connections/s",
            {"nginx": 1000.0, "envoy": 4000.0},
            5000.0,
            ("new connections/s: of the best proxy's", "≥ 1.3", "1.25", "no"),
        ),
        (
            "one hop",
            "HTTP 16, system calls per request, exit",
            {"nginx": 5.0},
            2.7,
            ("HTTP 16, system calls per request, of the router with most", "≤ 2.6", "2.7", "no"),
        ),
        (
            "long path",
            "bbr, 1 % lost: new connections, p99 ms",
            {"direct": 1000.0},
            100.0,
            (
                "bbr, 1 % lost: new connections, p99 ms: of connections of their own",
                "≤ 0.2",
                "0.1",
                "yes",
            ),
        ),
    ],
)
def test_what_was_measured_is_judged(part, what, others, van, line):
    values = {name: [value] for name, value in (others | {"van": van}).items()}
    judged = [each for each in judge({part: {what: values}}) if each[2] != "–"]
    assert judged == [line]
