"""One exchange of HTTP as a flow: what its two ends share.

OPEN DATA* EOF is the request, OPENED DATA* EOF DONE the answer. EOF says where a message ends,
outside of its bytes, so that between sites nothing can be taken for the beginning of another one.
An exchange has no socket of its own: at the ingress it is a turn of a client's connection, and at
the egress one of a target's.
"""

import abc
from typing import Final

from van.errors import RemoteProtocolError
from van.router.bundles.subchannel import Subchannel
from van.router.flow.local_channel import LocalChannel
from van.router.flow.outcome import OnEnd, Outcome
from van.router.reactor.loop import EventLoop
from van.wire.channel import Kind
from van.wire.flow_protocol import FlowProtocol, FlowTable

ExchangeChannel = Subchannel | LocalChannel
"""What carries an exchange."""
_DATA: Final = int(Kind.DATA)
_EOF: Final = int(Kind.EOF)


def _told(outcome: Outcome) -> None:
    """Take no second outcome: there is one."""


class ExchangeEnd(abc.ABC):
    """One end of an exchange; in the event loop's thread.

    What it sends goes out as far as there is room, and the rest when there is more: until then its
    program is not read. The outcome is told once, as the last thing.
    """

    __slots__ = (
        "_channel", "_flow", "_is_ending", "_loop", "_on_end", "_outcome", "_unsent",
        "bytes_from_local", "bytes_to_local",
    )  # fmt: skip

    def __init__(
        self, table: FlowTable, loop: EventLoop, channel: ExchangeChannel, on_end: OnEnd
    ) -> None:
        self.bytes_from_local = 0
        self.bytes_to_local = 0
        self._loop = loop
        self._flow = FlowProtocol(table)
        self._channel = channel
        self._on_end = on_end
        self._outcome: Outcome | None = None
        self._unsent = b""
        """What the program has said and there was no room for."""
        self._is_ending = False
        """Whether that is the end of the message."""

    @property
    def may_read(self) -> bool:
        """Tell whether the program may say more."""
        return not self._unsent

    def send(self, data: bytes | memoryview) -> None:
        """Send part of a message."""
        self.bytes_from_local += len(data)
        if self._unsent:
            self._unsent += data
            return
        room = self._channel.room
        if room >= len(data):
            self._flow.send(_DATA)
            self._channel.send_payload(data)
        else:
            self._unsent = bytes(data)
            self._flush()

    def end_message(self) -> None:
        """Say that this was all of the message."""
        self._is_ending = True
        self._flush()

    def _flush(self) -> bool:
        """Send what there is room for; tell whether that was something."""
        had = bool(self._unsent)
        while self._unsent and self._flow.may_send and (room := self._channel.room) > 0:
            self._flow.send(_DATA)
            self._channel.send_payload(self._unsent[:room])
            self._unsent = self._unsent[room:]
        if self._is_ending and not self._unsent and self._flow.may_send:
            self._is_ending = False
            self._flow.send(_EOF)
            self._channel.send_bare(_EOF)
            self._ended_half()
        return had and not self._unsent

    @abc.abstractmethod
    def _ended_half(self) -> None:
        """Look whether the exchange is over, now that one message is."""

    def receive_datagram(self, data: memoryview) -> None:
        """Break the exchange off: HTTP has no datagrams."""
        raise RemoteProtocolError("a datagram came for an exchange of HTTP")

    def _finish(self, outcome: Outcome) -> None:
        """Tell the outcome; the last thing to be done with it."""
        if self._outcome is None:
            self._outcome = outcome
            # Whoever is told holds this: without it only a search for cycles would free both.
            on_end, self._on_end = self._on_end, _told
            on_end(outcome)

    def _give_up_later(self) -> None:
        """Break the exchange off, should the other end not have cleared it away in time."""
        self._loop.call_later(self._loop.limits.drain_timeout, self._give_up)

    def _give_up(self) -> None:
        if self._outcome is None:
            self.abort("the other end did not confirm the end")

    @abc.abstractmethod
    def abort(self, detail: str = "broken off") -> None:
        """Break the exchange off at both ends, unless it has ended."""
