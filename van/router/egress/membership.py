"""A site's membership in one generation of a UDP multicast group, on a bundle from the source.

It brings the key, and takes back what instances answer; what the source sends comes on a
branch of its tree.
"""

from van.errors import RemoteProtocolError
from van.router.bundles.subchannel import Subchannel
from van.router.flow.datagrams import SessionEnd
from van.router.flow.drops import Drops
from van.router.flow.outcome import FINISHED, OnEnd
from van.router.reactor.loop import EventLoop
from van.tls.sealing import Opener
from van.wire.channel import Done, Kind, Opened
from van.wire.flow_protocol import SESSION_EGRESS
from van.wire.framing import Message


class MemberFlow(SessionEnd):
    """This site's membership in one generation of a group; the user of its channel."""

    def __init__(
        self, loop: EventLoop, channel: Subchannel, key: bytes, drops: Drops, on_end: OnEnd
    ) -> None:
        super().__init__(loop, channel, SESSION_EGRESS, on_end, drops)
        self.opener = Opener(key)
        self._flow.receive(Kind.OPEN)

    def start(self) -> None:
        """Say that this site is a member now."""
        self.channel.hand_to(self)
        self._flow.send(Kind.OPENED)
        self.channel.send_message(Opened(None))

    # -- from the channel ------------------------------------------------------------------

    def receive_datagram(self, data: memoryview) -> None:
        """Break it off: what the source sends comes along the tree."""
        raise RemoteProtocolError("a datagram came in a membership")

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """End the membership; raise `RemoteProtocolError` for a frame that is out of place."""
        self._flow.receive(kind)
        behind = None
        if not self._flow.is_reset:
            self._flow.send(Kind.EOF)
            behind = Kind.EOF
        self._flow.send(Kind.DONE)
        self._finish(FINISHED)
        self.channel.answer(Done(0, None), behind=behind)
        self.channel.close()
