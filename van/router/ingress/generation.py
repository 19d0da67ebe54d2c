"""A generation of a UDP multicast group at its source: a key, who has it, and the tree to these."""

import logging
from collections.abc import Callable, Iterable
from functools import partial

import trio

from van.errors import RemoteError
from van.router.bundles.pools import BundlePools
from van.router.bundles.subchannel import Subchannel
from van.router.flow.outcome import Outcome
from van.router.forwarding.replicator import BranchContext, Replicator
from van.router.ingress.paths import ChannelPath
from van.routing.paths.multicast_tree import Tree
from van.routing.paths.service_index import ServiceKey
from van.tls.sealing import Sealer, new_key
from van.wire.channel import Membership, Open, Report

logger = logging.getLogger(__name__)


class _Member:
    """One site's membership; takes what comes back on it."""

    def __init__(self, site: str, receive_reply: Callable[[memoryview], None]) -> None:
        self.site = site
        self.is_opened = False
        self.settled = trio.Event()
        """Set when the site is a member, or will not be."""
        self.path: ChannelPath | None = None
        self.receive_reply = receive_reply

    def flow_opened(self, report: Report | None) -> None:
        """Take note that the site is a member."""
        self.is_opened = True
        self.settled.set()


class Generation:
    """A key, the sites that have it, and the tree that leads to them.

    It stands up, then it is used, and in the end both the tree and the memberships are ended, the
    memberships later: what is still on its way on the branches needs the key.
    """

    def __init__(
        self,
        context: BranchContext,
        bundles: BundlePools,
        service: ServiceKey,
        group: bytes,
        number: int,
        *,
        on_reply: Callable[[memoryview], None],
        on_broken: Callable[["Generation", str], None],
    ) -> None:
        """`on_broken` takes where somebody gets nothing more, and may be called often."""
        self.sites: frozenset[str] = frozenset()
        """Those that were to be members."""
        self.trees: tuple[Tree, ...] = ()
        self.stands_since = 0.0
        self.is_broken = False
        """Whether somebody gets nothing more."""
        self.is_over = False
        self._context = context
        self._bundles = bundles
        self._service = service
        self._group = group
        self._number = number
        self._on_reply = on_reply
        self._on_broken = on_broken
        self._key = new_key()
        self._sealer = Sealer(self._key)
        self._members: list[_Member] = []
        self._replicator: Replicator | None = None

    @property
    def members(self) -> list[str]:
        """Return the sites that are members."""
        return [member.site for member in self._members if member.is_opened]

    async def stand_up(self, sites: Iterable[str], idle: float, rerouted: trio.Event) -> None:
        """Make sites members, as many as can be within a time, or until the routes change."""
        self.sites = frozenset(sites)
        self._members = [_Member(site, self._on_reply) for site in sorted(self.sites)]
        try:
            async with trio.open_nursery() as outer:
                timeout = self._context.loop.limits.settle_timeout
                outer.cancel_scope.deadline = trio.current_time() + timeout
                outer.start_soon(_cancel_when, rerouted, outer.cancel_scope)
                async with trio.open_nursery() as nursery:
                    for member in self._members:
                        nursery.start_soon(self._admit, member, idle)
                outer.cancel_scope.cancel()
        except BaseException:
            self.end_memberships()
            raise

    async def _admit(self, member: _Member, idle: float) -> None:
        """Make a site a member, if it can be reached and does not refuse."""
        context = self._context
        try:
            channel = await self._bundles.pool(member.site).acquire()
        except RemoteError as exc:
            logger.debug("%s is no member of %s: %s", member.site, self._service, exc)
            return
        on_end = partial(self._membership_ended, member, channel)
        member.path = ChannelPath(context.loop, channel, member, on_end, context.drops)
        membership = Membership(self._group, self._number, self._key, idle)
        flow_id = f"{self._group.hex()[:8]}.{self._number:x}"
        member.path.start(Open(flow_id, *self._service, to_all=True, membership=membership), ())
        await member.settled.wait()

    def _membership_ended(self, member: _Member, channel: Subchannel, outcome: Outcome) -> None:
        channel.leave(is_clean=outcome.is_channel_clean)
        if outcome.detail:
            logger.debug("%s is no member of %s: %s", member.site, self._service, outcome.detail)
        member.path = None
        member.is_opened = False
        member.settled.set()
        self._on_broken(self, member.site)

    def use(self, trees: tuple[Tree, ...]) -> None:
        """Lay the trees, on which everything is sent from now on."""
        self.trees = trees
        self.stands_since = trio.current_time()
        self._replicator = Replicator(
            self._context, self._group, self._number, trees, partial(self._on_broken, self)
        )
        self._replicator.start()

    def send(self, data: bytes) -> bool:
        """Send a datagram to every member at another site; tell whether there is a way to any."""
        if not self._replicator:
            return False
        self._replicator.send(self._sealer.seal(data))
        return True

    def end(self) -> None:
        """Send nothing more."""
        if self._replicator is not None:
            self._replicator.end()

    def end_memberships(self) -> None:
        """Let every site leave."""
        self.is_over = True
        for member in self._members:
            if member.path is not None:
                member.path.end()


async def _cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
