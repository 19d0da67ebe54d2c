"""What a token tells others to dial: the addresses at which this machine may be reached."""

import contextlib
import ipaddress
import socket

from van.names import Endpoint

_PROBE = ("192.0.2.1", 9)
"""A documentation address (RFC 5737): choosing a route to it sends nothing."""


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
        is_any = ipaddress.ip_address(endpoint.host).is_unspecified
    except ValueError:
        is_any = False
    if not is_any:
        return (endpoint,)
    hosts = [*_default_route_address(), socket.gethostname().lower()]
    return tuple(Endpoint(host, endpoint.port) for host in dict.fromkeys(hosts))


def _default_route_address() -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(_PROBE)  # no route at all: the host name must do
        return [str(probe.getsockname()[0])]
    return []
