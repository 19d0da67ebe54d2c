"""Multicast of TCP at the ingress: what a client says goes to every instance there is."""

import logging
import socket
from collections.abc import Callable
from functools import partial

import trio

from van.errors import RemoteError
from van.router.bundles.subchannel import Subchannel
from van.router.flow.fan_out import Copy, FanOut
from van.router.flow.flow import Flow
from van.router.flow.observer import ExchangeObserver
from van.router.flow.outcome import Ending, Outcome
from van.router.ingress.context import IngressContext
from van.router.ingress.stream import IngressStream
from van.router.reactor import sockets
from van.router.reactor.supervisor import DEFECT
from van.wire.channel import Open, Report

logger = logging.getLogger(__name__)


class StreamSource:
    """Begins the streams of this site's clients."""

    def __init__(self, context: IngressContext) -> None:
        self._context = context
        self._members = context.egress.streams

    def begin(
        self,
        flow: Flow,
        client: socket.socket,
        *,
        takes_answer: bool,
        on_end: Callable[[str], None],
    ) -> None:
        """Copy what a client says; `on_end` takes why nobody took it, or nothing."""
        self._context.tasks.start(self._carry, flow, client, takes_answer, on_end)
        self._context.loop.yield_to_tasks()

    async def _carry(
        self,
        flow: Flow,
        client: socket.socket,
        takes_answer: bool,  # noqa: FBT001  # a task takes no keywords
        on_end: Callable[[str], None],
    ) -> None:
        failure = DEFECT
        defects = self._context.loop.defects
        try:
            with defects.contain(
                "flow %s", flow.id, end=lambda _: sockets.close_with_reset(client)
            ):
                failure = await self._fan_out(flow, client, takes_answer=takes_answer)
        finally:
            on_end(failure)

    async def _fan_out(self, flow: Flow, client: socket.socket, *, takes_answer: bool) -> str:
        """Copy until it is over; return why nobody took it, or nothing."""
        sites = self._sites(flow)
        here = self._context.routes.fib.site
        copies, served = await self._members.connect(flow, here, is_patient=not sites)
        try:
            await self._open_flows(flow, sites, copies, takes_answer=takes_answer)
            on_lost = partial(self._members.lost, flow)
            fan_out = FanOut(
                client,
                copies,
                takes_answer=takes_answer,
                on_lost=on_lost,
                loop=self._context.loop,
            )
            if not copies:
                fan_out.abort("no instance was reached")
            flow.carried_by(fan_out)
            failure = await fan_out.run()
        except BaseException:
            for copy in copies:
                sockets.close_with_reset(copy.sock)
            raise
        finally:
            served.leave()
        if failure and flow.is_opened:
            self._context.flows.count_reset(flow, failure)
            logger.debug("flow %s reset: %s", flow.id, failure)
        elif failure:
            self._context.flows.count_refused(flow, failure)
        return "" if any(not each.failure for each in copies) else failure

    def _sites(self, flow: Flow) -> list[str]:
        """Return the other sites that serve the address."""
        fib = self._context.routes.fib
        found = self._context.reach.sites((flow.protocol, flow.address))
        return [each for each in found if each != fib.site]

    async def _open_flows(
        self, flow: Flow, sites: list[str], copies: list[Copy], *, takes_answer: bool
    ) -> None:
        """Add a copy for each of other sites that is reached in time."""
        request = Open(
            flow.id,
            flow.protocol,
            flow.address,
            to_all=True,
            wants_answer=takes_answer,
            is_patient=len(sites) + len(copies) == 1,
            client=flow.client,
        )
        with trio.move_on_after(self._context.loop.limits.settle_timeout):
            async with trio.open_nursery() as nursery:
                for site in sites:
                    nursery.start_soon(self._open, flow, request, site, copies)

    async def _open(self, flow: Flow, request: Open, site: str, copies: list[Copy]) -> None:
        context = self._context
        try:
            channel = await context.bundles.pool(site).acquire()
        except RemoteError as exc:
            logger.info("a flow to %s does not get to %s: %s", request.address, site, exc)
            return
        try:
            near, far = sockets.connected_pair()
        except OSError as exc:
            logger.warning("a flow to %s does not get to %s: %s", request.address, site, exc)
            channel.close()
            return
        copy = Copy(f"site {site}", far)
        copies.append(copy)
        on_end = partial(self._ended, channel, near, copy)
        stream = IngressStream(
            context.loop,
            near,
            channel,
            on_end,
            _OpeningObserver(flow),
            bundles=context.bundles,
        )
        stream.start(request)

    def _ended(
        self, channel: Subchannel, near: socket.socket, copy: Copy, outcome: Outcome
    ) -> None:
        copy.detail = outcome.detail
        channel.leave(is_clean=outcome.is_channel_clean)
        if outcome.ending is Ending.REFUSED:  # it is offered to nobody else
            sockets.close_with_reset(near)


class _OpeningObserver(ExchangeObserver):
    """Takes note that some instance has taken a stream."""

    __slots__ = ("_flow",)

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def flow_opened(self, report: Report | None) -> None:
        """Count the flow as opened."""
        self._flow.is_opened = True
