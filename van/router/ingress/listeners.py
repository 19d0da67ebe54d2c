"""The listeners that a site keeps: what is bound is in force and on disk, or neither."""

from collections.abc import Callable
from typing import Final

import trio

from van.config import ListenerConfig
from van.control.values.attachments import ListenerStatus
from van.control.values.base import Created
from van.errors import AlreadyExists, NotFound
from van.names import Address, Endpoint
from van.router.ingress.ingress import Ingress, open_ports
from van.router.ingress.listener import Listener
from van.router.site.changes import ALREADY, describe_changes
from van.router.site.settings import Settings
from van.router.site.trust import Trust
from van.routing.paths.service_index import ServiceKey

SETTLE_TIME: Final = 0.2
"""Seconds given to a listener to open its port, so that the answer can say whether it did."""


class Listeners:
    """Opens local ports to addresses, and closes them; the network is told by `advertise`."""

    def __init__(
        self,
        ingress: Ingress,
        trust: Trust,
        settings: Settings,
        *,
        advertise: Callable[[], None],
        on_new: Callable[[], None],
    ) -> None:
        """`on_new` is called once a port leads to an address that none led to before."""
        self._ingress = ingress
        self._trust = trust
        self._settings = settings
        self._advertise = advertise
        self._on_new = on_new

    def bind_configured(self) -> None:
        """Open what the configuration says; the network is not told yet."""
        for config in self._settings.config.listeners:
            self._ingress.add(Listener(config, self._trust.may_bind(config.address)))

    async def bind(self, config: ListenerConfig) -> Created:
        """Open a local port to an address, or change how; return how it stands after a moment.

        A port that is open stays so, with its flows. Raises `AlreadyExists` when it leads to
        another address, `NotAllowed`, `PortInUse`, `LocalError` when it can't be advertised, or
        `StorageError`; all is as before then.
        """
        self._trust.check_may_bind(config.address)
        if (there := self._find(config)) is not None:
            return self._change(there, config)
        for sock in await open_ports(config):  # a port in use is told at once
            sock.close()
        if (there := self._find(config)) is not None:  # of another request, made meanwhile
            return self._change(there, config)
        beside = [str(each.config.listen) for each in self._of_address(config)]
        listener = Listener(config, is_allowed=True)
        self._ingress.add(listener)
        try:
            self._advertise()
            self._settings.put_listener(config)
        except BaseException:
            self._ingress.remove(listener)
            self._advertise()
            raise
        self._on_new()
        with trio.move_on_after(SETTLE_TIME):
            await listener.settled.wait()
        return _standing(listener, f"beside {', '.join(beside)}" if beside else "")

    def unbind(self, protocol: str, address: Address, listen: Endpoint | None = None) -> None:
        """Close one local port, or every one, to an address; live flows go on.

        Raises `NotFound`, or `StorageError`, with which all stay.
        """
        leaving = [
            each
            for each in self._ingress.listeners
            if each.service == (protocol, str(address)) and listen in (None, each.config.listen)
        ]
        if not leaving:
            what = f"{address} at {listen}" if listen else str(address)
            raise NotFound(f"{what} is not bound here: see 'van status'")
        self._settings.remove_listeners({each.config for each in leaving})
        for listener in leaving:
            self._ingress.remove(listener)
        self._advertise()

    def identity_changed(self) -> None:
        """Look again which addresses the certificate in force allows."""
        for listener in self._ingress.listeners:
            listener.is_allowed = self._trust.may_bind(listener.config.address)

    def statuses(self) -> tuple[ListenerStatus, ...]:
        """Return the listeners."""
        return tuple(each.status() for each in self._ingress.listeners)

    def flows(self, service: ServiceKey) -> int:
        """Return how many flows there are of clients that came to ports of an address."""
        return sum(each.flows for each in self._ingress.listeners if each.service == service)

    def _find(self, config: ListenerConfig) -> Listener | None:
        """Return the listener of the same port; raise `AlreadyExists` if it leads elsewhere."""
        for each in self._ingress.listeners:
            taken = each.config
            if (taken.protocol, taken.listen) == (config.protocol, config.listen):
                if taken.address == config.address:
                    return each
                raise AlreadyExists(
                    f"port {taken.listen} is bound to {taken.address} already: choose another with "
                    f"--listen, or unbind {taken.address} there first"
                )
        return None

    def _of_address(self, config: ListenerConfig) -> list[Listener]:
        """Return the listeners of an address."""
        service = (config.protocol, str(config.address))
        return [each for each in self._ingress.listeners if each.service == service]

    def _change(self, listener: Listener, config: ListenerConfig) -> Created:
        """Have a port lead to its address as another configuration says, from the next flow on."""
        before = listener.config
        if config == before:
            return _standing(listener, ALREADY)
        self._settings.put_listener(config)
        listener.change(config)
        return _standing(listener, describe_changes(before, config))


def _standing(listener: Listener, said: str) -> Created:
    """Return how a listener stands, with what there is to say of it."""
    status = listener.status()
    details = (said, status.detail)
    return Created(state=status.state, detail="; ".join(each for each in details if each))
