"""The requests that tie programs of this site to addresses, and untie them."""

import attrs

from van.config import (
    Check,
    ConnectorConfig,
    ListenerConfig,
    check_protocol,
    parse_distribution,
)
from van.control.values.attachments import ConnectorSpec, ListenerSpec
from van.control.values.base import Created
from van.errors import InvalidValue
from van.names import Address, Endpoint, UnixPath, parse_target
from van.policy.sources import Visitor, source_matches
from van.router.egress.connectors import Connectors
from van.router.ingress.listeners import Listeners
from van.router.links.routes import Routes
from van.router.management.circles import Circles
from van.router.management.joining import check_joins, describe_joining
from van.wire.lsa import Distribution


class Attachments:
    """Reads what is asked about connectors and listeners, and has it done."""

    def __init__(
        self, connectors: Connectors, listeners: Listeners, circles: Circles, routes: Routes
    ) -> None:
        self._circles = circles
        self._connectors = connectors
        self._listeners = listeners
        self._routes = routes

    async def expose(self, spec: ConnectorSpec) -> Created:
        """Attach a target to an address, or change how it is attached."""
        config = read_connector(spec)
        if spec.allow_from is None:
            config = attrs.evolve(config, allow_from=self._connectors.allow_from(config))
        self._circles.check_connector(config)
        if not spec.join and not self._connectors.serves(config.protocol, config.address):
            check_joins(self._routes.fib, config)
        created = await self._connectors.expose(config)
        details = (
            created.detail,
            self._dissent(config),
            describe_joining(self._routes.fib, config),
            self._strangers(config),
        )
        return Created(state=created.state, detail="; ".join(each for each in details if each))

    async def unexpose(self, spec: ConnectorSpec) -> Created:
        """Detach one target, or every target, from an address; live flows go on."""
        target = parse_target(spec.target) if spec.target else None
        protocol, address = check_protocol(spec.protocol), Address.parse(spec.address)
        self._connectors.unexpose(protocol, address, target)
        return Created(state="removed", detail="")

    async def bind(self, spec: ListenerSpec) -> Created:
        """Open a local port to an address, or change how it leads there."""
        config = read_listener(spec)
        self._circles.check_listener(config)
        return await self._listeners.bind(config)

    async def unbind(self, spec: ListenerSpec) -> Created:
        """Close one local port, or every one, to an address; live flows go on."""
        listen = Endpoint.parse(spec.listen) if spec.listen else None
        protocol, address = check_protocol(spec.protocol), Address.parse(spec.address)
        self._listeners.unbind(protocol, address, listen)
        return Created(state="removed", detail="")

    def _strangers(self, config: ConnectorConfig) -> str:
        """Say which words of who may come mean nobody that is known here: it may be a slip."""
        fib = self._routes.fib
        identities = filter(None, map(self._routes.identity_of, fib.sites))
        known = [Visitor(fib.site), *(Visitor(each.site, each.grants.tags) for each in identities)]
        words = [
            word
            for word in config.allow_from
            if not any(source_matches(word, each) for each in known)
        ]
        return f"no other site that is known here is {' or '.join(words)}" if words else ""

    def _dissent(self, config: ConnectorConfig) -> str:
        """Say that the address is distributed in another way than is asked for here, if it is."""
        fib, service = self._routes.fib, (config.protocol, str(config.address))
        agreed = fib.distribution(service)
        if not fib.services.get(service) or agreed is config.distribution:
            return ""
        return (
            f"the address is {agreed.name.lower()}, as others have exposed it before: expose it "
            "in the same way everywhere"
        )


def read_connector(spec: ConnectorSpec) -> ConnectorConfig:
    """Return what a request describes, or raise `InvalidName`, or `InvalidValue`."""
    address = Address.parse(spec.address)
    protocol = check_protocol(spec.protocol)
    target = parse_target(spec.target or str(address.port))
    if protocol == "udp" and isinstance(target, UnixPath):
        raise InvalidValue(f"target {target} is not valid for udp: use HOST:PORT")
    check = Check.parse(spec.check) if spec.check else None
    if protocol == "udp" and check is not None:
        raise InvalidValue("a udp target can't be checked: expose it without --check")
    if protocol == "udp" and spec.connect_timeout is not None:
        raise InvalidValue("over udp nothing is connected: expose it without --connect-timeout")
    if protocol != "tcp" and spec.proxy_protocol:
        raise InvalidValue(f"over {protocol} no header is sent: expose it without --proxy-protocol")
    distribution = parse_distribution(spec.distribution)
    if protocol == "http" and distribution is Distribution.MULTICAST:
        raise InvalidValue("a request of http has one answer: expose it without --multicast")
    return ConnectorConfig(
        protocol,
        address,
        target,
        distribution,
        spec.weight,
        spec.precedence,
        check,
        spec.connect_timeout,
        spec.proxy_protocol,
        spec.allow_from or (),
    )


def read_listener(spec: ListenerSpec) -> ListenerConfig:
    """Return what a request describes, or raise `InvalidName`, or `InvalidValue`."""
    address = Address.parse(spec.address)
    listen = Endpoint.parse(spec.listen or str(address.port))
    protocol = check_protocol(spec.protocol)
    if spec.first_reply and protocol != "tcp":
        raise InvalidValue(
            f"over {protocol} every reply goes to the client: bind without first_reply"
        )
    return ListenerConfig(protocol, address, listen, spec.idle, spec.first_reply)
