"""What `van` was to reach beside the proxies, and whether it did."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import attrs

from benchmarks.common.reporting import number
from benchmarks.dataplane.contenders import PROXIES
from benchmarks.dataplane.datagrams import SIZES
from benchmarks.dataplane.figures import ONE, TWO, Run
from benchmarks.dataplane.loads import HTTP_CONNECTIONS, STREAMS
from benchmarks.dataplane.long_path import CONTROLS, LOSSES
from benchmarks.dataplane.runs import DATAGRAMS, LONG_PATH, VAN_STANDALONE, Figures

BUT_ENVOY: Final = tuple(name for name in PROXIES if name != "envoy")
"""By whom bulk is judged."""
ABOUT_ONE: Final = 1.2
"""A ratio that is about one: no more than what two runs of the same differ by."""


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
    yield from _small()
    yield from _beginnings()
    yield from _bulk()
    yield from _beside()
    yield from _two_hops()
    yield from _long_path()
    yield from _datagrams()
    yield from _standalone()


def _small() -> Iterator[Goal]:
    for what, bound in (
        ("round trip p50, µs", 0.8),
        ("round trip on one core p50, µs", 1.3),
    ):
        yield _of_least(what, bound)
    for connections in HTTP_CONNECTIONS:
        yield _of_most(f"HTTP {connections}, requests/s", 1.1)
        what = f"HTTP {connections}, p99 µs: of that proxy's"
        yield Goal(what, "≤", 1, partial(Run.p99_beside_fastest, connections=connections))
    yield _of_least("HTTP 16, CPU s/10,000", 0.8)
    what = "HTTP 16, system calls per request"
    most = partial(Run.most_of, part=ONE, what=what)
    yield Goal(f"{what}, of the router with most", "≤", 2.6, most)


def _beginnings() -> Iterator[Goal]:
    yield _of_most("new connections/s", 1.3)
    yield _of_least("new connections, CPU s/10,000", 0.8)
    what = "1,000 flows, both ends, MiB"
    yield Goal(what, "≤", 5, partial(Run.van, part=ONE, what=what))


def _bulk() -> Iterator[Goal]:
    for streams in STREAMS:
        yield _of_most(f"bulk {streams}, Gbit/s", 1, BUT_ENVOY)
    for streams in STREAMS:
        yield _of_least(f"bulk {streams}, CPU s/GB", 1.05, BUT_ENVOY)


def _beside() -> Iterator[Goal]:
    for streams in STREAMS:
        for percent in (50, 99):
            yield _of_least(f"request beside bulk {streams}, p{percent} µs", 1.2)
    for beside, bound in (("bulk", 2), ("a stalled reader", ABOUT_ONE)):
        what = f"100 flows beside {beside}, p99: of that alone"
        yield Goal(what, "≤", bound, partial(Run.p99_beside, other=beside))


def _of_most(what: str, bound: float, among: tuple[str, ...] = PROXIES) -> Goal:
    value = partial(Run.of_most, what=what, among=among)
    return Goal(f"{what}: of {_best(among)}", "≥", bound, value)


def _of_least(what: str, bound: float, among: tuple[str, ...] = PROXIES) -> Goal:
    value = partial(Run.of_least, what=what, among=among)
    return Goal(f"{what}: of {_best(among)}", "≤", bound, value)


def _best(among: tuple[str, ...]) -> str:
    return "the best proxy's" if among == PROXIES else "the best but Envoy's"


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
    what = "5,000 flows at once, s"
    yield Goal(f"two hops, {what}", "<", 5, partial(Run.van, part=TWO, what=what))


def _long_path() -> Iterator[Goal]:
    """Yield what is judged by connections of their own, without a tunnel."""
    for control in CONTROLS:
        for loss in LOSSES:
            yield _of_direct(control, loss, "100 flows, p50 ms", 1.2)
        for loss, bound in ((0.1, 1.7), (1, 0.4), (3, 0.4)):
            yield _of_direct(control, loss, "100 flows, p99 ms", bound)
        for loss in (0.1, 1):
            yield _of_direct(control, loss, "100 flows beside bulk, p50 ms", 1.15)
            yield _of_direct(control, loss, "100 flows beside bulk, p99 ms", 1)
        yield _of_direct(control, 1, "new connections, p99 ms", 0.2)


def _of_direct(control: str, loss: float, load: str, bound: float) -> Goal:
    what = f"{control}, {loss:g} % lost: {load}"
    value = partial(Run.of_direct, part=LONG_PATH, what=what)
    return Goal(f"{what}: of connections of their own", "≤", bound, value)


def _datagrams() -> Iterator[Goal]:
    """Yield what is judged by socat, which encrypts nothing and is one process."""
    small, large = SIZES
    what = f"round trip of {small} bytes, p50, µs"
    yield Goal(f"{what}: of socat's", "≤", 2, partial(Run.of_socat, what=what))
    # One and a half times what channels brought: 0.63 and 0.67 of socat's.
    for size, bound in ((small, 0.95), (large, 1)):
        what = f"datagrams of {size} bytes there and back, 1/s"
        yield Goal(f"{what}: of socat's", "≥", bound, partial(Run.of_socat, what=what))
    what = "new sessions, 1/s"
    yield Goal(what, "≥", 5000, partial(Run.van, part=DATAGRAMS, what=what))


def _standalone() -> Iterator[Goal]:
    for what, sign, bound in (
        ("idle router, MB", "≤", 46),
        ("stalled reader, entry, MB above idle", "<", 10),
        ("stalled reader, exit, MB above idle", "<", 10),
        ("10 idle links, % of a core", "<", 0.3),
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
