"""Ports that would lead to themselves: one site of this machine binds what another exposes there.

With `van expose tcp db:5432` at one site and `van bind tcp db:5432` at another of the same machine,
the port that is opened is the target too: each flow would open the next, without end.
"""

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from van.config import ConnectorConfig, ListenerConfig, SiteConfig
from van.config.file import load_config
from van.errors import AlreadyExists, VanError
from van.names import Endpoint, Target, UnixPath
from van.paths import SitePaths
from van.router.site.trust import Trust
from van.tls.credentials import read_identity

Attached = TypeVar("Attached", ConnectorConfig, ListenerConfig)

EVERY_HOST: Final = ("0.0.0.0", "::")
"""Hosts that stand for all addresses of this machine."""


class Circles:
    """Refuses a port that would lead to itself, by what the sites of this machine have on disk."""

    def __init__(self, paths: SitePaths, trust: Trust) -> None:
        self._paths = paths
        self._trust = trust

    def check_listener(self, config: ListenerConfig) -> None:
        """Raise `AlreadyExists` when the port is the target of the same address at a site here."""
        for site, one in self._of_address(config, lambda theirs: theirs.connectors):
            if _leads_to(config.listen, one.target) and self._is_member(site):
                raise AlreadyExists(
                    f"{config.listen} is where site {site!r} expects the server of "
                    f"{config.address}: choose another port with --listen"
                )

    def check_connector(self, config: ConnectorConfig) -> None:
        """Raise `AlreadyExists` when the target is a port that a site here opens to the address."""
        for site, one in self._of_address(config, lambda theirs: theirs.listeners):
            if _leads_to(one.listen, config.target) and self._is_member(site):
                raise AlreadyExists(
                    f"{config.target} is the port that site {site!r} opens to "
                    f"{config.address} itself: say with --target where the server listens"
                )

    def _of_address(
        self,
        config: ConnectorConfig | ListenerConfig,
        kept: Callable[[SiteConfig], Iterable[Attached]],
    ) -> Iterator[tuple[str, Attached]]:
        """Yield what each site of this machine keeps for the address of another configuration."""
        for site, paths in self._paths.beside().items():
            try:
                theirs = load_config(paths.config_file)
            except VanError:
                # A file that can't be read opens no port; its own router says what is wrong.
                continue
            for one in kept(theirs):
                if (one.protocol, one.address) == (config.protocol, config.address):
                    yield site, one

    def _is_member(self, site: str) -> bool:
        """Tell whether a site of this machine is of this network; so it is when it can't be read.

        Between two networks, a port of one that is a target of the other is no circle but a bridge.
        """
        try:
            identity = read_identity(self._paths.beside()[site].identity_file)
        except VanError:
            return True
        return identity.van_id == self._trust.van_id


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
