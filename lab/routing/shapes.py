"""The shapes of networks that routing is tried on; nodes are numbers, links may have costs."""

from random import Random

import networkx as nx


def grid(side: int) -> nx.Graph:
    return nx.convert_node_labels_to_integers(nx.grid_2d_graph(side, side))


def random_graph(size: int, links: int, seed: int) -> nx.Graph:
    """Return a graph with costs of 1 to 4, which may be in several parts."""
    return _with_costs(nx.gnm_random_graph(size, links, seed=seed), seed)


def connected_graph(size: int, mean_degree: float, seed: int) -> nx.Graph:
    """Return a random graph in one part: a random tree, and random links besides."""
    rng = Random(seed)
    graph = nx.random_labeled_tree(size, seed=seed)
    links = min(round(size * mean_degree / 2), size * (size - 1) // 2)
    while graph.number_of_edges() < links:
        graph.add_edge(*rng.sample(range(size), 2))
    return _with_costs(graph, seed)


def clusters(size: int, seed: int) -> nx.Graph:
    """Return two dense clusters joined by two links, from 0 to `size` and from 1 to `size + 1`."""
    halves = [nx.gnp_random_graph(size, 0.4, seed=seed + number) for number in range(2)]
    graph = nx.disjoint_union(*(nx.compose(half, nx.cycle_graph(size)) for half in halves))
    graph.add_edges_from([(0, size), (1, size + 1)])
    return _with_costs(graph, seed)


def _with_costs(graph: nx.Graph, seed: int) -> nx.Graph:
    rng = Random(seed)
    for _, _, data in graph.edges(data=True):
        data["cost"] = rng.randint(1, 4)
    return graph


SHAPES = {
    "one": nx.path_graph(1),
    "pair": nx.path_graph(2),
    "line": nx.path_graph(20),
    "ring": nx.cycle_graph(15),
    "grid": grid(6),
    "star": nx.star_graph(30),
    "tree": nx.balanced_tree(3, 3),
    "mesh": nx.complete_graph(12),
    "random": random_graph(40, 80, seed=3),
    "clusters": clusters(12, seed=6),
    "islands": random_graph(30, 25, seed=4),
}
