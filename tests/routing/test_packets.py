"""While tables differ, packets may go astray; none goes on for ever."""

from random import Random

import networkx as nx

from lab.routing.convergence import Watch
from lab.routing.packets import Fate, Packets
from lab.routing.shapes import grid
from lab.routing.simulation import Network
from van.routing.paths.fib import SPARE_HOPS
from van.wire.channel import MAX_HOPS


def settled(graph: nx.Graph) -> Network:
    network = Network(1, delay=0.01)
    network.add_graph(graph)
    network.settle()
    return network


def test_in_a_quiet_network_all_packets_arrive_by_best_paths():
    network = settled(grid(5))
    packets = Packets(network, hop_time=0.001)
    for source in network.sites:
        for destination in network.sites:
            packets.send(source, destination)
    network.run(1.0)
    assert packets.fates == {Fate.ARRIVED: 625}
    assert packets.looped == 0
    assert packets.most_hops == 8


def test_during_convergence_every_packet_comes_to_an_end():
    network = settled(grid(7))
    packets = Packets(network, hop_time=0.0001)
    rng = Random(1)
    for link in rng.sample(list(network.links.values()), 8):
        network.cut(*link.ends)
        for _ in range(200):
            packets.send(*rng.sample(list(network.sites), 2))
            network.run(0.0005)
        network.join(*link.ends)
        network.run(0.2)
    network.run(1.0)
    print(f"{packets.fates}, looped: {packets.looped}, most hops: {packets.most_hops}")
    assert packets.under_way == 0
    assert packets.most_hops <= MAX_HOPS
    assert packets.fates[Fate.ARRIVED] > 0.9 * packets.sent


def test_packet_in_a_loop_ends_by_the_hop_limit():
    network = Network(1, delay=0.001)
    for name in ("a", "b", "c", "goal"):
        network.add_site(name)
    # Around the circle it is cheap in one direction only.
    for site, after in ("ab", "bc", "ca"):
        network.add_link(site, after, cost=1, cost_back=100)
    network.add_link("a", "goal")
    network.add_link("c", "goal", cost=50)
    network.settle()
    # Each is stopped with a table in which the next one leads to the goal; by then it no longer
    # does. Nobody notices the silence yet.
    network.stop("c")
    network.cut("a", "goal")
    network.add_link("b", "goal")
    network.run(0.3)
    network.stop("a")
    network.cut("b", "goal")
    network.run(0.3)
    assert [network.engine(site).fib.next_hop("goal") for site in "abc"] == ["b", "c", "a"]
    packets = Packets(network, hop_time=0.0001)
    packets.send("a", "goal")
    network.run(0.1)
    assert packets.fates == {Fate.HOP_LIMIT: 1}
    assert packets.most_hops == 2 + SPARE_HOPS + 1  # the source took the path for two hops long
    assert packets.looped == 1


def test_watch_sees_when_the_last_table_is_right():
    network = settled(grid(5))
    watch = Watch(network)
    assert watch.right_at == network.now
    begun = network.now
    network.cut("s0", "s1")
    watch.expect()
    assert not watch.is_right
    # News take 10 ms a hop, and the farthest site that is touched is several hops away.
    took = watch.run_until_right(10.0)
    assert took > 0.01
    network.run(5.0)
    assert watch.right_at == begun + took
