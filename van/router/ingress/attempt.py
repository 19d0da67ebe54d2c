"""A flow of any protocol while it looks for an instance, with what became of it at others."""

import abc
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import trio

from van.balancing.balancer import Balancer
from van.balancing.estimate import Candidate, Work
from van.errors import RemoteError
from van.router.bundles.subchannel import Subchannel
from van.router.flow.flow import Flow
from van.router.flow.observer import ExchangeObserver
from van.router.flow.outcome import OnEnd, Outcome
from van.router.reactor.loop import EventLoop
from van.routing.paths.service_index import ServiceKey
from van.wire.channel import Open, Report

NOBODY: Final[Mapping[str, str]] = MappingProxyType({})
"""Those that have not taken a flow, of most: the first that it is offered to takes it."""

_NO_SITE: Final[frozenset[str]] = frozenset()


class FlowRefused(RemoteError):
    """An instance did not take the flow."""

    code = "flow-refused"


class TargetSlow(FlowRefused):
    """An instance has not taken the flow yet, and may if nobody else does."""

    code = "target-slow"


class FlowAttempt(ExchangeObserver, abc.ABC):
    """A client's flow that is offered to instances: who did not take it, where it counts as work,
    and the means to carry what the client says, which each protocol has its own of.

    Used in the event loop's thread only. The dispatcher owns it from `dispatch` on, and calls in
    this order: `carry_to_all` alone; or `carry` or `carry_here` any number of times, each after the
    outcome of the one before, with `take_back` after each that was refused; at last one of
    `refuse`, `abort`, and `close`. None of these waits; an attempt that has to does so in a task of
    its own. What is called at the end leaves nothing of the flow behind. Whatever carries the flow
    meanwhile tells of exchanges. Each `begin_at` is paired with one of `give_back` or `fail`; what
    is told of exchanges outside such a pair is not counted.
    """

    __slots__ = (
        "_balancer", "_clock", "_limits", "_patient_until", "_work", "excluded", "flow", "is_live",
        "is_patient", "lost", "may_repeat", "refusals", "report", "service", "slow", "was_silent",
    )  # fmt: skip

    def __init__(
        self, loop: EventLoop, balancer: Balancer, service: ServiceKey, flow: Flow
    ) -> None:
        self.service = service
        self.flow = flow
        self.is_live = True
        """Whether anybody still needs an instance for it."""
        self.report: Report | None = None
        """What the last instance reported at its end, if it did."""
        self.refusals = self.lost = self.slow = NOBODY
        """Sites that refused it, and why; those that it did not get to, which may be tried again;
        and those where its target has not answered at once, of which one is waited for if nobody
        else is left."""
        self.was_silent = _NO_SITE
        """Sites that have not answered, along whatever path."""
        self.excluded = _NO_SITE
        """The sites that the flow is not to be offered to now; no property, as each flow asks."""
        self.is_patient = False
        """Whether nobody else is left."""
        self.may_repeat = False
        """Whether it may be offered again where nobody knows if a target has seen it."""
        self._balancer = balancer
        self._limits = loop.limits
        self._clock = loop.clock
        self._work: Work | None = None
        """The flow as the balancer knows it, while an instance has it."""
        self._patient_until: float | None = None

    # -- for the dispatcher --------------------------------------------------------------------

    @abc.abstractmethod
    def carry(self, channel: Subchannel, request: Open, on_end: OnEnd) -> None:
        """Begin to carry it on a subchannel, which is the dispatcher's again with `on_end`.

        That is called once, perhaps at once; not when this raises.
        """

    @abc.abstractmethod
    def carry_here(self, on_end: OnEnd) -> None:
        """Begin to carry it to a target of this site; as `carry`.

        That no target took it, `on_end` is told as well.
        """

    @abc.abstractmethod
    def carry_to_all(self) -> None:
        """Carry it to every instance, and see to its end."""

    @abc.abstractmethod
    def take_back(self) -> None:
        """Keep what an instance refused for another one."""

    @abc.abstractmethod
    def judge(self, outcome: Outcome) -> bool:
        """Take the last report of the instance that had it, and tell whether what became of it
        speaks against that."""

    @abc.abstractmethod
    def refuse(self, reason: str) -> None:
        """End it, because no instance took it."""

    @abc.abstractmethod
    def abort(self, reason: str) -> None:
        """Break it off, whoever carries it."""

    @abc.abstractmethod
    def close(self) -> None:
        """Be done with it, after an outcome that was not a refusal."""

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
                self._patient_until = trio.current_time() + self._limits.patience
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
        await trio.sleep(self._limits.retry_pause)
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
        self._work = self._balancer.start(self.service, candidate, self._clock())

    def give_back(self, report: Report | None = None) -> None:
        """Count the flow no more at the site that had it, and which reported this at its end."""
        if self._work is not None:
            work, self._work = self._work, None
            self._balancer.end(work, self._clock(), report)

    def fail(self, *, is_silent: bool = False) -> None:
        """Take note that the site did not take the flow, was not reached, lost it, or said
        nothing to it."""
        if self._work is not None:
            work, self._work = self._work, None
            self._balancer.fail(work, self._clock(), is_silent=is_silent)

    def flow_opened(self, report: Report | None) -> None:
        """Tell the balancer how busy the site is that took the flow."""
        self.flow.is_opened = True
        if self._work is not None:
            self._balancer.report(self._work, report, self._clock())

    def request_sent(self) -> None:
        """Tell the balancer that the client waits for an answer."""
        if self._work is not None:
            self._balancer.request_sent(self._work, self._clock())

    def response_started(self) -> None:
        """Tell the balancer that the first of the answer has come."""
        if self._work is not None:
            self._balancer.response_started(self._work, self._clock())

    def request_abandoned(self) -> None:
        """Tell the balancer that an answer is waited for no more."""
        if self._work is not None:
            self._balancer.request_abandoned(self._work)
