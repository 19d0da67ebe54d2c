"""How long after `van site expel` the last flow of the expelled site is cut, anywhere.

`python -m benchmarks.trust.expulsion --sites 30` runs so many routers, each linked to the next and
to the sixth after it, of which the first holds the root. Before a site is expelled, it has a flow
to a service of each other site, and each other site one to a service of its. The time is from the
request to the root's router until each client has been cut off.
"""

import argparse
import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

import attrs

from benchmarks.common.reporting import emit, note, percentile
from lab.fleet import Fleet
from lab.ports import free_port
from lab.processes import wait_for
from lab.servers import naming_server
from van.config import LinkConfig, SiteConfig
from van.control import endpoints as api
from van.control.values.attachments import ConnectorSpec, ListenerSpec
from van.control.values.expulsions import ExpelSpec
from van.names import Endpoint

CHORD: Final = 6
PATIENCE: Final = 30.0


@attrs.frozen
class Cuts:
    """What came of one expulsion, in seconds after it was asked for."""

    answered: float
    """When the router of the root's site had said that it is done."""
    flows: tuple[float, ...]
    """When each client was cut off."""


def main() -> None:
    """Expel sites, and print how long that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=3)
    parser.add_argument("--victims", type=int, default=5, help="at most all but the root's site")
    parser.add_argument("--runs", type=int, default=1, help="networks, one after the other")
    options = parser.parse_args()
    found = [
        cuts
        for _ in range(options.runs)
        for cuts in measure(options.sites, min(options.victims, options.sites - 1))
    ]
    last = [max(each.flows) for each in found]
    flows = [at for each in found for at in each.flows]
    answered = [each.answered for each in found]
    emit(
        f"{len(found)} expulsions in {options.sites} routers, {len(flows)} flows",
        ("seconds after the command", "median", "most"),
        [
            _row("it has been answered", answered),
            _row("a flow is cut", flows),
            _row("the last flow is cut", last),
        ],
    )


def _row(what: str, seconds: list[float]) -> tuple[str, str, str]:
    return what, f"{percentile(seconds, 50):.3f}", f"{max(seconds):.3f}"


def measure(count: int, victims: int) -> Iterator[Cuts]:
    """Yield what came of expelling sites of one network, one after the other."""
    names = [f"site-{number:02}" for number in range(count)]
    with Fleet() as fleet, naming_server("here") as target:
        configure(fleet, names)
        note(f"starting {count} routers")
        fleet.run_all(names)
        for name in names:
            wait_for(partial(reaches, fleet, name, count), "every table is right", 120.0)
            service = ConnectorSpec(address=f"{name}:7", target=f"127.0.0.1:{target}")
            fleet.ask(name, api.EXPOSE.method, api.EXPOSE.path, service)
        for victim in names[1 : 1 + victims]:
            yield expel(fleet, victim, names)
            names.remove(victim)


def configure(fleet: Fleet, names: list[str]) -> None:
    """Write every site's files."""
    ports = {name: Endpoint("127.0.0.1", free_port()) for name in names}
    for index, name in enumerate(names):
        following = {names[(index + step) % len(names)] for step in (1, CHORD)} - {name}
        links = tuple(LinkConfig(other, (ports[other],)) for other in sorted(following))
        fleet.make(name, SiteConfig(ports[name], links=links), holds_root=not index)


def reaches(fleet: Fleet, name: str, count: int) -> bool:
    """Tell whether a router has the whole network in its table."""
    status = fleet.look(name)
    return status is not None and len(status.sites) == count


def expel(fleet: Fleet, victim: str, names: list[str]) -> Cuts:
    """Return what comes of expelling a site that has a flow to and from each other one."""
    others = [name for name in names if name != victim]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(fleet, victim, name)) for name in others]
        clients += [stack.enter_context(connect(fleet, name, victim)) for name in others]
        note(f"{len(clients)} flows of {victim}")
        began = time.monotonic()
        answered: list[float] = []

        def ask() -> None:
            fleet.ask(names[0], api.EXPEL.method, api.EXPEL.path, ExpelSpec(site=victim))
            answered.append(time.monotonic() - began)

        asking = threading.Thread(target=ask)
        asking.start()
        flows = tuple(at - began for at in ends(clients))
        asking.join()
    return Cuts(answered[0], flows)


def connect(fleet: Fleet, site: str, to: str) -> socket.socket:
    """Return a client of one site whose flow leads to the service of another."""
    port = free_port()
    spec = ListenerSpec(address=f"{to}:7", listen=f"127.0.0.1:{port}")
    fleet.ask(site, api.BIND.method, api.BIND.path, spec)
    found: list[socket.socket] = []

    def is_served() -> bool:
        with contextlib.suppress(OSError):
            client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            client.sendall(b"who\n")
            if client.recv(100):
                found.append(client)
            else:
                client.close()
        return bool(found)

    wait_for(is_served, f"{site} is served by {to}", PATIENCE)
    return found[0]


def ends(clients: list[socket.socket]) -> Iterator[float]:
    """Yield when each client is cut off, the first one first."""
    with selectors.DefaultSelector() as selector:
        for each in clients:
            selector.register(each, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(PATIENCE)
            assert ready, f"{len(selector.get_map())} flows go on"
            for key, _ in ready:
                assert isinstance(key.fileobj, socket.socket)
                with contextlib.suppress(ConnectionResetError):
                    assert not key.fileobj.recv(100), "something was answered"
                selector.unregister(key.fileobj)
                yield time.monotonic()


if __name__ == "__main__":
    main()
