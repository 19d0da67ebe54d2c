"""A router that takes a census of itself on SIGUSR1, in the file that `VAN_CENSUS` names.

Started as `van.router` is, with `--site NAME`, which the file's name ends with. The file appears
whole.
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType

import msgspec

from benchmarks.soak.census import take
from van.router.__main__ import start


def run() -> int:
    """Run a router that can be counted."""
    site = sys.argv[sys.argv.index("--site") + 1]
    target = Path(f"{os.environ['VAN_CENSUS']}-{site}")

    def write(_number: int, _frame: FrameType | None) -> None:
        draft = target.with_suffix(".draft")
        draft.write_bytes(msgspec.json.encode(take()))
        draft.replace(target)

    signal.signal(signal.SIGUSR1, write)
    return start()


if __name__ == "__main__":
    sys.exit(run())
