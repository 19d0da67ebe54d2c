"""Multicast trees lead to every member, by shortest paths, over each link once."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from van.errors import RemoteProtocolError
from van.routing.paths.multicast_tree import MAX_VERTICES, branches, check_tree, trees_to
from van.routing.paths.spf import Graph, shortest_paths
from van.wire.channel import MAX_BRANCH_PAYLOAD, Branch, Vertex

SITES = [f"s{number}" for number in range(12)]


@st.composite
def graphs(draw):
    pairs = [(a, b) for place, a in enumerate(SITES) for b in SITES[place + 1 :]]
    links: dict[str, dict[str, int]] = {site: {} for site in SITES}
    for a, b in draw(st.lists(st.sampled_from(pairs), unique=True, max_size=40)):
        links[a][b] = links[b][a] = draw(st.integers(1, 4))
    return Graph(links)


def walk(tree, passed):
    """Send a copy along a tree as sites do, and return the sites that have it."""
    root = tree[0].site
    check_tree(tree, root)
    got = [root]
    for site, branch in branches(tree).items():
        passed.append((root, site))
        assert branch[0].site == site
        got += walk(branch, passed)
    return got


@given(graphs(), st.sets(st.sampled_from(SITES)))
def test_every_member_that_can_be_reached_gets_one_copy_by_a_shortest_path(graph, members):
    routes = shortest_paths(graph, "s0")
    (tree,) = trees_to("s0", routes, members)
    passed: list[tuple[str, str]] = []
    got = walk(tree, passed)
    assert len(got) == len(set(got))
    assert set(got) >= {"s0", *(members & routes.keys())}
    assert len(passed) == len(set(passed))
    assert all(b in graph.links[a] for a, b in passed)
    parents = {b: a for a, b in passed}
    for member in members & routes.keys():
        cost, site = 0, member
        while site != "s0":
            cost += graph.links[parents[site]][site]
            site = parents[site]
        assert cost == routes[member].cost
    leaves = set(got) - {a for a, _ in passed}
    assert leaves <= {"s0", *members}


@pytest.mark.parametrize(
    "tree",
    [
        (Vertex("other", 0),),
        (Vertex("s0", 0), Vertex("s1", 0), Vertex("s1", 1)),
        (Vertex("s0", 0), Vertex("s0", 0)),
        (Vertex("s0", 0), Vertex("s1", 2), Vertex("s2", 1)),
        (Vertex("s0", 0), Vertex("s1", 1)),
        (Vertex("s0", 1), Vertex("s1", 0)),
    ],
)
def test_what_is_no_tree_is_refused(tree):
    with pytest.raises(RemoteProtocolError):
        check_tree(tree, "s0")


@given(graphs(), st.sets(st.sampled_from(SITES)))
def test_trees_of_many_members_are_several_of_bounded_size(graph, members):
    routes = shortest_paths(graph, "s0")
    trees = trees_to("s0", routes, members, most=13)
    assert all(len(tree) <= 13 for tree in trees)
    got = [site for tree in trees for site in walk(tree, [])]
    assert {*got, "s0"} >= members & routes.keys()


def test_the_largest_tree_fits_into_a_frame():
    tree = tuple(Vertex(f"{number:063}", number // 2) for number in range(MAX_VERTICES))
    assert len(msgspec.msgpack.encode(Branch(bytes(16), 1, tree))) < MAX_BRANCH_PAYLOAD
