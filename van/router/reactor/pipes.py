"""Empty pipes for relays, each kept for the next one."""

import fcntl
import logging
import os
from typing import Final

logger = logging.getLogger(__name__)

PIPE_SIZE: Final = 262144
"""Capacity of a relay's pipe in bytes: one splice moves up to this much."""
MAX_SPARE_PIPES: Final = 64
_SET_PIPE_SIZE: Final = 1031  # F_SETPIPE_SZ, which `fcntl` names from Python 3.10 on Linux only


class PipePool:
    """Lends pipes; for the thread of one event loop."""

    def __init__(self) -> None:
        self._spare: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._spare)

    def borrow(self) -> tuple[int, int]:
        """Return an empty pipe, its read end first; it is to be given back."""
        if self._spare:
            return self._spare.pop()
        pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        _grow(pipe[1])
        return pipe

    def give_back(self, pipe: tuple[int, int], *, is_empty: bool) -> None:
        """Take back a pipe; one that still holds bytes is closed."""
        if is_empty and len(self._spare) < MAX_SPARE_PIPES:
            self._spare.append(pipe)
        else:
            _close(pipe)

    def close(self) -> None:
        """Close those that are not lent."""
        while self._spare:
            _close(self._spare.pop())


def _grow(fd: int) -> None:
    try:
        fcntl.fcntl(fd, _SET_PIPE_SIZE, PIPE_SIZE)
    except OSError as exc:  # over the user's quota of pipe pages: the default size works too
        logger.debug("pipe keeps its default size: %s", exc)


def _close(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    os.close(pipe[1])
