"""A token leads to where others can dial."""

import ipaddress
import socket

import pytest

from van.names import Endpoint
from van.router.links.reachable import is_loopback, reachable_endpoints


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_known(host):
    assert is_loopback(Endpoint(host, 1))


@pytest.mark.parametrize("host", ["10.0.0.1", "0.0.0.0", "::", "edge.example", "127.example"])
def test_what_others_may_reach_is_not_loopback(host):
    assert not is_loopback(Endpoint(host, 1))


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "edge.example", "2001:db8::1"])
def test_a_port_on_one_interface_is_dialled_there(host):
    assert reachable_endpoints(Endpoint(host, 7)) == (Endpoint(host, 7),)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_port_on_all_interfaces_is_dialled_at_none_of_them_by_that_name(host):
    found = reachable_endpoints(Endpoint(host, 7))
    assert Endpoint(socket.gethostname().lower(), 7) in found
    assert host not in {each.host for each in found}
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(("host", "version"), [("0.0.0.0", 4), ("::", 6)])
def test_what_is_told_is_of_the_family_that_the_port_is_open_for(host, version):
    literals = [each.host for each in reachable_endpoints(Endpoint(host, 7))[:-1]]
    assert all(ipaddress.ip_address(each).version == version for each in literals)
