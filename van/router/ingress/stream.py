"""The ingress's end of a flow: the client's, which opens the flow and may offer it elsewhere."""

import socket
from functools import partial
from typing import Final

from van.errors import RemoteProtocolError
from van.router.bundles.pools import BundlePool, BundlePools
from van.router.bundles.subchannel import Carrier, Subchannel
from van.router.channels.channel import Channel
from van.router.channels.frames import DATA_WORD
from van.router.flow.observer import ExchangeObserver
from van.router.flow.outcome import FINISHED, Ending, OnEnd, Outcome
from van.router.flow.stream import FlowStream
from van.router.reactor.loop import EventLoop
from van.wire.channel import (
    Carry,
    Done,
    Kind,
    Open,
    Opened,
    Pending,
    Refused,
    Report,
)
from van.wire.flow_protocol import STREAM_INGRESS
from van.wire.flow_states import State
from van.wire.framing import HEADER, Message, pack_header

_OPEN: Final = int(Kind.OPEN)
_EOF: Final = int(Kind.EOF)
_RESET: Final = int(Kind.RESET)
_MOVED: Final = int(Kind.MOVED)
_BOTH_OPEN: Final = State.OPEN
_CLOSING: Final = State.CLOSING
MAX_REPLAY: Final = 65536
"""Client bytes that an ingress keeps until the egress has answered, to offer them elsewhere."""


