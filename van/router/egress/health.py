"""Looks after the instances behind connectors: those that are new, and those that are not well; and
after host names.

An instance that nothing is known of is looked at before its address is told of, and one that is not
well with growing pauses until it is. One that is to be checked is looked at all the time. Host
names are looked up again and again. A connector that needs none of this has no task.
"""

import logging
import random
import socket
from functools import partial
from typing import Final

import trio

from van.names import Endpoint
from van.router.egress.connector import Connector, Readiness
from van.router.egress.datagram_look import look_for_datagrams
from van.router.egress.health_check import look_at
from van.router.egress.instance import Finding, Instance, Verdict
from van.router.reactor import sockets
from van.router.reactor.connecting import look_up
from van.router.reactor.limits import Limits
from van.router.reactor.loopback import datagram_place, is_ambiguous
from van.router.reactor.supervisor import Tasks
from van.router.subscription import Subscribers
from van.router.telemetry.events import EventKind, EventLog

logger = logging.getLogger(__name__)

_OVER: Final = frozenset({Readiness.DRAINING, Readiness.NOT_ALLOWED})
"""In which nothing that is found out of an instance matters."""


class Health:
    """Knows which instances are well, and tells when that changes."""

    def __init__(self, event_log: EventLog, limits: Limits, tasks: Tasks) -> None:
        self.changed: Subscribers[[]] = Subscribers()
        """Told when a connector takes flows again, or takes them no more."""
        self._tasks = tasks
        self._event_log = event_log
        self._limits = limits

    def watch(self, connector: Connector) -> None:
        """Begin to look after a connector, until it is drained."""
        if connector.is_named:
            self._tasks.start(connector.look_after, self._keep_resolved)
        for instance in connector.instances:
            self._attend(connector, instance)

    async def look(self, connector: Connector) -> None:
        """Look at a connector's target once."""
        if connector.is_named:
            await self._resolve(connector)
        if connector.config.protocol != "udp":
            async with trio.open_nursery() as nursery:
                for instance in connector.instances:
                    nursery.start_soon(self._look_at, instance)

    async def check_changed(self, connector: Connector) -> None:
        """Look at a target in the way that is asked for now, and from now on."""
        await self.look(connector)
        for instance in connector.instances:
            self._attend(connector, instance)

    def found(self, instance: Instance, finding: Finding, *, is_alone: bool = False) -> None:
        """Take note of what a flow found out; an instance that is not well is tried until it is.

        Where a check says whether one is well, a flow that was taken does not. One that is slow and
        alone is not tried: its next client waits for it anyway, and looks would only be more work
        for a server that is behind with it.
        """
        if finding.verdict is not Verdict.WELL or instance.connector.config.check is None:
            self._set(instance, finding)
            if not (is_alone and instance.is_slow):
                self.keep_trying(instance)

    def keep_trying(self, instance: Instance) -> None:
        """Look until an instance is well, unless somebody does, or it is."""
        if self._is_to_be_tried(instance) and not instance.is_tried:
            instance.is_tried = True
            look_after = instance.connector.look_after
            self._tasks.start(look_after, partial(self._retry, instance=instance))

    # -- tasks ---------------------------------------------------------------------------------

    def _attend(self, connector: Connector, instance: Instance) -> None:
        if connector.config.check is None:
            self.keep_trying(instance)
        elif not instance.is_checked:
            instance.is_checked = True
            self._tasks.start(connector.look_after, partial(self._check, instance=instance))

    async def _check(self, connector: Connector, *, instance: Instance) -> None:
        try:
            while instance in connector.instances and connector.config.check is not None:
                if not instance.is_new:
                    await trio.sleep(self._limits.check_interval * random.uniform(0.9, 1.1))
                await self._look_at(instance)
        finally:
            instance.is_checked = False

    async def _retry(self, connector: Connector, *, instance: Instance) -> None:
        is_udp = connector.config.protocol == "udp"
        limits = self._limits
        pause = limits.datagram_retry if is_udp else limits.min_target_retry
        try:
            while self._is_to_be_tried(instance):
                if not instance.is_new:
                    pause = max(pause, limits.min_slow_retry) if instance.is_slow else pause
                    await trio.sleep(pause * random.uniform(0.9, 1.1))
                    most = limits.max_slow_retry if instance.is_slow else limits.max_target_retry
                    pause = min(most, pause * 2)
                if not self._is_to_be_tried(instance):  # a flow may have found out that it is well
                    return
                if is_udp and connector.is_named:
                    await self._resolve(connector)
                await self._look_at(instance)
        finally:
            instance.is_tried = False

    def _is_to_be_tried(self, instance: Instance) -> bool:
        """Tell whether it is neither well nor looked at anyway."""
        connector = instance.connector
        is_checked = connector.config.check is not None
        return not instance.is_well and not is_checked and instance in connector.instances

    async def _look_at(self, instance: Instance) -> None:
        config = instance.connector.config
        if config.protocol == "udp":
            finding = await look_for_datagrams(instance, self._limits)
        else:
            finding = await look_at(instance, config.check, config.address, self._limits)
        self._set(instance, finding)

    async def _keep_resolved(self, connector: Connector) -> None:
        while True:
            await self._resolve(connector)
            limits = self._limits
            await trio.sleep(limits.resolve_retry if connector.trouble else limits.resolve_interval)

    async def _resolve(self, connector: Connector) -> None:
        target = connector.config.target
        assert isinstance(target, Endpoint)
        kind = socket.SOCK_DGRAM if connector.config.protocol == "udp" else socket.SOCK_STREAM
        before = connector.readiness
        try:
            places = await _places_of(target, kind)
        except OSError as exc:
            # What it led to before goes on being used: the resolver may be away for a moment.
            connector.trouble = f"{target.host} can't be looked up: {sockets.describe(exc)}"
            if not connector.instances:
                self._tell(connector, before)
            return
        connector.trouble = ""
        known = set(connector.instances)
        if connector.resolved(places):
            for instance in connector.instances:
                if instance not in known:
                    self._attend(connector, instance)
        self._tell(connector, before)

    # -- what is known ---------------------------------------------------------------------------

    def _set(self, instance: Instance, finding: Finding) -> None:
        connector = instance.connector
        before, was_well = connector.readiness, instance.is_well
        instance.receive(finding)
        if was_well and not instance.is_well:
            target, address = connector.target, connector.config.address
            logger.info("target %s of %s: %s", target, address, instance.why)
        self._tell(connector, before)

    def _tell(self, connector: Connector, before: Readiness) -> None:
        """Tell of a connector that stood in another way before."""
        after = connector.readiness
        if after is before or after in _OVER:
            return
        address, target = str(connector.config.address), f"target {connector.target}"
        if after is Readiness.FAILING:
            text = f"{target} is not used: {connector.detail}"
            self._event_log.record(EventKind.TARGET_FAILED, address, text)
        elif before is Readiness.FAILING:
            self._event_log.record(EventKind.TARGET_WELL, address, f"{target} is well, and used")
        self.changed.tell()


async def _places_of(target: Endpoint, kind: socket.SocketKind) -> list[Endpoint]:
    """Return where the instances behind a host name are; raise `OSError`."""
    if is_ambiguous(target):  # one server, whose loopback has to be found out
        return [datagram_place(target)]
    return await look_up(target, kind)
