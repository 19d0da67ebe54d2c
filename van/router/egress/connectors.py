"""The connectors that a site keeps: what is attached is in force and on disk, or neither."""

from collections.abc import Callable
from typing import Final

from msgspec import structs

from van.config import ConnectorConfig
from van.control.values.attachments import ConnectorStatus
from van.control.values.base import Created
from van.errors import InvalidValue, NotFound
from van.names import Address, Target
from van.router.egress.connector import Connector, Readiness
from van.router.egress.health import Health
from van.router.egress.targets import Targets
from van.router.site.changes import ALREADY, describe_changes
from van.router.site.exposures import Exposures
from van.router.site.settings import Settings
from van.router.site.trust import Trust

_USED: Final = frozenset({Readiness.READY.value, Readiness.SLOW.value})


class Connectors:
    """Attaches targets to addresses, and detaches them; the network is told by `advertise`."""

    def __init__(
        self,
        targets: Targets,
        health: Health,
        trust: Trust,
        settings: Settings,
        exposures: Exposures,
        *,
        advertise: Callable[[], None],
        enforce: Callable[[], None],
    ) -> None:
        """`enforce` ends the flows that may not be where they are any more."""
        self._targets = targets
        self._health = health
        self._trust = trust
        self._settings = settings
        self._exposures = exposures
        self._advertise = advertise
        self._enforce = enforce

    def attach_configured(self) -> None:
        """Serve what the configuration says; the network is not told yet.

        Raises `StorageError`.
        """
        self._exposures.begin(self._settings.config.connectors)
        for config in self._settings.config.connectors:
            is_allowed = self._trust.may_expose(config.address)
            connector = Connector(config, is_allowed, self._exposures.since(config))
            self._targets.add(connector)
            self._health.watch(connector)

    async def expose(self, config: ConnectorConfig) -> Created:
        """Attach a target to an address, or change how it is attached; return how it stands.

        A target that is attached keeps its flows, whatever is changed, but for those of sites that
        may not reach it any more. Raises `NotAllowed`,
        `LocalError` when it can't be advertised, or `StorageError`; all is as before then, and so
        it is when a new target's attaching is cancelled.
        """
        self._trust.check_may_expose(config.address)
        if (there := self._find(config)) is not None:
            return await self._change(there, config)
        attached = [each.config for each in self._targets.connectors]
        since = self._exposures.add(config, beside=attached)
        connector = Connector(config, is_allowed=True, since=since)
        self._targets.add(connector)
        try:
            await self._health.look(connector)
            if connector.is_draining:
                raise NotFound(f"{config.address} was unexposed before its target had answered")
            self._advertise()
            # What was changed meanwhile counts.
            self._settings.put_connector(connector.config)
            self._health.watch(connector)
        except BaseException:
            self._targets.remove(connector)
            self._advertise()
            raise
        return _standing(connector)

    def unexpose(self, protocol: str, address: Address, target: Target | None = None) -> None:
        """Detach one target, or every target, from an address; live flows go on.

        Raises `NotFound`, or `StorageError`, with which all stay.
        """
        leaving = [
            each
            for each in self._targets.find(protocol, address)
            if target in (None, each.config.target)
        ]
        if not leaving:
            what = f"{address} with target {target}" if target else str(address)
            raise NotFound(f"{what} is not exposed here: see 'van status'")
        self._settings.remove_connectors({each.config for each in leaving})
        for connector in leaving:
            self._targets.remove(connector)
        self._advertise()

    def identity_changed(self) -> None:
        """Look again which addresses the certificate in force allows."""
        for connector in self._targets.connectors:
            connector.is_allowed = self._trust.may_expose(connector.config.address)

    def serves(self, protocol: str, address: Address) -> bool:
        """Tell whether this site serves an address."""
        return bool(self._targets.find(protocol, address))

    def statuses(self) -> tuple[ConnectorStatus, ...]:
        """Return the connectors, those included that drain."""
        now = self._targets.clock()
        found = (each.status(now) for each in self._targets.connectors)
        if not self._settings.config.withdrawn:
            return tuple(found)
        detail = "left to other sites, until 'van site undrain'"
        return tuple(
            structs.replace(each, state="drained", detail=detail) if each.state in _USED else each
            for each in found
        )

    async def _change(self, connector: Connector, config: ConnectorConfig) -> Created:
        """Have a target attached as another configuration says; its flows go on."""
        before = connector.config
        if config == before:
            return _standing(connector, ALREADY)
        connector.change(config)
        try:
            self._advertise()
            self._settings.put_connector(config)
        except BaseException:
            connector.change(before)
            self._advertise()
            raise
        if config.allow_from != before.allow_from:
            self._enforce()
        if config.check != before.check:
            await self._health.check_changed(connector)
            self._advertise()
        return _standing(connector, describe_changes(before, config))

    def allow_from(self, config: ConnectorConfig) -> tuple[str, ...]:
        """Return whom a target is for, as it is, or as other targets of the address are.

        Raises `InvalidValue` where these are not of one mind.
        """
        if (there := self._find(config)) is not None:
            return there.config.allow_from
        found = {
            each.config.allow_from for each in self._targets.find(config.protocol, config.address)
        }
        if len(found) > 1:
            raise InvalidValue(
                f"the targets of {config.address} are each for other sites: say with --allow-from "
                "whom this one is for"
            )
        return found.pop() if found else ()

    def _find(self, config: ConnectorConfig) -> Connector | None:
        """Return the connector of the same target to the same address, if there is one."""
        found = self._targets.find(config.protocol, config.address)
        return next((each for each in found if each.config.target == config.target), None)


def _standing(connector: Connector, said: str = "") -> Created:
    """Return how a target stands that has been looked at, with what else there is to say of it."""
    details = (said, _describe(connector) or connector.whereabouts)
    return Created(
        state=connector.readiness.value, detail="; ".join(each for each in details if each)
    )


def _describe(connector: Connector) -> str:
    """Say why a target does not stand well; nothing when it does."""
    detail = connector.detail
    if connector.trouble or not detail:
        return detail
    if connector.is_ready:
        return f"{connector.target} is slow: {detail}"
    return f"{connector.target} takes no flows yet: {detail}"
