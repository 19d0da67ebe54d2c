"""A client's flow while it looks for an instance, with what became of it at others."""

import socket
import time
from collections.abc import Callable

import attrs
import trio

from van.balancing.balancer import Balancer
from van.balancing.delay_curve import Load
from van.balancing.estimate import Work
from van.errors import RemoteError
from van.router.flow.observer import ExchangeObserver
from van.router.flow.table import Flow
from van.router.ingress.stream import IngressCarrier
from van.router.reactor.limits import Limits
from van.routing.paths.service_index import ServiceKey
from van.wire.channel import Report


def load_of(report: Report) -> Load:
    """Return a report as the balancer takes it."""
    return Load(report.in_flight, report.expected_delay, report.expected_delay_deeper)


class FlowRefused(RemoteError):
    """An instance did not take the flow."""

    code = "flow-refused"


@attrs.define(eq=False)
class FlowAttempt(ExchangeObserver):
    """A flow that is offered to instances, and who did not take it."""

    service: ServiceKey
    flow: Flow
    client: socket.socket
    balancer: Balancer
    on_end: Callable[[str], None]
    """Takes why nobody took the flow, or nothing, when it is over."""
    limits: Limits = attrs.field(kw_only=True)
    carrier: IngressCarrier | None = None
    """What carries it at another site, or tried to."""
    first: bytes = b""
    """What the client has sent, and no instance has taken."""
    is_ended: bool = False
    """Whether that was all."""
    refusals: dict[str, str] = attrs.field(factory=dict)
    """Sites that refused it, and why."""
    lost: dict[str, str] = attrs.field(factory=dict)
    """Sites that the flow did not get to, and why; they may be tried again."""
    work: Work | None = None
    """The flow as the balancer knows it, while an instance has it."""
    _patient_until: float | None = None

    def record_refusal(self, site: str, exc: RemoteError) -> None:
        """Take note that a site refused the flow, or was not reached."""
        if isinstance(exc, FlowRefused):
            self.refusals[site] = str(exc)
            return
        self.lost[site] = str(exc)
        if self._patient_until is None:
            self._patient_until = trio.current_time() + self.limits.patience

    def flow_opened(self, report: Report) -> None:
        """Tell the balancer how busy the site is that took the flow."""
        if self.work is not None:
            self.balancer.report(self.work, load_of(report), time.monotonic())

    def request_sent(self) -> None:
        """Tell the balancer that the client waits for an answer."""
        if self.work is not None:
            self.balancer.request_sent(self.work, time.monotonic())

    def response_started(self) -> None:
        """Tell the balancer that the first of the answer has come."""
        if self.work is not None:
            self.balancer.response_started(self.work, time.monotonic())

    def request_abandoned(self) -> None:
        """Tell the balancer that an answer is waited for no more."""
        if self.work is not None:
            self.balancer.request_abandoned(self.work)

    @property
    def excluded(self) -> set[str]:
        """Return the sites that the flow is not to be offered to now."""
        return {*self.refusals, *self.lost}

    async def may_try_again(self) -> bool:
        """Wait a moment, and tell whether sites that the flow did not get to may be tried again."""
        if not self.lost or trio.current_time() >= (self._patient_until or 0.0):
            return False
        await trio.sleep(self.limits.retry_pause)
        self.lost.clear()
        return True

    def reason(self) -> str:
        """Return why no instance took the flow."""
        whys = [f"{site}: {why}" for site, why in {**self.lost, **self.refusals}.items()]
        return "; ".join(whys) or "no site that can be reached serves it now"
