"""Thousands of connections at a router that is a process of its own, so that its memory shows."""

import contextlib
import resource
import select
import socket
import time
from collections.abc import Iterator

import pytest

from lab.ports import free_port
from lab.processes import Lab, answers, lab, wait_for
from tests.hostile.network_under_attack import descriptors, resident

HALF_OPEN = 3000
MAX_GROWTH = 80 * 1024 * 1024
"""Bytes by which a flood may make a router grow: 512 handshakes at some 100 kB, and slack."""


@pytest.fixture(autouse=True)
def many_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, before[1]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Echo:
    """One client's flow, which must be served at any moment."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=10)

    def check(self) -> None:
        payload = bytes(range(256)) * 4
        self._sock.sendall(payload)
        got = b""
        while len(got) < len(payload):
            part = self._sock.recv(65536)
            assert part, "the flow ended"
            got += part
        assert got == payload

    def close(self) -> None:
        self._sock.close()


def echo_server(machine: Lab, port: int) -> None:
    machine.start(
        "python3",
        "-c",
        "import socketserver as s\n"
        "class H(s.BaseRequestHandler):\n"
        "    def handle(self):\n"
        "        while d := self.request.recv(65536): self.request.sendall(d)\n"
        "class S(s.ThreadingTCPServer): daemon_threads, request_queue_size = True, 256\n"
        f"S(('127.0.0.1', {port}), H).serve_forever()\n",
    )


def drain(socks: list[socket.socket]) -> list[socket.socket]:
    """Return those of our connections that the other side has not ended."""
    poller = select.poll()
    by_fd = {sock.fileno(): sock for sock in socks}
    for fd in by_fd:
        poller.register(fd, select.POLLIN | select.POLLRDHUP)
    ready = {fd for fd, _ in poller.poll(0)}
    for fd in ready:
        by_fd[fd].close()
    return [sock for fd, sock in by_fd.items() if fd not in ready]


HELLO_BEGUN = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


def test_a_flood_of_half_open_connections_keeps_nobody_out():
    with lab() as machine:
        machine.three_sites()
        target = free_port()
        echo_server(machine, target)
        wait_for(lambda: answers(target), "the server is up")
        machine.expose("east", "echo:7", target)
        flow = Echo(machine.reach("west", "echo:7"))
        flow.check()
        pid = machine.pids()["hub"]
        host, _, port = machine.status("hub")["router"]["listen"].rpartition(":")
        fds, memory = descriptors(pid), resident(pid)
        open_ones: list[socket.socket] = []
        worst = 0.0
        for number in range(HALF_OPEN):
            sock = socket.create_connection((host, int(port)), timeout=10)
            if number % 2:
                sock.send(HELLO_BEGUN)
            open_ones.append(sock)
            if number % 100 == 99:
                began = time.monotonic()
                flow.check()
                worst = max(worst, time.monotonic() - began)
        # The flood stands: a new site can join, link up, and be reached.
        machine.init("late")
        machine.link("late", "hub")
        machine.expose("late", "late:9", target)
        late = Echo(machine.reach("west", "late:9"))
        late.check()
        assert resident(pid) < memory + MAX_GROWTH
        wait_for(lambda: not still(open_ones), "every one of them has been ended")
        wait_for(lambda: refusals(machine) == HALF_OPEN, "each of them is counted, once")
        flow.check()
        late.close()
        wait_for(lambda: descriptors(pid) <= fds + 16, "the descriptors are back")
        flow.close()
        assert set(machine.pids()) == {"west", "hub", "east", "late"}
        log = machine.directory / "state" / "van" / "hub" / "router.log"
        assert log.stat().st_size < 100_000
        print(f"worst round trip {worst * 1000:.1f} ms, grew {resident(pid) - memory} bytes")


def still(socks: list[socket.socket]) -> bool:
    socks[:] = drain(socks)
    return bool(socks)


def refusals(machine: Lab) -> int:
    counters = machine.status("hub")["counters"]["refused_connections"]
    assert "defect" not in counters
    return sum(counters.values())


def test_flows_that_come_and_go_leave_nothing_behind():
    with lab() as machine:
        machine.three_sites()
        target = free_port()
        echo_server(machine, target)
        wait_for(lambda: answers(target), "the server is up")
        machine.expose("east", "echo:7", target)
        port = machine.reach("west", "echo:7")

        def burst() -> None:
            flows = [Echo(port) for _ in range(50)]
            for number, flow in enumerate(flows):
                flow.check()
                if number % 3 == 0:
                    linger = b"\1\0\0\0\0\0\0\0"
                    with contextlib.suppress(OSError):
                        flow._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                flow.close()

        def live() -> int:
            return sum(machine.status(site)["flows_total"] for site in ("west", "hub", "east"))

        pids = {site: machine.pids()[site] for site in ("west", "hub", "east")}
        for _ in range(8):  # until the pool has a channel for each
            burst()
        wait_for(lambda: not live(), "no flow is left")
        before = {site: descriptors(pid) for site, pid in pids.items()}
        for _ in range(6):
            burst()
        wait_for(lambda: not live(), "no flow is left")
        for site, pid in pids.items():
            assert descriptors(pid) <= before[site] + 16, site
