"""The network of a soak: three sites that are counted, one that comes and goes, and servers."""

import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

import attrs
import msgspec
import trio

from benchmarks.soak.census import Census
from benchmarks.soak.flows import echo, echo_datagrams, turn_away
from lab.cables import Cables
from lab.fleet import Fleet
from lab.ports import free_port
from lab.processes import wait_for
from van.config import ConnectorConfig, LinkConfig, ListenerConfig, SiteConfig
from van.control import endpoints as api
from van.control.values.attachments import ConnectorSpec, ListenerSpec
from van.names import Address, Endpoint, Target, UnixPath
from van.wire.lsa import Distribution

LOOPBACK: Final = "127.0.0.1"
COUNTED: Final = ("west", "hub", "east")
GUEST: Final = "guest"
CABLE: Final = "guest-hub"
COMMAND: Final = ("-m", "benchmarks.soak.observed_router")
SESSION_IDLE: Final = 2.0
_ALL: Final = Distribution.MULTICAST
_ONE: Final = Distribution.BALANCED


@attrs.frozen
class Served:
    """One address, and the kind of flows that go there."""

    kind: str
    address: Address
    target: Target
    protocol: str = "tcp"
    distribution: Distribution = _ONE
    is_here: bool = False
    """Whether its clients are at the site of its target."""
    is_served_twice: bool = False
    """Whether the guest serves it too."""

    def connector(self) -> ConnectorConfig:
        """Return how it is exposed."""
        return ConnectorConfig(self.protocol, self.address, self.target, self.distribution)

    def listener(self, port: int) -> ListenerConfig:
        """Return how it is reached at a port."""
        listen = Endpoint(LOOPBACK, port)
        return ListenerConfig(
            self.protocol, self.address, listen, idle=SESSION_IDLE, first_reply=True
        )


@attrs.define
class Scene:
    """Everything that runs, and the ports by the kind of flows."""

    fleet: Fleet
    cables: Cables
    ports: dict[str, list[int]]
    echo_port: int
    _number: int = 0

    def census(self, site: str) -> Census:
        """Return what a router holds now."""
        target = self.fleet.directory / f"census-{site}"
        target.unlink(missing_ok=True)
        os.kill(self.fleet.pid(site), signal.SIGUSR1)
        wait_for(target.exists, f"{site} has been counted", timeout=60.0)
        return msgspec.json.decode(target.read_bytes(), type=Census)

    def flows(self) -> int:
        """Return how many flows there are at the sites that are counted."""
        found = [self.fleet.look(site) for site in COUNTED]
        return sum(each.flows_total if each is not None else 1 for each in found)

    def attach(self) -> tuple[str, int]:
        """Serve a new address, and bind it; return it, and the port that leads to it."""
        self._number += 1
        address, port = f"new-{self._number}:7", free_port()
        self.fleet.ask("east", api.EXPOSE.method, api.EXPOSE.fill(), self._connector(address))
        listener = ListenerSpec(address=address, listen=f"{LOOPBACK}:{port}")
        self.fleet.ask("west", api.BIND.method, api.BIND.fill(), listener)
        return address, port

    def detach(self, address: str) -> None:
        """Undo that."""
        listener = ListenerSpec(address=address)
        self.fleet.ask("west", api.UNBIND.method, api.UNBIND.fill(), listener)
        self.fleet.ask("east", api.UNEXPOSE.method, api.UNEXPOSE.fill(), self._connector(address))

    def _connector(self, address: str) -> ConnectorSpec:
        return ConnectorSpec(address=address, target=f"{LOOPBACK}:{self.echo_port}")

    def restart_guest(self) -> None:
        """End the fourth router without warning, and start it again."""
        self.fleet.kill_router(GUEST)
        self.fleet.launch(GUEST)
        self.fleet.wait_answer(GUEST)

    def flap(self) -> None:
        """Break the fourth router's link, which it dials again."""
        self.cables.snip(CABLE)


