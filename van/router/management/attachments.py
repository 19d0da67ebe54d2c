"""What ties programs of this site to addresses: exposing and binding, and taking it back."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import attrs
import trio

from van.config import (
    Check,
    ConnectorConfig,
    ListenerConfig,
    check_protocol,
    parse_distribution,
)
from van.control.values.attachments import ConnectorSpec, ListenerSpec
from van.control.values.base import Created
from van.errors import AlreadyExists, LocalError, NotAllowed, NotFound
from van.names import Address, Endpoint, UnixPath, parse_target
from van.router.egress.connector import Connector
from van.router.ingress.ingress import open_ports
from van.router.ingress.listener import Listener
from van.router.router import Router

SETTLE_TIME: Final = 0.2
"""Seconds given to a listener to open its port, so that the answer can say whether it did."""
T = TypeVar("T")


class Attachments:
    """Carries out the requests about connectors and listeners.

    What was asked is in force and on disk when a request is answered, or neither.
    """

    def __init__(self, router: Router) -> None:
        self._router = router

    async def expose(self, spec: ConnectorSpec) -> Created:
        """Attach a target to an address."""
        router = self._router
        address = Address.parse(spec.address)
        config = _connector_of(spec, address)
        self._check_new(config)
        if not router.may_expose(address):
            allowed = router.trust.credentials.identity.grants.allow_expose
            raise NotAllowed(_not_allowed("expose", address, allowed))
        connector = Connector(config, is_allowed=True)
        router.egress.add(connector)
        with self._undone_by(lambda: router.egress.remove(connector)):
            failure = await router.health.look(connector)
            router.advertise()
            router.settings.change(
                lambda old: attrs.evolve(old, connectors=(*old.connectors, config))
            )
        details = [self._describe_failure(connector, failure), self._dissent(connector)]
        return Created(
            state=connector.status().state, detail="; ".join(each for each in details if each)
        )

    async def unexpose(self, spec: ConnectorSpec) -> Created:
        """Detach one target, or every target, from an address; live flows go on."""
        address = Address.parse(spec.address)
        target = parse_target(spec.target) if spec.target else None
        router = self._router
        leaving = [
            each
            for each in router.egress.find(check_protocol(spec.protocol), address)
            if target in (None, each.config.target)
        ]
        if not leaving:
            what = f"{address} with target {target}" if target else str(address)
            raise NotFound(f"{what} is not exposed here: see 'van status'")
        gone = {each.config for each in leaving}
        router.settings.change(
            lambda old: attrs.evolve(old, connectors=_without(old.connectors, gone))
        )
        for connector in leaving:
            router.egress.remove(connector)
        router.advertise()
        return Created(state="removed", detail="")

    async def bind(self, spec: ListenerSpec) -> Created:
        """Open a local port to an address."""
        router = self._router
        address = Address.parse(spec.address)
        listen = Endpoint.parse(spec.listen or str(address.port))
        config = ListenerConfig(
            check_protocol(spec.protocol), address, listen, spec.idle, spec.first_reply
        )
        if spec.first_reply and config.protocol == "udp":
            raise LocalError("over udp every reply goes to the client: bind without first_reply")
        self._check_free(config)
        if not router.may_bind(address):
            allowed = router.trust.credentials.identity.grants.allow_bind
            raise NotAllowed(_not_allowed("bind", address, allowed))
        for sock in await open_ports(config):  # a port in use is told at once
            sock.close()
        self._check_free(config)  # another request may have taken it meanwhile
        listener = Listener(config, is_allowed=True)
        router.ingress.add(listener)
        with self._undone_by(lambda: router.ingress.remove(listener)):
            router.advertise()
            router.settings.change(
                lambda old: attrs.evolve(old, listeners=(*old.listeners, config))
            )
        router.keep_channels_ready()
        with trio.move_on_after(SETTLE_TIME):
            await listener.settled.wait()
        status = listener.status()
        return Created(state=status.state, detail=status.detail)

    async def unbind(self, spec: ListenerSpec) -> Created:
        """Close one local port, or every one, to an address; live flows go on."""
        address = Address.parse(spec.address)
        listen = Endpoint.parse(spec.listen) if spec.listen else None
        service = (check_protocol(spec.protocol), str(address))
        router = self._router
        leaving = [
            each
            for each in router.ingress.listeners
            if each.service == service and listen in (None, each.config.listen)
        ]
        if not leaving:
            what = f"{address} at {listen}" if listen else str(address)
            raise NotFound(f"{what} is not bound here: see 'van status'")
        gone = {each.config for each in leaving}
        router.settings.change(
            lambda old: attrs.evolve(old, listeners=_without(old.listeners, gone))
        )
        for listener in leaving:
            router.ingress.remove(listener)
        router.advertise()
        return Created(state="removed", detail="")

    def _check_new(self, config: ConnectorConfig) -> None:
        for each in self._router.egress.find(config.protocol, config.address):
            if each.config.target == config.target:
                raise AlreadyExists(
                    f"address {config.address} is exposed with target {config.target} already"
                )

    def _describe_failure(self, connector: Connector, failure: str) -> str:
        if not failure or connector.trouble:
            return connector.trouble
        return f"nothing answers at {connector.config.target} yet: {failure}"

    def _dissent(self, connector: Connector) -> str:
        """Say that the address is distributed in another way than is asked for here, if it is."""
        agreed = self._router.routes.fib.distribution(connector.service)
        sites = self._router.routes.fib.services.get(connector.service, ())
        if not sites or agreed is connector.config.distribution:
            return ""
        return (
            f"the address is {agreed.name.lower()}, as others have exposed it before: expose it "
            "in the same way everywhere"
        )

    def _check_free(self, config: ListenerConfig) -> None:
        for each in self._router.ingress.listeners:
            taken = each.config
            if (taken.protocol, taken.listen) == (config.protocol, config.listen):
                raise AlreadyExists(f"port {taken.listen} is bound to {taken.address} already")

    @contextmanager
    def _undone_by(self, undo: Callable[[], None]) -> Iterator[None]:
        try:
            yield
        except BaseException:
            undo()
            self._router.advertise()
            raise


def _connector_of(spec: ConnectorSpec, address: Address) -> ConnectorConfig:
    """Return what a request describes, or raise `InvalidName`, or `LocalError`."""
    protocol = check_protocol(spec.protocol)
    target = parse_target(spec.target or str(address.port))
    if protocol == "udp" and isinstance(target, UnixPath):
        raise LocalError(f"target {target} is not valid for udp: use HOST:PORT")
    check = Check.parse(spec.check) if spec.check else None
    if protocol == "udp" and check is not None:
        raise LocalError("a udp target can't be checked: expose it without --check")
    return ConnectorConfig(
        protocol,
        address,
        target,
        parse_distribution(spec.distribution),
        spec.weight,
        spec.precedence,
        check,
        since=int(time.time()),
    )


def _without(configs: Iterable[T], gone: set[T]) -> tuple[T, ...]:
    return tuple(each for each in configs if each not in gone)


def _not_allowed(verb: str, address: Address, allowed: tuple[str, ...]) -> str:
    patterns = ", ".join(allowed) or "none"
    return f"this site's certificate does not allow it to {verb} {address}: allowed are {patterns}"
