"""The egress's end of a flow: the target's, which has taken the connection."""

import socket

from van.router.carrier import Carrier, Ending, Outcome
from van.router.channel import RESET_FRAME, Channel
from van.router.pump import Pump
from van.wire.channel import Done, Opened, Report


class EgressCarrier(Carrier):
    """Carries a flow that an ingress has opened, for the target that took it."""

    __slots__ = ("_report",)

    def __init__(self, pump: Pump, local: socket.socket, channel: Channel, report: Report) -> None:
        super().__init__(pump, local, channel)
        self._report = report

    def start(self) -> None:
        """Say that the target took the connection, and begin to carry."""
        self.channel.user = self
        self._takes_data = True
        self.channel.send_message(Opened(self._report))
        self._update_watch()
        if self._outcome is None:
            self.channel.resume()

    def _ended_half(self) -> None:
        if self._has_eof and self._has_sent_eof and self._outcome is None:
            self._close_local()
            self._end(Outcome(Ending.FINISHED, is_channel_clean=True))

    def _receive_reset(self) -> None:
        self._reset_local()
        self._end(Outcome(Ending.RESET, "client reset", is_channel_clean=True))

    def _local_failed(self, detail: str) -> None:
        self._reset_local()
        self.channel.send(RESET_FRAME)
        self._end(Outcome(Ending.RESET, detail, is_channel_clean=True))

    def _end(self, outcome: Outcome) -> None:
        """Make the channel idle: the next frame on it belongs to another flow."""
        self.channel.pause()
        self.channel.send_message(Done(self.bytes_to_local, self._report))
        self._finish(outcome)
