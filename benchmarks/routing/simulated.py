"""Measurements on networks of real routing engines under a simulated clock.

Each is a function that returns one row of figures; `benchmarks.routing.convergence` runs them,
each in a process of its own, and prints them.
"""

import gc
import resource
import statistics
import time
import tracemalloc
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

import networkx as nx

from benchmarks.routing.economy import shared_bodies
from lab.routing.authority import Authority
from lab.routing.convergence import Watch
from lab.routing.conversation import Author
from lab.routing.packets import Fate, Packets
from lab.routing.shapes import connected_graph, grid
from lab.routing.simulation import Network, service
from van.routing.engine.engine import Engine
from van.routing.paths.spf import shortest_paths
from van.routing.schedule.timers import Timers
from van.wire.link import CODEC, Advertisements, RoutingMessage
from van.wire.lsa import Lsa

if TYPE_CHECKING:
    from van.wire.framing import Message

HOP_DELAY = 0.01
MEAN_DEGREE = 4
ADDRESSES = 10
"""Addresses that each site of a growing network serves."""
REST = 3.0
"""Simulated seconds between one change of a network and the next."""
PATIENCE = 300.0
"""Simulated seconds after which a network that is not right is given up."""
SPF_SAMPLES = 50

Row = dict[str, float]


def measure_cut(side: int, cuts: int) -> Row:
    """Cut links of a square grid, one at a time, and see when all tables are right again."""
    network = Network(1, delay=HOP_DELAY, is_fast=True)
    network.add_graph(grid(side))
    watch = Watch(network)
    watch.run_until_right(PATIENCE)
    network.settle()
    times, means, mosts, copies = [], [], [], []
    packets = Packets(network, hop_time=HOP_DELAY / 10)
    for link in Random(2).sample(list(network.links.values()), cuts):
        network.traffic.reset()
        network.cut(*link.ends)
        watch.expect()
        _send_at_random(packets, seconds=0.5)
        times.append(watch.run_until_right(PATIENCE))
        network.run(REST)
        counted = [network.traffic.link_messages[each] for each in network.links]
        means.append(statistics.fmean(counted))
        mosts.append(max(counted))
        copies.append(network.traffic.lsa_copies / len(network.links))
        network.join(*link.ends)
        network.run(REST)
    return {
        "routers": side * side,
        "links": len(network.links),
        "cuts": cuts,
        "right after, median (s)": statistics.median(times),
        "right after, longest (s)": max(times),
        "messages per link": statistics.fmean(means),
        "most on one link": max(mosts),
        "LSA copies per link": statistics.fmean(copies),
        "packets": packets.sent,
        "not delivered": packets.sent - packets.fates[Fate.ARRIVED],
        "looped": packets.looped,
        "ended by hop limit": packets.fates[Fate.HOP_LIMIT],
    }


def _send_at_random(packets: Packets, *, seconds: float) -> None:
    """Let a packet start every millisecond from now on, between any two sites."""
    network, rng = packets.network, Random(3)
    names = list(network.sites)

    def send_one() -> None:
        packets.send(*rng.sample(names, 2))

    for number in range(round(seconds * 1000)):
        network.at(network.now + number / 1000, send_one)


def measure_growth(size: int) -> Row:
    """Start a network from nothing, all sites at once, and see when all tables are right."""
    before = _resident()
    with shared_bodies():
        network = Network(1, delay=HOP_DELAY, is_fast=True)
        begun = time.perf_counter()
        network.add_graph(connected_graph(size, MEAN_DEGREE, seed=1))
        for site in network.sites:
            services = [service(f"a{number}.{site}:80") for number in range(ADDRESSES)]
            network.set_services(site, services)
        watch = Watch(network)
        simulated = watch.run_until_right(PATIENCE)
        wall = time.perf_counter() - begun
    grown = _resident() - before
    return {
        "routers": size,
        "links": len(network.links),
        "addresses": size * ADDRESSES,
        "wall (s)": wall,
        "simulated (s)": simulated,
        "memory (MB)": grown / 1e6,
        "memory per router (kB)": grown / 1e3 / size,
        "messages": network.traffic.routing_messages,
        "messages per link": network.traffic.routing_messages / len(network.links),
        "LSA copies per link": network.traffic.lsa_copies / len(network.links),
        "tables per router": network.fib_changes.total() / size,
        "one SPF (ms)": measure_spf(network) * 1e3,
    }


def measure_spf(network: Network) -> float:
    """Return the median processor time of one route computation over the network, in seconds."""
    names = sorted(network.sites)
    graph = network.engine(names[0]).fib.graph()
    times = []
    for source in Random(1).choices(names, k=SPF_SAMPLES):
        begun = time.process_time()
        shortest_paths(graph, source)
        times.append(time.process_time() - begun)
    return statistics.median(times)


