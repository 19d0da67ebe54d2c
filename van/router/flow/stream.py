"""Carries one flow between a local TCP connection and a channel.

An `IngressStream` has the client at its local end and opens the flow; an `EgressStream` has the
target. Each direction moves at the pace of its slower side: while one end takes no more, the other
is not read. Half-closes travel as EOF, resets as RESET, and DONE makes the channel clean again;
what may come and go when is decided in `van.wire.flow_protocol`.
"""

import abc
import socket
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Final

from van.router.bundles.subchannel import Carrier
from van.router.channels.channel import Channel
from van.router.flow.observer import ExchangeObserver
from van.router.flow.outcome import Ending, OnEnd, Outcome
from van.router.reactor.lingering import reset_behind
from van.router.reactor.loop import EventLoop
from van.router.reactor.overdue import Overdue
from van.router.reactor.poller import END, ERROR, HANGUP, READ, WRITE
from van.router.reactor.sockets import close, close_with_reset, describe, shut_down_sending
from van.router.reactor.watch import Watch
from van.wire.channel import Kind
from van.wire.flow_protocol import FlowProtocol, FlowTable
from van.wire.flow_states import State
from van.wire.framing import Message

# To look a member of an enum up takes longer than to do something with it.
_DATA: Final = int(Kind.DATA)
_EOF: Final = int(Kind.EOF)
_RESET: Final = int(Kind.RESET)
_MOVED: Final = int(Kind.MOVED)
_CLOSING: Final = State.CLOSING
_OTHER: Final = ~(READ | END)
READS_PER_TURN: Final = 2
"""Buffers that one local connection may fill before the others have their turn."""


def _told(outcome: Outcome) -> None:
    """Take no second outcome: there is one."""


