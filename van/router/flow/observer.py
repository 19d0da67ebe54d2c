"""What whoever carries a flow tells of it: when it was opened, asked something, and answered.

A flow may carry one exchange, or one after the other. Where it carries bytes that nobody reads, an
exchange is the client's next words and what the target says to them.
"""

from van.wire.channel import Report


class ExchangeObserver:
    """Hears of a flow's exchanges; learns nothing unless a method is overridden.

    In the event loop's thread, and in this order: `flow_opened` once, by an ingress only;
    `request_sent` and `response_started` in turns; `request_abandoned` at any time.
    """

    __slots__ = ()

    def flow_opened(self, report: Report | None) -> None:
        """Take what the egress reported, if it did, when an instance had taken the flow."""

    def request_sent(self) -> None:
        """Take note that the client has sent something, to which there is no answer yet."""

    def response_started(self) -> None:
        """Take note that the first of the answer has come."""

    def request_abandoned(self) -> None:
        """Take note that no answer is waited for any more: it, or what was asked, was lost."""
