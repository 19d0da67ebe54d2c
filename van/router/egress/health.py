"""Looks after the instances behind connectors: those that refuse, and host names.

An instance that refused a flow is tried with growing pauses until it answers. One that is to be
checked is looked at all the time. Host names are looked up again and again. A connector that needs
none of this has no task.
"""

import logging
import random
import socket
from functools import partial

import trio

from van.names import Endpoint
from van.router.egress.connector import Connector, Instance, place_of
from van.router.egress.health_check import look_at
from van.router.reactor import sockets
from van.router.reactor.limits import Limits
from van.router.reactor.supervisor import Tasks
from van.router.subscription import Subscribers
from van.router.telemetry.events import EventKind, EventLog

logger = logging.getLogger(__name__)


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

    async def look(self, connector: Connector) -> str:
        """Look at a new connector's target once; return why it is not well, or nothing.

        One that is not well is tried from then on until it is.
        """
        if connector.is_named:
            await self._resolve(connector)
        if connector.config.protocol == "udp":
            return connector.failure
        for instance in connector.instances:
            why = await look_at(
                instance, connector.config.check, connector.config.address, self._limits
            )
            if why:
                self.refused(connector, instance, why)
        return connector.failure

    def refused(self, connector: Connector, instance: Instance, why: str) -> None:
        """Take note that an instance did not take a flow; it gets none until it is well again."""
        self._set(connector, instance, why)
        if not instance.is_tried and connector.config.check is None:
            instance.is_tried = True
            self._tasks.start(connector.look_after, partial(self._retry, instance=instance))

    # -- tasks ---------------------------------------------------------------------------------

    def _attend(self, connector: Connector, instance: Instance) -> None:
        if connector.config.check is not None:
            self._tasks.start(connector.look_after, partial(self._check, instance=instance))

    async def _check(self, connector: Connector, *, instance: Instance) -> None:
        while instance in connector.instances:
            config = connector.config
            self._set(
                connector,
                instance,
                await look_at(instance, config.check, config.address, self._limits),
            )
            await trio.sleep(self._limits.check_interval * random.uniform(0.9, 1.1))

    async def _retry(self, connector: Connector, *, instance: Instance) -> None:
        is_udp = connector.config.protocol == "udp"
        pause = self._limits.datagram_retry if is_udp else self._limits.min_target_retry
        try:
            while instance in connector.instances:
                await trio.sleep(pause * random.uniform(0.9, 1.1))
                why = (
                    ""
                    if is_udp
                    else await look_at(instance, None, connector.config.address, self._limits)
                )
                self._set(connector, instance, why)
                if not why:
                    return
                pause = min(self._limits.max_target_retry, pause * 2)
        finally:
            instance.is_tried = False

    async def _keep_resolved(self, connector: Connector) -> None:
        while True:
            await self._resolve(connector)
            limits = self._limits
            await trio.sleep(limits.resolve_retry if connector.trouble else limits.resolve_interval)

    async def _resolve(self, connector: Connector) -> None:
        target = connector.config.target
        assert isinstance(target, Endpoint)
        kind = socket.SOCK_DGRAM if connector.config.protocol == "udp" else socket.SOCK_STREAM
        was_ready = connector.is_ready
        try:
            found = await trio.socket.getaddrinfo(
                target.host, target.port, type=kind, flags=socket.AI_ADDRCONFIG
            )
        except OSError as exc:
            # What it led to before goes on being used: the resolver may be away for a moment.
            connector.trouble = f"{target.host} can't be looked up: {sockets.describe(exc)}"
            if not connector.instances:
                self._tell(connector, was_ready=was_ready)
            return
        connector.trouble = ""
        known = set(connector.instances)
        places = [place_of((str(address[0]), int(address[1]))) for *_, address in found]
        if connector.resolved(places):
            for instance in connector.instances:
                if instance not in known:
                    self._attend(connector, instance)
        self._tell(connector, was_ready=was_ready)

    # -- what is known ---------------------------------------------------------------------------

    def _set(self, connector: Connector, instance: Instance, why: str) -> None:
        was_ready = connector.is_ready
        if why and not instance.failure:
            logger.info("target %s of %s: %s", connector.target, connector.config.address, why)
        instance.failure = why
        self._tell(connector, was_ready=was_ready)

    def _tell(self, connector: Connector, *, was_ready: bool) -> None:
        if connector.is_ready == was_ready:
            return
        kind = EventKind.TARGET_WELL if connector.is_ready else EventKind.TARGET_FAILED
        text = f"target {connector.target}" + (
            " is well again" if connector.is_ready else f" is not used: {connector.failure}"
        )
        self._event_log.record(kind, str(connector.config.address), text)
        self.changed.tell()
