"""Programs that a benchmark runs as child processes, in a directory that goes with them."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Final, Self

from lab.processes import answers, wait_for

ROOT: Final = Path(__file__).parents[2]
"""Where `python -m benchmarks.…` finds its modules."""
LOOPBACK: Final = "127.0.0.1"
GOODBYE: Final = 10.0
"""Seconds that a program has to end by itself: a master must see its workers gone."""

Program = subprocess.Popen[bytes]


def find(program: str) -> str | None:
    """Return the path of a program, or None.

    Servers are often off an ordinary user's PATH, and Envoy comes in a wheel, beside Python.
    """
    beside = str(Path(sys.executable).parent)
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin", beside))
    return shutil.which(program, path=path)


class Programs:
    """Starts programs, and ends all those that it started."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="bench-"))
        self._output = self.directory / "output"
        self._running: list[Program] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for program in self._running:
            program.terminate()
        for program in self._running:
            try:
                program.wait(timeout=GOODBYE)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
            for stream in (program.stdin, program.stdout):
                if stream is not None:
                    stream.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(
        self, *command: str, stdin: int = subprocess.DEVNULL, stdout: int | None = None
    ) -> Program:
        """Start a program; what it says is kept, and what it prints too unless that has a place."""
        with self._output.open("ab") as log:
            sink: int | IO[bytes] = log if stdout is None else stdout
            program = subprocess.Popen(command, stdin=stdin, stdout=sink, stderr=log, cwd=ROOT)
        self._running.append(program)
        return program

    def start_proxy(self, *command: str, port: int) -> int:
        """Start a program, wait until its port is open, and return its process id."""
        program = self.start(*command)
        wait_for(
            lambda: answers(port) or program.poll() is not None, f"{command[0]} answers at {port}"
        )
        assert program.poll() is None, self._said()
        return program.pid

    def start_server(self, kind: str, host: str = LOOPBACK, *, inside: tuple[str, ...] = ()) -> int:
        """Start one of the servers of `benchmarks.dataplane.ends`, and return its port.

        `inside` is a command that runs another one elsewhere, such as `nsenter`.
        """
        _, port = self._start_end(kind, host, inside=inside)
        return port

    @contextmanager
    def reader(self, port: int, count: int, host: str = LOOPBACK) -> Iterator[Callable[[], int]]:
        """Let a client read all that comes from a port, over so many connections, for a while.

        Yields what tells how many bytes have come.
        """
        program, _ = self._start_end("reader", host, str(port), str(count), stdin=subprocess.PIPE)
        try:
            yield partial(_ask_number, program)
            assert program.poll() is None, f"the reader has ended: {self._said()}"
        finally:
            program.kill()
            program.wait()

    def _start_end(
        self, *words: str, inside: tuple[str, ...] = (), stdin: int = subprocess.DEVNULL
    ) -> tuple[Program, int]:
        """Start one of the programs of `benchmarks.dataplane.ends`, and return the number that it
        prints."""
        command = (*inside, sys.executable, "-m", "benchmarks.dataplane.ends", *words)
        program = self.start(*command, stdin=stdin, stdout=subprocess.PIPE)
        assert program.stdout is not None
        line = program.stdout.readline()
        assert line, self._said()
        return program, int(line)

    def _said(self) -> str:
        return self._output.read_text(errors="replace")


def _ask_number(program: Program) -> int:
    """Return the number that a program prints for a line."""
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write(b"\n")
    program.stdin.flush()
    line = program.stdout.readline()
    assert line, "the program has ended"
    return int(line)
