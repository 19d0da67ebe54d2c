"""Draws what `benchmarks.routing.convergence`, `dataplane`, and `balancing` kept with `--json`.

`python -m benchmarks.common.plots FIGURES.json …` writes SVG files to docs/images: how routing
grows, the data plane beside proxies, and balancing beside other rules. Needs the extra `bench`.
"""

import argparse
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import matplotlib as mpl
from matplotlib.figure import Figure

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SIZE = (4.8, 3.2)
"""Inches; two plots stand side by side on a page."""

Rows = Sequence[Mapping[str, float]]

PLOTS = {
    "growth-wall-time": ("wall (s)", "wall time of the simulation, s"),
    "growth-memory": ("memory (MB)", "memory of all routers together, MB"),
    "growth-spf": ("one SPF (ms)", "one route computation, ms"),
    "growth-messages": ("messages per link", "routing messages per link"),
}
"""By the name of the file: the figure, and how its axis is called."""

COLORS = {
    "haproxy": "#9db4c8",
    "nginx": "#7f9f7f",
    "stunnel": "#c9b27c",
    "envoy": "#b58a8a",
    "van": "#1f5fa8",
}
"""Of the bars. Without a tunnel is not among them: beside it, all others would be low."""


@attrs.frozen
class Bars:
    """A plot of the data plane: its axis, and for each group of bars its name, the part of the run,
    and the figure."""

    label: str
    groups: tuple[tuple[str, str, str], ...]


BARS = {
    "dataplane-bulk": Bars(
        "throughput, Gbit/s",
        (
            ("one hop,\n1 stream", "one hop", "bulk 1, Gbit/s"),
            ("one hop,\n8 streams", "one hop", "bulk 8, Gbit/s"),
            ("two hops,\n1 stream", "two hops", "bulk 1, Gbit/s"),
            ("two hops,\n8 streams", "two hops", "bulk 8, Gbit/s"),
        ),
    ),
    "dataplane-cpu": Bars(
        "processor time for 1 stream, s/GB",
        (
            ("one hop", "one hop", "bulk 1, CPU s/GB"),
            ("two hops", "two hops", "bulk 1, CPU s/GB"),
            ("two hops,\nthe middle", "two hops", "bulk 1, CPU s/GB of the middle"),
        ),
    ),
    "dataplane-round-trip": Bars(
        "one byte there and back, median, µs",
        (
            ("one hop", "one hop", "round trip p50, µs"),
            ("two hops", "two hops", "round trip p50, µs"),
        ),
    ),
    "dataplane-requests": Bars(
        "HTTP over one hop, requests/s",
        tuple(
            (f"{count} conn.", "one hop", f"HTTP {count}, requests/s") for count in (1, 16, 64, 256)
        ),
    ),
    "dataplane-connections": Bars(
        "new connections/s",
        (
            ("one hop", "one hop", "new connections/s"),
            ("two hops", "two hops", "new connections/s"),
        ),
    ),
    "dataplane-memory": Bars(
        "memory of an idle flow of 5,000, kB",
        (
            ("entry", "one hop", "5,000 flows, entry, kB each"),
            ("exit", "one hop", "5,000 flows, exit, kB each"),
            ("middle", "two hops", "5,000 flows, middle, kB each"),
        ),
    ),
}
"""The plots of the data plane, by the name of the file."""


RULE_COLORS = {
    "least outstanding, own view": "#9db4c8",
    "own outstanding + path cost": "#c9b27c",
    "peak-EWMA": "#b58a8a",
    "Prequal": "#7f9f7f",
    "van": "#1f5fa8",
    "oracle": "#555555",
}
"""Of the rules of balancing, but for round robin and two choices: beside them, all others would be
low."""
BALANCING = (("unequal", 0.75), ("unequal", 0.9), ("stall", 0.75), ("freeze", 0.75))
"""Scenarios and loads that have a group of bars."""
SERIES_STEP = 0.25
"""Seconds of each share that was kept."""


