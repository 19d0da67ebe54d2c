"""A UDP session at the ingress: one client of one listener, pinned to an instance.

A session begins with a client's first datagram. Until an instance has taken it, its first datagrams
are kept and offered to one instance after the other. When it loses its instance it is over: the
client's next datagram begins another one, somewhere else.
"""

from collections.abc import Callable

from van.router.flow.datagrams import DatagramQueue
from van.router.flow.drops import DropCause, Drops
from van.router.ingress.ageing import ANSWERED, ASKING, CONVERSING, Ages
from van.router.ingress.attempt import FlowAttempt
from van.router.ingress.paths import SessionPath
from van.router.reactor.loop import EventLoop
from van.wire.channel import Report


class Session:
    """One client's, from its first datagram to its end."""

    __slots__ = (
        "_ages",
        "_drops",
        "_due",
        "_is_answered",
        "_is_over",
        "_is_to_all",
        "_loop",
        "_on_end",
        "_refusal",
        "_reply",
        "attempt",
        "bytes_from_client",
        "bytes_to_client",
        "early",
        "idle",
        "is_live",
        "is_opened",
        "last_active",
        "path",
        "stage",
    )  # fmt: skip

    def __init__(
        self,
        loop: EventLoop,
        attempt: FlowAttempt,
        drops: Drops,
        *,
        idle: float,
        ages: Ages,
        reply: Callable[[memoryview], None],
        on_end: Callable[["Session", str], None],
    ) -> None:
        """`idle` is for how many seconds a multicast group keeps it without traffic, `ages` is told
        of its traffic for as long as it is live, `reply` sends to the client, and
        `on_end` is called once, when nothing of the session is left, with why nobody took it."""
        self.attempt = attempt
        self.idle = idle
        self.early = DatagramQueue()
        """The datagrams that no instance has taken."""
        self.path: SessionPath | None = None
        self.is_live = True
        """Whether it takes the client's datagrams; one that does not may have yet to be cleared
        from its channel."""
        self.is_opened = False
        """Whether an instance has taken it."""
        self.last_active = loop.clock()
        self.stage = ASKING
        """What it has been so far, as `ages` has it."""
        self.bytes_from_client = 0
        self.bytes_to_client = 0
        self._loop = loop
        self._drops = drops
        self._reply = reply
        self._on_end = on_end
        self._ages = ages
        self._due = 0
        """Questions less answers."""
        self._is_answered = False
        self._is_over = False
        self._is_to_all = False
        self._refusal = ""

    def send_payload(self, count: int, *, may_wait: bool = False) -> None:
        """Send a client's datagram on, which is the first so many bytes of the loop's payload.

        One that may wait may go out with those that follow, or with `release`.
        """
        self._due += 1
        self._was_active(ASKING if self.stage == ASKING else CONVERSING)
        self.bytes_from_client += count
        if self.is_opened and self.path is not None:
            self.path.send_payload(count, may_wait=may_wait)
            return
        made_way = self.early.add(bytes(self._loop.payload[:count]))
        if self.path is not None:
            self.path.send_payload(count)
            return
        self._drops[DropCause.NOT_PLACED] += made_way

    def release(self) -> None:
        """Send what waits for more."""
        if self.path is not None:
            self.path.release()

    def end(self, cause: DropCause = DropCause.NOT_PLACED) -> None:
        """Take nothing more, and give the channel back when the egress is through with it.

        What no instance has taken is dropped for that cause.
        """
        if self.is_live:
            self._leave()
            if self.path is not None:
                self.path.end()
            else:
                self._drops[cause] += self.early.clear()
                self.over()

    def refuse(self, reason: str) -> None:
        """End it, because no instance has taken it."""
        self._refusal = reason
        self.end(DropCause.NO_INSTANCE)

    def abort(self, detail: str) -> None:
        """Break it off."""
        if self.path is not None:
            self._leave()
            self.path.abort(detail)
        else:
            self.end()

    def over(self) -> None:
        """Leave nothing behind."""
        self._leave()
        if not self._is_over:
            self._is_over = True
            self._on_end(self, self._refusal)

    def meter(self) -> tuple[int, int]:
        """Return how many bytes the client sent, and how many were sent to it."""
        return self.bytes_from_client, self.bytes_to_client

    def joined(self, path: SessionPath) -> DatagramQueue:
        """Send to all instances from now on; return what has yet to be sent."""
        self.path = path
        self.is_opened = self.attempt.flow.is_opened = True
        self._is_to_all = True
        early, self.early = self.early, DatagramQueue()
        return early

    # -- from the path ----------------------------------------------------------------------

    def flow_opened(self, report: Report) -> None:
        """Take note that an instance has taken the session."""
        self.is_opened = True
        self.early.clear()
        self.attempt.flow_opened(report)

    def receive_reply(self, data: memoryview) -> None:
        """Send a datagram from the instance to the client."""
        if not self._is_answered:
            self._is_answered = True
            self.attempt.response_started()
        self._due -= 1
        if self.is_live:
            self._was_active(self._stage_when_answered())
        self.bytes_to_client += len(data)
        self._reply(data)

    def _stage_when_answered(self) -> int:
        if self._is_to_all or self._due > 0:  # of many there may be more answers
            return self.stage
        return ANSWERED if self.stage == ASKING and not self._due else CONVERSING

    def _was_active(self, stage: int) -> None:
        self._ages.was_active(self, stage, self._loop.clock())

    def _leave(self) -> None:
        """Be live no more."""
        if self.is_live:
            self.is_live = False
            self._ages.remove(self)
