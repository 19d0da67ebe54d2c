"""What is found out of an instance, and what follows from it."""

import errno
import os

import pytest

from tests.router.egress.examples import connector
from van.router.egress.instance import ALL_WELL, FOLLOWS, Condition, Finding, Verdict, judge


@pytest.mark.parametrize("condition", Condition)
def test_every_finding_is_decided_in_every_condition(condition):
    assert FOLLOWS[condition].keys() == set(Verdict)


@pytest.mark.parametrize("condition", Condition)
def test_neither_silence_nor_a_lack_of_means_changes_whether_an_instance_is_used(condition):
    for verdict in (Verdict.SILENT, Verdict.UNASKED):
        before, after = connector().instances[0], connector().instances[0]
        before.condition = after.condition = condition
        after.receive(Finding(verdict, "so it is"))
        assert after.is_usable == before.is_usable


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (errno.ECONNREFUSED, Verdict.FAILED),
        (errno.EHOSTUNREACH, Verdict.FAILED),
        (errno.ENETUNREACH, Verdict.FAILED),
        (errno.ENOENT, Verdict.FAILED),
        (errno.EACCES, Verdict.FAILED),
        (errno.ETIMEDOUT, Verdict.SILENT),
        (errno.ECONNRESET, Verdict.WELL),
        (errno.EPIPE, Verdict.WELL),
        (errno.EADDRNOTAVAIL, Verdict.UNASKED),
        (errno.EMFILE, Verdict.UNASKED),
        (errno.ENFILE, Verdict.UNASKED),
        (errno.ENOBUFS, Verdict.UNASKED),
        (errno.ENOMEM, Verdict.UNASKED),
        (errno.EAGAIN, Verdict.UNASKED),
    ],
    ids=errno.errorcode.get,
)
def test_an_error_code_says_of_an_instance_what_the_kernel_means_by_it(code, verdict):
    assert judge(OSError(code, os.strerror(code))).verdict is verdict


def test_an_instance_is_unknown_until_something_is_found_out():
    (instance,) = connector().instances
    assert instance.is_new
    assert not instance.is_usable
    instance.receive(Finding(Verdict.SILENT, "no answer in 2 s"))
    assert not instance.is_usable
    assert not instance.is_new
    instance.receive(ALL_WELL)
    assert instance.is_well
    assert instance.why == ""
