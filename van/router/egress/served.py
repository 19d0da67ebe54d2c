"""One flow at the instance, or the instances, that have it."""

from typing import Final

from van.router.egress.backlog import BUSY, SPACING
from van.router.egress.instance import Instance
from van.router.egress.targets import Targets
from van.router.flow.flow import Flow
from van.router.flow.observer import ExchangeObserver
from van.wire.channel import Report

SHORT_LIFE: Final = 1.0
"""Seconds: a flow that lived no longer has most likely carried one request."""


class Served(ExchangeObserver):
    """One flow at an instance, for what carries it there: counts it, and learns from it.

    What is told of it is in the event loop's thread. `over` may be called more than once.
    """

    __slots__ = (
        "_backlog", "_began_at", "_clock", "_flow", "_found", "_has_asked", "_is_followed",
        "_is_over", "_targets", "instance", "report",
    )  # fmt: skip

    def __init__(self, targets: Targets, instance: Instance, flow: Flow) -> None:
        self.instance = instance
        self._targets = targets
        self._backlog = instance.backlog
        self._flow = flow
        self._clock = targets.clock
        self._began_at = self._clock()
        self._found = self._backlog.work(self._began_at)
        self._has_asked = False
        self._is_followed = False
        self._is_over = False
        self._backlog.add(flow)
        self.report = targets.report(instance.connector.service, flow.peer_site, self._began_at)
        """What was to be reported of the address last: when the flow began, or ended."""

    def taken(self) -> None:
        """Take note that the instance has taken the flow."""
        self._flow.is_opened = True

    def request_sent(self) -> None:
        """Take note that the client has sent something, to which there is no answer yet."""
        self._has_asked = True
        now = self._clock()
        if now >= self._backlog.followed_at + SPACING or self._flow.share != BUSY:
            self._is_followed = True
            self._found = self._backlog.request_sent(self._flow, now)

    def response_started(self) -> None:
        """Take note of the first of the answer."""
        if self._is_followed:
            self._is_followed = False
            self._backlog.response_started(self._flow, self._found, self._clock())

    def request_abandoned(self) -> None:
        """Take note that no answer is waited for any more."""
        self._is_followed = False
        self._backlog.request_abandoned(self._flow)

    def refused(self, why: str) -> None:
        """Take note that the instance takes nothing more of it, nor of others at present."""
        self._targets.refused(self.instance, why)

    def over(self) -> Report | None:
        """Count the flow no more, and return what is to be reported of the address now."""
        if not self._is_over:
            self._is_over = True
            now = self._clock()
            if not self._has_asked:
                self._learn_from_life(now)
            self._backlog.remove(self._flow)
            service, site = self.instance.connector.service, self._flow.peer_site
            self.report = self._targets.report(service, site, now)
        return self.report

    def leave(self) -> None:
        """Count the flow no more, and let a drained connector go; the last thing to be called."""
        if not self._is_over:
            self.over()
        if self.instance.connector.is_draining:
            self._targets.flow_left(self.instance)

    def _learn_from_life(self, now: float) -> None:
        """Take how long it lived for the delay, as nobody saw it ask: within a site nobody does.

        A target that ends a flow without a word is not quick, and teaches nothing.
        """
        lived = now - self._began_at
        carrying = self._flow.carrying
        if lived <= SHORT_LIFE and carrying and carrying.meter()[1]:
            self._backlog.curve.sample(self._found, lived)


class ServedByAll(ExchangeObserver):
    """One flow at several instances, each of which gets a copy; nothing is learnt from it."""

    report: Report | None = None

    def __init__(self, targets: Targets, flow: Flow) -> None:
        self.instances: list[Instance] = []
        self._targets = targets
        self._flow = flow
        self._is_over = False

    def add(self, instance: Instance) -> None:
        """Count the flow at one more."""
        self._flow.is_opened = True
        self.instances.append(instance)
        instance.backlog.add(self._flow)

    def over(self) -> Report | None:
        """Count the flow no more."""
        if not self._is_over:
            self._is_over = True
            for instance in self.instances:
                instance.backlog.remove(self._flow)
        return None

    def leave(self) -> None:
        """Count the flow no more, and let drained connectors go; the last thing to be called."""
        self.over()
        for instance in self.instances:
            self._targets.flow_left(instance)
