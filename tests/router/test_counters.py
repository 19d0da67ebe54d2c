"""What is counted of flows: each as what became of it, and as nothing else."""

import contextlib
import socket

import pytest
import trio

from lab.network import network, wait_until
from lab.ports import free_port
from tests.router.conftest import PLACEMENTS
from van.config import ConnectorConfig
from van.names import Address, Endpoint
from van.router.egress.connector import Connector
from van.router.egress.instance import ALL_WELL
from van.wire.lsa import Distribution

ADDRESS = "db:1"


def counts(site):
    flows = site.router.flows
    return flows.opened, flows.refused, flows.reset


def claim(site, protocol, distribution):
    """Serve an address at a port that nobody listens at, without a look."""
    place = Endpoint("127.0.0.1", free_port())
    config = ConnectorConfig(protocol, Address.parse(ADDRESS), place, distribution)
    connector = Connector(config, is_allowed=True)
    for instance in connector.instances:
        instance.receive(ALL_WELL)
    site.router.data.egress.targets.add(connector)
    site.router.data.attachments.advertising.advertise()


async def ask(port, protocol):
    if protocol == "udp":
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", port))
            client.send(b"hello")
        return
    with contextlib.suppress(OSError, trio.BrokenResourceError):
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            await client.send_all(b"hello")
            await client.receive_some(1)


@pytest.mark.parametrize(
    ("protocol", "distribution"),
    [
        ("tcp", Distribution.BALANCED),
        ("udp", Distribution.BALANCED),
        ("tcp", Distribution.MULTICAST),
    ],
    ids=["tcp", "udp", "tcp multicast"],
)
@pytest.mark.parametrize("names", [PLACEMENTS["local"], PLACEMENTS["transit"]], ids=len)
async def test_a_flow_that_is_refused_is_counted_as_that_alone(names, protocol, distribution):
    async with network() as net:
        sites = await net.line(*names)
        ingress, egress = sites[0], sites[-1]
        claim(egress, protocol, distribution)
        port = await ingress.reach(ADDRESS, protocol=protocol)
        await ask(port, protocol)
        await wait_until(lambda: ingress.router.flows.refused, "it is refused")
        await wait_until(lambda: not len(ingress.router.flows), "it is over")
        assert counts(ingress) == (0, 1, 0)
        assert counts(egress) == (0, 1, 0)
