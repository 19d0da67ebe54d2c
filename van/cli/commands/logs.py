"""`van logs`: what a site's router has logged, also while it is down."""

import contextlib
import itertools
import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer

from van.cli.options import Site
from van.cli.render.humanize import parse_duration, printable
from van.errors import LocalError, NotFound
from van.files import storage_error
from van.paths import choose_site, site_paths

SHOWN: Final = 50
"""Lines of the past that are shown, unless told."""
POLL: Final = 0.2
"""Seconds between two looks for more."""
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,]\d+)?(Z|[+-]\d\d:?\d\d)?")


def logs(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as more is logged, until Ctrl-C.")
    ] = False,
    last: Annotated[
        int | None,
        typer.Option(
            "--last", "-n", metavar="N", min=0, help=f"Show so many lines; {SHOWN} unless told."
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Show what is not older than that, such as 10m or 2026-11-29T08:00.",
        ),
    ] = None,
    site: Site = None,
) -> None:
    """Show what the router has logged.

    It need not be running. A router that a service manager runs logs there instead.
    """
    begin = None if since is None else parse_since(since, now=time.time())
    if last is None and begin is None:
        last = SHOWN
    path = site_paths(choose_site(site)).log_file
    with contextlib.closing(Tail(path)) as tail:
        older = older_files(path)
        if not older and not tail.is_there and not follow:
            raise NotFound(f"nothing has been logged yet: {path} is not there")
        past = itertools.chain.from_iterable([*map(_lines_of, older), tail.read()])
        for line in _latest(past if begin is None else since_time(past, begin), last):
            typer.echo(printable(line))
        while follow:
            for line in tail.read():
                typer.echo(printable(line))
            time.sleep(POLL)


def parse_since(text: str, *, now: float) -> float:
    """Return a time of day, or how long ago, as a Unix time; raise `typer.BadParameter`."""
    try:
        return now - parse_duration(text)
    except LocalError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise typer.BadParameter(
            f"time {text!r} is not valid: use how long ago, such as 10m or 2h, or a time such as "
            "2026-11-29T08:00"
        ) from None


def older_files(path: Path) -> list[Path]:
    """Return the files of a log that were put aside, the oldest first."""
    found = (each for each in path.parent.glob(f"{path.name}.*") if each.suffix[1:].isdigit())
    return sorted(found, key=lambda each: -int(each.suffix[1:]))


def since_time(lines: Iterable[str], begin: float) -> Iterator[str]:
    """Yield the lines from a Unix time on; those without a time go with the line before them."""
    is_shown = False
    for line in lines:
        if (found := _time_of(line)) is not None:
            is_shown = found >= begin
        if is_shown:
            yield line


def _time_of(line: str) -> float | None:
    """Return when a line was logged; in local time unless it says otherwise."""
    found = _TIME.search(line[:80])
    if found is None:
        return None
    zone = found[3] or ""
    try:
        moment = datetime.fromisoformat(f"{found[1]}T{found[2]}{'' if zone == 'Z' else zone}")
    except ValueError:
        return None
    return (moment.replace(tzinfo=UTC) if zone == "Z" else moment).timestamp()


def _latest(lines: Iterable[str], count: int | None) -> Iterable[str]:
    return lines if count is None else deque(lines, maxlen=count)


def _lines_of(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                yield line.rstrip("\n")
    except FileNotFoundError:
        return  # put aside meanwhile
    except OSError as exc:
        raise storage_error("read", path, exc) from exc


class Tail:
    """A log's file, read line by line as it grows, and then the one that takes its place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rest = b""
        self._file = self._open()

    @property
    def is_there(self) -> bool:
        """Tell whether there is a file."""
        return self._file is not None

    def read(self) -> list[str]:
        """Return the lines that were added since the last call; raise `StorageError`."""
        # What is asked first is read last: nothing is added to a file that was put aside.
        is_replaced = self._is_replaced()
        data = b"" if self._file is None else self._file.read()
        if is_replaced:
            self.close()
            self._file = self._open()
            data += b"" if self._file is None else self._file.read()
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> BinaryIO | None:
        try:
            return self._path.open("rb")
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise storage_error("read", self._path, exc) from exc

    def _is_replaced(self) -> bool:
        """Tell whether there is another file, or this one was cut off."""
        if self._file is None:
            return True
        mine = os.fstat(self._file.fileno())
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        is_other = (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino)
        return is_other or there.st_size < self._file.tell()
