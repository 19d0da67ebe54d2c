"""Branches: what carries a multicast group's datagrams from site to site, along the source's tree.

Between two sites of the tree there is one channel, whatever lies behind it, so that each link is
passed by one copy. What is copied is sealed: a transit site can't read it.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

from van.errors import RemoteError
from van.router.channels.channel import EOF_FRAME, RESET_FRAME, Channel
from van.router.channels.pool import Pool
from van.router.channels.pools import Pools
from van.router.flow.datagrams import MAX_UNSENT, DatagramQueue, DatagramSender, datagram_frame
from van.router.flow.drops import DropCause, Drops
from van.router.links.table import LinkTable
from van.router.reactor.loop import EventLoop
from van.router.reactor.supervisor import Tasks
from van.router.site.settings import Settings
from van.routing.paths.multicast_tree import Tree, branches, check_tree
from van.wire.channel import CODEC, NO_REPORT, Branch, Done, Kind
from van.wire.flow_protocol import BRANCH_DOWNSTREAM, BRANCH_UPSTREAM, FlowProtocol
from van.wire.flow_states import State
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
            self.channel_lost("it was closed already")
            return
        channel.limit_unsent(MAX_UNSENT)
        self._sender = DatagramSender(self._context.loop, channel, self._context.drops)
        frames = b"".join(map(datagram_frame, self._early))
        self._early.clear()
        self._flow.send(Kind.BRANCH)
        channel.send(CODEC.encode(self._request) + frames)
        if self._is_ended and not self._is_over:
            self._send_eof(channel)

    def _send_eof(self, channel: Channel) -> None:
        assert self._sender is not None
        self._sender.close()
        self._flow.send(Kind.EOF)
        channel.send(EOF_FRAME)
        loop = self._context.loop
        loop.call_later(loop.limits.drain_timeout, self._give_up)

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
            if self._sender is not None:
                self._sender.close()
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
        """Take note that the tree has lost a branch further out, or that the branch has ended.

        Raises `RemoteProtocolError` if it is another frame, which is out of place.
        """
        self._flow.receive(kind)
        if self._flow.is_over:
            self._finish(is_clean=True)
        elif not self._is_ended:
            self._on_broken(f"a site behind {self._site}")

    def channel_writable(self) -> None:
        """Send the newest of what was kept back."""
        if self._sender is not None:
            self._sender.flush()

    def channel_lost(self, reason: str) -> None:
        """Have the tree laid anew."""
        self._flow.lose()
        self._finish(is_clean=False)
        if not self._is_ended:
            self._on_broken(f"{self._site}: {reason}")


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


class Receiver(Protocol):
    """Whoever takes the datagrams that are for this site, among others."""

    def receive(self, group: bytes, generation: int, sealed: bytes) -> None:
        """Take a datagram that may be for nobody here."""


class Branches:
    """Serves the branches that come in from neighbours."""

    def __init__(
        self, context: BranchContext, site: str, settings: Settings, receiver: Receiver
    ) -> None:
        self.context = context
        self.count = 0
        """Branches that are being served."""
        self._site = site
        self._settings = settings
        self._receiver = receiver

    def serve(self, channel: Channel, request: Branch) -> None:
        """Serve one; the channel's user is the same again afterwards.

        Raises `RemoteProtocolError` for a tree that is none. A site that may not be passed through,
        or has too many already, sends nothing on, and says so.
        """
        check_tree(request.tree, self._site)
        has_room = self.count < self.context.loop.limits.max_branches
        may_pass = self._settings.config.transit and has_room
        self.count += 1
        _Branch(self, channel, request, self._receiver, may_pass=may_pass).start()


class _Branch:
    """The receiving end of one branch."""

    def __init__(
        self,
        branches: Branches,
        channel: Channel,
        request: Branch,
        receiver: Receiver,
        *,
        may_pass: bool,
    ) -> None:
        self._branches = branches
        self._channel = channel
        self._waits = channel.user
        self._request = request
        self._receiver = receiver
        self._may_pass = may_pass
        self._received = 0
        self._flow = FlowProtocol(BRANCH_DOWNSTREAM)
        self._flow.receive(Kind.BRANCH)
        tree = request.tree if may_pass else request.tree[:1]
        self._replicator = Replicator(
            branches.context, request.group, request.generation, [tree], self._sender_broken
        )

    def start(self) -> None:
        """Begin to pass on."""
        self._channel.hand_to(self)
        self._replicator.start()
        if not self._may_pass and len(self._request.tree) > 1:
            self._sender_broken("nothing is passed on here")

    def _sender_broken(self, reason: str) -> None:
        """Tell the site that the branch comes from, once: it is of no use to name which branch."""
        if self._flow.state is State.OPEN:
            self._flow.send(Kind.RESET)
            logger.debug("a tree from %s is broken: %s", self._channel.site, reason)
            self._channel.send(RESET_FRAME)

    def _end(self) -> None:
        self._branches.count -= 1
        self._replicator.end()

    # -- from the channel ------------------------------------------------------------------

    def receive_data(self, data: memoryview) -> None:
        """Break the branch off: UDP has no stream."""
        self._flow.receive(Kind.DATA)

    def receive_datagram(self, data: memoryview) -> None:
        """Pass a datagram on, and take it if it is for this site too."""
        self._flow.receive(Kind.DATAGRAM)
        sealed = bytes(data)
        self._received += len(sealed)
        self._replicator.send(sealed)
        self._receiver.receive(self._request.group, self._request.generation, sealed)

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """End the branch; raise `RemoteProtocolError` for a frame that is out of place."""
        self._flow.receive(kind)
        self._end()
        self._flow.send(Kind.DONE)
        self._channel.answer(CODEC.encode(Done(self._received, NO_REPORT)))
        self._channel.hand_to(self._waits)

    def channel_writable(self) -> None:
        """Have nothing that waits."""

    def channel_lost(self, reason: str) -> None:
        """End the branch, and those behind it."""
        if not self._flow.is_over:
            self._flow.lose()
            self._end()
