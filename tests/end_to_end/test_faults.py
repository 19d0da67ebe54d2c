"""A path that breaks under live traffic: new flows take another, and the live one is told.

Half a dozen routers, each link through a cable that the test can cut or stall. How soon all that
happens is for `benchmarks/routing/recovery.py` to say.
"""

from collections.abc import AsyncIterator

import pytest
import trio

from lab.faults import Fault, Injector
from lab.probing import EchoServer
from lab.redundant import redundant

PAUSE = 0.05
"""Seconds between new flows: a test shares its machine."""


@pytest.fixture
async def injector(nursery: trio.Nursery) -> AsyncIterator[Injector]:
    """A network with two ways round every link, and nothing wrong with it."""
    server = EchoServer()
    await nursery.start(server.run)
    with redundant(server.port, rows=2, leaves=0) as net:
        yield Injector(net, server, PAUSE)


@pytest.mark.slow("each kind of fault in turn, on one network")
async def test_new_flows_take_another_path_and_the_live_one_is_reset(injector: Injector) -> None:
    # One network for all kinds: to start it takes most of the time. Each turn breaks another part
    # of the path that is then in use.
    for turn, fault in enumerate(Fault):
        observed = await injector.observe(fault, turn)
        print(f"{fault}: {observed}")
        assert observed.first_served is not None, f"{fault}: no new flow was served"
        assert observed.served_for_good is not None, f"{fault}: new flows failed again and again"
        assert observed.client_told is not None, f"{fault}: the client's flow hangs"
        assert observed.server_told is not None, f"{fault}: the server's flow hangs"
        assert observed.client_saw_reset, f"{fault}: the client took what it got for complete"
        assert observed.server_saw_reset, f"{fault}: the server took what it got for complete"