def main() -> None:
    """Draw every plot for which there are figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.common.plots", description=__doc__)
    parser.add_argument("figures", type=Path, nargs="+")
    options = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    for file in options.figures:
        kept = json.loads(file.read_text())
        if "growth" in kept:
            for name, (figure, label) in PLOTS.items():
                draw_growth(kept["growth"], figure, label, IMAGES / f"{name}.svg")
        if "dataplane" in kept:
            for name, bars in BARS.items():
                draw_bars(kept["dataplane"], bars, IMAGES / f"{name}.svg")
        if "balancing" in kept:
            rows = [row for row in kept["balancing"] if row["ingresses"] == 8]
            draw_delays(rows, "p99", IMAGES / "balancing-p99.svg")
            draw_shares(rows, "stall", IMAGES / "balancing-stall.svg")
            draw_shares(rows, "join", IMAGES / "balancing-join.svg")


@contextmanager
def drawing(label: str, file: Path) -> Iterator[Any]:
    """Lend axes, and write what was drawn to a file."""
    # Text stays text, and the same figures give the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "van"}):
        picture = Figure(figsize=SIZE, layout="constrained")
        axes = picture.subplots()
        axes.set_ylabel(label)
        yield axes
        picture.savefig(file, metadata={"Date": None})


def draw_growth(rows: Rows, figure: str, label: str, file: Path) -> None:
    """Draw one figure against the number of routers, both on logarithmic axes."""
    sizes = [row["routers"] for row in rows]
    values = [row[figure] for row in rows]
    with drawing(label, file) as axes:
        axes.loglog(sizes, values, marker="o", color="#1f5fa8")
        for size, value in zip(sizes, values, strict=True):
            axes.annotate(
                f"{value:.3g}",
                (size, value),
                xytext=(0, 6),
                textcoords="offset points",
                ha="center",
            )
        axes.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
        axes.minorticks_off()
        axes.margins(0.15)
        axes.set_xlabel("routers")
        axes.grid(visible=True, alpha=0.3)


def draw_bars(parts: Mapping[str, Any], bars: Bars, file: Path) -> None:
    """Draw medians as bars, grouped, one for each contender that has the figure."""
    width = 0.8 / len(COLORS)
    with drawing(bars.label, file) as axes:
        for index, (contender, color) in enumerate(COLORS.items()):
            places, values = [], []
            for group, (_, part, what) in enumerate(bars.groups):
                if had := parts.get(part, {}).get(what, {}).get(contender):
                    places.append(group + (index - (len(COLORS) - 1) / 2) * width)
                    values.append(statistics.median(had))
            drawn = axes.bar(places, values, width, color=color, label=contender)
            labels = [_short(value) for value in values]
            axes.bar_label(drawn, labels, fontsize=6, padding=2, rotation=90)
        axes.set_xticks(range(len(bars.groups)), [name for name, _, _ in bars.groups])
        axes.margins(y=0.16)
        axes.grid(visible=True, axis="y", alpha=0.3)
        axes.set_axisbelow(True)
        axes.legend(
            fontsize=7,
            ncols=len(COLORS),
            frameon=False,
            loc="upper center",
            bbox_to_anchor=(0.5, 1.14),
        )


def draw_delays(rows: Sequence[Mapping[str, Any]], figure: str, file: Path) -> None:
    """Draw a percentile of the delays as bars, a group for each scenario, a bar for each rule."""
    width = 0.84 / len(RULE_COLORS)
    with drawing(f"{figure}, ms", file) as axes:
        for index, (rule, color) in enumerate(RULE_COLORS.items()):
            found = {(row["scenario"], row["load"]): row for row in rows if row["rule"] == rule}
            had = [(group, found[case]) for group, case in enumerate(BALANCING) if case in found]
            places = [group + (index - (len(RULE_COLORS) - 1) / 2) * width for group, _ in had]
            values = [row[figure] for _, row in had]
            drawn = axes.bar(places, values, width, color=color, label=rule)
            axes.bar_label(drawn, [_short(value) for value in values], fontsize=5, padding=1)
        axes.set_xticks(range(len(BALANCING)), [f"{name},\nload {at:g}" for name, at in BALANCING])
        axes.grid(visible=True, axis="y", alpha=0.3)
        axes.set_axisbelow(True)
        axes.legend(fontsize=6, frameon=False, ncols=2)
        axes.margins(y=0.3)


def draw_shares(rows: Sequence[Mapping[str, Any]], scenario: str, file: Path) -> None:
    """Draw over time which share of the requests goes to the backend to which something happens."""
    with drawing("its share of the requests, %", file) as axes:
        for row in rows:
            color = RULE_COLORS.get(row["rule"])
            if (row["scenario"], row["load"]) != (scenario, 0.75) or color is None:
                continue
            shares = [100 * share for share in row["shares"]]
            times = [step * SERIES_STEP for step in range(len(shares))]
            width = 2.0 if row["rule"] == "van" else 1.0
            axes.plot(times, shares, color=color, label=row["rule"], linewidth=width)
        axes.set_xlabel("time, s")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=6, frameon=False, ncols=2)
        axes.set_ylim(bottom=0)
        axes.margins(x=0.02, y=0.3)


def _short(value: float) -> str:
    """Return a figure that fits over a bar."""
    if value >= 1000:
        return f"{value / 1000:.1f}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"


if __name__ == "__main__":
    main()
