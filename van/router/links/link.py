"""One link that is up: the control conversation of two neighbours."""

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import attrs
import trio

from van.config import DEFAULT_HOLD, MAX_HOLD, MIN_HOLD
from van.errors import LinkDeclined, LinkLost, OtherRevision, RemoteProtocolError
from van.names import Endpoint
from van.router.reactor.message_stream import MessageStream
from van.router.site.member import Member
from van.routing.engine.copies import Run
from van.wire.framing import Message
from van.wire.link import Goodbye, Hello, Ping
from van.wire.revision import MAJOR, MINOR, check_major

HEARTBEATS_PER_HOLD: Final = 3.5
"""Two of them may be late."""
HEARTBEAT_INTERVAL: Final = DEFAULT_HOLD / HEARTBEATS_PER_HOLD
"""Seconds between heartbeats on a link that nobody set otherwise, as `Timers` has it."""
HELLO_TIMEOUT: Final = 5.0
MAX_OUTBOX: Final = 4096
"""Messages that may wait for a slow neighbour; past that the link is broken off and begun anew,
when only what differs is sent."""
GOODBYE_TIMEOUT: Final = 0.5


def hold_time_of(hello: Hello) -> float:
    """Return the hold time that a dialling side's hello asks for, within what a link may have."""
    return bounded_hold_time(hello.heartbeat_interval * HEARTBEATS_PER_HOLD)


def bounded_hold_time(seconds: float) -> float:
    """Return a hold time within what a link may have."""
    return min(MAX_HOLD, max(MIN_HOLD, seconds))


ReceiveMessage = Callable[["Link", Message, float], None]
"""Takes a message, and how many seconds ago it came; may raise `RemoteProtocolError`."""


async def exchange_hellos(conversation: MessageStream, ours: Hello, *, peer: str) -> Hello:
    """Send our hello and return the peer's, as `receive_hello` does."""
    await conversation.send(ours)
    return await receive_hello(conversation, peer=peer, site=ours.site)


async def receive_hello(conversation: MessageStream, *, peer: str, site: str) -> Hello:
    """Return the peer's hello to this site; its own must be the certificate's.

    Raises `RemoteError`, such as `OtherRevision`, of which the peer is told too; the caller closes
    the conversation.
    """
    try:
        with trio.fail_after(HELLO_TIMEOUT):
            theirs = await conversation.receive()
    except trio.TooSlowError as exc:
        raise LinkLost(f"site {peer!r} sent no hello in {HELLO_TIMEOUT:.0f} s") from exc
    if isinstance(theirs, Goodbye):
        declined = LinkDeclined(f"site {peer!r} declined: {theirs.reason}")
        declined.site = peer
        raise declined
    if not isinstance(theirs, Hello):
        raise RemoteProtocolError(f"site {peer!r} did not begin with a hello")
    if theirs.site != peer:
        raise RemoteProtocolError(f"site {peer!r} calls itself {theirs.site!r}")
    try:
        check_major(theirs.major, peer=peer, site=site, software=theirs.software)
    except OtherRevision as exc:
        await decline(conversation, str(exc))
        raise
    return theirs


async def decline(conversation: MessageStream, reason: str) -> None:
    """Tell the other side, within a bounded time, why it gets no link; the caller closes."""
    with trio.move_on_after(GOODBYE_TIMEOUT, shield=True):
        await _say_last(conversation, Goodbye(reason[:500], is_final=False))


async def _say_last(conversation: MessageStream, goodbye: Goodbye) -> None:
    # What the neighbour sends until it has read this is read too, for a connection that is closed
    # with something unread is reset, and the goodbye might be lost with it.
    try:
        await conversation.send(goodbye)
        while not isinstance(await conversation.receive(), Goodbye):
            pass
    except (LinkLost, RemoteProtocolError):
        return  # it has closed the connection, as it should, or had gone already


def make_hello(
    site: str,
    *,
    incarnation: int,
    cost: int,
    hold_time: float,
    clock: float,
    run: Run,
) -> Hello:
    """Return our hello; cost and hold time count if we dialled."""
    return Hello(
        MAJOR,
        site,
        incarnation,
        cost,
        hold_time / HEARTBEATS_PER_HOLD,
        clock,
        run.id,
        run.started_at,
        MINOR,
        run.software,
    )


