"""Branches: what carries a multicast group's datagrams from site to site, along the source's tree.

Between two sites of the tree there is one channel, whatever lies behind it, so that each link is
passed by one copy. What is copied is sealed: a transit site can't read it.
"""

import logging
from typing import Protocol

from van.router.channels.channel import Channel
from van.router.forwarding.replicator import BranchContext, Replicator
from van.router.site.settings import Settings
from van.routing.paths.multicast_tree import check_tree
from van.wire.channel import Branch, Done, Kind, Opened
from van.wire.flow_protocol import BRANCH_DOWNSTREAM, FlowProtocol
from van.wire.flow_states import State
from van.wire.framing import Message

logger = logging.getLogger(__name__)


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
        """Answer, and begin to pass on."""
        self._channel.hand_to(self)
        self._flow.send(Kind.OPENED)
        self._channel.send_message(Opened(None))
        if self._flow.is_over:
            return
        self._replicator.start()
        if not self._may_pass and len(self._request.tree) > 1:
            self._sender_broken("nothing is passed on here")

    def _sender_broken(self, reason: str) -> None:
        """Tell the site that the branch comes from, once: it is of no use to name which branch."""
        if self._flow.state is State.OPEN:
            self._flow.send(Kind.RESET)
            logger.debug("a tree from %s is broken: %s", self._channel.site, reason)
            self._channel.send_bare(Kind.RESET)

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
        self._channel.answer(Done(self._received, None))
        self._channel.hand_to(self._waits)

    def channel_writable(self) -> None:
        """Have nothing that waits."""

    def channel_lost(self, reason: str) -> None:
        """End the branch, and those behind it."""
        if not self._flow.is_over:
            self._flow.lose()
            self._end()