class FlowStream(abc.ABC):
    """What both ends of a flow share; it has no task, and tells its outcome when it has ended."""

    __slots__ = (
        "_failure", "_first", "_flow", "_has_moved", "_heard_local", "_is_asked", "_is_local_open",
        "_local", "_loop", "_notes_turns", "_observer", "_on_end", "_outcome", "_read", "_send",
        "_source", "_to_local", "_told_local", "_watch", "_words",
        "bytes_from_local", "bytes_to_local", "channel", "seen",
    )  # fmt: skip

    follows_all: ClassVar[bool]
    """Whether the observer hears of each exchange, and not of the first alone."""

    def __init__(
        self,
        table: FlowTable,
        loop: EventLoop,
        local: socket.socket,
        channel: Carrier,
        on_end: OnEnd,
        *,
        observer: ExchangeObserver,
        told_local: Callable[[], object],
        heard_local: Callable[[], object],
        words: Overdue,
    ) -> None:
        """`told_local` and `heard_local` are what the observer is told with of the first that the
        local end is told since it spoke last, and the other way round; `words` is where it waits,
        in trio's thread, while a word of either end's is owed."""
        self.channel = channel
        """What carries what this end says."""
        self._first = channel
        """What the flow was opened on, which is given back by whoever made this."""
        self._source: Carrier = channel
        """What carries what the other end says: another one while the flow moves."""
        self._has_moved = False
        """Whether it is carried, or is to be, by anything else than it was opened on."""
        self.bytes_from_local = 0
        self.bytes_to_local = 0
        self._flow = FlowProtocol(table)
        self._loop = loop
        self._words = words
        self._local = local
        self._is_local_open = True
        self._on_end = on_end
        self._observer = observer
        self._told_local = told_local
        self._heard_local = heard_local
        self._read: Callable[[memoryview], int] = local.recv_into
        self._send = local.send
        self._to_local = b""
        self._failure = ""  # why the local end can't be told anything any more
        # Whether the local end was the last to be told something, and whether somebody wants to
        # know when that changes.
        self._is_asked = False
        self._notes_turns = True
        self.seen: tuple[float, int] | None = None
        self._outcome: Outcome | None = None
        self._watch = Watch(loop, local.fileno(), None, self._handle_local, self.abort)
        self._watch.part_of = self

    @abc.abstractmethod
    def meter(self) -> tuple[int, int]:
        """Return how many bytes went toward the target, and how many came from it."""

    def abort(self, detail: str = "broken off") -> None:
        """Break the flow off at both ends, and the channel with it, unless it has ended."""
        self._loop.call(partial(self._abort, detail))

    def _abort(self, detail: str) -> None:
        if self._outcome is None:
            self._abort_carriers(detail)
            self._flow.lose()
            self._reset_local()
            self._finish(Outcome(Ending.RESET, detail))

    def _abort_carriers(self, farewell: str) -> None:
        self.channel.abort(farewell)
        self._source.abort(farewell)

    # -- from the channel ------------------------------------------------------------------

    def receive_data(self, data: memoryview) -> None:
        """Pass payload on to the local end, and pause the channel when it takes no more."""
        if not self._flow.takes_payload:
            self._flow.receive(_DATA)  # there is nobody any more whom it would be for
            return
        if not self._is_asked:
            self._is_asked = True
            if self._notes_turns:
                self._notes_turns = self.follows_all
                self._told_local()
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            self._can_not_tell(describe(exc))
            return
        self.bytes_to_local += sent
        if sent < len(data):
            # Nothing is kept yet: while bytes are kept, the channel is paused.
            self._to_local = bytes(data[sent:])
            self._source.pause()
            self._update_watch()

    def receive_datagram(self, data: memoryview) -> None:
        """Break the flow off: TCP has no datagrams."""
        self._flow.receive(Kind.DATAGRAM)

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """Take any other frame; raise `RemoteProtocolError` if it is out of place."""
        if kind == _MOVED:
            self._receive_moved()
            return
        before = self._flow.receive(kind)
        if kind == _EOF:
            if self._is_local_open:
                shut_down_sending(self._local)
            self._remote_ended(before)
        elif kind == _RESET:
            self._receive_reset(before)
        else:
            self._receive_answer(before, message)

    def channel_writable(self) -> None:
        """Read the local end again."""
        self._update_watch()

    def channel_lost(self, reason: str) -> None:
        """Break the flow off."""
        self._abort_carriers(reason)
        self._flow.lose()
        self._reset_local_behind()
        self._finish(Outcome(Ending.RESET, reason))

    @abc.abstractmethod
    def _receive_reset(self, before: State) -> None:
        """Break the local end off, because the other one was; the flow was as it was before."""

    def _receive_answer(self, before: State, message: Message | None) -> None:  # noqa: B027
        """Take what only an egress says: OPENED, REFUSED, or DONE."""

    def _remote_ended(self, before: State) -> None:
        """Take note that the other end says nothing more; the flow was as it was before."""
        self._ended_half()

    @abc.abstractmethod
    def _ended_half(self) -> None:
        """Look whether the flow is over, now that one direction is."""

    # -- from the local end ----------------------------------------------------------------

    def _handle_other(self, mask: int) -> bool:
        """Take what is told of the local end besides that it can be read; tell whether it is to be
        read now."""
        if mask & WRITE and self._to_local:
            self._flush_to_local()
        if not self._is_local_open:
            return False
        if self._may_read():
            return True
        if mask & ERROR and not self._flow.may_send:
            self._local_failed(self._failure or "connection reset")
        elif mask & (ERROR | HANGUP):
            # This would be reported for ever. What was said before it is read in its turn.
            self._watch.suspend()
            if mask & ERROR:
                self._give_up_if_stalled()
        return False

    def _may_read(self) -> bool:
        return self._flow.may_send and not self.channel.is_blocked

    def _update_watch(self) -> None:
        if self._outcome is None and self._is_local_open:
            reading = READ | END if self._flow.may_send and not self.channel.is_blocked else 0
            self._watch.set(reading | WRITE if self._to_local else reading)

    def _flush_to_local(self) -> None:
        try:
            sent = self._local.send(self._to_local)
        except BlockingIOError:
            return
        except OSError as exc:
            self._can_not_tell(describe(exc))
            return
        self.bytes_to_local += sent
        self._to_local = self._to_local[sent:]
        if not self._to_local:
            self._update_watch()
            self._source.resume()

    def _handle_local(self, mask: int = READ) -> None:
        """Read what the local end says, as nearly always when something is told of it."""
        if mask & _OTHER and not self._handle_other(mask):
            return
        for _ in range(READS_PER_TURN):
            try:
                count = self.channel.forward(self._read)
            except BlockingIOError:
                return
            except OSError as exc:
                self._local_failed(self._failure or describe(exc))
                return
            if count <= 0:
                self._read_nothing(count)
                return
            self.bytes_from_local += count
            if self._is_asked:
                self._is_asked = False
                if self._notes_turns:
                    self._heard_local()
            if count < self.channel.max_payload and not mask & END:
                return

    def _read_nothing(self, count: int) -> None:
        if count:  # it is not to be read now
            self._update_watch()
        elif self._failure:  # which it has told already
            self._local_failed(self._failure)
        else:
            self._send_eof()

    def _send_eof(self) -> None:
        if self._flow.may_send:
            self._flow.send(_EOF)
            self.channel.send_bare(_EOF)
            if self._outcome is None:
                if self._flow.state is not _CLOSING:
                    self._update_watch()
                self._ended_half()

    def _can_not_tell(self, detail: str) -> None:
        """Tell the local end nothing more: it is gone. What it said before that is passed on first.

        Its socket is readable until that, and then its end, have been read.
        """
        self._failure = self._failure or detail
        if not self._flow.may_send:  # it had ended before
            self._local_failed(self._failure)
        elif self._to_local:
            self._to_local = b""
            self._update_watch()
            self._source.resume()

    @abc.abstractmethod
    def _local_failed(self, detail: str) -> None:
        """Pass the reset of the local end on, of which everything has been read."""

    # -- endings ---------------------------------------------------------------------------

    def _wait_for_word(self, overdue: "Callable[[], object]") -> None:
        """Have a function called in trio's thread when the word that is owed is overdue."""
        home = self._loop.home
        if self._loop is home:
            self._words.begin(self, overdue)
        else:
            home.post(partial(self._words.begin, self, overdue))

    def _reset_local(self) -> None:
        if self._is_local_open:
            self._is_local_open = False
            self._to_local = b""
            self._watch.close(is_last=True)
            close_with_reset(self._local)

    def _reset_local_behind(self) -> None:
        """Reset the local end as soon as it has what the other one sent."""
        if self._is_local_open:
            self._is_local_open = False
            self._watch.close()
            unsent, self._to_local = self._to_local, b""
            reset_behind(self._loop, self._local, unsent)

    def _give_up_later(self) -> None:
        """Break the flow off, should the other end not have cleared it away in time."""
        limits, unsent = self._loop.limits, self.channel.unsent
        # A target may take its time for what the client sent before its reset.
        delay = limits.stall_timeout if unsent else limits.drain_timeout
        self._loop.call_later(delay, partial(self._loop.call, partial(self._give_up, unsent)))

    def _give_up(self, unsent: int) -> None:
        if self._outcome is None:
            if unsent and self.channel.unsent != unsent:
                self._give_up_later()
            else:
                self.abort()

    def _give_up_if_stalled(self) -> None:
        """Break the flow off, should nothing of it move while its local end is gone already."""
        passed = self.bytes_passed() - self.channel.unsent
        check = partial(self._loop.call, partial(self._check_stall, passed))
        self._loop.call_later(self._loop.limits.stall_timeout, check)

    def _check_stall(self, passed: int) -> None:
        if self._outcome is None and self._is_local_open and not self._may_read():
            if self.bytes_passed() - self.channel.unsent == passed:
                self.abort(self._failure or "connection reset")
            else:
                self._give_up_if_stalled()

    def _close_local(self) -> None:
        if self._is_local_open:
            self._is_local_open = False
            self._watch.close(is_last=True)
            close(self._local)

    def _finish(self, outcome: Outcome) -> None:
        """End the flow; the last thing to be done with it."""
        if self._outcome is None:
            self._outcome = outcome
            self._watch.forget()
            self._read = self._local.recv_into  # which does not hold this
            if self._loop is self._loop.home:
                self._words.end(self)
                self._tell(outcome)
            else:
                self.channel.pause()
                self._loop.at_pause(self._go_home)

    # -- between carriers ------------------------------------------------------------------

    @abc.abstractmethod
    def _receive_moved(self) -> None:
        """Hear the other end on the flow's other carrier from now on.

        Raises `RemoteProtocolError` if it may have none.
        """

    def _hear(self, carrier: Carrier) -> None:
        """Hear the other end on what the flow has moved to; the last thing to be done with it."""
        source, self._source = self._source, carrier
        self._give_back(source, is_clean=True)
        carrier.belong_to(self)
        carrier.resume()

    def _give_back(self, carrier: Carrier, *, is_clean: bool) -> None:
        """Do without what has carried the flow, or was to."""
        if isinstance(carrier, Channel):
            self._give_back_channel(carrier, is_clean=is_clean)
        elif is_clean:
            carrier.close()
        else:
            carrier.abort()

    @abc.abstractmethod
    def _give_back_channel(self, channel: Channel, *, is_clean: bool) -> None:
        """Let another flow have a channel, if this one has left it in order."""

    def _moved_to(self) -> set[Carrier]:
        """Return what carries the flow, or is to, other than what it was opened on."""
        return {self.channel, self._source} - {self._first}

    # -- between loops ---------------------------------------------------------------------

    def bytes_passed(self) -> int:
        """Return how many bytes have passed so far, in both directions."""
        return self.bytes_from_local + self.bytes_to_local

    def move_to(self, loop: EventLoop) -> None:
        """Let another loop move the flow from now on, unless it has begun just now, or ended."""
        is_here, channel = self._loop is self._loop.home, self.channel
        if not is_here or not self._flow.is_established or channel is not self._source:
            return
        if isinstance(channel, Channel) and channel.may_move:  # a bundle stays where it is
            if self._notes_turns:  # for bulk, and not from another thread
                self._notes_turns = False
                self._observer.request_abandoned()
            self._watch.close()
            channel.move_to(loop)
            self._loop = loop
            loop.post(self._arrive)

    def _arrive(self) -> None:
        """Go on with a new loop, in its thread."""
        self._watch = self._loop.watch(self._local.fileno(), None, self._handle_local, self.abort)
        assert isinstance(self.channel, Channel)
        self.channel.arrive()
        self._update_watch()

    def _when_home(self, function: Callable[[], None]) -> None:
        """Have a function called in trio's thread, with the flow in its loop; from that thread."""
        loop = self._loop
        if loop is loop.home:
            function()
        else:
            loop.post(partial(self._come_home, loop, function))

    def _come_home(self, loop: EventLoop, function: Callable[[], None]) -> None:
        """Have the loop of trio's thread move the flow again, unless it has ended."""
        channel, home = self.channel, loop.home
        if self._loop is not loop or self._outcome is not None:
            home.post(function)
            return
        assert isinstance(channel, Channel)
        if not channel.may_move:  # it has something to send at the next pause
            loop.at_pause(partial(self._come_home, loop, function))
            return
        self._watch.close()
        channel.move_to(home)
        self._loop = home
        home.post(self._arrive)
        home.post(function)

    def _go_home(self) -> None:
        """Hand the channel back, for the next flow, and tell the outcome there."""
        home, channel = self._loop.home, self.channel
        assert isinstance(channel, Channel)
        channel.move_to(home)
        home.post(self._arrive_home)

    def _arrive_home(self) -> None:
        assert self._outcome is not None
        assert isinstance(self.channel, Channel)
        self._words.end(self)
        self.channel.arrive()
        self._tell(self._outcome)

    def _tell(self, outcome: Outcome) -> None:
        # Whoever is told holds the stream: without this only a search for cycles would free both.
        on_end, self._on_end = self._on_end, _told
        on_end(outcome)
        if self._has_moved:
            self.channel.belong_to(None)
            is_settled = outcome.is_channel_clean and self.channel is self._source
            for carrier in self._moved_to():
                self._give_back(carrier, is_clean=is_settled and carrier is self.channel)
