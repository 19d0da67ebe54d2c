"""What it costs a datagram to go through `van`, beside no tunnel and `socat`, on loopback.

`python -m benchmarks.dataplane.datagrams` prints round trips of one datagram at a time, those of
new sessions, of which each asks once as a resolver does, how many of these are answered in a
second, and how many datagrams come back in a second when
there are always some under way. `socat` (UDP4-LISTEN with fork, to UDP4) encrypts nothing and is
one process; `van` is two, with TLS between them.
"""

import argparse
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, cast

from benchmarks.common.programs import LOOPBACK, Programs
from benchmarks.common.reporting import emit, note, number, percentile
from benchmarks.dataplane.contenders import BEFORE, DIRECT, VAN, is_warm, routers
from benchmarks.dataplane.loads import Sample
from lab.fleet import Fleet
from lab.ports import free_port
from lab.processes import wait_for
from van.config import ConnectorConfig, LinkConfig, ListenerConfig, SiteConfig
from van.names import Address, Endpoint

SOCAT: Final = "socat"
SIZES: Final = (64, 1200)
"""Bytes of a datagram: a question to a name server, and a packet of QUIC."""
WINDOW: Final = 32
"""Datagrams under way at one time when as many as possible are to come back."""
PATIENCE: Final = 1.0
"""Seconds after which a datagram counts as lost."""
WARM_UP: Final = 0.5
SESSIONS: Final = 300
"""New sessions that are begun, one after the other."""
SOCAT_IDLE: Final = 2
"""Seconds after which a process of socat ends that has nothing to do."""
ADDRESS: Final = Address("bench", 1)


def main() -> None:
    """Measure, or be the server at the far end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # after cleaning up
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dataplane.datagrams", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load")
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument(
        "--before", type=Path, metavar="DIRECTORY", help="another checkout, to measure it as well"
    )
    parser.add_argument("--echo", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.echo:
        echo()
        return
    checkouts = routers((BEFORE, VAN) if options.before else (VAN,), options.before)
    found = dict(measure_all(checkouts, options.seconds, options.sessions))
    names = dict.fromkeys(what for sample in found.values() for what in sample)
    rows = (
        (what, *(number(sample[what]) if what in sample else "–" for sample in found.values()))
        for what in names
    )
    emit("Datagrams, one hop", ("", *found), rows)


def measure_all(
    checkouts: Mapping[str, Path | None], seconds: float, sessions: int = SESSIONS
) -> Iterator[tuple[str, Sample]]:
    """Yield the figures of each contender that is there; routers are of a checkout each, which is
    this one for None."""
    with ExitStack() as stack:
        programs = stack.enter_context(Programs())
        target = start_echo(programs)
        ports = {DIRECT: target}
        if shutil.which(SOCAT):
            ports[SOCAT] = start_socat(programs, target)
        else:
            note(f"{SOCAT} is skipped, it is not installed")
        for name, checkout in checkouts.items():
            ports[name] = stack.enter_context(van_port(target, checkout))
        for name, port in ports.items():
            note(name)
            yield name, measure(port, seconds, sessions)


# -- the far end and the ways to it ----------------------------------------------------------------


def echo() -> None:
    """Print a port, and send back what comes there."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind((LOOPBACK, 0))
        print(sock.getsockname()[1], flush=True)
        buffer = memoryview(bytearray(65536))
        while True:
            count, address = sock.recvfrom_into(buffer)
            sock.sendto(buffer[:count], address)


def start_echo(programs: Programs) -> int:
    """Start the far end, and return its port."""
    program = programs.start(
        sys.executable, "-m", "benchmarks.dataplane.datagrams", "--echo", stdout=subprocess.PIPE
    )
    assert program.stdout is not None
    return int(program.stdout.readline())


def start_socat(programs: Programs, target: int) -> int:
    """Start a socat that leads to the far end, and return its port."""
    port = free_port(is_udp=True)
    listen = f"UDP4-LISTEN:{port},bind={LOOPBACK},fork,reuseaddr"
    programs.start("socat", f"-T{SOCAT_IDLE}", listen, f"UDP4:{LOOPBACK}:{target}")
    wait_for(lambda: answers(port), "socat answers")
    return port


@contextmanager
def van_port(target: int, checkout: Path | None) -> Iterator[int]:
    """Lend a port that leads to the far end through two routers."""
    link, port = Endpoint(LOOPBACK, free_port()), Endpoint(LOOPBACK, free_port(is_udp=True))
    listener = ListenerConfig("udp", ADDRESS, port)
    connector = ConnectorConfig("udp", ADDRESS, Endpoint(LOOPBACK, target))
    with Fleet(checkout) as fleet:
        fleet.make("exit", SiteConfig(link, connectors=(connector,)))
        entry = SiteConfig(links=(LinkConfig("exit", (link,)),), listeners=(listener,))
        fleet.make("entry", entry)
        fleet.run_all(("entry", "exit"))
        wait_for(lambda: is_warm(fleet, ("entry", "exit")), "channels are ready", timeout=60.0)
        yield port.port


