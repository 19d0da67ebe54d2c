"""A site's membership in one generation of a UDP multicast group, on a bundle from the source.

It brings the key, and takes back what instances answer; what the source sends comes on a
branch of its tree.
"""

from collections.abc import Callable

from van.errors import RemoteProtocolError
from van.router.bundles.subchannel import Subchannel
from van.router.flow.datagrams import DatagramSender
from van.router.flow.drops import Drops
from van.router.reactor.loop import EventLoop
from van.tls.sealing import Opener
from van.wire.channel import NO_REPORT, Done, Kind, Opened
from van.wire.flow_protocol import SESSION_EGRESS, FlowProtocol
from van.wire.framing import Message


class MemberFlow:
    """This site's membership in one generation of a group; the user of its channel."""

    def __init__(
        self,
        loop: EventLoop,
        channel: Subchannel,
        key: bytes,
        drops: Drops,
        on_end: Callable[[], None],
    ) -> None:
        self.opener = Opener(key)
        self.sender = DatagramSender(loop, channel, drops)
        self._channel = channel
        self._flow = FlowProtocol(SESSION_EGRESS)
        self._flow.receive(Kind.OPEN)
        self._on_end = on_end

    def start(self) -> None:
        """Say that this site is a member now."""
        self._channel.hand_to(self)
        self._flow.send(Kind.OPENED)
        self._channel.send_message(Opened(NO_REPORT))

    def abort(self, detail: str) -> None:
        """Break it off, and the channel with it."""
        if not self._flow.is_over:
            self._channel.abort(detail)
            self._flow.lose()
            self._finish()

    def _finish(self) -> None:
        self.sender.close()
        self._on_end()

    # -- from the channel ------------------------------------------------------------------

    def receive_data(self, data: memoryview) -> None:
        """Break it off: UDP has no stream."""
        self._flow.receive(Kind.DATA)

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
        self._finish()
        self._channel.answer(Done(0, NO_REPORT), behind=behind)
        self._channel.close()

    def channel_writable(self) -> None:
        """Send the newest of the replies that were kept back."""
        self.sender.flush()

    def channel_lost(self, reason: str) -> None:
        """End the membership; the source makes another one."""
        if not self._flow.is_over:
            self._flow.lose()
            self._finish()
