"""Dials channels on which a neighbour opens flows, because it can't dial this site."""

import logging
from collections import Counter

import trio

from van.errors import RemoteError
from van.names import Endpoint
from van.router.channels.acceptor import Acceptor
from van.router.channels.dialer import ChannelDialer
from van.router.links.link import Link
from van.router.reactor.limits import Limits
from van.router.reactor.supervisor import Tasks
from van.wire.channel import Role
from van.wire.link import ChannelRequest

logger = logging.getLogger(__name__)


class ReverseDialer:
    """Answers requests for channels, so many at a time for each neighbour and no more."""

    def __init__(
        self, dialer: ChannelDialer, acceptor: Acceptor, limits: Limits, tasks: Tasks
    ) -> None:
        self._dialer = dialer
        self._acceptor = acceptor
        self._limits = limits
        self._tasks = tasks
        self._dialling: Counter[str] = Counter()

    def receive(self, link: Link, request: ChannelRequest) -> None:
        """Dial as many channels as a neighbour asks for, over the link on which it asks."""
        if link.is_outgoing:
            room = self._limits.max_dialling - self._dialling[link.neighbor]
            for _ in range(min(request.count, room)):
                self._dialling[link.neighbor] += 1
                self._tasks.start(self._dial, link.neighbor, link.peer or link.remote)

    async def _dial(self, neighbor: str, endpoint: Endpoint) -> None:
        try:
            with (
                trio.fail_after(self._limits.setup_timeout),
                self._dialer.pending.over(neighbor),
            ):
                channel = await self._dialer.dial(neighbor, endpoint, Role.ACCEPTOR_OPENS)
        except (RemoteError, trio.TooSlowError) as exc:
            logger.info("no channel for %s: %s", neighbor, exc)
        else:
            self._acceptor.await_flows(channel)
        finally:
            self._dialling[neighbor] -= 1
            if not self._dialling[neighbor]:
                del self._dialling[neighbor]
