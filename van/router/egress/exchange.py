"""The egress's end of an exchange of HTTP: a turn of a connection to the target."""

from collections.abc import Callable
from typing import Final

from van.http.h1.forwarding import encode_problem, forwarded_for
from van.http.h1.states import State as HttpState
from van.http.problems import MessageRefused
from van.router.egress.served import Served
from van.router.egress.target_pool import TargetPool, TargetSocket
from van.router.flow.exchange import ExchangeChannel, ExchangeEnd
from van.router.flow.outcome import FINISHED, Ending, OnEnd, Outcome
from van.router.reactor.loop import EventLoop
from van.router.reactor.poller import ERROR, HANGUP, READ, WRITE
from van.router.reactor.sockets import close_with_reset, describe, shut_down_sending
from van.wire.channel import Done, Kind, Opened
from van.wire.flow_protocol import STREAM_EGRESS
from van.wire.flow_states import State
from van.wire.framing import Message

_OPEN: Final = int(Kind.OPEN)
_OPENED: Final = int(Kind.OPENED)
_DATA: Final = int(Kind.DATA)
_EOF: Final = int(Kind.EOF)
_RESET: Final = int(Kind.RESET)
_DONE: Final = int(Kind.DONE)
MAX_REPEATED: Final = 65536
"""Bytes of a request that are kept until the answer begins, for a further try."""
Reconnect = Callable[["EgressExchange"], None]
"""Has another connection made to the instance, for `go_on` or `fail`."""


