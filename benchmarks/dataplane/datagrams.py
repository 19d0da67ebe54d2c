"""What it costs a datagram to go through `van`, beside no tunnel and `socat`, on loopback.

`python -m benchmarks.dataplane.datagrams` prints round trips of one datagram at a time, those of
new sessions, of which each asks once as a resolver does, and how many come back in a second when
there are always some under way. `socat` (UDP4-LISTEN with fork, to UDP4) encrypts nothing and is
one process; `van` is two, with TLS between them.
"""

import argparse
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import attrs

from benchmarks.common.programs import Programs
from benchmarks.common.reporting import emit, note, number, percentile
from benchmarks.dataplane.contenders import is_warm
from lab.fleet import Fleet
from lab.ports import free_port
from lab.processes import wait_for
from van.config import ConnectorConfig, LinkConfig, ListenerConfig, SiteConfig
from van.names import Address, Endpoint

LOOPBACK: Final = "127.0.0.1"
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


@attrs.define
class Figures:
    """What came of one contender: seconds, and datagrams in a second."""

    round_trips: dict[int, list[float]] = attrs.field(factory=dict)
    first: list[float] = attrs.field(factory=list)
    rates: dict[int, float] = attrs.field(factory=dict)
    lost: int = 0


def main() -> None:
    """Measure, or be the server at the far end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # after cleaning up
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dataplane.datagrams", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load")
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--echo", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.echo:
        echo()
        return
    found = {}
    with ExitStack() as stack:
        programs = stack.enter_context(Programs())
        target = start_echo(programs)
        ports = {"direct": target}
        if shutil.which("socat"):
            ports["socat"] = start_socat(programs, target)
        else:
            note("socat is skipped, it is not installed")
        ports["van"] = stack.enter_context(van_port(target))
        for name, port in ports.items():
            note(name)
            found[name] = measure(port, options.seconds, options.sessions)
    show(found)


def show(found: dict[str, Figures]) -> None:
    """Print the table."""
    rows = []
    for size in SIZES:
        for percent in (50, 99):
            values = [percentile(each.round_trips[size], percent) for each in found.values()]
            what = f"round trip of {size} bytes, p{percent}, µs"
            rows.append((what, *(number(value * 1e6) for value in values)))
    for percent in (50, 99):
        values = [percentile(each.first, percent) for each in found.values()]
        rows.append(
            (f"the same of a new session, p{percent}, µs", *(number(v * 1e6) for v in values))
        )
    for size in SIZES:
        rates = (number(each.rates[size]) for each in found.values())
        rows.append((f"datagrams of {size} bytes there and back, 1/s", *rates))
    rows.append(("lost", *(str(each.lost) for each in found.values())))
    emit("Datagrams, one hop", ("", *found), rows)


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
    port = free_port()
    listen = f"UDP4-LISTEN:{port},bind={LOOPBACK},fork,reuseaddr"
    programs.start("socat", f"-T{SOCAT_IDLE}", listen, f"UDP4:{LOOPBACK}:{target}")
    time.sleep(WARM_UP)
    return port


@contextmanager
def van_port(target: int) -> Iterator[int]:
    """Lend a port that leads to the far end through two routers."""
    link, port = (Endpoint(LOOPBACK, free_port()) for _ in range(2))
    listener = ListenerConfig("udp", ADDRESS, port)
    connector = ConnectorConfig("udp", ADDRESS, Endpoint(LOOPBACK, target))
    with Fleet() as fleet:
        fleet.make("exit", SiteConfig(link, connectors=(connector,)))
        entry = SiteConfig(links=(LinkConfig("exit", (link,)),), listeners=(listener,))
        fleet.make("entry", entry)
        fleet.run_all(("entry", "exit"))
        wait_for(lambda: is_warm(fleet, ("entry", "exit")), "channels are ready", timeout=60.0)
        yield port.port


# -- the client ------------------------------------------------------------------------------------


def measure(port: int, seconds: float, sessions: int) -> Figures:
    """Return the figures of a way to the far end."""
    figures = Figures()
    for size in SIZES:
        with client(port) as sock:
            ask_in_turn(sock, size, WARM_UP, Figures())
            figures.round_trips[size] = ask_in_turn(sock, size, seconds, figures)
        with client(port) as sock:
            ask_at_once(sock, size, WARM_UP)
            figures.rates[size] = ask_at_once(sock, size, seconds)
    for _ in range(sessions):
        with client(port) as sock:
            took = ask(sock, bytes(SIZES[0]))
            if took is None:
                figures.lost += 1
            else:
                figures.first.append(took)
    return figures


@contextmanager
def client(port: int) -> Iterator[socket.socket]:
    """Lend a client's socket."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((LOOPBACK, port))
        yield sock


def ask(sock: socket.socket, data: bytes) -> float | None:
    """Return the seconds that it took to hear a datagram again, or None when it was lost."""
    began = time.perf_counter()
    sock.send(data)
    try:
        sock.recv(65536)
    except TimeoutError:
        return None
    return time.perf_counter() - began


def ask_in_turn(sock: socket.socket, size: int, seconds: float, figures: Figures) -> list[float]:
    """Return the round trips of one datagram after the other."""
    data, found = bytes(size), []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        took = ask(sock, data)
        if took is None:
            figures.lost += 1
        else:
            found.append(took)
    return found


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


if __name__ == "__main__":
    main()
