"""Connectors, flows, and a site that has them, as the tests of the egress want them."""

import attrs

from van.config import ConnectorConfig
from van.names import Address, Endpoint
from van.router.egress.connector import Connector
from van.router.flow.table import Flow
from van.wire.channel import Report

ADDRESS = Address("db", 1)


@attrs.define
class Meter:
    """A flow's carrier that has moved so many bytes."""

    passed: int = 0

    def meter(self) -> tuple[int, int]:
        return self.passed, self.passed

    def abort(self, detail: str, /) -> None:
        raise AssertionError(detail)


@attrs.define
class IdleSite:
    """A site whose targets have nothing to do; keeps what refused."""

    refusals: list[str] = attrs.field(factory=list)

    def report(self, service):
        return Report(0, 0.0, 0.0)

    def refused(self, instance, why):
        self.refusals.append(why)


def connector(target="127.0.0.1:1", **terms):
    host, _, port = target.rpartition(":")
    return Connector(ConnectorConfig("tcp", ADDRESS, Endpoint(host, int(port)), **terms), True)


def flow(passed=0):
    found = Flow("f", "egress", "tcp", "db:1", "", "", 0.0)
    found.carrying = Meter(passed)
    return found
