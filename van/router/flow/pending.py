"""What an egress says while a word that it owes has to wait for the target."""

from typing import Final, Self

from van.router.bundles.subchannel import Carrier
from van.router.flow.local_channel import LocalChannel
from van.router.reactor.loop import EventLoop
from van.wire.channel import Pending

PENDING: Final = Pending()


class PendingNotice:
    """Says PENDING on a channel from a moment after `begin`, again and again, until `end`.

    As a context manager it does both. It says nothing while what was said before has yet to go out.
    To be used where the channel is: it does not follow it to another loop.
    """

    __slots__ = ("_channel", "_is_due", "_loop")

    def __init__(self, loop: EventLoop, channel: Carrier | LocalChannel) -> None:
        self._loop = loop
        self._channel = channel
        self._is_due = False

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self) -> None:
        """Begin to say so, unless that has begun."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_later(self._loop.limits.pending_after, self._say)

    def end(self) -> None:
        """Say nothing more."""
        self._is_due = False

    def _say(self) -> None:
        if self._is_due and self._channel.is_open:
            if not self._channel.is_blocked:
                self._channel.send_message(PENDING)
            self._loop.call_later(self._loop.limits.pending_interval, self._say)
