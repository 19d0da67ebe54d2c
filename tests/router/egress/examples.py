"""Connectors, flows, and a site that has them, as the tests of the egress want them."""

import time

import attrs

from lab.limits import FAST
from van.config import ConnectorConfig
from van.names import Address, Endpoint
from van.router.egress.connector import Connector
from van.router.egress.health import Health
from van.router.egress.targets import Targets
from van.router.flow.flow import Flow
from van.router.reactor.supervisor import Defects, Tasks
from van.router.site.access import Access
from van.router.site.trust import Trust
from van.router.telemetry.events import EventLog
from van.tls.credentials import Credentials

ADDRESS = Address("db", 1)


@attrs.define
class Meter:
    """A flow's carrier that has moved so many bytes."""

    passed: int = 0

    def meter(self) -> tuple[int, int]:
        return self.passed, self.passed

    def abort(self, detail: str, /) -> None:
        raise AssertionError(detail)


def targets(nursery, clock=time.monotonic):
    """Return those of a site that has none."""
    health = Health(EventLog(), FAST, Tasks(nursery, Defects()))
    return Targets(health, FAST, clock, Access(Trust(Credentials.create("here"))))


def connector(target="127.0.0.1:1", **terms):
    host, _, port = target.rpartition(":")
    return Connector(ConnectorConfig("tcp", ADDRESS, Endpoint(host, int(port)), **terms), True)


def flow(passed=0):
    found = Flow("f", "egress", "tcp", "db:1", "", "", 0.0)
    found.carrying = Meter(passed)
    return found
