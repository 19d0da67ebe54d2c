"""The map of the network in the language of Graphviz (https://graphviz.org/doc/info/lang.html)."""

from itertools import pairwise

from van.cli.render.humanize import format_round_trip
from van.control.values.network import Network, NetworkLink

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def graph(network: Network) -> str:
    """Return a directed graph: one edge for a link, bold where a path from the source takes it.

    The source has a double frame, a site without a path a dashed one, and one that paths do not
    lead through a round one.
    """
    used = {
        frozenset(step)
        for site in network.sites
        if site.path is not None
        for step in pairwise(site.path)
    }
    lines = ["digraph van {", "  node [shape=box];"]
    for site in network.sites:
        looks = {}
        if site.site == network.source:
            looks["peripheries"] = "2"
        if site.path is None:
            looks["style"] = "dashed"
        if not site.is_transit:
            looks["shape"] = "ellipse"
        lines.append(f"  {_quote(site.site)}{_attributes(looks)};")
    for link in network.links:
        is_used = frozenset((link.site, link.neighbor)) in used
        lines.append(f"  {_edge(link, is_used=is_used)};")
    return "\n".join([*lines, "}"])


def _edge(link: NetworkLink, *, is_used: bool) -> str:
    looks = {"label": _label(link)}
    ends = (link.site, link.neighbor)
    if link.cost is None:
        ends = (link.neighbor, link.site)
    if link.is_two_way:
        looks["dir"] = "none" if link.cost == link.cost_back else "both"
    looks["style"] = "bold" if is_used else "solid" if link.is_two_way else "dashed"
    return f"{_quote(ends[0])} -> {_quote(ends[1])}{_attributes(looks)}"


def _label(link: NetworkLink) -> str:
    """Return the costs, there and back where they differ, and the round trip."""
    costs = dict.fromkeys(str(cost) for cost in (link.cost, link.cost_back) if cost is not None)
    round_trip = [] if link.round_trip_ms is None else [format_round_trip(link.round_trip_ms)]
    return "\n".join([" / ".join(costs), *round_trip])


def _attributes(looks: dict[str, str]) -> str:
    inside = ", ".join(f"{name}={_quote(value)}" for name, value in looks.items())
    return f" [{inside}]" if inside else ""


def _quote(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'
