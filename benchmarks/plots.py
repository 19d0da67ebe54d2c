"""Draws how routing grows, from the figures that `benchmarks.convergence --json` kept.

`python -m benchmarks.plots FIGURES.json` writes SVG files to docs/images. Needs the extra `bench`.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

IMAGES = Path(__file__).parent.parent / "docs" / "images"
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


def main() -> None:
    """Draw every plot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plots", description=__doc__)
    parser.add_argument("figures", type=Path)
    options = parser.parse_args()
    rows = json.loads(options.figures.read_text())["growth"]
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, (figure, label) in PLOTS.items():
        draw(rows, figure, label, IMAGES / f"{name}.svg")


def draw(rows: Rows, figure: str, label: str, file: Path) -> None:
    """Draw one figure against the number of routers, both on logarithmic axes."""
    sizes = [row["routers"] for row in rows]
    values = [row[figure] for row in rows]
    # Text stays text, and the same figures give the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "van"}):
        picture = Figure(figsize=SIZE, layout="constrained")
        axes = picture.subplots()
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
        axes.set_ylabel(label)
        axes.grid(visible=True, alpha=0.3)
        picture.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    main()
