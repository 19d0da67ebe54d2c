"""Real programs for the tests: finds them, and runs their servers as an ordinary user.

PostgreSQL refuses to run as root, and the others need not: as root, they run as `nobody`.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.ports import free_port
from lab.processes import answers, wait_for

PROGRAMS = {
    "postgres": "postgresql",
    "initdb": "postgresql",
    "pgbench": "postgresql",
    "redis-server": "redis-server",
    "redis-cli": "redis-server",
    "redis-benchmark": "redis-server",
    "nginx": "nginx-light",
    "wrk": "wrk",
    "ab": "apache2-utils",
    "curl": "curl",
    "dnsmasq": "dnsmasq-base",
    "dig": "bind9-dnsutils",
    "logger": "bsdutils",
    "ip": "iproute2",
    "ss": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}
"""What the tests run, and the Debian package that has it."""
NOBODY = 65534
RUN_TIMEOUT = 60.0


def find(program: str) -> str | None:
    """Return the path of a program, or None; servers are often off an ordinary user's PATH."""
    # By number: 15 is newer than 9.6.
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name)
    )
    path = [*map(str, reversed(versions)), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
    return shutil.which(program, path=os.pathsep.join(path))


def need(program: str) -> str:
    """Return the path of a program; skip the test when it is not installed."""
    path = find(program)
    if path is None:
        pytest.skip(f"{program} is not installed: it is in Debian's {PROGRAMS[program]}")
    return path


def as_ordinary_user() -> list[str]:
    """Return a command that runs another one without root's powers; empty when there are none."""
    if os.geteuid() != 0:
        return []
    return [need("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]


@contextlib.contextmanager
def private_directory() -> Iterator[Path]:
    """Lend a directory that belongs to the user that servers run as."""
    # Not one of pytest's: other users can't enter these, and a unix socket's path is short.
    with tempfile.TemporaryDirectory(prefix="van-") as name:
        if os.geteuid() == 0:
            os.chown(name, NOBODY, NOBODY)
        yield Path(name)


def run(*command: str) -> str:
    """Run a program to its end, and return all that it printed; fail with that when it fails."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=RUN_TIMEOUT,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}"
    return done.stdout


@contextlib.contextmanager
def serving(command: Sequence[str], port: int, directory: Path) -> Iterator[int]:
    """Run a server as an ordinary user for a while, once its port is open; yield the port."""
    log = directory / "output"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*as_ordinary_user(), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=directory,
        )
    try:
        wait_for(
            lambda: answers(port) or server.poll() is not None, f"{command[0]} answers at {port}"
        )
        assert server.poll() is None, log.read_text(errors="replace")
        yield port
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@contextlib.contextmanager
def postgresql() -> Iterator[int]:
    """Run a PostgreSQL with a cluster of its own; yield its port."""
    postgres, initdb = need("postgres"), need("initdb")
    with private_directory() as directory:
        data = str(directory / "data")
        run(
            *(*as_ordinary_user(), initdb, "--pgdata", data, "--username", "postgres"),
            *("--auth", "trust", "--no-locale", "--encoding", "UTF8", "--no-sync"),
        )
        port = free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "16MB",
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        with serving([postgres, "-D", data, "-p", str(port), *options], port, directory):
            yield port


@contextlib.contextmanager
def redis() -> Iterator[int]:
    """Run a Redis that keeps nothing; yield its port."""
    server = need("redis-server")
    with private_directory() as directory:
        port = free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with serving([server, *options], port, directory):
            yield port


@contextlib.contextmanager
def name_server(*records: str) -> Iterator[int]:
    """Run a dnsmasq that knows these records alone, given as its options; yield its port."""
    server = need("dnsmasq")
    with private_directory() as directory:
        port = free_port()
        options = [
            *("--keep-in-foreground", "--conf-file=/dev/null", f"--pid-file={directory}/pid"),
            *("--no-resolv", "--no-hosts", "--bind-interfaces", "--listen-address=127.0.0.1"),
            *(f"--port={port}", "--edns-packet-max=4096", "--user=nobody", *records),
        ]
        with serving([server, *options], port, directory):
            yield port


NGINX = """\
daemon off;
master_process off;
pid {directory}/pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        {extra}
        root {pages};
    }}
}}
"""


@contextlib.contextmanager
def nginx(pages: dict[str, bytes], extra: str = "") -> Iterator[int]:
    """Run an nginx that serves these pages, and whatever else its server block says; yield its
    port."""
    server = need("nginx")
    with private_directory() as directory:
        served = directory / "pages"
        served.mkdir(mode=0o755)
        for name, page in pages.items():
            (served / name).write_bytes(page)
        port = free_port()
        config = directory / "nginx.conf"
        config.write_text(NGINX.format(directory=directory, pages=served, port=port, extra=extra))
        options = ["-e", "stderr", "-p", str(directory), "-c", str(config)]
        with serving([server, *options], port, directory):
            yield port


class _Inbox(BaseHTTPRequestHandler):
    """Answers what is put there with its digest."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        digest = hashlib.sha256()
        for part in self._parts():
            digest.update(part)
        said = digest.hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def _parts(self) -> Iterator[bytes]:
        left = int(self.headers.get("Content-Length", "0"))
        if self.headers.get("Transfer-Encoding") != "chunked":
            while left:
                part = self.rfile.read(min(left, 65536))
                left -= len(part)
                yield part
            return
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name
        """Print nothing."""


@contextlib.contextmanager
def inbox() -> Iterator[int]:
    """Run a server that answers what is put there with its digest; yield its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Inbox) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
