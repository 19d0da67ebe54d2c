"""A connector of a target, and the instances behind it."""

import pytest

from tests.router.egress.examples import ADDRESS, connector
from van.config import ConnectorConfig
from van.names import Endpoint, UnixPath
from van.router.egress.connector import Connector
from van.router.egress.instance import ALL_WELL, Finding, Verdict


def test_a_weight_makes_an_instance_look_so_much_quicker():
    loads = []
    for weight in (1, 4):
        (instance,) = connector(weight=weight).instances
        instance.backlog.curve.sample(0.0, 0.4)
        loads.append(instance.load(0.0).expected_delay)
    assert loads == [pytest.approx(0.4), pytest.approx(0.1)]


def test_a_host_name_stands_for_an_instance_at_each_of_its_addresses():
    named = connector("db.example:1")
    assert named.instances == []
    assert not named.is_ready
    one, two, three = (Endpoint(f"10.0.0.{n}", 1) for n in (1, 2, 3))
    assert named.resolved([one, two, one])
    assert [each.place for each in named.instances] == [one, two]
    assert named.status(0.0).state == "unknown"
    kept = named.instances[1]
    assert not named.resolved([two, one])
    assert named.resolved([two, three])
    assert [each.place for each in named.instances] == [two, three]
    assert named.instances[0] is kept


def test_a_connector_is_ready_as_long_as_one_instance_is_well():
    named = connector("db.example:1")
    named.resolved([Endpoint("10.0.0.1", 1), Endpoint("10.0.0.2", 1)])
    first, second = named.instances
    first.receive(Finding(Verdict.FAILED, "connection refused"))
    assert not named.is_ready
    second.receive(ALL_WELL)
    assert named.is_ready
    assert named.ready_instances() == [second]
    second.receive(Finding(Verdict.SILENT, "no answer in 3 s"))
    assert named.is_ready
    assert (named.status(0.0).state, named.status(0.0).detail) == ("slow", "no answer in 3 s")
    second.receive(Finding(Verdict.FAILED, "no route to host"))
    assert not named.is_ready
    assert (named.status(0.0).state, named.status(0.0).detail) == ("failing", "connection refused")


def test_a_socket_of_the_file_system_needs_no_looking_up():
    config = ConnectorConfig("tcp", ADDRESS, UnixPath("/run/db.sock"))
    found = Connector(config, is_allowed=True)
    assert [each.place for each in found.instances] == [UnixPath("/run/db.sock")]
    assert found.status(0.0).target == "unix:/run/db.sock"
