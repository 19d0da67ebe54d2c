"""The egress's end of a flow: the target's, which has taken the connection."""

import socket
from functools import partial
from typing import Final

from van.errors import RemoteProtocolError
from van.router.bundles.subchannel import Carrier
from van.router.channels.channel import Channel
from van.router.channels.frames import UNUSED, ChannelUser, Unused
from van.router.egress.served import Served, ServedByAll
from van.router.flow.outcome import FINISHED, Ending, OnEnd, Outcome
from van.router.flow.pending import PENDING
from van.router.flow.stream import FlowStream
from van.router.reactor.loop import EventLoop
from van.wire.channel import Done, Kind, Opened
from van.wire.flow_protocol import STREAM_EGRESS
from van.wire.flow_states import State

# To look a member of an enum up takes longer than to do something with it.
_OPEN: Final = int(Kind.OPEN)
_OPENED: Final = int(Kind.OPENED)
_RESET: Final = int(Kind.RESET)
_DONE: Final = int(Kind.DONE)
_MOVED: Final = int(Kind.MOVED)
_PENDING: Final = int(Kind.PENDING)
_CLOSING: Final = State.CLOSING
_LOCAL: Final = State.HALF_CLOSED_LOCAL


class _Ahead(Unused):
    """The user of what a flow is to move to, until the flow is in the loop that this is in."""

    def __init__(self, stream: "EgressStream") -> None:
        self._stream = stream

    def channel_lost(self, reason: str) -> None:
        """Break the flow off, half of which may be lost."""
        self._stream.abort(reason)


class EgressStream(FlowStream):
    """Carries a flow that an ingress has opened, for the target that took it."""

    __slots__ = ("__weakref__", "_has_left", "_next", "_served", "_waits")

    follows_all = True

    def __init__(
        self,
        loop: EventLoop,
        local: socket.socket,
        channel: Carrier,
        on_end: OnEnd,
        served: Served | ServedByAll,
    ) -> None:
        super().__init__(
            STREAM_EGRESS,
            loop,
            local,
            channel,
            on_end,
            observer=served,
            told_local=served.request_sent,
            heard_local=served.response_started,
            words=loop.home.notices,
        )
        self._served = served
        self._next: Carrier | None = None
        """What the ingress moves the flow to."""
        self._has_left = False
        """Whether the ingress says nothing more where it was."""
        self._waits: ChannelUser = UNUSED
        """Who waits for the next flow on the channel that it has moved to."""
        self._flow.receive(_OPEN)

    def meter(self) -> tuple[int, int]:
        """Return how many bytes the target took, and how many it sent."""
        return self.bytes_to_local, self.bytes_from_local

    def start(self, *, may_hold: bool = False) -> None:
        """Say that the target took the connection, and begin to carry.

        In a handler of the loop's, this is said together with the first that the target says.
        """
        self.channel.hand_to(self, hears_out=True)
        self._flow.send(_OPENED)
        opened = Opened(self._served.report)
        if may_hold:
            self.channel.hold(opened)
        else:
            self.channel.send_message(opened)
        self._update_watch()
        if self._outcome is None:
            self.channel.resume()

    def follow(self, carrier: Carrier) -> bool:
        """Move to a channel that the ingress has taken for the flow, whose user is the same again
        afterwards, or back to a bundle, unless the flow has ended; in trio's thread.

        Raises `RemoteProtocolError` if it is there already, or on its way.
        """
        if self._outcome is not None:
            return False
        is_channel = isinstance(carrier, Channel)
        if self._next is not None or isinstance(self.channel, Channel) is is_channel:
            raise RemoteProtocolError("a flow was moved twice")
        self._next, self._has_moved = carrier, True
        if is_channel:
            self._waits = carrier.user
        carrier.pause()
        carrier.hand_to(_Ahead(self))
        self._when_home(partial(self._follow, carrier))
        return True

    def _follow(self, carrier: Carrier) -> None:
        if self._outcome is None:
            carrier.hand_to(self, hears_out=True)
            if self._has_left:
                self._move(carrier)

    def _receive_moved(self) -> None:
        if self._has_left:
            raise RemoteProtocolError("a flow has left twice what carried it")
        self._has_left = True
        if self._next is not None and self._next.user is self:
            self._move(self._next)

    def _move(self, carrier: Carrier) -> None:
        self.channel.send_bare(_MOVED)
        self.channel, self._next, self._has_left = carrier, None, False
        self._notes_turns = True
        self._hear(carrier)
        self._update_watch()

    def _give_back_channel(self, channel: Channel, *, is_clean: bool) -> None:
        if is_clean:
            channel.hand_to(self._waits)
            channel.go_on()
        else:
            channel.abort()

    def _moved_to(self) -> set[Carrier]:
        found = super()._moved_to()
        return found if self._next is None else found | {self._next}

    def _abort_carriers(self, farewell: str) -> None:
        super()._abort_carriers(farewell)
        if self._next is not None:
            self._next.abort(farewell)

    def _ended_half(self) -> None:
        if self._flow.state is _CLOSING:
            self._close_local()
            self._end(FINISHED)
        elif self._flow.state is _LOCAL:
            self._wait_for_word(self._tell_pending)

    def _tell_pending(self) -> None:
        loop = self._loop
        loop.call(partial(self._say_pending, loop))

    def _say_pending(self, loop: EventLoop) -> None:
        """Say that DONE has to wait: the target has yet to take what was sent, or to be sent it."""
        if self._loop is not loop:  # it has moved on meanwhile
            self._wait_for_word(self._tell_pending)
        elif self._flow.state is _LOCAL:
            if not self.channel.is_blocked:
                self._flow.send(_PENDING)
                self.channel.send_message(PENDING)
            self._wait_for_word(self._tell_pending)

    def _receive_reset(self, before: State) -> None:
        self._reset_local_behind()
        self._end(Outcome(Ending.RESET, "the client reset it", is_channel_clean=True))

    def _local_failed(self, detail: str) -> None:
        self._reset_local()
        self._flow.send(_RESET)
        outcome = Outcome(Ending.RESET, f"the target broke it off: {detail}", is_channel_clean=True)
        self._end(outcome, behind=_RESET)

    def _end(self, outcome: Outcome, *, behind: int | None = None) -> None:
        """Make the channel idle: the next frame on it belongs to another flow."""
        is_home = self._loop is self._loop.home
        report = self._served.over() if is_home else None
        self._flow.send(_DONE)
        self.channel.answer(Done(self.bytes_to_local, report), behind=behind)
        self._finish(outcome)
