"""The requests of the control API as one table.

The server, the client, and the reference page are made from it: a request that is not here can be
neither asked nor answered.
"""

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, unquote

import attrs

from van.control.values.attachments import ConnectorSpec, ListenerSpec
from van.control.values.audit import AuditInfo
from van.control.values.authority import (
    Authorities,
    AuthorityGrantSpec,
    AuthorityRestore,
    AuthorityRestored,
    RootRolled,
    RootRollSpec,
)
from van.control.values.base import Created
from van.control.values.events import Events
from van.control.values.expulsions import (
    Expelled,
    ExpelSpec,
    ExpulsionInfo,
    ForgetSpec,
    Forgotten,
)
from van.control.values.flows import FlowEnding
from van.control.values.links import LinkAccept, LinkAccepted, LinkCost, LinkHold
from van.control.values.maintenance import DrainSpec, StopSpec
from van.control.values.network import Network
from van.control.values.paths import Explain, ExplainSpec, Trace, TraceSpec
from van.control.values.policy import (
    PolicyCheck,
    PolicyCheckSpec,
    PolicyInfo,
    PolicySet,
    PolicySpec,
)
from van.control.values.sites import SiteShown
from van.control.values.status import Status
from van.control.values.tokens import TokenCreate, TokenCreated, TokenInfo
from van.errors import LocalError

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


def read_event_number(text: str) -> int:
    """Return the number of an event as it stands in a path; raise `LocalError`."""
    if text.isascii() and text.isdigit() and len(text) < 20:
        return int(text)
    raise LocalError(f"event number {text!r} is not valid: use the last one seen, or 0")


PARAMETERS: Final[Mapping[str, Callable[[str], str | int]]] = {
    "after": read_event_number,
    "id": str,
    "site": str,
}
"""What may stand in braces in a path, and how its text is read; that raises `LocalError`."""


@attrs.frozen(eq=False)
class ApiEndpoint(Generic[Asked, Answered]):
    """One request: how it is asked, and what is answered.

    Elements of the path in braces are parameters, one of `PARAMETERS` each.
    """

    method: str
    path: str
    request: type[Asked]
    """What the body holds; `NoneType` when there is none."""
    reply: type[Answered]
    summary: str
    """What it does, in a sentence of Markdown."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """Return the names of what stands in braces."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    def fill(self, **values: str | int) -> str:
        """Return the path with a value for each parameter, for the client."""
        return self.path.format_map(
            {name: quote(str(each), safe="") for name, each in values.items()}
        )

    def match(self, path: str) -> tuple[str, ...] | None:
        """Return what stands for each parameter in a path, or None when it is another's path."""
        wanted, given = self.path.split("/"), path.split("/")
        if len(wanted) != len(given):
            return None
        pairs = list(zip(wanted, given, strict=True))
        if any(each != part and not each.startswith("{") for each, part in pairs):
            return None
        return tuple(unquote(part) for each, part in pairs if each.startswith("{"))

    def read(self, texts: tuple[str, ...]) -> tuple[str | int, ...]:
        """Return the values of what has matched; raise `LocalError` for what is not valid."""
        pairs = zip(self.parameters, texts, strict=True)
        return tuple(PARAMETERS[name](text) for name, text in pairs)


