"""Two other parsers agree on all that is well formed, and take all else that is taken here, and as
the same."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.h1.conversations import hear
from tests.http.h1.messages import METHODS, Message, answers, changed, changes, requests
from tests.http.h1.oracles import (
    Read,
    answer_by_h11,
    answer_by_httptools,
    request_by_h11,
    request_by_httptools,
)
from tests.http.h1.probes import ANSWERS, REQUESTS, request
from van.http.h1.body import ChunkedBody, body_of
from van.http.h1.request import RequestHead, parse_request
from van.http.h1.response import ResponseHead, parse_response
from van.http.problems import MessageRefused

REQUEST_ORACLES = {"h11": request_by_h11, "httptools": request_by_httptools}
ANSWER_ORACLES = {"h11": answer_by_h11, "httptools": answer_by_httptools}


def fields_of(lines: bytes) -> tuple[tuple[bytes, bytes], ...]:
    pairs = (line.partition(b":") for line in lines.split(b"\r\n") if line)
    return tuple((name.lower(), value.strip(b" \t")) for name, _, value in pairs)


def read_here(data: bytes, *, is_answer: bool = False) -> Read | None:
    """Read the first message, as the oracles do."""
    head: RequestHead | ResponseHead | None
    start: tuple[bytes, ...]
    payload: list[memoryview] = []
    try:
        if is_answer:
            head = parse_response(data, b"GET")
            start = () if head is None else (b"%d" % head.status,)
        else:
            head = parse_request(data)
            start = () if head is None else (head.method, head.target)
        if head is None:
            return None
        body = body_of(head.framing, head.length, 400)
        body.feed(data, len(head.raw), payload)
    except MessageRefused:
        return None
    if not body.is_over:
        return None
    trailers = body.trailers if isinstance(body, ChunkedBody) else b""
    lines = head.raw.partition(b"\r\n")[2]
    return Read(start, fields_of(lines), b"".join(payload), fields_of(trailers))


def meant(message: Message) -> Read:
    """Return what a message means, to whoever has read it."""
    lower = tuple((name.lower(), value) for name, value in message.fields)
    trailers = tuple((name.lower(), value) for name, value in message.trailers)
    return Read(message.start, lower, message.payload, trailers)


@given(requests())
def test_requests_are_read_as_they_are_meant(message):
    assert read_here(message.data) == meant(message)
    assert hear(message.data).status is None


@given(answers())
def test_answers_are_read_as_they_are_meant(message):
    assert read_here(message.data, is_answer=True) == meant(message)


@pytest.mark.parametrize("oracle", REQUEST_ORACLES.values(), ids=REQUEST_ORACLES)
@given(message=requests())
def test_oracles_agree_on_requests_that_are_well_formed(oracle, message):
    assert oracle(message.data) == meant(message)


@pytest.mark.parametrize("oracle", ANSWER_ORACLES.values(), ids=ANSWER_ORACLES)
@given(message=answers())
def test_oracles_agree_on_answers_that_are_well_formed(oracle, message):
    assert oracle(message.data) == meant(message)


@pytest.mark.parametrize("oracle", REQUEST_ORACLES.values(), ids=REQUEST_ORACLES)
@given(message=requests(), steps=st.lists(changes, min_size=1, max_size=3))
def test_no_request_is_taken_that_an_oracle_refuses_or_reads_differently(oracle, message, steps):
    data = changed(message.data, steps)
    here = read_here(data)
    if here is None or (oracle is request_by_httptools and here.start[0] not in METHODS):
        return
    assert oracle(data) == here


@pytest.mark.parametrize("oracle", ANSWER_ORACLES.values(), ids=ANSWER_ORACLES)
@given(message=answers(), steps=st.lists(changes, min_size=1, max_size=3))
def test_no_answer_is_taken_that_an_oracle_refuses_or_reads_differently(oracle, message, steps):
    data = changed(message.data, steps)
    here = read_here(data, is_answer=True)
    if here is not None:
        assert oracle(data) == here


def test_probes_are_such_that_others_take_some():
    """Else they would probe little."""
    taken: Counter[str] = Counter()
    for name, oracle in REQUEST_ORACLES.items():
        taken[name] = sum(oracle(data) is not None for _, _, data in REQUESTS)
    for name, oracle in ANSWER_ORACLES.items():
        taken[name] += sum(oracle(data) is not None for _, _, data in ANSWERS)
    print(taken)
    assert min(taken.values()) > 20
    assert request_by_h11(request()) is not None
