"""The log of a router: one line for each thing that happened, in a file that stays small.

`van up` has it written to `router.log`, which is the router's standard error as well, so that what
Python or a library says there by itself is in it too; that moves along when the file is put aside.
"""

import json
import logging
import os
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from van.config import LOG_LEVELS
from van.lock import is_same_file
from van.router.telemetry.repeats import Repeats

MAX_LOG: Final = 8 * 1024 * 1024
"""A log that has as many bytes is put aside, in the place of the one before."""
STDOUT: Final = 1
STDERR: Final = 2
_FORMATTER: Final = logging.Formatter()
_BREAKS: Final = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+\s*")
"""What would make two lines of one, for whatever reads them."""


def start_log(path: Path, *, level: str, form: str) -> "RouterLog":
    """Write to standard error what this process logs from now on; the file at the path is kept
    small if it is what standard error goes to."""
    handler = RouterLog(LogFile(path), is_json=form == "json")
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(LOG_LEVELS[level])
    return handler


class LogFile:
    """Standard error, and the file behind it if that is the router's own."""

    def __init__(self, path: Path, *, limit: int = MAX_LOG) -> None:
        self._path = path
        self._limit = limit
        self._is_ours = is_same_file(path, os.fstat(STDERR))
        self._lost = 0

    def write(self, line: str) -> None:
        """Write a line; one that finds no space is counted, and told of when there is some."""
        if self._is_ours:
            self._keep_small()
        if self._lost:
            line = f"{self._lost} lines found no space here\n{line}"
        try:
            os.write(STDERR, (line + "\n").encode(errors="backslashreplace"))
        except OSError:
            self._lost += 1
        else:
            self._lost = 0

    def _keep_small(self) -> None:
        """Begin a new file when this one is full, or was removed or renamed by somebody."""
        now = os.fstat(STDERR)
        is_there = is_same_file(self._path, now)
        if is_there and now.st_size < self._limit:
            return
        try:
            if is_there:
                self._path.replace(self._path.with_name(self._path.name + ".1"))
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            new = os.open(self._path, flags, 0o600)
        except OSError:
            return  # the directory is gone, or full: what there is goes on being used
        stdout = os.fstat(STDOUT)
        if (stdout.st_dev, stdout.st_ino) == (now.st_dev, now.st_ino):
            os.dup2(new, STDOUT)
        os.dup2(new, STDERR)
        os.close(new)


class RouterLog(logging.Handler):
    """Writes each record as one line, and folds those that repeat."""

    def __init__(self, file: LogFile, *, is_json: bool) -> None:
        super().__init__()
        self._file = file
        self._encode = _encode_json if is_json else _encode_text
        self._repeats = Repeats()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless its like was written of late; what is for debugging always is."""
        self._write_due()
        text = record.getMessage()
        kind = f"{record.levelname} {record.name}"
        if record.levelno <= logging.DEBUG or self._repeats.is_new(kind, text, time.monotonic()):
            fault = _FORMATTER.formatException(record.exc_info) if record.exc_info else ""
            self._file.write(self._encode(record.created, kind, text, {"traceback": fault}))

    def write_due(self) -> None:
        """Write of lines that repeat how often they did, if that is due; call it now and then."""
        self.acquire()
        try:
            self._write_due()
        finally:
            self.release()

    def close(self) -> None:
        """Write what was held back."""
        self._write_due(is_end=True)
        super().close()

    def _write_due(self, *, is_end: bool = False) -> None:
        for each in self._repeats.due(time.monotonic(), is_end=is_end):
            more = {"repeated": each.count, "seconds": round(each.seconds)}
            self._file.write(self._encode(time.time(), each.kind, each.text, more))


def _encode_text(at: float, kind: str, text: str, more: Mapping[str, str | int]) -> str:
    level, _, name = kind.partition(" ")
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
    if "repeated" in more:
        text += f" ({more['repeated']} times more in {more['seconds']} s)"
    if fault := more.get("traceback"):
        text += f" | {fault}"
    # A traceback too: what reads lines could not tell where it ends.
    line = _BREAKS.sub(" | ", text)
    return f"{stamp},{int(at * 1000) % 1000:03} {level} {name}: {line}"


def _encode_json(at: float, kind: str, text: str, more: Mapping[str, str | int]) -> str:
    level, _, name = kind.partition(" ")
    when = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    fields = {"at": when, "level": level.lower(), "logger": name, "message": text}
    return json.dumps(fields | {name: value for name, value in more.items() if value != ""})
