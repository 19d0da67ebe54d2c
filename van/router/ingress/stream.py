"""The ingress's end of a flow: the client's, which opens the flow and may offer it elsewhere."""

import socket
from typing import Final

from van.errors import RemoteProtocolError
from van.router.channels.channel import DATA_WORD, EOF_FRAME, RESET_FRAME, Channel
from van.router.flow.observer import ExchangeObserver
from van.router.flow.outcome import Ending, OnEnd, Outcome
from van.router.flow.stream import Carrier
from van.router.reactor.loop import EventLoop
from van.router.reactor.sockets import describe
from van.wire.channel import CODEC, MAX_DATA, Done, Kind, Open, Opened, Refused, Report
from van.wire.framing import HEADER, Message

MAX_REPLAY: Final = 65536
"""Client bytes that an ingress keeps until the egress has answered, to offer them elsewhere."""


class IngressCarrier(Carrier):
    """Opens a flow on a channel and carries it for a client."""

    __slots__ = ("_is_opened", "_observer", "_replay", "report", "was_turned_away")

    def __init__(
        self,
        loop: EventLoop,
        local: socket.socket,
        channel: Channel,
        on_end: OnEnd,
        observer: ExchangeObserver,
    ) -> None:
        super().__init__(loop, local, channel, on_end)
        self.report: Report | None = None
        """The last one that came."""
        self.was_turned_away = False
        """Whether the target ended the flow without a word, while the client waited for one."""
        self._observer = observer
        self._is_opened = False
        self._replay = bytearray()

    @property
    def is_opened(self) -> bool:
        """Tell whether the target has taken the connection."""
        return self._is_opened

    def start(self, request: Open, *, first: bytes = b"", is_ended: bool = False) -> None:
        """Send OPEN with the client bytes that an earlier egress did not take.

        What the client has sent already travels in the same record as OPEN.
        """
        self.channel.user = self
        frames = bytearray(CODEC.encode(request))
        if not first and not is_ended:
            first, is_ended = self._read_first(MAX_DATA - len(frames))
        self._replay += first
        self.bytes_from_local = len(first)
        if first:
            self._observer.request_sent()
        for offset in range(0, len(first), MAX_DATA):
            part = first[offset : offset + MAX_DATA]
            frames += HEADER.pack(DATA_WORD | len(part)) + part
        if is_ended:
            frames += EOF_FRAME
            self._has_sent_eof = True
        if self._is_reset:
            return
        if not self.channel.is_open:
            self.channel_lost("it was closed already")
            return
        self.channel.send(bytes(frames))
        self._update_watch()

    def meter(self) -> tuple[int, int]:
        """Return how many bytes the client sent, and how many it took."""
        return self.bytes_from_local, self.bytes_to_local

    def take_replay(self) -> tuple[bytes, bool]:
        """Return what the client has sent so far, and whether it has ended, after a refusal."""
        return bytes(self._replay), self._has_sent_eof

    def _read_first(self, limit: int) -> tuple[bytes, bool]:
        try:
            data = self._local.recv(limit)
        except BlockingIOError:
            return b"", False
        except OSError as exc:
            self._reset_local()
            self._finish(Outcome(Ending.RESET, describe(exc), is_channel_clean=True))
            return b"", True
        return data, not data

    def _may_read(self) -> bool:
        return super()._may_read() and (self._is_opened or len(self._replay) < MAX_REPLAY)

    def _keep_early(self, payload: memoryview) -> None:
        if not self._is_opened:
            if not self._replay:
                self._observer.request_sent()
            self._replay += payload

    def _told_local(self) -> None:
        self._notes_turns = False
        self._observer.response_started()

    def _refuse_data(self) -> None:
        self._check_not_over()
        if not self._is_opened:
            self.channel.fail("data came before the answer")

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """Take the egress's answers."""
        self._check_not_over()
        match message:
            case None if not self._is_opened:
                self.channel.fail(f"frame of kind {kind} came before the answer")
            case Opened() if not self._is_opened:
                self._is_opened = True
                self._takes_data = not self._is_reset
                self.report = message.report
                self._observer.flow_opened(message.report)
                self._replay = bytearray()
                self._update_watch()
            case Refused() if not self._is_opened:
                self._refused(message)
            case Done() if self._is_opened:
                self.report = message.report
                self._done()
            case _:
                is_silent = self.bytes_from_local > 0 and not self.bytes_to_local
                if is_silent and not self._has_sent_eof and not self._is_reset:
                    self.was_turned_away = kind in {Kind.EOF, Kind.RESET}
                super().receive_frame(kind, message)

    def _check_not_over(self) -> None:
        if self._outcome is not None:
            raise RemoteProtocolError("the egress went on after a flow was over")

    def _refused(self, message: Refused) -> None:
        if self._is_reset:
            self._finish(Outcome(Ending.RESET, "client reset", is_channel_clean=True))
        else:
            self._watch.close()
            self._finish(
                Outcome(Ending.REFUSED, message.message, message.reason, is_channel_clean=True)
            )

    def _done(self) -> None:
        if self._is_reset:
            self._finish(Outcome(Ending.RESET, "connection reset", is_channel_clean=True))
        elif self._has_eof and self._has_sent_eof:
            self._close_local()
            self._finish(Outcome(Ending.FINISHED, is_channel_clean=True))
        else:
            self.channel.fail("the egress ended a flow that was not over")

    def channel_lost(self, reason: str) -> None:
        """Break the flow off, or offer it elsewhere when no target has answered yet."""
        if self._is_opened or self._is_reset:
            super().channel_lost(reason)
        else:
            self._watch.close()
            self._finish(Outcome(Ending.REFUSED, f"path lost: {reason}"))

    def _receive_reset(self) -> None:
        self._reset_local()
        self._give_up_later()

    def _ended_half(self) -> None:
        """Wait for DONE, which says that the egress is through with the channel."""

    def _local_failed(self, detail: str) -> None:
        self._reset_local()
        self.channel.send(RESET_FRAME)
        self._give_up_later()
        # What the egress still sends is skipped until its DONE or REFUSED.
        self.channel.resume()
