"""Finds an instance for each client's flow: the best one that takes it."""

import logging
import math
from functools import partial
from typing import Final

import attrs

from van.balancing.estimate import Candidate
from van.errors import LinkLost, RemoteError
from van.router.bundles.subchannel import Subchannel
from van.router.flow.flow import Flow
from van.router.flow.outcome import Ending, Outcome
from van.router.ingress.attempt import FlowAttempt, FlowRefused, TargetSlow
from van.router.ingress.context import IngressContext
from van.router.ingress.ranking import Choices, Ranking
from van.routing.paths.service_index import ServiceKey
from van.wire.channel import Open, Reason
from van.wire.lsa import Distribution

logger = logging.getLogger(__name__)

# To look a member of an enum up takes longer than to compare it.
_MULTICAST: Final = Distribution.MULTICAST
_REFUSED: Final = Ending.REFUSED
_RESET: Final = Ending.RESET


class Dispatcher:
    """Offers flows to instances, and learns what becomes of each at the one that takes it.

    All in the event loop's thread. Most flows need no task: a channel is ready, and what happens
    next is the loop's to see. One that has to wait has a task among the context's; when that is
    cancelled, the flow is broken off. A defect that one flow meets ends that flow alone.
    """

    def __init__(self, context: IngressContext) -> None:
        self.ranking = Ranking(context.routes, context.reach, context.loop.clock)
        self._context = context
        self._bundles = context.bundles
        self._defects = context.loop.defects
        self._site = context.routes.fib.site

    def begin(self, service: ServiceKey, client: str) -> Flow:
        """Return a client's new flow, which counts among this site's until it is removed there."""
        flow = self.new_flow(service, client)
        self._context.flows.add(flow)
        return flow

    def new_flow(self, service: ServiceKey, client: str) -> Flow:
        """Return a client's new flow, which does not count yet."""
        protocol, address = service
        return Flow(
            id=self._context.flows.new_id(),
            role="ingress",
            protocol=protocol,
            address=address,
            peer_site="",
            local=client,
            opened_at=self._context.loop.clock(),
            client=client,
        )

    def dispatch(self, attempt: FlowAttempt) -> None:
        """Have a flow carried by the best instance that takes it, or by all of a multicast address.

        It is told when it is over, which may be before this returns. A flow that began at one
        instance goes on so, should its address become one of multicast meanwhile.
        """
        try:
            choices = self.ranking.choices(attempt.service)
            if choices.distribution is _MULTICAST:
                attempt.carry_to_all()
            else:
                self._place(attempt, choices)
        except Exception as exc:  # noqa: BLE001  # as `Defects.call` does, for each flow
            self._defects.end(attempt.abort, "flow %s", (attempt.flow.id,), exc)

    def _place(self, attempt: FlowAttempt, choices: Choices) -> None:
        if not self._place_at_once(attempt, choices):
            self._context.tasks.start(self._find_instance, attempt)
            self._context.loop.yield_to_tasks()

    def _choose(self, attempt: FlowAttempt) -> Candidate | None:
        """Return the candidate that is to be tried next, or None when none is left."""
        choices = self.ranking.choices(attempt.service)
        return self.ranking.best(choices, without=attempt.excluded)

    def _choose_slow(self, attempt: FlowAttempt) -> Candidate | None:
        """Return the candidate that is to be waited for, when nobody else is left."""
        return self._choose(attempt) if attempt.settle_for_slow() else None

    def _is_last(self, attempt: FlowAttempt) -> bool:
        """Tell whether nobody but the site that has the flow now could still take it."""
        return attempt.is_last_of(self.ranking.candidates(attempt.service))

    # -- placing -------------------------------------------------------------------------------

    def _place_at_once(self, attempt: FlowAttempt, choices: Choices) -> bool:
        """Offer a flow if that takes no waiting; tell whether somebody has it, or had."""
        candidate = self.ranking.best(choices, without=attempt.excluded)
        if candidate is None:
            return False
        if candidate.site == self._site:
            self._carry_here(attempt, candidate)
            return True
        channel = self._bundles.pool(candidate.site).take()
        if channel is None:
            return False
        attempt.begin_at(candidate)
        self._carry(attempt, channel, is_last=attempt.is_last_of(choices.candidates))
        return True

    async def _find_instance(self, attempt: FlowAttempt) -> None:
        """Find an instance, and wait for what it takes."""
        try:
            with self._defects.contain("flow %s", attempt.flow.id, end=attempt.abort):
                while attempt.is_live:
                    candidate = self._choose(attempt) or self._choose_slow(attempt)
                    if candidate is None and not await attempt.may_try_again():
                        break
                    if candidate is not None and await self._try(attempt, candidate):
                        return
                self._refuse(attempt)
        except BaseException:
            attempt.abort("broken off")
            raise

    async def _try(self, attempt: FlowAttempt, candidate: Candidate) -> bool:
        """Wait for a site that can be reached; tell whether that is to see to the flow now."""
        if candidate.site == self._site:
            self._carry_here(attempt, candidate)
            return True
        attempt.begin_at(candidate)
        try:
            limits = self._context.loop.limits
            patience = math.inf if self._is_last(attempt) else limits.elsewhere_after
            channel = await self._bundles.pool(candidate.site).acquire(patience)
        except RemoteError as exc:
            attempt.fail()
            attempt.record_refusal(candidate.site, exc)
            return False
        except BaseException:
            attempt.give_back()
            raise
        if attempt.is_live:
            self._carry(attempt, channel, is_last=self._is_last(attempt))
        else:  # it has ended meanwhile
            channel.close()
            attempt.give_back()
        return True

    def _refuse(self, attempt: FlowAttempt) -> None:
        """End a flow that no instance has taken, unless it has ended meanwhile."""
        if attempt.is_live:
            reason = attempt.reason()
            self._context.flows.count_refused(attempt.flow, reason)
            attempt.refuse(reason)

    # -- carrying ------------------------------------------------------------------------------

    def _carry(self, attempt: FlowAttempt, channel: Subchannel, *, is_last: bool) -> None:
        """Carry a flow on a channel to another site, which goes back to its pool in the end."""
        try:
            on_end = partial(self._channel_ended, attempt, channel)
            attempt.is_patient = is_last
            flow = attempt.flow
            request = Open(
                flow.id,
                *attempt.service,
                is_patient=is_last,
                client=flow.client,
                may_repeat=attempt.may_repeat,
            )
            attempt.carry(channel, request, on_end)
        except BaseException:
            channel.abort()
            attempt.give_back()
            raise

    def _carry_here(self, attempt: FlowAttempt, candidate: Candidate) -> None:
        """Carry a flow to a target of this site."""
        attempt.begin_at(candidate)
        attempt.is_patient = self._is_last(attempt)
        try:
            attempt.carry_here(partial(self._ended, attempt))
        except BaseException:
            attempt.give_back()
            raise

    def _channel_ended(self, attempt: FlowAttempt, channel: Subchannel, outcome: Outcome) -> None:
        """Take a channel back."""
        channel.leave(is_clean=outcome.is_channel_clean)
        if outcome.is_silent:
            self._bundles.pool(channel.site).distrust(channel.neighbor)
            outcome = self._silence(attempt, channel, outcome)
        self._ended(attempt, outcome)

    def _silence(self, attempt: FlowAttempt, channel: Subchannel, outcome: Outcome) -> Outcome:
        """Tell of a site that has not answered; if that may be the path's doing, the flow was lost
        on it, for once."""
        site, service = channel.site, attempt.service
        self._context.silences.tell(site, service[1])
        if channel.neighbor == site or site in attempt.was_silent:
            return outcome
        attempt.was_silent |= {site}
        return attrs.evolve(outcome, is_silent=False)

    def _ended(self, attempt: FlowAttempt, outcome: Outcome) -> None:
        """See what became of a flow, and offer it elsewhere if nobody has taken it.

        Raises nothing, as it may be called while something begins to carry it.
        """
        try:
            self._settle(attempt, outcome)
        except Exception as exc:  # noqa: BLE001  # likewise
            end = partial(self._break_off, attempt)
            self._defects.end(end, "flow %s", (attempt.flow.id,), exc)

    def _break_off(self, attempt: FlowAttempt, detail: str) -> None:
        attempt.give_back()
        attempt.abort(detail)

    def _settle(self, attempt: FlowAttempt, outcome: Outcome) -> None:
        if outcome.ending is _REFUSED and attempt.is_live:
            attempt.fail(is_silent=outcome.is_silent)
            attempt.take_back()
            attempt.record_refusal(attempt.flow.peer_site, _error_of(outcome))
            self._place(attempt, self.ranking.choices(attempt.service))
            return
        if attempt.judge(outcome):
            attempt.fail()
        else:
            attempt.give_back(attempt.report)
        if outcome.ending is _RESET:
            flow = attempt.flow
            self._context.flows.count_reset(flow, outcome.detail)
            logger.debug("flow %s to %s reset: %s", flow.id, flow.peer_site, outcome.detail)
        attempt.close()


def _error_of(outcome: Outcome) -> RemoteError:
    """Return what a flow that was not taken met."""
    if outcome.reason is None and not outcome.is_silent:
        return LinkLost(outcome.detail)
    return (TargetSlow if outcome.reason is Reason.SLOW else FlowRefused)(outcome.detail)
