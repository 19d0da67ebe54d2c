"""A router under `tracemalloc`: on SIGUSR1 it writes what its memory went to since it started.

Started as `van.router` is, with `--site NAME`; the report goes to the file that `VAN_BREAKDOWN`
names, and the file appears whole.
"""

import gc
import os
import signal
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from types import FrameType

from van.router.process import main

SHOWN = 30


def report(base: tracemalloc.Snapshot, base_sizes: Counter[str]) -> str:
    """Return tables of the growth by line of code, and of the objects by type."""
    gc.collect()
    now = tracemalloc.take_snapshot()
    ignored = (tracemalloc.Filter(inclusive=False, filename_pattern=tracemalloc.__file__),)
    compared = now.filter_traces(ignored).compare_to(base.filter_traces(ignored), "lineno")
    total = sum(each.size_diff for each in compared)
    lines = [f"{total / 1e6:.1f} MB of Python memory more than at the start", "", "by line:"]
    for each in compared[:SHOWN]:
        frame = each.traceback[0]
        where = f"{Path(frame.filename).parent.name}/{Path(frame.filename).name}:{frame.lineno}"
        lines.append(f"{each.size_diff / 1e6:8.2f} MB {each.count_diff:8} blocks  {where}")
    lines += ["", "by type, what the collector tracks, without what it refers to:"]
    sizes = measure()
    sizes.subtract(base_sizes)
    for name, size in sizes.most_common(SHOWN):
        lines.append(f"{size / 1e6:8.2f} MB  {name}")
    return "\n".join(lines) + "\n"


def measure() -> Counter[str]:
    """Return the bytes of all tracked objects, by type."""
    sizes: Counter[str] = Counter()
    for each in gc.get_objects():
        kind = type(each)
        sizes[f"{kind.__module__}.{kind.__qualname__}"] += sys.getsizeof(each, 0)
    return sizes


def run() -> int:
    """Run a router that reports."""
    target = Path(os.environ["VAN_BREAKDOWN"])
    gc.collect()
    tracemalloc.start()
    base, base_sizes = tracemalloc.take_snapshot(), measure()

    def write(_number: int, _frame: FrameType | None) -> None:
        draft = target.with_suffix(".draft")
        draft.write_text(report(base, base_sizes))
        draft.replace(target)

    signal.signal(signal.SIGUSR1, write)
    return main()


if __name__ == "__main__":
    sys.exit(run())