@contextlib.asynccontextmanager
async def open_scene() -> AsyncIterator[Scene]:
    """Lend servers and routers, linked and attached."""
    async with trio.open_nursery() as nursery:
        with Fleet() as fleet, Cables() as cables:
            fleet.environment["VAN_CENSUS"] = str(fleet.directory / "census")
            served = await _serve(nursery, str(fleet.directory / "echo.sock"))
            ports = await trio.to_thread.run_sync(_run_routers, fleet, cables, served)
            (echo_port,) = {
                each.target.port
                for each in served
                if each.kind == "asked" and isinstance(each.target, Endpoint)
            }
            yield Scene(fleet, cables, ports, echo_port)
        nursery.cancel_scope.cancel()


async def _serve(nursery: trio.Nursery, path: str) -> list[Served]:
    tcp = [
        await nursery.start(partial(trio.serve_tcp, serve, 0, host=LOOPBACK))
        for serve in (echo, turn_away)
    ]
    echoes, turns_away = (Endpoint(LOOPBACK, each[0].socket.getsockname()[1]) for each in tcp)
    listening = trio.socket.socket(socket.AF_UNIX)
    await listening.bind(path)
    listening.listen(128)
    nursery.start_soon(trio.serve_listeners, echo, [trio.SocketListener(listening)])
    sock = trio.socket.socket(type=socket.SOCK_DGRAM)
    await sock.bind((LOOPBACK, 0))
    nursery.start_soon(echo_datagrams, sock)
    datagrams = Endpoint(LOOPBACK, sock.getsockname()[1])
    return [
        Served("bulk", Address("bulk", 7), echoes),
        Served("bulk", Address("here", 7), echoes, is_here=True),
        Served("bulk to a unix socket", Address("unix", 7), UnixPath(path)),
        Served("asked", Address("echo", 7), echoes),
        Served("asked of many", Address("many", 7), echoes, is_served_twice=True),
        Served("turned away", Address("early", 7), turns_away),
        Served("turned away", Address("soon", 7), turns_away, is_here=True),
        Served("left", Address("left", 7), echoes),
        Served("refused", Address("gone", 7), Endpoint(LOOPBACK, free_port())),
        Served("copied to all", Address("copy", 7), echoes, distribution=_ALL),
        Served("UDP", Address("dns", 53), datagrams, "udp"),
        Served("UDP", Address("near", 53), datagrams, "udp", is_here=True),
        Served("UDP to all", Address("news", 53), datagrams, "udp", _ALL),
    ]


def _run_routers(fleet: Fleet, cables: Cables, served: list[Served]) -> dict[str, list[int]]:
    ports: dict[str, list[int]] = {}
    listeners: dict[str, list[ListenerConfig]] = {"west": [], "east": []}
    for each in served:
        port = free_port(is_udp=each.protocol == "udp")
        ports.setdefault(each.kind, []).append(port)
        listeners["east" if each.is_here else "west"].append(each.listener(port))
    hub = Endpoint(LOOPBACK, free_port())
    dialled = {"west": hub, "east": hub, GUEST: Endpoint(LOOPBACK, cables.lay(CABLE, hub.port))}
    guests = [each.connector() for each in served if each.is_served_twice]
    connectors = {"east": [each.connector() for each in served], GUEST: guests}
    fleet.make("hub", SiteConfig(listen=hub, links=tuple(LinkConfig(each) for each in dialled)))
    for site, endpoint in dialled.items():
        config = SiteConfig(
            links=(LinkConfig("hub", (endpoint,)),),
            connectors=tuple(connectors.get(site, ())),
            listeners=tuple(listeners.get(site, ())),
        )
        fleet.make(site, config)
    for site in COUNTED:
        fleet.launch(site, command=COMMAND)
    fleet.launch(GUEST)
    for site in (*COUNTED, GUEST):
        fleet.wait_answer(site)
    wait_for(partial(_are_open, fleet), "the listeners are open")
    return ports


def _are_open(fleet: Fleet) -> bool:
    found = [fleet.look(site) for site in ("west", "east")]
    return all(
        each is not None
        and all(one.state == "open" for one in each.listeners if one.address != "gone:7")
        for each in found
    )
