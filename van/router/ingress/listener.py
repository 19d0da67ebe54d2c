"""A listener: one local port that leads to an address."""

import attrs
import trio

from van.config import ListenerConfig
from van.control.values.attachments import ListenerStatus
from van.routing.paths.service_index import ServiceKey


@attrs.define(eq=False)
class Listener:
    """One local port that leads to an address; open only while the address can be reached."""

    config: ListenerConfig
    is_allowed: bool
    flows: int = 0
    is_open: bool = False
    failure: str = ""
    last_refusal: str = ""
    """Why the last flow found no instance; empty when it found one."""
    not_allowed: str = ""
    """Why no site that serves the address lets this one in; empty when none serves it."""
    settled: trio.Event = attrs.field(factory=trio.Event)
    """Set once the port has been opened, or could not be."""
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    changed: trio.Event = attrs.field(factory=trio.Event)
    service: ServiceKey = attrs.field(init=False)
    """The address that the port leads to."""

    @service.default
    def _service_default(self) -> ServiceKey:
        return (self.config.protocol, str(self.config.address))

    def change(self, config: ListenerConfig) -> None:
        """Have another configuration of the same port from now on; its flows stay."""
        self.config = config

    def fail(self, failure: str) -> None:
        """Take note why the port can't be opened."""
        self.failure = failure
        self.settled.set()

    def status(self) -> ListenerStatus:
        """Return the listener as the control API shows it."""
        if not self.is_allowed:
            state, detail = "not allowed", "this site's certificate does not allow the address"
        elif self.is_open:
            state, detail = "open", self.last_refusal
        elif self.failure:
            state, detail = "failed", self.failure
        elif self.not_allowed:
            state, detail = "not allowed", self.not_allowed
        else:
            state, detail = "waiting", "no site that can be reached serves the address"
        return ListenerStatus(
            address=str(self.config.address),
            protocol=self.config.protocol,
            listen=str(self.config.listen),
            state=state,
            detail=detail,
            flows=self.flows,
        )