class EgressExchange(ExchangeEnd):
    """Carries an exchange that an ingress has opened, for the target that took it."""

    __slots__ = (
        "_has_heard", "_is_asked", "_kept", "_lines", "_pool", "_reconnect", "_served", "_target",
        "_to_target",
    )  # fmt: skip

    def __init__(
        self,
        loop: EventLoop,
        target: TargetSocket,
        channel: ExchangeChannel,
        on_end: OnEnd,
        served: Served,
        *,
        pool: TargetPool,
        may_repeat: bool,
        reconnect: Reconnect,
    ) -> None:
        super().__init__(STREAM_EGRESS, loop, channel, on_end)
        self._target: TargetSocket | None = target
        self._served = served
        self._pool = pool
        self._reconnect = reconnect
        self._lines = forwarded_for(channel.site)
        self._to_target = b""
        """What the target has yet to take."""
        self._kept: bytearray | None = bytearray() if may_repeat and target.is_reused else None
        """The request so far, while it may be sent again."""
        self._is_asked = False
        self._has_heard = False
        """Whether part of the final answer was passed on."""
        self._flow.receive(_OPEN)

    def meter(self) -> tuple[int, int]:
        """Return how many bytes the target took, and how many it sent."""
        return self.bytes_to_local, self.bytes_from_local

    def start(self) -> None:
        """Say that a target has the exchange, and begin to carry."""
        self._channel.hand_to(self, hears_out=True)
        self._flow.send(_OPENED)
        self._channel.hold(Opened(self._served.report))
        self._watch_target()
        self._channel.resume()

    def abort(self, detail: str = "broken off") -> None:
        """Break the exchange off at both ends."""
        if self._outcome is None:
            self._channel.abort(detail)
            self._flow.lose()
            self._reset_target()
            self._finish(Outcome(Ending.RESET, detail))

    # -- from the ingress ----------------------------------------------------------------------

    def receive_data(self, data: memoryview) -> None:
        """Pass part of the request on."""
        if not self._flow.takes_payload:
            self._flow.receive(_DATA)
            return
        if self._target is None:
            self._keep(data)  # if another connection is being made
            return
        try:
            words = self._target.http.receive_request(data, self._lines)
        except MessageRefused as exc:
            self._answer_problem(exc)
            return
        self._keep(data)
        if words:
            if not self._is_asked:
                self._is_asked = True
                self._served.request_sent()
            self._write(words)

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """Take the end of the request, or of the exchange."""
        self._flow.receive(kind)
        if kind == _RESET:
            self._reset_target()
            self._end(Outcome(Ending.RESET, "the client broke it off", is_channel_clean=True))
        elif kind == _EOF:
            self._receive_end()

    def channel_writable(self) -> None:
        """Send on, and read the target again."""
        self._flush()
        self._watch_target()

    def channel_lost(self, reason: str) -> None:
        """Break the exchange off."""
        self._flow.lose()
        self._reset_target()
        self._finish(Outcome(Ending.RESET, reason))

    def _receive_end(self) -> None:
        target = self._target
        if target is None:
            self._ended_half()
            return
        try:
            target.http.receive_request_end()
        except MessageRefused as exc:
            self._answer_problem(exc)
            return
        if target.http.state is HttpState.TUNNEL and not self._to_target:
            shut_down_sending(target.sock)
        self._ended_half()

    def _ended_half(self) -> None:
        if self._flow.state is State.CLOSING:
            self._end(FINISHED)

    # -- to and from the target ----------------------------------------------------------------

    def _keep(self, words: bytes | memoryview) -> None:
        if self._kept is not None:
            self._kept += words
            if len(self._kept) > MAX_REPEATED:
                self._kept = None

    def _write(self, words: bytes | memoryview) -> None:
        assert self._target is not None
        if self._to_target:
            self._to_target += words
            return
        try:
            sent = self._target.sock.send(words)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            self._target_lost(describe(exc))
            return
        self.bytes_to_local += sent
        if sent < len(words):
            self._to_target = bytes(words[sent:])
            self._channel.pause()
            self._watch_target()

    def _handle_target(self, mask: int) -> None:
        if mask & WRITE and self._to_target:
            self._flush_to_target()
        if self._target is None:
            return
        if mask & READ and self.may_read:
            self._read_target()
        elif mask & ERROR:
            self._target_lost("connection reset")
        elif mask & HANGUP:
            self._target.watch.suspend()

    def _flush_to_target(self) -> None:
        assert self._target is not None
        try:
            sent = self._target.sock.send(self._to_target)
        except BlockingIOError:
            return
        except OSError as exc:
            self._target_lost(describe(exc))
            return
        self.bytes_to_local += sent
        self._to_target = self._to_target[sent:]
        if not self._to_target:
            if (
                self._target.http.state is HttpState.TUNNEL
                and self._flow.state is State.HALF_CLOSED_REMOTE
            ):
                shut_down_sending(self._target.sock)
            self._watch_target()
            self._channel.resume()

    def _read_target(self) -> None:
        target = self._target
        assert target is not None
        buffer = self._loop.buffer
        try:
            count = target.sock.recv_into(buffer)
        except BlockingIOError:
            return
        except OSError as exc:
            self._target_lost(describe(exc))
            return
        if not count:
            self._target_ended()
            return
        self._heard()
        try:
            words = target.http.receive(buffer[:count])
        except MessageRefused as exc:
            self._answer_problem(exc)
            return
        if words:
            self._has_heard = True
            self.send(words)
        state = target.http.state
        if state is HttpState.IDLE or state is HttpState.CLOSED:
            self._answer_ended()
        elif not self.may_read:
            self._watch_target()

    def _heard(self) -> None:
        """See the first of the answer."""
        self._kept = None
        if self._is_asked:
            self._is_asked = False
            self._served.response_started()

    def _target_ended(self) -> None:
        target = self._target
        assert target is not None
        if target.http.state is HttpState.TUNNEL:
            target.watch.suspend()
            self.end_message()
            return
        if not target.http.has_answered:
            self._target_lost("the target ended the connection without an answer")
            return
        try:
            target.http.receive_end()
        except MessageRefused as exc:
            self._answer_problem(exc)
        else:
            self._answer_ended()

    def _answer_ended(self) -> None:
        """Let the connection go, for the next exchange if it may be used again."""
        self._release_target()
        self.end_message()

    def _release_target(self) -> None:
        target, self._target = self._target, None
        if target is None:
            return
        if target.http.state is HttpState.IDLE and not self._to_target:
            self._pool.give(target)
        else:
            target.close()
        self._drop_unsent()

    def _drop_unsent(self) -> None:
        """Let go of what the target did not take any more, and hear the ingress out."""
        if self._to_target:
            self._to_target = b""
            self._channel.resume()

    def _reset_target(self) -> None:
        target, self._target = self._target, None
        self._drop_unsent()
        if target is not None:
            target.watch.close(is_last=True)
            target.watch.forget()
            close_with_reset(target.sock)

    def _watch_target(self) -> None:
        if self._target is not None and self._outcome is None:
            watch = self._target.watch
            watch.handler, watch.fail = self._handle_target, self.abort
            watch.set((READ if self.may_read else 0) | (WRITE if self._to_target else 0))

    # -- what goes wrong -----------------------------------------------------------------------

    def _target_lost(self, detail: str) -> None:
        """Ask once more where the connection was an old one and nothing came of it, or tell the
        ingress that the target broke it off."""
        if self._kept is not None and self._target is not None:
            self._reset_target()
            self._reconnect(self)
            return
        self._reset_target()
        if self._outcome is None:
            self._flow.send(_RESET)
            outcome = Outcome(
                Ending.RESET, f"the target broke it off: {detail}", is_channel_clean=True
            )
            self._end(outcome, behind=_RESET)

    def go_on(self, target: TargetSocket) -> None:
        """Ask on another connection."""
        if self._outcome is not None:
            target.close()
            return
        self._target = target
        said, self._kept = self._kept or bytearray(), None
        self._watch_target()
        try:
            words = target.http.receive_request(bytes(said), self._lines)
        except MessageRefused as exc:
            self._answer_problem(exc)
            return
        if words:
            self._write(words)
        if self._flow.state is State.HALF_CLOSED_REMOTE:  # its end came meanwhile
            self._receive_end()

    def fail(self, detail: str) -> None:
        """Give up: no other connection can be made."""
        self._kept = None
        if self._outcome is None:
            self._target_lost(detail)

    def _answer_problem(self, exc: MessageRefused) -> None:
        """Answer in the target's place, unless part of its answer has gone already."""
        self._served.request_abandoned()
        request = None if self._target is None else self._target.http.request
        is_head = request is not None and request.method == b"HEAD"
        self._reset_target()
        if self._has_heard or not self._flow.may_send:
            if self._outcome is None:
                self._flow.send(_RESET)
                detail = f"the target's answer was refused: {exc}"
                self._end(Outcome(Ending.RESET, detail, is_channel_clean=True), behind=_RESET)
            return
        self.send(encode_problem(exc.problem, is_head=is_head))
        self.end_message()

    def _end(self, outcome: Outcome, *, behind: int | None = None) -> None:
        report = self._served.over()
        self._release_target()
        self._flow.send(_DONE)
        self._channel.answer(Done(self.bytes_to_local, report), behind=behind)
        self._finish(outcome)