class IngressStream(FlowStream):
    """Opens a flow on a channel and carries it for a client."""

    __slots__ = (
        "_bundles", "_is_patient", "_is_replay_whole", "_replay", "_why", "report",
        "was_turned_away",
    )  # fmt: skip

    follows_all = False

    def __init__(
        self,
        loop: EventLoop,
        local: socket.socket,
        channel: Carrier,
        on_end: OnEnd,
        observer: ExchangeObserver,
        *,
        bundles: BundlePools | None = None,
    ) -> None:
        """`bundles` has where a channel of its own comes from if it turns out to be bulk."""
        super().__init__(
            STREAM_INGRESS,
            loop,
            local,
            channel,
            on_end,
            observer=observer,
            told_local=observer.response_started,
            heard_local=observer.request_sent,
            words=loop.home.answers,
        )
        self._bundles = bundles
        self.report: Report | None = None
        """The one that came last, with OPENED or DONE, if there was one with that."""
        self.was_turned_away = False
        """Whether the target ended the flow without a word, while the client waited for one."""
        self._why = ""
        """Who broke it off, if one of the programs did."""
        self._is_asked = True  # the first turn is the client's
        self._replay = bytearray()
        self._is_replay_whole = False
        self._is_patient = True
        self._read = self._read_early

    @property
    def is_opened(self) -> bool:
        """Tell whether the target has taken the connection."""
        return self._flow.is_answered

    def start(self, request: Open, *, first: bytes = b"", is_ended: bool = False) -> None:
        """Send OPEN, and the client bytes that an earlier egress did not take, or those that have
        come by now: on a bundle they travel together."""
        channel = self.channel
        self._is_patient = request.is_patient
        self._flow.send(_OPEN)
        if is_ended:
            self._flow.send(_EOF)
        if first:
            self._take_again(first)
        if not channel.is_open:
            self.channel_lost("path lost: it was closed already")
            return
        channel.hand_to(self, hears_out=True)
        if isinstance(channel, Subchannel):
            channel.on_bulk = self._leave_bundle
        self._words.begin(self, self._opening_overdue)
        channel.send_message(request)
        if first or is_ended:
            channel.send(_frames_of(first, channel.max_payload, is_ended=is_ended))
        elif self._outcome is None:
            self._handle_local()
        self._update_watch()

    def meter(self) -> tuple[int, int]:
        """Return how many bytes the client sent, and how many it took."""
        return self.bytes_from_local, self.bytes_to_local

    def take_replay(self) -> tuple[bytes, bool]:
        """Return what the client has sent so far, and whether it has ended, after a refusal."""
        return bytes(self._replay), self._is_replay_whole

    def _take_again(self, first: bytes) -> None:
        """Count what the client said before."""
        self._replay += first
        self.bytes_from_local = len(first)
        self._is_asked = False
        self._observer.request_sent()

    def _read_early(self, place: memoryview) -> int:
        """Read what may have to be offered elsewhere."""
        if len(self._replay) >= MAX_REPLAY:
            self._watch.set(0)  # until there is an answer
            raise BlockingIOError
        count = self._local.recv_into(place)
        self._replay += place[:count]
        return count

    def _remote_ended(self, before: State) -> None:
        self._note_silence(before)
        self._ended_half()

    def _note_silence(self, before: State) -> None:
        """Take note of a target that ends the flow without a word to what the client said."""
        if not self.bytes_to_local and self.bytes_from_local and before is _BOTH_OPEN:
            self.was_turned_away = True

    def _receive_answer(self, before: State, message: Message | None) -> None:
        match message:
            case Opened():
                self._words.end(self)
                self.report = message.report
                self._observer.flow_opened(message.report)
                is_held_up = len(self._replay) >= MAX_REPLAY
                self._replay = bytearray()
                self._read = self._local.recv_into
                if is_held_up:
                    self._update_watch()
            case Pending():
                self._receive_pending()
            case Refused() if before is State.OPENING_RESET:
                detail = self._why or "the client broke it off"
                self._finish(Outcome(Ending.RESET, detail, is_channel_clean=True))
            case Refused():
                self._is_replay_whole = before is State.OPENING_HALF_CLOSED
                self._watch.close()
                self._finish(
                    Outcome(Ending.REFUSED, message.message, message.reason, is_channel_clean=True)
                )
            case Done():
                self.report = message.report
                if before is _CLOSING:
                    self._close_local()
                    self._finish(FINISHED)
                else:
                    detail = self._why or "connection reset"
                    self._finish(Outcome(Ending.RESET, detail, is_channel_clean=True))

    def _abort(self, detail: str) -> None:
        super()._abort(self._why or detail)

    def channel_lost(self, reason: str) -> None:
        """Break the flow off, or offer it elsewhere when no target has answered yet."""
        if self._flow.is_answered or self._flow.is_reset:
            super().channel_lost(reason)
        else:
            self._leave_opening(reason)

    def _receive_pending(self) -> None:
        if self._flow.is_reset or self._flow.state is State.HALF_CLOSED_REMOTE:
            return
        if self._flow.is_answered or self._is_patient:  # else it had to refuse by now
            self._await_answer()

    def _ended_half(self) -> None:
        if self._flow.state is _CLOSING:
            # The client's connection is through: all that it could report is that, again and again.
            self._watch.suspend()
            self._wait_for_word(self._done_overdue)

    # -- words that are owed ---------------------------------------------------------------

    def _await_answer(self) -> None:
        is_answered = self._flow.is_answered
        self._wait_for_word(self._done_overdue if is_answered else self._opening_overdue)

    def _opening_overdue(self) -> None:
        if not self._flow.is_reset:  # else it is given up in any case
            self._leave_opening("it did not answer", is_silent=True)

    def _leave_opening(self, detail: str, *, is_silent: bool = False) -> None:
        """Have the flow offered elsewhere, though the egress has not answered."""
        self._is_replay_whole = self._flow.state is State.OPENING_HALF_CLOSED
        self._flow.lose()
        self._watch.close()
        self._abort_carriers("the egress did not answer in time" if is_silent else detail)
        self._finish(Outcome(Ending.REFUSED, detail, is_silent=is_silent))

    def _done_overdue(self) -> None:
        loop = self._loop
        loop.call(partial(self._end_unconfirmed, loop))

    def _end_unconfirmed(self, loop: EventLoop) -> None:
        if self._loop is not loop:  # it has moved on meanwhile
            self._done_overdue()
        elif self._flow.state is State.CLOSING:
            self._flow.lose()
            self._close_local()
            self._abort_carriers("the egress did not confirm the end")
            self._finish(Outcome(Ending.RESET, "the egress did not confirm the end"))

    def _receive_reset(self, before: State) -> None:
        self._note_silence(before)
        self._why = self._why or "the target reset it"
        self._reset_local_behind()
        self._give_up_later()

    def _local_failed(self, detail: str) -> None:
        self._why = self._why or f"the client broke it off: {detail}"
        self._reset_local()
        self._flow.send(_RESET)
        self.channel.send_bare(_RESET)
        self._give_up_later()
        # What the egress still sends is skipped until its DONE or REFUSED.
        self._source.resume()

    # -- a channel of its own --------------------------------------------------------------

    def _leave_bundle(self) -> None:
        """Leave the bundle for a channel of its own, if one is ready, so that the small flows there
        need not wait behind this one."""
        if self._bundles is not None and self._may_move() and isinstance(self.channel, Subchannel):
            channel = self._pool.channels.take()
            if channel is not None:
                self._move(channel)

    @property
    def _pool(self) -> BundlePool:
        """Return that of the egress; one that has given nothing to anybody is another one later."""
        assert self._bundles is not None
        return self._bundles.pool(self._first.site)

    def _may_move(self) -> bool:
        """Tell whether the flow is under way, and moves nowhere yet."""
        return self._flow.is_established and self.channel is self._source

    def _move(self, carrier: Carrier) -> None:
        """Say what is said from now on elsewhere."""
        first = self._first
        assert isinstance(first, Subchannel)
        self._has_moved = True
        before, self.channel = self.channel, carrier
        carrier.pause()
        carrier.hand_to(self, hears_out=True)
        carrier.send_message(Carry(first.bundle.identifier, first.number))
        before.send_bare(_MOVED)
        self._update_watch()

    def _receive_moved(self) -> None:
        carrier = self.channel
        if carrier is self._source:
            raise RemoteProtocolError("an egress moved a flow by itself")
        if isinstance(carrier, Subchannel):
            carrier.on_bulk = self._leave_bundle
        else:
            self._look_for_rest()
        self._hear(carrier)

    def _look_for_rest(self) -> None:
        """Go back to a bundle when nothing has passed for a while: there the flow costs nothing."""
        check = partial(self._check_rest, self.bytes_passed())
        self._loop.call_later(self._loop.limits.bulk_rest, check)

    def _check_rest(self, passed: int) -> None:
        if self._outcome is None and isinstance(self.channel, Channel):
            if self.bytes_passed() == passed:
                self._when_home(self._return)
            else:
                self._look_for_rest()

    def _return(self) -> None:
        if self._outcome is not None:
            return
        subchannel = None
        if self._may_move() and not self._to_local and not self.channel.unsent:
            subchannel = self._pool.take()
        if subchannel is None:
            self._look_for_rest()
        else:
            self._move(subchannel)

    def _give_back_channel(self, channel: Channel, *, is_clean: bool) -> None:
        self._pool.channels.release(channel, is_clean=is_clean)


def _frames_of(data: bytes, size: int, *, is_ended: bool) -> bytes:
    """Return what a client has said as frames of a channel, with its end if it has ended."""
    parts = [data[offset : offset + size] for offset in range(0, len(data), size)]
    frames = b"".join(HEADER.pack(DATA_WORD | len(part)) + part for part in parts)
    return frames + pack_header(_EOF, 0) if is_ended else frames
