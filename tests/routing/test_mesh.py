"""In a dense network the copies of a change grow with its sites, not with its links."""

import networkx as nx

from tests.routing.invariants import check_all
from tests.routing.simulation import Network, service
from van.routing.timers import Timers

SIZE = 40
WARM_UP = 5
"""Changes by which the tree finds its shape."""
CHANGES = 10
COPIES_PER_SITE = 4
"""Each site keeps three neighbours that send whole, so it gets three copies of most changes; one
more for those by whom neighbours are still judged."""


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
