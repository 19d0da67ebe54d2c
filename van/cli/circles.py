"""Ports that would lead to themselves: one site of this machine binds what another exposes there.

With `van expose tcp db:5432` at one site and `van bind tcp db:5432` at another of the same machine,
the port that is opened is the target too: each flow would open the next, without end.
"""

import ipaddress
from collections.abc import Iterator
from typing import Final

from van.config import SiteConfig, load_config
from van.control.client import ControlClient
from van.control.values.attachments import ConnectorSpec, ListenerSpec
from van.errors import AlreadyExists, VanError
from van.names import Address, Endpoint, Target, UnixPath, parse_target
from van.paths import list_sites, site_paths

QUICK: Final = 2.0
"""Longest wait in seconds for each router that is asked for its network."""
EVERY_HOST: Final = ("0.0.0.0", "::")
"""Hosts that stand for all addresses of this machine."""


def check_listen(site: str, spec: ListenerSpec) -> None:
    """Raise `AlreadyExists` when the port is the target of the same address at a site here."""
    address, listen = Address.parse(spec.address), Endpoint.parse(spec.listen or "")
    for other, config in _configs():
        for one in config.connectors:
            same = (one.protocol, one.address) == (spec.protocol, address)
            if same and _leads_to(listen, one.target) and _share_network(site, other):
                raise AlreadyExists(
                    f"{listen} is where site {other!r} expects the server of {address}: "
                    "choose another port with --listen"
                )


def check_target(site: str, spec: ConnectorSpec) -> None:
    """Raise `AlreadyExists` when the target is a port that a site here opens to the address."""
    address, target = Address.parse(spec.address), parse_target(spec.target or "")
    for other, config in _configs():
        for one in config.listeners:
            same = (one.protocol, one.address) == (spec.protocol, address)
            if same and _leads_to(one.listen, target) and _share_network(site, other):
                raise AlreadyExists(
                    f"{target} is the port that site {other!r} opens to {address} itself: "
                    "say with --target where the server listens"
                )


def _configs() -> Iterator[tuple[str, SiteConfig]]:
    """Yield the configuration of every site of this machine."""
    for other in list_sites():
        try:
            yield other, load_config(site_paths(other).config_file)
        except VanError:
            # A file that can't be read opens no port; its own router says what is wrong with it.
            continue


def _leads_to(listen: Endpoint, target: Target) -> bool:
    """Tell whether who connects to a target arrives at a listener of this machine."""
    if isinstance(target, UnixPath) or listen.port != target.port:
        return False
    if listen.host == target.host:
        return True
    loose = "localhost" in (listen.host, target.host) or listen.host in EVERY_HOST
    return loose and _is_here(listen.host) and _is_here(target.host)


def _is_here(host: str) -> bool:
    """Tell whether a host is this machine wherever it is said."""
    if host == "localhost" or host in EVERY_HOST:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _share_network(one: str, other: str) -> bool:
    """Tell whether two sites are of one network, as is taken for granted of one that is down.

    Between two networks, a port of one that is a target of the other is no circle but a bridge.
    """
    if one == other:
        return True
    try:
        vans = {ControlClient(site, timeout=QUICK).status().router.van for site in (one, other)}
    except VanError:
        return True
    return len(vans) == 1
