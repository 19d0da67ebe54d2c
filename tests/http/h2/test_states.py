import pytest

from van.http.h2.states import (
    RECEIVED_BY_CLIENT,
    RECEIVED_BY_SERVER,
    SENT,
    Part,
    Phase,
    Verdict,
)

TABLES = {"server": RECEIVED_BY_SERVER, "client": RECEIVED_BY_CLIENT, "sent": SENT}
HEADS = (Part.INFORMATIONAL, Part.HEADERS, Part.HEADERS_END)
BODIES = (Part.DATA, Part.DATA_END)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_part_is_decided_in_every_phase(table):
    assert len(table) == len(Phase)
    for row in table:
        assert len(row) == len(Part)
        assert all(isinstance(outcome, Phase | Verdict) for outcome in row)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("phase", Phase)
def test_no_part_leads_back(table, phase):
    for outcome in table[phase]:
        assert outcome < 0 or outcome >= phase


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("phase", [Phase.ENDED, Phase.CLOSED, Phase.RESET])
def test_nothing_of_a_message_comes_behind_its_end(table, phase):
    assert all(table[phase][part] < 0 for part in HEADS + BODIES)


@pytest.mark.parametrize("received", [RECEIVED_BY_SERVER, RECEIVED_BY_CLIENT])
def test_whatever_one_end_may_send_the_other_may_receive(received):
    begin = Phase.IDLE if received is RECEIVED_BY_SERVER else Phase.HEAD
    pairs, seen = [(begin, begin)], set()
    while pairs:
        sending, receiving = pair = pairs.pop()
        if pair in seen:
            continue
        seen.add(pair)
        for part in HEADS + BODIES:
            if (after := SENT[sending][part]) >= 0:
                there = received[receiving][part]
                assert there == after, (part, sending, receiving)
                pairs.append((Phase(after), Phase(there)))
    assert (Phase.ENDED, Phase.ENDED) in seen


def test_what_comes_of_a_stream_that_we_reset_is_ignored():
    for table in (RECEIVED_BY_SERVER, RECEIVED_BY_CLIENT):
        assert set(table[Phase.RESET]) == {Verdict.IGNORED}
