"""What a token tells others to dial: the addresses at which this machine may be reached."""

import contextlib
import ipaddress
import socket

from van.names import Endpoint

_PROBES = {4: (socket.AF_INET, "192.0.2.1"), 6: (socket.AF_INET6, "2001:db8::1")}
"""Documentation addresses (RFC 5737, 3849), by version: choosing a route to one sends nothing."""


def is_loopback(endpoint: Endpoint) -> bool:
    """Tell whether only this machine can reach an endpoint."""
    if endpoint.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(endpoint.host).is_loopback
    except ValueError:
        return False


def reachable_endpoints(endpoint: Endpoint) -> tuple[Endpoint, ...]:
    """Return the endpoints by which others can dial an open port, the best first.

    A port on all interfaces is reached by the address of the default route, and by the host name.
    """
    try:
        host = ipaddress.ip_address(endpoint.host)
    except ValueError:
        return (endpoint,)
    if not host.is_unspecified:
        return (endpoint,)
    hosts = [*_default_route_address(host.version), socket.gethostname().lower()]
    return tuple(Endpoint(host, endpoint.port) for host in dict.fromkeys(hosts))


def _default_route_address(version: int) -> list[str]:
    """Return this machine's address towards the world, of the family that the port is open for."""
    family, somewhere = _PROBES[version]
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((somewhere, 9))  # no route at all: the host name must do
        return [str(probe.getsockname()[0])]
    return []
