"""What ties programs of this site to addresses: exposing and binding, and taking it back."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import attrs
import trio

from van.api import ConnectorSpec, Created, ListenerSpec
from van.config import ConnectorConfig, ListenerConfig, check_protocol
from van.errors import AlreadyExists, NotAllowed, NotFound
from van.names import Address, Endpoint
from van.router.egress import Connector
from van.router.http import Request, decode_request
from van.router.ingress import Listener
from van.router.link_port import open_listeners
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

    async def expose(self, request: Request) -> Created:
        """Attach a target to an address."""
        spec = decode_request(request.body, ConnectorSpec)
        router = self._router
        address = Address.parse(spec.address)
        target = Endpoint.parse(spec.target or str(address.port))
        config = ConnectorConfig(check_protocol(spec.protocol), address, target)
        if config in router.settings.config.connectors:
            raise AlreadyExists(f"address {address} is exposed with target {target} already")
        if not router.may_expose(address):
            allowed = router.trust.credentials.identity.grants.allow_expose
            raise NotAllowed(_not_allowed("expose", address, allowed))
        connector = Connector(config, is_allowed=True)
        router.egress.connectors.append(connector)
        with self._undone_by(lambda: router.egress.connectors.remove(connector)):
            router.advertise()
            router.settings.change(
                lambda old: attrs.evolve(old, connectors=(*old.connectors, config))
            )
        detail = await _try_target(connector)
        return Created(state=connector.status().state, detail=detail)

    async def unexpose(self, request: Request) -> Created:
        """Detach one target, or every target, from an address; live flows go on."""
        spec = decode_request(request.body, ConnectorSpec)
        address = Address.parse(spec.address)
        target = Endpoint.parse(spec.target) if spec.target else None
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
            router.egress.connectors.remove(connector)
        router.advertise()
        return Created(state="removed", detail="")

    async def bind(self, request: Request) -> Created:
        """Open a local port to an address."""
        spec = decode_request(request.body, ListenerSpec)
        router = self._router
        address = Address.parse(spec.address)
        listen = Endpoint.parse(spec.listen or str(address.port))
        config = ListenerConfig(check_protocol(spec.protocol), address, listen)
        self._check_free(listen)
        if not router.may_bind(address):
            allowed = router.trust.credentials.identity.grants.allow_bind
            raise NotAllowed(_not_allowed("bind", address, allowed))
        for sock in await open_listeners(listen):  # a port in use is told at once
            sock.close()
        self._check_free(listen)  # another request may have taken it meanwhile
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

    async def unbind(self, request: Request) -> Created:
        """Close one local port, or every one, to an address; live flows go on."""
        spec = decode_request(request.body, ListenerSpec)
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

    def _check_free(self, listen: Endpoint) -> None:
        for each in self._router.ingress.listeners:
            if each.config.listen == listen:
                raise AlreadyExists(f"port {listen} is bound to {each.config.address} already")

    @contextmanager
    def _undone_by(self, undo: Callable[[], None]) -> Iterator[None]:
        try:
            yield
        except BaseException:
            undo()
            self._router.advertise()
            raise


async def _try_target(connector: Connector) -> str:
    """Say whether the target takes connections now; it may well come later."""
    try:
        sock = await connector.connect()
    except OSError:
        return f"nothing answers at {connector.config.target} yet: {connector.failure}"
    sock.close()
    return ""


def _without(configs: Iterable[T], gone: set[T]) -> tuple[T, ...]:
    return tuple(each for each in configs if each not in gone)


def _not_allowed(verb: str, address: Address, allowed: tuple[str, ...]) -> str:
    patterns = ", ".join(allowed) or "none"
    return f"this site's certificate does not allow it to {verb} {address}: allowed are {patterns}"
