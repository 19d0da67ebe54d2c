"""HTTP/3 goes over QUIC through two links, to a server that knows nothing of it."""

import subprocess
import sys
from pathlib import Path

from lab.ports import free_port
from lab.processes import Lab

PROGRAM = (sys.executable, "-m", "lab.http3")
SIZE = 300_000


def test_what_is_posted_over_http3_comes_back(shared_sites: Lab, tmp_path: Path) -> None:
    server = shared_sites.start(*PROGRAM, "serve", str(tmp_path), stdout=subprocess.PIPE)
    assert server.stdout is not None
    target = f"127.0.0.1:{int(server.stdout.readline())}"
    port = free_port()
    shared_sites.run("--site", "east", "expose", "udp", "quic:443", "--target", target)
    shared_sites.run(
        *("--site", "west", "bind", "udp", "quic:443", "--listen", str(port), "--idle", "2s")
    )
    shared_sites.wait_reachable("quic:443", at="west")
    for size in (0, 1, SIZE):
        command = (*PROGRAM, "post", str(tmp_path), str(port), str(size))
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert int(done.stdout) == 3 * size
