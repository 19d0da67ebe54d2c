"""Since when each connector has been exposed: where sites disagree on an address, it decides."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Final, Self

import attrs
import msgspec

from van.config import ConnectorConfig
from van.errors import StorageError
from van.files import read_bytes, write_atomic

MAX_FILE: Final = 4 * 1024 * 1024
"""Largest file in bytes, as of the configuration whose connectors it names."""
_Times = dict[str, Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]]


@attrs.define
class Exposures:
    """Holds the Unix times at which connectors were exposed; each is on disk once it is told."""

    path: Path
    _times: dict[str, int]
    _now: Callable[[], float] = time.time

    @classmethod
    def load(cls, path: Path, *, now: Callable[[], float] = time.time) -> Self:
        """Read the file, if it is there; raise `StorageError`."""
        data = read_bytes(path, limit=MAX_FILE) or b"{}"
        try:
            times = msgspec.json.decode(data, type=_Times)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise StorageError(
                f"file {path} is damaged: remove it, and what is exposed counts as exposed from "
                "the next start on"
            ) from exc
        return cls(path, times, now)

    def begin(self, connectors: Iterable[ConnectorConfig]) -> None:
        """Know these connectors and no others; those not known yet count as exposed now."""
        now = int(self._now())
        self._put({_name(each): self._times.get(_name(each), now) for each in connectors})

    def add(self, connector: ConnectorConfig, *, beside: Iterable[ConnectorConfig]) -> int:
        """Return since when a connector is exposed, which is now; forget those not beside it.

        Raises `StorageError`; nothing is changed then.
        """
        now = int(self._now())
        kept = {_name(each): self._times.get(_name(each), now) for each in beside}
        self._put(kept | {_name(connector): now})
        return now

    def since(self, connector: ConnectorConfig) -> int:
        """Return since when a known connector has been exposed."""
        return self._times[_name(connector)]

    def _put(self, times: dict[str, int]) -> None:
        if times != self._times:
            write_atomic(self.path, msgspec.json.format(msgspec.json.encode(times), indent=1))
            self._times = times


def _name(connector: ConnectorConfig) -> str:
    return f"{connector.protocol} {connector.address} {connector.target}"
