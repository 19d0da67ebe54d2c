"""What `van` was to reach beside the proxies, and whether it did."""

import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import attrs

from benchmarks.common.reporting import number
from benchmarks.dataplane.contenders import PROXIES
from benchmarks.dataplane.loads import IDLE_FLOWS, STREAMS
from benchmarks.dataplane.runs import HOPS, VAN, VAN_STANDALONE, Figures

ONE, TWO = HOPS.values()
HTTP_JUDGED: Final = (1, 16, 64)
ABOUT_ONE: Final = 1.2
"""A ratio that is about one: no more than what two runs of the same differ by."""


@attrs.frozen
class Run:
    """The figures of a run, as medians. A figure that was not taken raises `KeyError`."""

    parts: dict[str, Figures]

    def of(self, contender: str, part: str, what: str) -> float:
        """Return a figure of one contender."""
        return statistics.median(self.parts[part][what][contender])

    def van(self, *, part: str, what: str) -> float:
        """Return a figure of `van`."""
        return self.of(VAN, part, what)

    def proxies(self, part: str, what: str) -> dict[str, float]:
        """Return the figure of each proxy that has one, of which there must be one at least."""
        had = [name for name in PROXIES if name in self.parts[part][what]]
        if not had:
            raise KeyError(what)
        return {name: self.of(name, part, what) for name in had}

    def of_most(self, *, what: str, part: str = ONE) -> float:
        """Return `van`'s figure as a multiple of the highest of the proxies."""
        return self.van(part=part, what=what) / max(self.proxies(part, what).values())

    def of_least(self, *, what: str, part: str = ONE) -> float:
        """Return `van`'s figure as a multiple of the lowest of the proxies."""
        return self.van(part=part, what=what) / min(self.proxies(part, what).values())

    def of_one_hop(self, *, what: str) -> float:
        """Return `van`'s figure over two hops as a multiple of that over one."""
        return self.van(part=TWO, what=what) / self.van(part=ONE, what=what)

    def p99_beside_fastest(self, *, connections: int) -> float:
        """Return `van`'s p99 as a multiple of that of the proxy that answers most requests."""
        rates = self.proxies(ONE, f"HTTP {connections}, requests/s")
        fastest = max(rates, key=lambda name: rates[name])
        what = f"HTTP {connections}, p99 µs"
        return self.van(part=ONE, what=what) / self.of(fastest, ONE, what)

    def p99_beside(self, *, other: str) -> float:
        """Return the p99 of flows beside another one as a multiple of what it is without that."""
        with_it = self.van(part=ONE, what=f"100 flows beside {other}, p99 ms")
        return with_it / self.van(part=ONE, what="100 flows alone, p99 ms")

    def memory_of_flow(self) -> float:
        """Return the memory of a flow at the router that takes most, in kB."""
        name = f"{IDLE_FLOWS[-1]:,} flows"
        sizes = [
            self.van(part=part, what=what)
            for part in (ONE, TWO)
            for what in self.parts.get(part, {})
            if what.startswith(name)
        ]
        if not sizes:
            raise KeyError(name)
        return max(sizes)


@attrs.frozen
class Goal:
    """Something to reach: a value, and the bound that it is to keep to."""

    what: str
    sign: str
    bound: float
    value: Callable[[Run], float]

    def is_met(self, value: float) -> bool:
        """Tell whether a value keeps to the bound."""
        return {
            "≥": value >= self.bound,
            "≤": value <= self.bound,
            "<": value < self.bound,
        }[self.sign]


def goals() -> Iterator[Goal]:
    """Yield what was to be reached."""
    yield from _one_hop()
    yield from _two_hops()
    yield from _standalone()


def _one_hop() -> Iterator[Goal]:
    for streams in STREAMS:
        what = f"bulk {streams}, Gbit/s"
        yield Goal(f"{what}: of the best proxy's", "≥", 1, partial(Run.of_most, what=what))
    for streams in STREAMS:
        what = f"bulk {streams}, CPU s/GB"
        yield Goal(f"{what}: of the best proxy's", "≤", 1, partial(Run.of_least, what=what))
    what = "round trip p50, µs"
    yield Goal(f"{what}: of the best proxy's", "≤", 1, partial(Run.of_least, what=what))
    for connections in HTTP_JUDGED:
        what = f"HTTP {connections}, requests/s"
        yield Goal(f"{what}: of the best proxy's", "≥", 0.95, partial(Run.of_most, what=what))
        what = f"HTTP {connections}, p99 µs: of that proxy's"
        yield Goal(what, "≤", 1, partial(Run.p99_beside_fastest, connections=connections))
    what = "new connections/s"
    yield Goal(f"{what}: of the best proxy's", "≥", 4, partial(Run.of_most, what=what))
    for beside, bound in (("bulk", 2), ("a stalled reader", ABOUT_ONE)):
        what = f"100 flows beside {beside}, p99: of that alone"
        yield Goal(what, "≤", bound, partial(Run.p99_beside, other=beside))


def _two_hops() -> Iterator[Goal]:
    for streams in STREAMS:
        what = f"bulk {streams}, Gbit/s"
        over = f"two hops, {what}: of its own over one"
        yield Goal(over, "≥", 0.8, partial(Run.of_one_hop, what=what))
    what = "round trip p50, µs"
    over = f"two hops, {what}: of its own over one"
    yield Goal(over, "≤", 1.5, partial(Run.of_one_hop, what=what))
    for streams in STREAMS:
        what = f"bulk {streams}, CPU s/GB of the middle"
        least = partial(Run.of_least, part=TWO, what=what)
        yield Goal(f"{what}: of the best proxy's", "≤", 0.25, least)


def _standalone() -> Iterator[Goal]:
    yield Goal("an idle flow, kB at the router that takes most", "≤", 30, Run.memory_of_flow)
    for what, sign, bound in (
        ("idle router, MB", "≤", 45),
        ("stalled reader, entry, MB above idle", "<", 10),
        ("stalled reader, exit, MB above idle", "<", 10),
        ("10 idle links, % of a core", "<", 0.5),
        ("start to first byte, s", "<", 1),
    ):
        yield Goal(what, sign, bound, partial(Run.van, part=VAN_STANDALONE, what=what))
    what = "longest status under load, s"
    yield Goal(what, "<", 0.5, partial(Run.van, part=VAN_STANDALONE, what=what))


def judge(parts: dict[str, Figures]) -> Iterator[tuple[str, str, str, str]]:
    """Yield the lines of a table: what was to be reached, the bound, the value, and yes or no."""
    run = Run(parts)
    for goal in goals():
        bound = f"{goal.sign} {goal.bound:g}"
        try:
            value = goal.value(run)
        except KeyError:  # it was not measured
            yield (goal.what, bound, "–", "–")
            continue
        yield (goal.what, bound, number(value), "yes" if goal.is_met(value) else "no")
