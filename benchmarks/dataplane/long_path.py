"""How flows fare on a long path that loses packets: through `van`, and each on its own.

`measure` runs this module as a program in a network of its own, which prints a line of JSON for
each load of each contender.
"""

import argparse
import json
import math
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import trio

from benchmarks.common.programs import ROOT, Programs
from benchmarks.common.reporting import note, percentile
from benchmarks.dataplane.clients import FAILURES, PATIENCE, open_flows
from benchmarks.dataplane.contenders import (
    BEFORE,
    DIRECT,
    SITES,
    VAN,
    Tunnel,
    configure_chain,
    is_warm,
    routers,
)
from benchmarks.dataplane.loads import FLOWS, Sample
from benchmarks.dataplane.networks import ENTER, FAR, Networks, congestion_controls, missing
from benchmarks.dataplane.pacing import REQUEST, paced_latencies
from lab.fleet import Fleet
from lab.processes import wait_for

CONTROLS: Final = ("cubic", "bbr")
LOSSES: Final = (0, 0.1, 1, 3)
"""Per cent of the packets, in each direction."""
LENGTH: Final = 3.0
"""Seconds of a load for each that others last: what is rare is looked for."""
WARM_UP: Final = 1.0
"""Seconds after which windows have opened, at 30 ms for a round trip."""
LATE: Final = 0.2
"""Seconds after which an answer is late: the least time that the kernel waits before it repeats
what was lost last, on this path."""
BEGINNINGS: Final = 200
"""New connections in a second."""

Load = Callable[[Tunnel, float], Sample]


# -- the loads -------------------------------------------------------------------------------------


def small_flows(tunnel: Tunnel, seconds: float) -> Sample:
    """See how long a hundred flows wait for their answers."""
    with ExitStack() as stack:
        socks = open_flows(stack, tunnel.port, FLOWS, tunnel.host)
        times = ask_over(socks, seconds)
    return {
        "100 flows, p50 ms": 1e3 * percentile(times, 50),
        "100 flows, p99 ms": 1e3 * percentile(times, 99),
        "100 flows, longest, ms": 1e3 * max(times),
        "100 flows, % over 200 ms": 100 * sum(took > LATE for took in times) / len(times),
    }


def ask_over(socks: Sequence[socket.socket], seconds: float) -> list[float]:
    """Return how long requests over these flows waited for their answers."""
    paced_latencies(socks, WARM_UP, catches_up=False)
    return paced_latencies(socks, seconds, catches_up=False)


def beginnings(tunnel: Tunnel, seconds: float) -> Sample:
    """Open connections at an even pace, each for a request and an answer."""
    times = trio.run(_begin_all, tunnel, seconds)
    failed = sum(map(math.isinf, times))
    found = {"new connections, failed": float(failed)}
    for percent in (50, 99):
        if math.isfinite(took := percentile(times, percent)):
            found[f"new connections, p{percent} ms"] = 1e3 * took
    return found


async def _begin_all(tunnel: Tunnel, seconds: float) -> list[float]:
    """Return how long each answer took from the moment of the connecting on; infinite for none."""
    times: list[float] = []
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(round(seconds * BEGINNINGS)):
            await trio.sleep_until(began + number / BEGINNINGS)
            nursery.start_soon(_begin, tunnel, times)
    return times


async def _begin(tunnel: Tunnel, times: list[float]) -> None:
    began = trio.current_time()
    missing = len(REQUEST)
    with trio.move_on_after(PATIENCE):
        try:
            async with await trio.open_tcp_stream(tunnel.host, tunnel.port) as stream:
                await stream.send_all(REQUEST)
                while missing and (data := await stream.receive_some(missing)):
                    missing -= len(data)
        except (OSError, trio.BrokenResourceError):
            pass  # then it has failed
    times.append(math.inf if missing else trio.current_time() - began)


def bulk(tunnel: Tunnel, seconds: float) -> Sample:
    """Read from one flow as fast as it comes."""
    with Programs() as programs, programs.reader(tunnel.port, 1, tunnel.host) as received:
        time.sleep(WARM_UP)
        began, before = time.perf_counter(), received()
        time.sleep(seconds)
        return {"bulk, Mbit/s": _megabits(received() - before, time.perf_counter() - began)}


