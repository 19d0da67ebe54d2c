"""What the benchmark of the data plane reads of other programs, as these write it."""

from benchmarks.dataplane.system_calls import EVENT, read_perf, read_strace
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
