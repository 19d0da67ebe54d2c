"""The sending side of multicast trees: one copy for each site that comes next."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable

from van.errors import RemoteError
from van.router.channels.channel import Channel
from van.router.channels.pool import Pool
from van.router.channels.pools import Pools
from van.router.flow.datagrams import MAX_UNSENT, DatagramQueue, DatagramSender
from van.router.flow.drops import DropCause, Drops
from van.router.links.link import Link
from van.router.links.table import LinkTable
from van.router.reactor.loop import EventLoop
from van.router.reactor.supervisor import Tasks
from van.routing.paths.multicast_tree import Tree, branches
from van.wire.channel import Branch, Kind
from van.wire.flow_protocol import BRANCH_UPSTREAM, FlowProtocol
from van.wire.framing import HEADER_SIZE, Message

logger = logging.getLogger(__name__)


class BranchContext:
    """What all trees at a site share: the means to send, and what was sent."""

    def __init__(
        self, loop: EventLoop, pools: Pools, drops: Drops, links: LinkTable, tasks: Tasks
    ) -> None:
        self.loop = loop
        self.pools = pools
        self.drops = drops
        self.links = links
        """Branches go to neighbours only, over links that are up."""
        self.tasks = tasks
        """Those that wait for channels."""
        self.sent: Counter[str] = Counter()
        """Bytes of datagrams and their headers that went to each neighbour."""

    def link_closed(self, link: Link) -> None:
        """Count anew for a neighbour that is one no more."""
        if link.is_deleted:
            self.sent.pop(link.neighbor, None)


class BranchSender:
    """The sending end of one branch; the user of its channel."""

    def __init__(
        self, context: BranchContext, site: str, request: Branch, on_broken: Callable[[str], None]
    ) -> None:
        self._context = context
        self._site = site
        self._request = request
        self._on_broken = on_broken
        self._early = DatagramQueue()
        self._flow = FlowProtocol(BRANCH_UPSTREAM)
        self._channel: Channel | None = None
        self._sender: DatagramSender | None = None
        self._is_ended = False
        self._is_over = False

    def start(self) -> None:
        """Take a channel, or begin to wait for one."""
        if self._site not in self._context.links:
            self._break("no link")
            return
        channel = self._pool().take()
        if channel is not None:
            self._begin(channel)
        else:
            self._context.tasks.start(self._wait, end=self._break)
            self._context.loop.yield_to_tasks()

    def send(self, datagram: bytes) -> None:
        """Send a datagram, or keep it until there is a channel that takes it."""
        if self._is_over or self._is_ended:
            self._context.drops[DropCause.NO_BRANCH] += 1
            return
        self._context.sent[self._site] += HEADER_SIZE + len(datagram)
        if self._sender is not None:
            self._sender.send(datagram)
        else:
            self._context.drops[DropCause.NOT_PLACED] += self._early.add(datagram)

    def end(self) -> None:
        """Send what was kept, then no more."""
        if not self._is_ended:
            self._is_ended = True
            self._on_broken = _unheard  # whoever heard of it holds this
            if self._channel is not None and not self._is_over:
                self._send_eof(self._channel)

    def _pool(self) -> Pool:
        return self._context.pools.pool(self._site)

    async def _wait(self) -> None:
        try:
            channel = await self._pool().acquire()
        except RemoteError as exc:
            self._break(str(exc))
        else:
            self._begin(channel)

    def _begin(self, channel: Channel) -> None:
        self._channel = channel
        channel.hand_to(self)
        if not channel.is_open:
            self.channel_lost("path lost: it was closed already")
            return
        channel.limit_unsent(MAX_UNSENT)
        self._sender = DatagramSender(channel, self._context.drops)
        self._flow.send(Kind.BRANCH)
        channel.send_message(self._request)
        while self._early:
            self._sender.send(self._early.take())
        if not self._is_over:
            self._context.loop.answers.begin(self, self._answer_overdue)
        if self._is_ended and not self._is_over:
            self._send_eof(channel)

    def _send_eof(self, channel: Channel) -> None:
        assert self._sender is not None
        self._sender.drop_kept()
        self._flow.send(Kind.EOF)
        channel.send_bare(Kind.EOF)
        loop = self._context.loop
        loop.call_later(loop.limits.drain_timeout, self._give_up)

    def _answer_overdue(self) -> None:
        self._give_up()
        if not self._is_ended:
            self._on_broken(f"{self._site} does not serve the branch")

    def _give_up(self) -> None:
        if not self._is_over and self._channel is not None:
            self._channel.abort()
            self._flow.lose()
            self._finish(is_clean=False)

    def _break(self, reason: str) -> None:
        self._is_over = True
        self._context.drops[DropCause.NO_BRANCH] += self._early.clear()
        if not self._is_ended:
            self._on_broken(f"{self._site}: {reason}")

    def _finish(self, *, is_clean: bool) -> None:
        if not self._is_over and self._channel is not None:
            self._is_over = True
            self._context.loop.answers.end(self)
            if self._sender is not None:
                self._sender.drop_kept()
            self._channel.limit_unsent(0)
            self._pool().release(self._channel, is_clean=is_clean)

    # -- from the channel ------------------------------------------------------------------

    def receive_data(self, data: memoryview) -> None:
        """Break the branch off: nothing is sent against it."""
        self._flow.receive(Kind.DATA)

    def receive_datagram(self, data: memoryview) -> None:
        """Break the branch off: replies go another way."""
        self._flow.receive(Kind.DATAGRAM)

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """Take note that the branch is served, that the tree has lost one further out, or that the
        branch has ended.

        Raises `RemoteProtocolError` if it is another frame, which is out of place.
        """
        self._flow.receive(kind)
        self._context.loop.answers.end(self)
        if self._flow.is_over:
            self._finish(is_clean=True)
        elif kind == Kind.RESET and not self._is_ended:
            self._on_broken(f"a site behind {self._site}")

    def channel_writable(self) -> None:
        """Send the newest of what was kept back."""
        if self._sender is not None:
            self._sender.channel_writable()

    def channel_lost(self, reason: str) -> None:
        """Have the tree laid anew."""
        self._flow.lose()
        self._finish(is_clean=False)
        if not self._is_ended:
            self._on_broken(f"{self._site}: {reason}")


def _unheard(_: str) -> None:
    """Take what is of no interest any more."""


class Replicator:
    """Stands where a tree parts: sends each datagram once to every site that comes next."""

    def __init__(
        self,
        context: BranchContext,
        group: bytes,
        generation: int,
        trees: Iterable[Tree],
        on_broken: Callable[[str], None],
    ) -> None:
        """`on_broken` takes which part of the tree gets nothing more, and may be called often."""
        self._senders = [
            BranchSender(context, site, Branch(group, generation, branch), on_broken)
            for tree in trees
            for site, branch in branches(tree).items()
        ]

    def __len__(self) -> int:
        return len(self._senders)

    def start(self) -> None:
        """Lay the branches."""
        for sender in self._senders:
            sender.start()

    def send(self, datagram: bytes) -> None:
        """Send a datagram on every branch."""
        for sender in self._senders:
            sender.send(datagram)

    def end(self) -> None:
        """Let every branch end behind what was sent."""
        for sender in self._senders:
            sender.end()