def _resident() -> float:
    """Return the most memory that this process has had so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def measure_memory(sites: int, addresses: int) -> Row:
    """Let one engine learn a whole network from one neighbour, and count what it allocates.

    Certificates are the stand-ins of the tests; real ones are in `benchmarks.routing.memory`.
    """
    messages = [CODEC.encode(Advertisements(tuple(lsas))) for lsas in _everything(sites, addresses)]
    keyring = Authority().issue("us")
    gc.collect()
    tracemalloc.start()
    engine = Engine("us", keyring, incarnation=1, timers=Timers(), rng=Random(1), now=0.0)
    engine.link_opened("s0", cost=1, hold_time=1e6, now=0.0)
    idle, _ = tracemalloc.get_traced_memory()
    for number, data in enumerate(messages):
        engine.receive("s0", _decoded(data), now=number / 1000)
    now = 10.0
    engine.handle_timer(now=now)
    while engine.next_action() is not None:
        pass
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(engine.fib.routes) == sites + 1, "not all sites are reached"
    assert len(engine.fib.services) == addresses, "not all addresses are known"
    return {
        "sites": sites,
        "addresses": addresses,
        "idle (MB)": idle / 1e6,
        "above idle (MB)": (held - idle) / 1e6,
        "per site (kB)": (held - idle) / 1e3 / sites,
    }


def _everything(sites: int, addresses: int) -> list[list[Lsa]]:
    """Return the advertisements of a random network of which `us` neighbours `s0`."""
    authority = Authority()
    graph = nx.relabel_nodes(
        connected_graph(sites, MEAN_DEGREE, seed=1), {n: f"s{n}" for n in range(sites)}
    )
    graph.add_edge("us", "s0", cost=1)
    share = addresses // sites
    found = []
    for number in range(sites):
        author = Author(authority, f"s{number}")
        costs = {name: data["cost"] for name, data in graph[author.site].items()}
        names = [f"a{index}.{author.site}:80" for index in range(share)]
        found.append([author.identity(), author.adjacencies(costs), author.addresses(names)])
    return found


def _decoded(data: bytes) -> RoutingMessage:
    message: Message | None = CODEC.decode(data[0], data[4:])
    assert isinstance(message, Advertisements)
    return message


def measure_mesh(size: int, changes: int) -> Row:
    """Change what sites of a full mesh serve, one after the other, and count the copies."""
    network = Network(1, is_fast=True)
    network.add_graph(nx.complete_graph(size))
    network.settle()
    rng, copies, messages = Random(1), [], []
    for number in range(changes):
        network.traffic.reset()
        network.set_services(rng.choice(list(network.sites)), [service(f"a{number}:1")])
        network.run(2.0)
        copies.append(network.traffic.lsa_copies)
        messages.append(network.traffic.routing_messages)
    late = copies[changes // 2 :]
    return {
        "routers": size,
        "links": len(network.links),
        "copies of the first change": copies[0],
        "copies per change, later": statistics.fmean(late),
        "copies per router": statistics.fmean(late) / size,
        "all messages per change, later": statistics.fmean(messages[changes // 2 :]),
    }


class TimedEngine(Engine):
    """Counts the time that is spent in it."""

    busy = 0.0

    def receive(self, *args: object, **options: object) -> None:
        """Count the time of a message."""
        begun = time.perf_counter()
        super().receive(*args, **options)  # type: ignore[arg-type]
        self.busy += time.perf_counter() - begun

    def handle_timer(self, *, now: float) -> None:
        """Count the time of a timer."""
        begun = time.perf_counter()
        super().handle_timer(now=now)
        self.busy += time.perf_counter() - begun


def measure_flapping(size: int, rate: float, seconds: float) -> Row:
    """Let one link of a random network come and go, and see what that costs the other sites."""
    network = Network(1, delay=HOP_DELAY, engine_class=TimedEngine)
    network.add_graph(connected_graph(size, MEAN_DEGREE, seed=1))
    network.settle()
    _, quiet = _busy(network, lambda: network.run(seconds), but=())
    changed = network.fib_changes.copy()
    ends = next(iter(network.links.values())).ends
    most, mean = _busy(
        network,
        lambda: network.flap(*ends, times=round(seconds * rate), interval=1 / rate),
        but=ends,
    )
    return {
        "routers": size,
        "flaps per second": rate,
        "seconds": seconds,
        "quiet: CPU of a router, mean (%)": 100 * quiet / seconds,
        "flapping: CPU of another router, mean (%)": 100 * mean / seconds,
        "flapping: CPU of another router, most (%)": 100 * most / seconds,
        "tables per router": (network.fib_changes - changed).total() / size,
    }


def _busy(
    network: Network, act: Callable[[], None], *, but: tuple[str, ...]
) -> tuple[float, float]:
    """Do something; return the most time and the mean time that engines were busy with it."""
    engines = {name: network.engine(name) for name in network.sites if name not in but}
    before = {name: _time_of(engine) for name, engine in engines.items()}
    act()
    spent = [_time_of(engine) - before[name] for name, engine in engines.items()]
    return max(spent), statistics.fmean(spent)


def _time_of(engine: Engine) -> float:
    assert isinstance(engine, TimedEngine)
    return engine.busy