def beside_bulk(tunnel: Tunnel, seconds: float) -> Sample:
    """See how long a hundred flows wait beside one that takes all it can get."""
    with ExitStack() as stack:
        socks = open_flows(stack, tunnel.port, FLOWS, tunnel.host)
        programs = stack.enter_context(Programs())
        received = stack.enter_context(programs.reader(tunnel.port, 1, tunnel.host))
        began, before = time.perf_counter(), received()
        times = ask_over(socks, seconds)
        rate = _megabits(received() - before, time.perf_counter() - began)
    return {
        "100 flows beside bulk, p50 ms": 1e3 * percentile(times, 50),
        "100 flows beside bulk, p99 ms": 1e3 * percentile(times, 99),
        "bulk beside 100 flows, Mbit/s": rate,
    }


def _megabits(count: int, seconds: float) -> float:
    return 8e-6 * count / seconds


LOADS: Final[tuple[Load, ...]] = (small_flows, beginnings, bulk, beside_bulk)


# -- who calls -------------------------------------------------------------------------------------


def measure(
    contenders: Sequence[str], seconds: float, before: Path | None = None
) -> Iterator[tuple[str, Sample]]:
    """Yield what each load found of each contender; nothing, with a note, where it can't be."""
    if absent := missing():
        note(f"the long path is skipped, {', '.join(absent)} is missing")
        return
    known = ",".join(name for name in (DIRECT, VAN, BEFORE) if name in contenders)
    words = ["--seconds", str(seconds), "--contenders", known]
    if before is not None:
        words += ["--before", str(before)]
    command = (*ENTER, sys.executable, "-m", "benchmarks.dataplane.long_path", *words)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=ROOT
    ) as program:
        assert program.stdout is not None
        try:
            for line in program.stdout:
                name, sample = json.loads(line)
                yield name, sample
        finally:
            program.terminate()  # it ends what it started
    if program.returncode:
        note("the long path ended early")


# -- the program in the near network ---------------------------------------------------------------


def main() -> None:
    """Run all loads with each congestion control and each loss."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # after cleaning up
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dataplane.long_path", description=__doc__
    )
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--contenders", default=f"{DIRECT},{VAN}")
    parser.add_argument("--before", type=Path)
    options = parser.parse_args()
    names = options.contenders.split(",")
    checkouts = routers(names, options.before)
    with Programs() as programs:
        networks = Networks.make(programs)
        for control in CONTROLS:
            if control not in congestion_controls():
                note(f"{control} is skipped, the system does not have it")
                continue
            networks.lose(0)
            networks.control_congestion(control)
            with tunnels(networks, checkouts, has_direct=DIRECT in names) as opened:
                for loss in LOSSES:
                    networks.lose(loss)
                    run(opened, f"{control}, {loss:g} % lost: ", LENGTH * options.seconds)


@contextmanager
def tunnels(
    networks: Networks, checkouts: Mapping[str, Path | None], *, has_direct: bool
) -> Iterator[dict[str, Tunnel]]:
    """Lend the ways to a server in the far network, with the settings that there are now."""
    with ExitStack() as stack:
        programs = stack.enter_context(Programs())
        target = programs.start_server("keep", host=FAR, inside=networks.inside_far)
        found = {}
        if has_direct:
            found[DIRECT] = Tunnel(target, host=FAR)
        for name, checkout in checkouts.items():
            found[name] = start_van(stack.enter_context(Fleet(checkout)), networks, target)
        yield found


def start_van(fleet: Fleet, networks: Networks, target: int) -> Tunnel:
    """Start a router in each network, and return when flows can begin."""
    entry, exit_ = sites = SITES[1]
    (port,) = configure_chain(fleet, sites, target, host=FAR)
    fleet.launch(entry)
    fleet.launch(exit_, inside=networks.inside_far)
    for site in sites:
        fleet.wait_answer(site)
    wait_for(lambda: is_warm(fleet, sites), "the routers have channels ready", timeout=60.0)
    return Tunnel(port, {site: fleet.pid(site) for site in sites})


def run(opened: Mapping[str, Tunnel], prefix: str, seconds: float) -> None:
    """Run every load for each contender in turn, and print what it found."""
    for load in LOADS:
        for name, tunnel in opened.items():
            try:
                sample = load(tunnel, seconds)
            except FAILURES as exc:
                note(f"{prefix}{name} failed: {exc!r}")
                continue
            print(json.dumps((name, {prefix + what: value for what, value in sample.items()})))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