STATUS: Final = ApiEndpoint(
    "GET", "/v1/status", NoneType, Status, "The router, and the network as it sees it."
)
NETWORK: Final = ApiEndpoint(
    "GET",
    "/v1/network",
    NoneType,
    Network,
    "The map of the network, with the paths from this site.",
)
NETWORK_FROM: Final = ApiEndpoint(
    "GET", "/v1/network/{site}", NoneType, Network, "The same with the paths from another site."
)
TRACE: Final = ApiEndpoint(
    "POST", "/v1/trace", TraceSpec, Trace,
    "Finds out the path to a site or an address; takes up to 3 s.",
)  # fmt: skip
EXPLAIN: Final = ApiEndpoint(
    "POST", "/v1/explain", ExplainSpec, Explain,
    "Says where a flow to an address would go now, and why.",
)  # fmt: skip
ENDED_FLOWS: Final = ApiEndpoint(
    "GET", "/v1/flows/ended", NoneType, tuple[FlowEnding, ...],
    "The last flows that were refused or reset here, and as many that finished, the oldest first.",
)  # fmt: skip
EVENTS: Final = ApiEndpoint(
    "GET", "/v1/events/{after}", NoneType, Events,
    "The events with a number above AFTER: at once if there are any, else as soon as there are, "
    "or none after 20 s.",
)  # fmt: skip
STOP: Final = ApiEndpoint(
    "POST", "/v1/stop", StopSpec, Created,
    "Stops the router, after the answer, which says how many flows are waited for.",
)  # fmt: skip
CREATE_TOKEN: Final = ApiEndpoint("POST", "/v1/tokens", TokenCreate, TokenCreated, "Mints a token.")
LIST_TOKENS: Final = ApiEndpoint(
    "GET", "/v1/tokens", NoneType, tuple[TokenInfo, ...], "The tokens minted here."
)
REVOKE_TOKEN: Final = ApiEndpoint(
    "DELETE", "/v1/tokens/{id}", NoneType, Created, "Revokes a token; sites that it let in stay."
)
SITE_NAMES: Final = ApiEndpoint(
    "GET", "/v1/sites", NoneType, tuple[str, ...],
    "The names of all sites that are known here, also of those that are away or out.",
)  # fmt: skip
SHOW_SITE: Final = ApiEndpoint(
    "GET", "/v1/sites/{site}", NoneType, SiteShown,
    "All that is known of one site: who it is, what it may do, and since when.",
)  # fmt: skip
EXPEL: Final = ApiEndpoint(
    "POST", "/v1/expulsions", ExpelSpec, Expelled,
    "Puts a site out of the VAN, everywhere and for good, or says what would come of that.",
)  # fmt: skip
FORGET: Final = ApiEndpoint(
    "POST", "/v1/forgotten", ForgetSpec, Forgotten,
    "Frees the name of a site whose key is lost, or says what would come of that.",
)  # fmt: skip
EXPULSIONS: Final = ApiEndpoint(
    "GET", "/v1/expulsions", NoneType, tuple[ExpulsionInfo, ...],
    "The sites that were put out of the VAN, or whose keys were lost, the first one first.",
)  # fmt: skip
AUTHORITIES: Final = ApiEndpoint(
    "GET", "/v1/authority", NoneType, Authorities,
    "Who holds the VAN's root, and who an authority below it.",
)  # fmt: skip
RESTORE_AUTHORITY: Final = ApiEndpoint(
    "PUT", "/v1/authority", AuthorityRestore, AuthorityRestored,
    "Makes the site hold the VAN's root, from a back-up that was opened.",
)  # fmt: skip
GRANT_AUTHORITY: Final = ApiEndpoint(
    "POST", "/v1/authority/grants", AuthorityGrantSpec, Created,
    "Makes another site's authority second to the root; takes up to 10 s.",
)  # fmt: skip
AUDIT: Final = ApiEndpoint(
    "GET", "/v1/audit", NoneType, AuditInfo,
    "What this site and others have done with their authority, each record verified.",
)  # fmt: skip
POLICY: Final = ApiEndpoint("GET", "/v1/policy", NoneType, PolicyInfo, "What the VAN allows.")
SET_POLICY: Final = ApiEndpoint(
    "PUT", "/v1/policy", PolicySpec, PolicySet,
    "Has the VAN allow something else, everywhere; flows that are not allowed any more end.",
)  # fmt: skip
CHECK_POLICY: Final = ApiEndpoint(
    "POST", "/v1/policy/check", PolicyCheckSpec, PolicyCheck,
    "Says whether a site may reach an address, and what decides.",
)  # fmt: skip
ROLL_ROOT: Final = ApiEndpoint(
    "POST", "/v1/authority/roll", RootRollSpec, RootRolled,
    "Replaces the root that the site holds, or puts the old one out, or says what would come of "
    "that.",
)  # fmt: skip
ACCEPT_TOKEN: Final = ApiEndpoint(
    "POST", "/v1/links", LinkAccept, LinkAccepted, "Accepts a token: joins, and links up."
)
DELETE_LINK: Final = ApiEndpoint(
    "DELETE", "/v1/links/{site}", NoneType, Created, "Gives up a link, at both of its ends."
)
SET_COST: Final = ApiEndpoint(
    "PUT", "/v1/links/{site}/cost", LinkCost, Created,
    "Sets the cost of a link, at both of its ends.",
)  # fmt: skip
SET_HOLD: Final = ApiEndpoint(
    "PUT", "/v1/links/{site}/hold", LinkHold, Created,
    "Sets how long a link may be silent, at both of its ends.",
)  # fmt: skip
DRAIN: Final = ApiEndpoint(
    "POST", "/v1/drain", DrainSpec, Created,
    "Lets nothing be sent through the site, and gives away what it serves if asked to; the answer "
    "says who can't do without it.",
)  # fmt: skip
UNDRAIN: Final = ApiEndpoint(
    "DELETE", "/v1/drain", NoneType, Created, "Lets others send through it again."
)
EXPOSE: Final = ApiEndpoint(
    "POST", "/v1/connectors", ConnectorSpec, Created,
    "Attaches a target to an address; for one that is attached, changes how, and no flow is lost.",
)  # fmt: skip
UNEXPOSE: Final = ApiEndpoint(
    "DELETE", "/v1/connectors", ConnectorSpec, Created, "Detaches one target, or every one."
)
BIND: Final = ApiEndpoint(
    "POST", "/v1/listeners", ListenerSpec, Created,
    "Opens a local port to an address; for one that leads there, changes how.",
)  # fmt: skip
UNBIND: Final = ApiEndpoint(
    "DELETE", "/v1/listeners", ListenerSpec, Created, "Closes one local port, or every one."
)

ENDPOINTS: Final[tuple[ApiEndpoint[Any, Any], ...]] = (
    STATUS,
    NETWORK,
    NETWORK_FROM,
    TRACE,
    EXPLAIN,
    ENDED_FLOWS,
    EVENTS,
    STOP,
    CREATE_TOKEN,
    LIST_TOKENS,
    REVOKE_TOKEN,
    SITE_NAMES,
    SHOW_SITE,
    EXPEL,
    FORGET,
    EXPULSIONS,
    AUTHORITIES,
    RESTORE_AUTHORITY,
    GRANT_AUTHORITY,
    AUDIT,
    POLICY,
    SET_POLICY,
    CHECK_POLICY,
    ROLL_ROOT,
    ACCEPT_TOKEN,
    DELETE_LINK,
    SET_COST,
    SET_HOLD,
    DRAIN,
    UNDRAIN,
    EXPOSE,
    UNEXPOSE,
    BIND,
    UNBIND,
)
"""All of them, in the order of the reference."""