# -- the client ------------------------------------------------------------------------------------


def measure(port: int, seconds: float, sessions: int) -> Sample:
    """Return the figures of a way to the far end."""
    found: Sample = {}
    lost = 0
    for size in SIZES:
        with client(port) as sock:
            ask_in_turn(sock, size, WARM_UP)
            times, missing = ask_in_turn(sock, size, seconds)
        add_times(found, f"round trip of {size} bytes", times)
        lost += missing
        with client(port) as sock:
            ask_at_once(sock, size, WARM_UP)
            rate = ask_at_once(sock, size, seconds)
        found[f"datagrams of {size} bytes there and back, 1/s"] = rate
    first = []
    for _ in range(sessions):
        with client(port) as sock:
            first.append(ask(sock, bytes(SIZES[0])))
    answered = [took for took in first if took is not None]
    add_times(found, "round trip of a new session", answered)
    found["new sessions, 1/s"] = begin_at_once(port, seconds)
    found["lost"] = lost + len(first) - len(answered)
    return found


def add_times(found: Sample, what: str, times: Sequence[float]) -> None:
    """Add the percentiles of times in seconds."""
    if times:
        for percent in (50, 99):
            found[f"{what}, p{percent}, µs"] = 1e6 * percentile(times, percent)


@contextmanager
def client(port: int) -> Iterator[socket.socket]:
    """Lend a client's socket."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((LOOPBACK, port))
        yield sock


def answers(port: int) -> bool:
    """Tell whether a datagram comes back from a port."""
    with client(port) as sock:
        return ask(sock, b"x") is not None


def ask(sock: socket.socket, data: bytes) -> float | None:
    """Return the seconds that it took to hear a datagram again, or None when it was lost, or
    refused: a socat that forks does not listen for a moment."""
    began = time.perf_counter()
    try:
        sock.send(data)
        sock.recv(65536)
    except (TimeoutError, ConnectionRefusedError):
        return None
    return time.perf_counter() - began


def ask_in_turn(sock: socket.socket, size: int, seconds: float) -> tuple[list[float], int]:
    """Return the round trips of one datagram after the other, and how many were lost."""
    data, found = bytes(size), []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        found.append(ask(sock, data))
    answered = [took for took in found if took is not None]
    return answered, len(found) - len(answered)


def ask_at_once(sock: socket.socket, size: int, seconds: float) -> float:
    """Return how many datagrams come back in a second, with `WINDOW` under way all the time."""
    data = bytes(size)
    began = time.perf_counter()
    count = under_way = 0
    while (now := time.perf_counter()) < began + seconds:
        while under_way < WINDOW:
            sock.send(data)
            under_way += 1
        try:
            sock.recv(65536)
        except TimeoutError:  # what is missing by now was lost
            under_way = 0
            continue
        under_way -= 1
        count += 1
    return count / (now - began)


def begin_at_once(port: int, seconds: float) -> float:
    """Return how many new sessions are answered in a second, with `WINDOW` beginning all the time.

    Each asks once and ends.
    """
    began = time.perf_counter()
    count = 0
    with selectors.DefaultSelector() as selector:
        for _ in range(WINDOW):
            begin(selector, port)
        while (now := time.perf_counter()) < began + seconds:
            ready = [key for key, _ in selector.select(PATIENCE)]
            # Without any for so long, all were lost.
            for key in ready or list(selector.get_map().values()):
                count += is_answered(key)
                end(selector, key)
                begin(selector, port)
        for key in list(selector.get_map().values()):
            end(selector, key)
    return count / (now - began)


def begin(selector: selectors.BaseSelector, port: int) -> None:
    """Ask over a socket of its own, which the selector then waits for."""
    sock = socket.socket(type=socket.SOCK_DGRAM)
    selector.register(sock, selectors.EVENT_READ)
    sock.connect((LOOPBACK, port))
    sock.send(bytes(SIZES[0]))


def is_answered(key: selectors.SelectorKey) -> bool:
    """Tell whether an answer has come, and no refusal."""
    try:
        cast("socket.socket", key.fileobj).recv(65536, socket.MSG_DONTWAIT)
    except (BlockingIOError, ConnectionRefusedError):
        return False
    return True


def end(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    """Wait for it no longer, and close it."""
    selector.unregister(key.fileobj)
    cast("socket.socket", key.fileobj).close()


if __name__ == "__main__":
    main()
