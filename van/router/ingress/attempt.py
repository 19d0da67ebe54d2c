"""A flow of any protocol while it looks for an instance, with what became of it at others."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import attrs
import trio

from van.balancing.balancer import Balancer
from van.balancing.estimate import Candidate, Work
from van.errors import RemoteError
from van.router.flow.flow import Flow
from van.router.flow.observer import ExchangeObserver
from van.router.reactor.limits import Limits
from van.routing.paths.service_index import ServiceKey
from van.wire.channel import Report

NOBODY: Final[Mapping[str, str]] = MappingProxyType({})
"""Those that have not taken a flow, of most: the first that it is offered to takes it."""

_NO_SITE: Final[frozenset[str]] = frozenset()


class FlowRefused(RemoteError):
    """An instance did not take the flow."""

    code = "flow-refused"


class TargetSlow(FlowRefused):
    """An instance has not taken the flow yet, and may if nobody else does."""

    code = "target-slow"


@attrs.define(eq=False)
class FlowAttempt(ExchangeObserver):
    """A flow that is offered to instances, who did not take it, and where it counts as work.

    Used in the event loop's thread only. The dispatcher owns it from `dispatch` until the transport
    is told that the flow is over; whatever carries the flow meanwhile tells it of exchanges. Each
    `begin_at` is paired with one of `give_back` or `fail`; what is told of exchanges outside such a
    pair is not counted.
    """

    service: ServiceKey
    flow: Flow
    balancer: Balancer
    limits: Limits
    clock: Callable[[], float]
    refusals: Mapping[str, str] = NOBODY
    """Sites that refused it, and why."""
    lost: Mapping[str, str] = NOBODY
    """Sites that the flow did not get to, and why; they may be tried again."""
    was_silent: frozenset[str] = _NO_SITE
    """Sites that have not answered, along whatever path."""
    slow: Mapping[str, str] = NOBODY
    """Sites where its target has not answered at once; one is waited for if nobody else is left."""
    excluded: frozenset[str] = _NO_SITE
    """The sites that the flow is not to be offered to now; no property, as each flow asks."""
    is_patient: bool = False
    """Whether nobody else is left."""
    _work: Work | None = None
    """The flow as the balancer knows it, while an instance has it."""
    _patient_until: float | None = None

    # -- who did not take it -------------------------------------------------------------------

    def record_refusal(self, site: str, exc: RemoteError) -> None:
        """Take note that a site refused the flow, or was not reached."""
        if isinstance(exc, TargetSlow) and not self.is_patient:
            self.slow = {**self.slow, site: str(exc)}
        elif isinstance(exc, FlowRefused):
            self.refusals = {**self.refusals, site: str(exc)}
        else:
            self.lost = {**self.lost, site: str(exc)}
            if self._patient_until is None:
                self._patient_until = trio.current_time() + self.limits.patience
        self._exclude()

    def _exclude(self) -> None:
        self.excluded = frozenset({*self.refusals, *self.lost, *self.slow})

    def is_last_of(self, candidates: Sequence[Candidate]) -> bool:
        """Tell whether nobody but the site that has the flow now could still take it, of these."""
        return self.is_patient or len(candidates) - 1 - len(self.refusals) <= 0

    def settle_for_slow(self) -> bool:
        """Wait from now on for sites whose targets are slow; tell whether there are any."""
        if not self.slow:
            return False
        self.is_patient = True
        self.slow = NOBODY
        self._exclude()
        return True

    async def may_try_again(self) -> bool:
        """Wait a moment, and tell whether sites that the flow did not get to may be tried again."""
        if not self.lost or trio.current_time() >= (self._patient_until or 0.0):
            return False
        await trio.sleep(self.limits.retry_pause)
        self.lost = NOBODY
        self._exclude()
        return True

    def reason(self) -> str:
        """Return why no instance took the flow."""
        whys = [f"{site}: {why}" for site, why in {**self.lost, **self.refusals}.items()]
        return "; ".join(whys) or "no site that can be reached serves it now"

    # -- work at an instance -------------------------------------------------------------------

    def begin_at(self, candidate: Candidate) -> None:
        """Count the flow at a site, until it is given back or has failed there."""
        self.flow.peer_site = candidate.site
        self._work = self.balancer.start(self.service, candidate, self.clock())

    def give_back(self, report: Report | None = None) -> None:
        """Count the flow no more at the site that had it, and which reported this at its end."""
        if self._work is not None:
            work, self._work = self._work, None
            self.balancer.end(work, self.clock(), report)

    def fail(self, *, is_silent: bool = False) -> None:
        """Take note that the site did not take the flow, was not reached, lost it, or said
        nothing to it."""
        if self._work is not None:
            work, self._work = self._work, None
            self.balancer.fail(work, self.clock(), is_silent=is_silent)

    def flow_opened(self, report: Report | None) -> None:
        """Tell the balancer how busy the site is that took the flow."""
        self.flow.is_opened = True
        if self._work is not None:
            self.balancer.report(self._work, report, self.clock())

    def request_sent(self) -> None:
        """Tell the balancer that the client waits for an answer."""
        if self._work is not None:
            self.balancer.request_sent(self._work, self.clock())

    def response_started(self) -> None:
        """Tell the balancer that the first of the answer has come."""
        if self._work is not None:
            self.balancer.response_started(self._work, self.clock())

    def request_abandoned(self) -> None:
        """Tell the balancer that an answer is waited for no more."""
        if self._work is not None:
            self.balancer.request_abandoned(self._work)
