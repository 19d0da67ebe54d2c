"""The demo's web server: Python's own, with one page, in a process that may outlive the demo."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from van.cli.demo.signals import held_signals
from van.errors import HostError
from van.files import read_bytes, write_atomic

PAGE: Final = """\
<!doctype html>
<title>van</title>
<p>Hello from the far side of two links.
"""
_GREETING: Final = re.compile(r"port (\d+)")


class WebServer:
    """A web server whose process id is kept in a directory, so that a later command can end it."""

    def __init__(self, directory: Path) -> None:
        self._root = directory / "pages"
        self._pid_file = directory / "server.pid"
        self._log = directory / "server.log"

    def start(self) -> str:
        """Write the page, serve it on a free port of loopback, and return the endpoint."""
        self._root.mkdir(exist_ok=True)
        (self._root / "index.html").write_text(PAGE)
        with self._log.open("wb") as log, held_signals():
            process = subprocess.Popen(
                self._command(), stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
            write_atomic(self._pid_file, str(process.pid).encode())
        assert process.stdout is not None
        with process.stdout:
            greeting = process.stdout.readline().decode(errors="replace")
        port = _GREETING.search(greeting)
        if port is None:
            raise HostError(f"the web server did not start: {self._log.read_text().strip()}")
        return f"127.0.0.1:{port[1]}"

    def stop(self) -> bool:
        """End the server, be it an earlier demo's; tell whether there was one."""
        text = read_bytes(self._pid_file, limit=32)
        if text is None or not text.isdigit() or not self._is_ours(int(text)):
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(text), signal.SIGTERM)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(int(text), 0)
        return True

    def _command(self) -> list[str]:
        return [
            *(sys.executable, "-P", "-u", "-m", "http.server", "0"),
            *("--bind", "127.0.0.1", "--directory", str(self._root)),
        ]

    def _is_ours(self, pid: int) -> bool:
        """Tell whether a process is this server still: its id may be another's by now."""
        return str(self._root) in _command_line(pid)


def _command_line(pid: int) -> str:
    """Return how a process was started, or nothing when it has ended."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        except OSError:
            return ""
    seen = subprocess.run(
        ["ps", "-ww", "-p", str(pid), "-o", "args="], capture_output=True, text=True, check=False
    )
    return seen.stdout
