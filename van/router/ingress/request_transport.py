"""One request of a client of HTTP, which is offered to one site after the other until it is
answered."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from van.balancing.balancer import Balancer
from van.http.h1.request import RequestHead
from van.http.problems import Problem
from van.http.semantics import IDEMPOTENT
from van.router.bundles.subchannel import Subchannel
from van.router.channels.frames import Unused
from van.router.egress.egress import Egress
from van.router.flow.exchange import ExchangeChannel
from van.router.flow.flow import Flow
from van.router.flow.local_channel import LocalChannel
from van.router.flow.outcome import Ending, OnEnd, Outcome
from van.router.ingress.attempt import FlowAttempt
from van.router.ingress.context import IngressContext
from van.router.ingress.exchange import IngressExchange
from van.routing.paths.service_index import ServiceKey
from van.wire.channel import Open, Report
from van.wire.framing import Message

if TYPE_CHECKING:
    from van.router.ingress.http_session import HttpSession

MAX_REPEATED: Final = 65536
"""Bytes of a request that are kept until its answer begins, to be offered to another instance."""
MAX_TRIES: Final = 3
"""Times that a request is offered again though an instance may have seen it."""
RETRY_AFTER: Final = 1
"""Seconds after which a client that found no instance may ask again."""


class RequestTransport(FlowAttempt):
    """A request, with what its client has said of it until the answer begins.

    What an instance refused, which it has not seen then, is offered to the next; what may have been
    seen, only if it may be repeated, and nothing of an answer has come.
    """

    __slots__ = (
        "_context", "_exchange", "_has_answer", "_on_over", "_said", "_session", "_tries", "head",
        "is_whole",
    )  # fmt: skip

    def __init__(
        self,
        context: IngressContext,
        balancer: Balancer,
        service: ServiceKey,
        flow: Flow,
        *,
        session: "HttpSession",
        head: RequestHead,
        on_over: Callable[[str], None],
    ) -> None:
        """`on_over` takes why nobody took it, or nothing, when it is over."""
        super().__init__(context.loop, balancer, service, flow)
        self.head = head
        self.is_whole = False
        """Whether all of it was said."""
        self.may_repeat = head.method in IDEMPOTENT and not head.upgrade
        self._context = context
        self._session = session
        self._on_over = on_over
        self._exchange: IngressExchange | None = None
        """The try that is under way."""
        self._said: bytearray | None = bytearray(self._named())
        """The request so far, while it may be offered again."""
        self._has_answer = False
        """Whether part of an answer has come."""
        self._tries = 0

    def _named(self) -> bytes:
        """Return the head, with a name for the request unless the client has given one."""
        raw = self.head.raw
        if self.head.has_id:
            return raw
        name = f"{self._context.routes.fib.site}-{self.flow.id}"
        return raw[:-2] + b"X-Request-Id: %b\r\n\r\n" % name.encode()

    # -- for the session -----------------------------------------------------------------------

    @property
    def may_read(self) -> bool:
        """Tell whether the client may say more of it."""
        if self._exchange is not None and self._exchange.is_answered:
            return self._exchange.may_read
        return self._said is None or len(self._said) < MAX_REPEATED

    @property
    def is_read(self) -> bool:
        """Tell whether the client has said all of it, or may say more when it is answered only."""
        return self.is_whole or bool(self.head.upgrade)

    def say(self, data: bytes) -> None:
        """Pass more of it on."""
        if self._said is not None:
            self._said += data
            is_taken = self._exchange is not None and self._exchange.is_answered
            if len(self._said) > MAX_REPEATED and is_taken:
                self._said = None
        if self._exchange is not None:
            self._exchange.say(data)

    def end_request(self) -> None:
        """Say that this was all of it."""
        self.is_whole = True
        if self._exchange is not None:
            self._exchange.end_request()

    def leave(self, why: str) -> None:
        """Break it off: the client has gone, or has an answer from somewhere else."""
        self.is_live = False
        self._said = None
        if self._exchange is not None:
            self._exchange.leave(why)
        else:
            self._over(why)

    def resume(self) -> None:
        """Hear the answer again."""
        if self._exchange is not None:
            self._exchange.resume()

    # -- for the exchange ----------------------------------------------------------------------

    def opened(self, report: Report | None) -> None:
        """Take note that an instance has taken it."""
        self.flow_opened(report)
        self.update()

    def receive_answer(self, data: memoryview) -> bool:
        """Pass part of the answer on; tell whether there is room for more."""
        if not self._has_answer:
            self._has_answer = True
            self._said = None
            self.response_started()
        return self._session.receive_answer(self, data)

    def answer_ended(self) -> None:
        """Take note that the answer is whole."""
        self._session.receive_answer_end(self)

    def update(self) -> None:
        """Have the client read again."""
        if self.is_live:
            self._session.update()

    def may_be_offered_again(self, *, is_unseen: bool) -> bool:
        """Tell whether it may be offered again, after a try of which nothing came; one that no
        instance has seen may be in any case."""
        if not self.is_live or self._has_answer or self._said is None:
            return False
        if not is_unseen:
            self._tries += 1
        return is_unseen or (self.may_repeat and self._tries <= MAX_TRIES)

    def broken(self, detail: str) -> None:
        """Tell the client that it was broken off, if it still waits."""
        if self.is_live:
            self._session.fail(self, Problem(502, detail))

    # -- for the dispatcher --------------------------------------------------------------------

    def carry(self, channel: Subchannel, request: Open, on_end: OnEnd) -> None:
        """Offer it to the instances of a site."""
        self._carry_on(channel, request, on_end)

    def carry_here(self, on_end: OnEnd) -> None:
        """Offer it to the instances of this site."""
        near, far = LocalChannel.pair(self._context.loop, self._context.routes.fib.site)
        flow = self.flow
        flow.role = "local"
        request = Open(
            flow.id,
            *self.service,
            is_patient=self.is_patient,
            client=flow.client,
            may_repeat=self.may_repeat,
        )
        far.hand_to(_Acceptor(far, self._context.egress))
        self._carry_on(near, request, on_end)

    def _carry_on(self, channel: ExchangeChannel, request: Open, on_end: OnEnd) -> None:
        exchange = IngressExchange(self._context.loop, channel, on_end, self)
        self._exchange = exchange
        self.flow.carried_by(exchange)
        self.request_sent()
        exchange.start(request, bytes(self._said or b""), is_whole=self.is_whole)

    def carry_to_all(self) -> None:
        """Refuse it: what is exposed as HTTP has one answer."""
        self.refuse("the address is multicast, which HTTP is not")

    def take_back(self) -> None:
        """Keep it for another site, as it is kept anyway."""
        self._exchange = None
        self.flow.carried_by(None)
        self.flow.role = "ingress"

    def judge(self, outcome: Outcome) -> bool:
        """Take the last report, and tell whether the instance has left the request unanswered."""
        if self._exchange is not None:
            self.report = self._exchange.report
        return outcome.ending is Ending.RESET and not self._has_answer and self.is_live

    def refuse(self, reason: str) -> None:
        """Tell the client that no instance took it."""
        self._session.fail(self, Problem(503, reason, RETRY_AFTER))
        self._over(reason)

    def abort(self, reason: str) -> None:
        """Break it off, whoever carries it."""
        if self._exchange is not None:
            self._exchange.abort(reason)
        elif self.is_live:
            self.broken(reason)
            self._over(reason)

    def close(self) -> None:
        """Be done with it."""
        self._over("")

    def _over(self, reason: str) -> None:
        self.is_live = False
        self._said = None
        on_over, self._on_over = self._on_over, _told
        on_over(reason)


class _Acceptor(Unused):
    """Has an exchange served at this site when it is opened."""

    def __init__(self, channel: LocalChannel, egress: Egress) -> None:
        self._channel = channel
        self._egress = egress

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """Take OPEN, which comes first."""
        assert isinstance(message, Open)
        self._egress.serve_here(self._channel, message)


def _told(_reason: str) -> None:
    """Tell nobody a second time."""
