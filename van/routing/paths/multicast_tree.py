"""Trees along which copies are made as late as possible: unions of shortest paths from one site.

The source lays the whole tree down and sends it ahead of the datagrams; each site takes itself
off, and passes the rest on in pieces. So sites need not agree on a table, and nothing can go in a
circle.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from van.errors import RemoteProtocolError
from van.routing.paths.spf import Route
from van.wire.channel import Vertex

Tree = tuple[Vertex, ...]
"""Each site once, after the one that sends to it; the first is the root, its own parent."""


MAX_VERTICES: Final = 900
"""Sites of one tree, so that it fits into a frame however long their names are."""


def trees_to(
    source: str, routes: Mapping[str, Route], members: Iterable[str], *, most: int = MAX_VERTICES
) -> tuple[Tree, ...]:
    """Return the tree from the source to those of the members that can be reached.

    A site's path is always the extension of one path to its parent, so that the union of paths is
    a tree. There is more than one only for so many members that one would be too large.
    """
    trees: list[Tree] = []
    places = {source: 0}
    tree = [Vertex(source, 0)]
    for member in sorted(members):
        route = routes.get(member)
        path = route.path if route is not None else (source,)
        if len(tree) + len(path) > most and len(tree) > 1:
            trees.append(tuple(tree))
            places, tree = {source: 0}, [Vertex(source, 0)]
        parent = 0
        for site in path[1:]:
            place = places.get(site)
            if place is None:
                place = places[site] = len(tree)
                tree.append(Vertex(site, parent))
            parent = place
    trees.append(tuple(tree))
    return tuple(trees)


def branches(tree: Tree) -> dict[str, Tree]:
    """Return the tree of each site that the root sends to."""
    found: dict[str, list[Vertex]] = {}
    of: list[tuple[str, int]] = [("", 0)]
    """For each site: the branch that it is on, and its place there."""
    for vertex in tree[1:]:
        if vertex.parent == 0:
            branch, place, parent = vertex.site, 0, 0
        else:
            branch, parent = of[vertex.parent]
            place = len(found[branch])
        found.setdefault(branch, []).append(Vertex(vertex.site, parent))
        of.append((branch, place))
    return {site: tuple(branch) for site, branch in found.items()}


def check_tree(tree: Tree, site: str) -> None:
    """Raise `RemoteProtocolError` unless this is a tree whose root is the site."""
    if tree[0] != Vertex(site, 0):
        raise RemoteProtocolError(f"a multicast tree begins at {tree[0].site!r}")
    if len({vertex.site for vertex in tree}) < len(tree):
        raise RemoteProtocolError("a multicast tree has a site twice")
    if any(vertex.parent >= place for place, vertex in enumerate(tree) if place):
        raise RemoteProtocolError("a multicast tree is not one")
