"""What an instance makes of its flows, and a connector of its target."""

import attrs
import pytest

from van.config import ConnectorConfig
from van.names import Address, Endpoint, UnixPath
from van.router.egress.connector import IDLE, LOOK_INTERVAL, SHORT_LIFE, Connector, Served
from van.router.flow.table import Flow
from van.wire.channel import Report

REPORT = Report(0, 0.0, 0.0)
ADDRESS = Address("db", 1)


@attrs.define
class Meter:
    """A flow's carrier that has moved so many bytes."""

    passed: int = 0

    def meter(self) -> tuple[int, int]:
        return self.passed, self.passed

    def abort(self, detail: str, /) -> None:
        raise AssertionError(detail)


def connector(target="127.0.0.1:1", **terms):
    host, _, port = target.rpartition(":")
    return Connector(ConnectorConfig("tcp", ADDRESS, Endpoint(host, int(port)), **terms), True)


def flow(passed=0):
    found = Flow("f", "egress", "tcp", "db:1", "", "", 0.0)
    found.carrying = Meter(passed)
    return found


def test_a_request_is_timed_from_what_it_found_to_the_first_of_its_answer():
    (instance,) = connector().instances
    instance._looked_at = 10.0
    first, second = flow(), flow()
    for each in (first, second):
        instance.began(each)
    assert instance.request_sent(first, 10.0) == 1.0  # the other one
    instance.response_started(first, 1.0, 10.3)
    assert instance.curve.expected(1.0) == pytest.approx(0.3)
    instance.response_started(first, 1.0, 99.0)  # more of the same answer
    assert instance.curve.expected(1.0) == pytest.approx(0.3)


def test_flows_that_do_nothing_count_for_a_tenth_and_those_that_wait_in_full():
    (instance,) = connector().instances
    now = 10.0
    instance._looked_at = now
    quiet, waiting, moving = flow(5), flow(5), flow(5)
    for each in (quiet, waiting, moving):
        instance.began(each)
        each.passed = 10  # in both directions
    assert instance.work(now) == 3.0  # they are new
    instance.request_sent(waiting, now)
    moving.carrying.passed = 6
    later = now + LOOK_INTERVAL + 0.1
    assert instance.work(later) == pytest.approx(2 + IDLE)
    assert instance.request_sent(quiet, later) == pytest.approx(2.0)
    assert instance.work(later) == pytest.approx(3.0)
    for each in (quiet, waiting, moving):
        instance.ended(each)
    assert instance.work(later) == 0.0
    assert instance.flows == 0


def test_an_old_request_without_an_answer_is_reported():
    (instance,) = connector().instances
    instance._looked_at = 10.0
    instance.curve.sample(0.0, 0.1)
    stuck = flow()
    instance.began(stuck)
    instance.request_sent(stuck, 10.0)
    assert instance.load(10.1).expected_delay == pytest.approx(0.2)
    assert instance.load(12.0).expected_delay == pytest.approx(2.0)


def test_a_weight_makes_an_instance_look_so_much_quicker():
    loads = []
    for weight in (1, 4):
        (instance,) = connector(weight=weight).instances
        instance.curve.sample(0.0, 0.4)
        loads.append(instance.load(0.0).expected_delay)
    assert loads == [pytest.approx(0.4), pytest.approx(0.1)]


@pytest.mark.parametrize(
    ("said", "lived", "is_learned"),
    [(1, 0.5, True), (0, 0.5, False), (1, SHORT_LIFE + 0.5, False)],
    ids=["short", "without a word", "long"],
)
def test_a_short_life_counts_as_the_delay_where_nobody_saw_a_request(
    said, lived, is_learned, monkeypatch
):
    (instance,) = connector().instances
    clock = iter([10.0, 10.0 + lived])
    served = None
    monkeypatch.setattr("van.router.egress.connector.time.monotonic", lambda: next(clock))
    served = Served(instance, flow(said), lambda: REPORT)
    served.over()
    assert instance.curve.is_empty is not is_learned
    served.over()  # once is enough
    assert instance.flows == 0


def test_a_host_name_stands_for_an_instance_at_each_of_its_addresses():
    named = connector("db.example:1")
    assert named.instances == []
    assert not named.is_ready
    one, two, three = (Endpoint(f"10.0.0.{n}", 1) for n in (1, 2, 3))
    assert named.resolved([one, two, one])
    assert [each.place for each in named.instances] == [one, two]
    assert named.is_ready
    kept = named.instances[1]
    assert not named.resolved([two, one])
    assert named.resolved([two, three])
    assert [each.place for each in named.instances] == [two, three]
    assert named.instances[0] is kept


def test_a_connector_is_ready_as_long_as_one_instance_is_well():
    named = connector("db.example:1")
    named.resolved([Endpoint("10.0.0.1", 1), Endpoint("10.0.0.2", 1)])
    first, second = named.instances
    first.failure = "connection refused"
    assert named.is_ready
    assert list(named.ready_instances()) == [second]
    second.failure = "no answer in 3 s"
    assert not named.is_ready
    assert named.status().state == "failing"
    assert "connection refused" in named.status().detail


def test_a_socket_of_the_file_system_needs_no_looking_up():
    config = ConnectorConfig("tcp", ADDRESS, UnixPath("/run/db.sock"))
    found = Connector(config, is_allowed=True)
    assert [each.place for each in found.instances] == [UnixPath("/run/db.sock")]
    assert found.status().target == "unix:/run/db.sock"
