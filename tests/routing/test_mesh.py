"""In a dense network the copies of a change grow with its sites, not with its links."""

import networkx as nx
import pytest

from lab.routing.invariants import check_all
from lab.routing.simulation import Network, service
from van.routing.flooding.tree import MIN_EAGER
from van.routing.schedule.timers import Timers

SIZE = 40
WARM_UP = 5
"""Changes by which the tree finds its shape."""
CHANGES = 10
COPIES_PER_SITE = 4
"""Each site keeps three neighbours that send whole, so it gets three copies of most changes; one
more for those by whom neighbours are still judged."""


@pytest.mark.slow("every pair of many sites has a link")
def test_copies_of_a_change_in_a_full_mesh_are_a_few_for_each_site():
    network = Network(1, is_fast=True, timers=Timers(heartbeat_interval=2.0))
    network.add_graph(nx.complete_graph(SIZE))
    for number in range(WARM_UP):
        network.set_services(f"s{SIZE - 1 - number}", [service("warm:1")])
        network.run(2.0)
    network.run(5.0)  # by then each has advertised its round trips
    network.traffic.reset()
    for number in range(CHANGES):
        network.set_services(f"s{number}", [service(f"a{number}:1")])
        network.run(1.0)
    assert network.traffic.lsa_copies <= CHANGES * COPIES_PER_SITE * SIZE
    check_all(network)


def test_change_travels_on_though_every_neighbor_that_sends_whole_is_lost_at_one_moment():
    network = Network(1, is_fast=True, timers=Timers(heartbeat_interval=2.0))
    network.add_graph(nx.complete_graph(12))
    network.settle()
    for number in range(30):
        network.set_services(f"s{1 + number % 11}", [service(f"warm{number}:1")])
        network.run(1.0)
    branches = network.engine("s0")._tree._branches
    eager = [name for name, branch in branches.items() if branch.is_eager]
    assert len(eager) == MIN_EAGER
    for name in eager:
        network.cut("s0", name)
    network.set_services(eager[0], [service("new:1")])
    network.run(1.0)
    assert ("tcp", "new:1") in network.engine("s0").fib.services
    # Of the last neighbour all is wanted whole again.
    *others, last = [name for name in branches if name not in eager]
    for name in others:
        network.cut("s0", name)
    assert branches.keys() == {last}
    assert branches[last].is_eager
    network.run(1.0)
    network.set_services(eager[0], [service("newer:1")])
    network.run(0.2)  # less than an announcement waits
    assert ("tcp", "newer:1") in network.engine("s0").fib.services
