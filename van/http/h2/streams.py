"""Streams that are open, and what is remembered of those that are not."""

from collections.abc import Iterator
from typing import Final

from van.http.h2.states import Phase
from van.http.h2.window import ReceiveWindow

_RESETS_REMEMBERED: Final = 1000
"""Streams of which what still comes is ignored: more than the peer can have sent something for
before it knows that we reset them, with a hundred open at a time."""


class Stream:
    """One stream that is open, at least in one direction."""

    __slots__ = (
        "body_size", "expected", "has_content", "head_size", "is_discarding", "opened", "receiving",
        "send_window", "sending", "stream_id", "window",
    )  # fmt: skip

    def __init__(
        self,
        stream_id: int,
        receiving: Phase,
        sending: Phase,
        *,
        window: int,
        send_window: int,
        now: float,
    ) -> None:
        self.stream_id = stream_id
        self.receiving = receiving
        self.sending = sending
        self.window = ReceiveWindow(window, step=window // 2)
        self.send_window = send_window
        """What the peer takes of it now; below zero if it took a part of that back."""
        self.opened = now
        self.head_size = 0
        self.expected: int | None = None
        """Its content-length, of what is received."""
        self.body_size = 0
        """What has been received of its body."""
        self.has_content = True
        """Whether a response to it may have a body."""
        self.is_discarding = False
        """Whether what comes of its body is thrown away."""

    def __repr__(self) -> str:
        return (
            f"<Stream {self.stream_id} receiving {self.receiving.name} sending {self.sending.name}"
            f" window={self.send_window}>"
        )


class Streams:
    """The streams of a connection, by their number."""

    def __init__(self) -> None:
        self.open: dict[int, Stream] = {}
        """Those that are open; `add` and `remove` change it."""
        self._reset: dict[int, None] = {}
        self.last = 0
        """The highest that the client has used."""
        self.heads_size = 0
        """Of the heads of all that are open."""
        self.get = self.open.get

    def __iter__(self) -> Iterator[Stream]:
        return iter(tuple(self.open.values()))

    def add(self, stream: Stream) -> None:
        """Take a stream that begins."""
        self.open[stream.stream_id] = stream
        self.heads_size += stream.head_size

    def remove(self, stream: Stream, *, is_reset: bool) -> None:
        """Take one away, and remember for a while if we have reset it."""
        del self.open[stream.stream_id]
        self.heads_size -= stream.head_size
        if is_reset:
            self.remember_reset(stream.stream_id)

    def clear(self) -> None:
        """Take all away."""
        self.open.clear()
        self.heads_size = 0

    def remember_reset(self, stream_id: int) -> None:
        """Ignore what still comes of a stream."""
        if len(self._reset) == _RESETS_REMEMBERED:
            del self._reset[next(iter(self._reset))]
        self._reset[stream_id] = None

    def phase_of(self, stream_id: int) -> Phase:
        """Return how a stream stands that is not open."""
        if stream_id in self._reset:
            return Phase.RESET
        if stream_id % 2 and stream_id <= self.last:
            return Phase.CLOSED
        return Phase.IDLE