@attrs.define(eq=False, repr=False)
class Link:
    """A link after its hellos: queues what is to be sent, and sends it in order."""

    neighbor: str
    is_outgoing: bool
    """Whether this site dialled."""
    cost: int
    hold_time: float = attrs.field(converter=bounded_hold_time)
    """Seconds of silence that mean that the neighbour is gone."""
    origin: Member
    """Who the neighbour proved to be."""
    hello: Hello
    """The neighbour's hello."""
    remote: Endpoint
    """The address that was dialled, or the peer's."""
    conversation: MessageStream
    clock_offset: float | None = None
    """Seconds by which the neighbour's wall clock is ahead of ours, if it told."""
    peer: Endpoint | None = None
    """Where the connection really led: what else is dialled to the neighbour goes there too."""
    opened_at: float = attrs.field(factory=time.monotonic)
    close_reason: str = ""
    has_left: bool = False
    """Whether the neighbour said goodbye, so that it waits for the connection's end alone."""
    is_deleted: bool = False
    """Whether either side deleted the link, so that it must not be dialled again."""
    _outbox: deque[Message] = attrs.field(factory=deque)
    _is_idle: bool = False
    """Whether the task that sends has nothing to do."""
    _has_mail: trio.Event = attrs.field(factory=trio.Event)
    _is_empty: trio.Event = attrs.field(factory=trio.Event)
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _answer: trio.Event = attrs.field(factory=trio.Event)
    """Set when the neighbour has answered, or the link has ended."""
    _receive: ReceiveMessage | None = None
    """Who takes what comes, while the link runs."""

    def __repr__(self) -> str:
        direction = "outgoing" if self.is_outgoing else "incoming"
        return f"<Link to {self.neighbor!r} {direction} cost={self.cost}>"

    @property
    def heartbeat_interval(self) -> float:
        """Return how many seconds lie between two heartbeats."""
        return self.hold_time / HEARTBEATS_PER_HOLD

    def send(self, message: Message) -> None:
        """Queue a message; a neighbour that takes none for too long loses the link."""
        if len(self._outbox) >= MAX_OUTBOX:
            self.close("the neighbour takes no messages")
            return
        if self._is_idle:
            self._send_at_once(message)
        else:
            self._outbox.append(message)

    def _send_at_once(self, message: Message) -> None:
        """Send a message without waking the task that sends, unless there is too little room."""
        try:
            if self.conversation.send_now(message):
                return
        except LinkLost as exc:
            self.close(str(exc))
        self._is_idle = False
        self._has_mail.set()

    async def answers(self, timeout: float) -> bool:
        """Ask the neighbour whether it has this link, and tell whether it said so in time."""
        if self._answer.is_set():
            self._answer = trio.Event()
        answer = self._answer
        self.send(Ping())
        with trio.move_on_after(timeout):
            await answer.wait()
        return answer.is_set() and not self._scope.cancel_called

    def answered(self) -> None:
        """Take note of the neighbour's answer."""
        self._answer.set()

    async def flushed(self) -> None:
        """Wait until everything that is queued has been sent."""
        while self._outbox or self.conversation.has_unsent:
            self._is_empty = trio.Event()
            await self._is_empty.wait()

    def close(self, reason: str) -> None:
        """End the link's tasks; whoever runs them closes the connection."""
        if not self._scope.cancel_called:
            self.close_reason = reason
            self._scope.cancel()
            self._answer.set()

    async def run(self, receive: ReceiveMessage) -> None:
        """Send and receive until the link ends, then say why in `close_reason`."""
        self._receive = receive
        self.conversation.let_wait()
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._close_when_lost, self._send_queued)
                await self._close_when_lost(self._receive_all)
        self._receive = None

    async def _close_when_lost(self, work: Callable[[], Awaitable[None]]) -> None:
        # An error that leaves a nursery, and all that hangs on it, is freed by the collector only.
        try:
            await work()
        except (LinkLost, RemoteProtocolError) as exc:
            self.close(str(exc))

    async def _receive_all(self) -> None:
        assert self._receive is not None
        while True:
            self._receive(self, await self.conversation.receive(), 0.0)

    def gather(self) -> None:
        """Take what has come and did not wake `run`."""
        if self._receive is None:
            return
        try:
            for message, age in self.conversation.receive_waiting():
                self._receive(self, message, age)
        except (LinkLost, RemoteProtocolError) as exc:
            self.close(str(exc))

    async def say_goodbye(self) -> None:
        """Tell the neighbour why the link has ended, within a bounded time."""
        if self.close_reason and not self.has_left:
            with trio.move_on_after(GOODBYE_TIMEOUT, shield=True):
                goodbye = Goodbye(self.close_reason[:500], self.is_deleted)
                await _say_last(self.conversation, goodbye)

    async def _send_queued(self) -> None:
        while True:
            await self.conversation.finish_sending()
            while self._outbox:
                await self.conversation.send(self._outbox.popleft())
            self._is_empty.set()
            self._has_mail = trio.Event()
            self._is_idle = True
            await self._has_mail.wait()
