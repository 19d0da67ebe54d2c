"""Commands of van in this process: a tenth of the time that one of their own takes.

What only a process shows (exit by a signal, what is imported, `van router`) needs one of its own.
"""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from van.cli.main import main

_routers: list["_Router"] = []
"""What commands left running; a process that ends is to be waited for by who started it."""


class _Router(subprocess.Popen[bytes]):
    """A process that outlives its command, which otherwise is a complaint when it is forgotten."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        _routers.append(self)


def run_here(
    *arguments: str, environment: Mapping[str, str] | None = None, stdin: str | bytes = b""
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end as a process of that environment would, and return how it ended.

    Not for two threads at once: the environment and the standard streams are the process's.
    """
    data = stdin.encode() if isinstance(stdin, str) else stdin
    streams = {
        "stdin": io.TextIOWrapper(io.BytesIO(data)),
        "stdout": io.TextIOWrapper(io.BytesIO()),
        "stderr": io.TextIOWrapper(io.BytesIO()),
    }
    with _acting_as(["van", *arguments], streams, environment):
        try:
            main()
            code: object = 0
        except SystemExit as exc:
            code = exc.code
    assert code is None or isinstance(code, int), code
    _routers[:] = [router for router in _routers if router.poll() is None]
    return subprocess.CompletedProcess(
        arguments, code or 0, _read_back(streams["stdout"]), _read_back(streams["stderr"])
    )


@contextlib.contextmanager
def _acting_as(
    command: Sequence[str],
    streams: Mapping[str, io.TextIOWrapper],
    environment: Mapping[str, str] | None,
) -> Iterator[None]:
    """Let this process have the arguments, streams, and environment of another."""
    before = [(sys, name, getattr(sys, name)) for name in (*streams, "argv")]
    before.append((subprocess, "Popen", subprocess.Popen))
    kept = dict(os.environ)
    try:
        for name, stream in streams.items():
            setattr(sys, name, stream)
        sys.argv = list(command)
        subprocess.Popen = _Router  # type: ignore[assignment, misc]
        if environment is not None:
            _replace_environment(environment)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
        _replace_environment(kept)


def _replace_environment(environment: Mapping[str, str]) -> None:
    """Make the environment that one; what stays the same is not touched."""
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _read_back(stream: io.TextIOWrapper) -> str:
    """Return what was written to a stream."""
    stream.flush()
    stream.seek(0)
    return stream.read()
