"""Answers that are made here say what is wrong, in a form that programs read."""

import json

import pytest

from tests.http.h1.conversations import response_head
from van.http.h1.forwarding import encode_problem
from van.http.problems import MessageRefused, Problem
from van.http.semantics import REASONS


@pytest.mark.parametrize("status", REASONS)
def test_a_problem_is_told_in_json(status):
    data = encode_problem(Problem(status, 'no "instance"\x00', retry_after=3), b"X: 1\r\n")
    head = response_head(data)
    assert head.status == status
    assert b"\r\ncontent-type: application/problem+json\r\n" in head.raw
    assert b"\r\nretry-after: 3\r\n" in head.raw
    assert b"\r\nX: 1\r\n" in head.raw
    body = data[len(head.raw) :]
    assert head.length == len(body)
    assert json.loads(body) == {
        "title": REASONS[status],
        "status": status,
        "detail": 'no "instance"\x00',
    }


def test_a_refusal_becomes_a_problem():
    assert MessageRefused(431, "too much").problem == Problem(431, "too much")


def test_only_statuses_of_ones_own_are_told():
    with pytest.raises(ValueError, match="200"):
        Problem(200, "fine")
