"""A client at one site and a target at another: next to it, across a transit, or at the same."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import Site, network
from lab.ports import free_port
from van.router.reactor import poller
from van.router.reactor.limits import Limits
from van.router.reactor.splice import CopyDirection, DirectionFactory, SpliceDirection

Serve = Callable[[trio.SocketStream], Awaitable[None]]


@attrs.frozen
class Passage:
    """An address that is exposed at one site and bound at another."""

    ingress: Site
    egress: Site
    transit: Site | None
    port: int
    """Where the ingress listens."""

    async def connect(self) -> trio.SocketStream:
        """Open a flow."""
        return await trio.open_tcp_stream("127.0.0.1", self.port)


PLACEMENTS = {
    "local": ("only",),
    "neighbor": ("west", "east"),
    "dialled-by-the-egress": ("east", "west"),
    "transit": ("west", "hub", "east"),
}


@contextlib.asynccontextmanager
async def passage(
    placement: str,
    serve: Serve,
    *,
    make_direction: DirectionFactory = SpliceDirection,
    limits: Limits = FAST,
) -> AsyncIterator[Passage]:
    """Lend a passage to a target that serves each connection with a coroutine."""
    names = PLACEMENTS[placement]
    async with trio.open_nursery() as nursery, network(limits) as net:
        sites = await net.line(*names, **dict.fromkeys(names, make_direction))
        if placement == "dialled-by-the-egress":
            sites.reverse()
        ingress, egress = sites[0], sites[-1]
        if placement != "dialled-by-the-egress":
            ingress, egress = sites[-1], sites[0]
        # The target begins to listen once it is exposed, since exposing looks for an answer.
        port = free_port()
        egress.claim("target:7", port)
        await nursery.start(trio.serve_tcp, serve, port)
        port = await ingress.reach("target:7")
        transit = sites[1] if len(sites) == 3 else None
        yield Passage(ingress, egress, transit, port)
        nursery.cancel_scope.cancel()


@pytest.fixture(params=PLACEMENTS)
def placement(request):
    """Every way in which a client and its target can stand to each other."""
    return request.param


@pytest.fixture(params=["fast", "portable"])
def make_direction(request, monkeypatch):
    """A way to pass bytes on: with all that Linux has, and with what every system has."""
    if request.param == "fast":
        return SpliceDirection
    monkeypatch.setattr(poller, "select", SimpleNamespace())  # without epoll
    return CopyDirection
