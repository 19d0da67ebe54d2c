"""What the links of a simulated network carry: messages and their bytes by type, and LSA copies."""

from collections import Counter

import attrs

from van.wire.framing import Message
from van.wire.link import Advertisements, Heartbeat

LinkName = frozenset[str]
"""The two ends of a link."""


@attrs.define
class Traffic:
    """Counts what has been sent since it was last reset."""

    messages: Counter[str] = attrs.field(factory=Counter)
    """Messages by type."""
    octets: Counter[str] = attrs.field(factory=Counter)
    """Bytes by type of message, headers included; none are counted if they are not made."""
    lsas: Counter[LinkName] = attrs.field(factory=Counter)
    """Copies of advertisements on each link, both directions together."""
    link_messages: Counter[LinkName] = attrs.field(factory=Counter)
    """Messages on each link, heartbeats left out."""

    def add(self, link: LinkName, message: Message, data: bytes | None) -> None:
        """Count one message, and its bytes if there are any."""
        name = type(message).__name__
        self.messages[name] += 1
        if data is not None:
            self.octets[name] += len(data)
        if isinstance(message, Advertisements):
            self.lsas[link] += len(message.lsas)
        if not isinstance(message, Heartbeat):
            self.link_messages[link] += 1

    def reset(self) -> None:
        """Begin to count anew."""
        for counter in (self.messages, self.octets, self.lsas, self.link_messages):
            counter.clear()

    @property
    def lsa_copies(self) -> int:
        """Return the copies of advertisements on all links."""
        return self.lsas.total()

    @property
    def routing_messages(self) -> int:
        """Return all messages but the heartbeats."""
        return self.link_messages.total()
