"""What a request flow feels of flows beside it that take all they can get."""

import time
from contextlib import ExitStack

from benchmarks.common.programs import Programs
from benchmarks.common.reporting import percentile
from benchmarks.dataplane.clients import connect, exchange_for, warm_up
from benchmarks.dataplane.contenders import Tunnel
from benchmarks.dataplane.loads import WARM_UP, Sample


def beside_bulk(tunnel: Tunnel, seconds: float, *, streams: int) -> Sample:
    """Send a byte and wait for it, again and again, while so many flows are read.

    Their reader is a program of its own, so that this one waits for nothing but the tunnel.
    """
    with ExitStack() as stack:
        sock = stack.enter_context(connect(tunnel.port))
        warm_up(sock)
        programs = stack.enter_context(Programs())
        received = stack.enter_context(programs.reader(tunnel.port, streams))
        time.sleep(WARM_UP)
        began, before = time.perf_counter(), received()
        times = exchange_for(sock, seconds)
        gigabits = 8 * (received() - before) / 1e9
        elapsed = time.perf_counter() - began
    return {
        f"request beside bulk {streams}, p50 µs": percentile(times, 50),
        f"request beside bulk {streams}, p99 µs": percentile(times, 99),
        f"bulk {streams} beside requests, Gbit/s": gigabits / elapsed,
    }
