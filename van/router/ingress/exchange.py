"""The ingress's end of an exchange of HTTP: one try of a request at one site's instances."""

from typing import TYPE_CHECKING, Final

from van.router.flow.exchange import ExchangeChannel, ExchangeEnd
from van.router.flow.local_channel import LocalChannel
from van.router.flow.outcome import FINISHED, Ending, OnEnd, Outcome
from van.router.reactor.loop import EventLoop
from van.wire.channel import Done, Kind, Open, Opened, Pending, Refused, Report
from van.wire.flow_protocol import STREAM_INGRESS
from van.wire.flow_states import State
from van.wire.framing import Message

if TYPE_CHECKING:
    from van.router.ingress.request_transport import RequestTransport

_OPEN: Final = int(Kind.OPEN)
_DATA: Final = int(Kind.DATA)
_EOF: Final = int(Kind.EOF)
_RESET: Final = int(Kind.RESET)


class IngressExchange(ExchangeEnd):
    """Opens an exchange for a client's request, and tells that of the answer."""

    __slots__ = ("_request", "_why", "report")

    def __init__(
        self,
        loop: EventLoop,
        channel: ExchangeChannel,
        on_end: OnEnd,
        request: "RequestTransport",
    ) -> None:
        super().__init__(STREAM_INGRESS, loop, channel, on_end)
        self.report: Report | None = None
        """The last one that came."""
        self._request = request
        self._why = ""
        """Who broke it off, if one of the programs did."""

    @property
    def is_answered(self) -> bool:
        """Tell whether an instance has taken it."""
        return self._flow.is_answered

    def meter(self) -> tuple[int, int]:
        """Return how many bytes the client sent, and how many it was sent."""
        return self.bytes_from_local, self.bytes_to_local

    def start(self, request: Open, said: bytes, *, is_whole: bool) -> None:
        """Offer it, with what of the request is there."""
        self._flow.send(_OPEN)
        self._channel.hand_to(self, hears_out=True)
        if not self._channel.is_open:
            self.channel_lost("path lost: it was closed already")
            return
        self._loop.answers.begin(self, self._opening_overdue)
        self._channel.send_message(request)
        if said:
            self.send(said)
        if is_whole:
            self.end_message()

    def say(self, data: bytes | memoryview) -> None:
        """Send more of the request, unless nobody takes it any more."""
        if self._outcome is None and self._flow.may_send:
            self.send(data)

    def end_request(self) -> None:
        """Say that this was all of it."""
        if self._outcome is None and self._flow.may_send:
            self.end_message()

    def leave(self, why: str) -> None:
        """Break it off, as nobody waits for its answer any more."""
        self._why = self._why or why
        if self._outcome is None and not self._flow.is_reset:
            if self._flow.state is not State.CLOSING:
                self._flow.send(_RESET)
                self._channel.send_bare(_RESET)
            self._give_up_later()

    def resume(self) -> None:
        """Hear the answer again."""
        if self._outcome is None:
            self._channel.resume()

    def abort(self, detail: str = "broken off") -> None:
        """Break it off at both ends."""
        if self._outcome is None:
            self._channel.abort(detail)
            self._flow.lose()
            self._end(Outcome(Ending.RESET, detail))

    # -- from the instance ---------------------------------------------------------------------

    def receive_data(self, data: memoryview) -> None:
        """Pass part of the answer on."""
        if not self._flow.takes_payload:
            self._flow.receive(_DATA)
            return
        self.bytes_to_local += len(data)
        if not self._request.receive_answer(data):
            self._channel.pause()

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """Take any other frame."""
        before = self._flow.receive(kind)
        if kind == _EOF:
            self._answer_ended()
        elif kind == _RESET:
            self._why = self._why or "the target broke it off"
            self._give_up_later()
        else:
            self._receive_word(before, message)

    def _receive_word(self, before: State, message: Message | None) -> None:
        match message:
            case Pending():
                if not self._flow.is_reset:
                    self._loop.answers.begin(self, self._opening_overdue)
            case Opened():
                self._loop.answers.end(self)
                self._request.opened(message.report)
            case Refused() if before is State.OPENING_RESET:
                self._end(Outcome(Ending.RESET, self._why, is_channel_clean=True))
            case Refused():
                text, reason = message.message, message.reason
                self._end(Outcome(Ending.REFUSED, text, reason, is_channel_clean=True))
            case Done():
                self.report = message.report
                if before is State.CLOSING:
                    self._end(FINISHED)
                else:
                    self._broken(self._why or "connection reset", is_clean=True)

    def channel_writable(self) -> None:
        """Send on, and read the client again."""
        self._flush()
        self._request.update()

    def channel_lost(self, reason: str) -> None:
        """End here."""
        is_unseen = not self._flow.is_answered and not self.bytes_from_local
        self._flow.lose()
        self._broken(reason, is_unseen=is_unseen)

    def _answer_ended(self) -> None:
        self._request.answer_ended()
        if self._outcome is None and self._flow.state is State.HALF_CLOSED_REMOTE:
            if self._request.is_read:
                self.end_message()
            else:
                self.leave("it was answered before it was whole")

    def _ended_half(self) -> None:
        """Wait for DONE, which follows at once."""
        if self._flow.state is State.CLOSING:
            self._loop.answers.begin(self, self._done_overdue)

    def _broken(self, detail: str, *, is_clean: bool = False, is_unseen: bool = False) -> None:
        """Have the request offered again if that may be."""
        may_repeat = self._request.may_be_offered_again(is_unseen=is_unseen)
        ending = Ending.REFUSED if may_repeat else Ending.RESET
        self._end(Outcome(ending, detail, is_channel_clean=is_clean))

    def _end(self, outcome: Outcome) -> None:
        self._loop.answers.end(self)
        if isinstance(self._channel, LocalChannel):
            self._channel.close()
        if outcome.ending is Ending.RESET:
            self._request.broken(outcome.detail)
        self._finish(outcome)

    # -- words that are owed -------------------------------------------------------------------

    def _opening_overdue(self) -> None:
        if self._outcome is None and not self._flow.is_answered and not self._flow.is_reset:
            self._channel.abort("the egress did not answer in time")
            self._flow.lose()
            self._end(Outcome(Ending.REFUSED, "it did not answer", is_silent=True))

    def _done_overdue(self) -> None:
        if self._flow.state is State.CLOSING:
            self.abort("the egress did not confirm the end")
