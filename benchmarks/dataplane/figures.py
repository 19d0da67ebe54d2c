"""The figures of a run, and how those of `van` compare with others'."""

import statistics
from collections.abc import Sequence

import attrs

from benchmarks.dataplane.contenders import DIRECT, PROXIES, VAN
from benchmarks.dataplane.datagrams import SOCAT
from benchmarks.dataplane.runs import DATAGRAMS, HOPS, Figures

ONE, TWO = HOPS.values()


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

    def proxies(self, part: str, what: str, among: Sequence[str] = PROXIES) -> dict[str, float]:
        """Return the figure of each proxy that has one, of which there must be one at least."""
        had = [name for name in among if name in self.parts[part][what]]
        if not had:
            raise KeyError(what)
        return {name: self.of(name, part, what) for name in had}

    def of_most(self, *, what: str, part: str = ONE, among: Sequence[str] = PROXIES) -> float:
        """Return `van`'s figure as a multiple of the highest of the proxies."""
        return self.van(part=part, what=what) / max(self.proxies(part, what, among).values())

    def of_least(self, *, what: str, part: str = ONE, among: Sequence[str] = PROXIES) -> float:
        """Return `van`'s figure as a multiple of the lowest of the proxies."""
        return self.van(part=part, what=what) / min(self.proxies(part, what, among).values())

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

    def of_socat(self, *, what: str) -> float:
        """Return `van`'s figure of datagrams as a multiple of that of socat."""
        return self.van(part=DATAGRAMS, what=what) / self.of(SOCAT, DATAGRAMS, what)

    def of_direct(self, *, part: str, what: str) -> float:
        """Return `van`'s figure as a multiple of that without a tunnel."""
        return self.van(part=part, what=what) / self.of(DIRECT, part, what)

    def most_of(self, *, part: str, what: str) -> float:
        """Return the highest of `van`'s figures that are called like this, such as of its sites."""
        found = [self.van(part=part, what=name) for name in self.parts[part] if what in name]
        if not found:
            raise KeyError(what)
        return max(found)
