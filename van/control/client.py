"""The control API as typed calls: HTTP with JSON over the unix socket of a site's router."""

import http.client
import math
import socket
import time
from pathlib import Path
from typing import Final

import msgspec

from van.control import endpoints as api
from van.control.endpoints import Answered, ApiEndpoint, Asked
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
from van.control.values.base import Cost, Created, ErrorReply
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
from van.errors import HostError, RouterDown, RouterLost, RouterUnseen, VanError
from van.lock import find_holder
from van.paths import list_sites, site_paths

TIMEOUT: Final = 30.0
"""Longest wait for an answer in seconds: accepting a token dials, joins, and links up."""

SOCKET_TIMEOUT: Final = 3.0
"""Longest wait in seconds for the control socket of a router that runs: it may just have begun, and
makes the socket anew, within a second, when it was removed."""
POLL: Final = 0.02


class ControlClient:
    """Asks the router of one site; each call is a connection of its own.

    Every call raises `RouterDown` when no router runs, `RouterUnseen` when one does and has no
    socket, `RouterLost` when one takes the request and ends without an answer, and the error that
    the router replied with, as the class that the router raised. What only looks is asked again of
    whoever is there by then.
    """

    def __init__(self, site: str, *, timeout: float = TIMEOUT) -> None:
        self.site = site
        paths = site_paths(site)
        self._socket = paths.control_socket
        self._lock = paths.lock_file
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"<ControlClient of {self.site!r}>"

    def status(self) -> Status:
        """Return the state of the router and of the network as it sees it."""
        return self._call(api.STATUS, None)

    def network(self, source: str | None = None) -> Network:
        """Return the map of the network, with the paths from a site or from this one."""
        if source is None:
            return self._call(api.NETWORK, None)
        return self._call(api.NETWORK_FROM, None, site=source)

    def trace(self, spec: TraceSpec) -> Trace:
        """Return the path that a flow to a target takes now."""
        return self._call(api.TRACE, spec)

    def explain(self, spec: ExplainSpec) -> Explain:
        """Return where a flow to an address would go now, and why."""
        return self._call(api.EXPLAIN, spec)

    def ended_flows(self) -> tuple[FlowEnding, ...]:
        """Return how the last flows ended, the oldest first."""
        return self._call(api.ENDED_FLOWS, None)

    def events(self, after: int) -> Events:
        """Return the events after a number, at once or when there are some; none after a while."""
        return self._call(api.EVENTS, None, after=after)

    def stop(self, spec: StopSpec | None = None) -> Created:
        """Tell the router to stop; it answers first, and says what it waits for."""
        return self._call(api.STOP, spec or StopSpec())

    def create_token(self, spec: TokenCreate) -> TokenCreated:
        """Mint a token."""
        return self._call(api.CREATE_TOKEN, spec)

    def tokens(self) -> tuple[TokenInfo, ...]:
        """Return the tokens that the site minted."""
        return self._call(api.LIST_TOKENS, None)

    def revoke_token(self, token: str) -> Created:
        """Make a token worthless."""
        return self._call(api.REVOKE_TOKEN, None, id=token)

    def site_names(self) -> tuple[str, ...]:
        """Return the names of all sites that are known, also of those that are away or out."""
        return self._call(api.SITE_NAMES, None)

    def show_site(self, site: str) -> SiteShown:
        """Return all that is known of a site."""
        return self._call(api.SHOW_SITE, None, site=site)

    def expel(self, spec: ExpelSpec) -> Expelled:
        """Put a site out of the VAN, or ask what would come of that."""
        return self._call(api.EXPEL, spec)

    def forget(self, spec: ForgetSpec) -> Forgotten:
        """Free a name whose key is lost, or ask what would come of that."""
        return self._call(api.FORGET, spec)

    def expulsions(self) -> tuple[ExpulsionInfo, ...]:
        """Return the sites that were put out of the VAN."""
        return self._call(api.EXPULSIONS, None)

    def authorities(self) -> Authorities:
        """Return who holds what authority in the VAN."""
        return self._call(api.AUTHORITIES, None)

    def restore_authority(self, spec: AuthorityRestore) -> AuthorityRestored:
        """Make the site hold the VAN's root."""
        return self._call(api.RESTORE_AUTHORITY, spec)

    def grant_authority(self, spec: AuthorityGrantSpec) -> Created:
        """Make another site's authority second to the root."""
        return self._call(api.GRANT_AUTHORITY, spec)

    def audit(self) -> AuditInfo:
        """Return what the site has done with its authority."""
        return self._call(api.AUDIT, None)

    def policy(self) -> PolicyInfo:
        """Return what the VAN allows."""
        return self._call(api.POLICY, None)

    def set_policy(self, spec: PolicySpec) -> PolicySet:
        """Have the VAN allow something else."""
        return self._call(api.SET_POLICY, spec)

    def check_policy(self, spec: PolicyCheckSpec) -> PolicyCheck:
        """Return whether a site may reach an address."""
        return self._call(api.CHECK_POLICY, spec)

    def roll_root(self, spec: RootRollSpec) -> RootRolled:
        """Replace the root, or put out the old one, or ask what would come of that."""
        return self._call(api.ROLL_ROOT, spec)

    def accept_token(self, spec: LinkAccept) -> LinkAccepted:
        """Join the network of a token, or link up once more."""
        return self._call(api.ACCEPT_TOKEN, spec)

    def delete_link(self, neighbor: str) -> Created:
        """Give up the link to a neighbour."""
        return self._call(api.DELETE_LINK, None, site=neighbor)

    def set_cost(self, neighbor: str, cost: Cost) -> Created:
        """Set the cost of the link to a neighbour."""
        return self._call(api.SET_COST, LinkCost(cost=cost), site=neighbor)

    def set_hold(self, neighbor: str, seconds: float) -> Created:
        """Set how long the link to a neighbour may be silent."""
        return self._call(api.SET_HOLD, LinkHold(hold=seconds), site=neighbor)

    def drain(self, spec: DrainSpec | None = None) -> Created:
        """Let nothing be sent through the site any more."""
        return self._call(api.DRAIN, spec or DrainSpec())

    def undrain(self) -> Created:
        """Let others send through the site again."""
        return self._call(api.UNDRAIN, None)

    def add_connector(self, spec: ConnectorSpec) -> Created:
        """Attach a target to an address."""
        return self._call(api.EXPOSE, spec)

    def delete_connector(self, spec: ConnectorSpec) -> Created:
        """Detach a target, or every target, from an address."""
        return self._call(api.UNEXPOSE, spec)

    def add_listener(self, spec: ListenerSpec) -> Created:
        """Open a local port to an address."""
        return self._call(api.BIND, spec)

    def delete_listener(self, spec: ListenerSpec) -> Created:
        """Close a local port, or every local port, to an address."""
        return self._call(api.UNBIND, spec)

    def _call(
        self, endpoint: ApiEndpoint[Asked, Answered], value: Asked, **path: str | int
    ) -> Answered:
        body = None if value is None else msgspec.json.encode(value)
        code, reply = self._exchange(endpoint.method, endpoint.fill(**path), body)
        try:
            if 200 <= code < 300:
                return msgspec.json.decode(reply, type=endpoint.reply)
            error = msgspec.json.decode(reply, type=ErrorReply)
        except msgspec.DecodeError as exc:
            raise HostError(
                f"router of site {self.site!r} answered {code} in a form that this van does not "
                f"know ({exc}): restart it with this version of van"
            ) from exc
        raise error_class(error.code)(error.message)

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        """Ask until there is an answer, if to ask twice does nothing twice.

        A router that was killed takes requests until the last of its threads has gone, and those
        that wait by then are reset.
        """
        deadline = math.inf
        while True:
            try:
                return self._ask(method, path, body)
            except RouterLost as exc:
                if method != "GET":
                    raise
                if find_holder(self._lock) is None:
                    raise RouterDown(self._how_to_start()) from exc
                now = time.monotonic()
                if now > deadline:
                    raise
                deadline = min(deadline, now + SOCKET_TIMEOUT)
            time.sleep(POLL)

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        connection = UnixConnection(self._socket, timeout=self._timeout)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            self._connect(connection)
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except TimeoutError as exc:
            raise HostError(
                f"router of site {self.site!r} did not answer within {self._timeout:g} seconds: "
                f"wait, or end it with 'van down --force --site {self.site}'"
            ) from exc
        except PermissionError as exc:
            raise HostError(f"control socket {self._socket} is another user's") from exc
        except (ConnectionError, http.client.IncompleteRead) as exc:
            raise RouterLost(self._went_away()) from exc
        except (OSError, http.client.HTTPException) as exc:
            raise HostError(self._went_away()) from exc
        finally:
            connection.close()

    def _went_away(self) -> str:
        log = site_paths(self.site).log_file
        return f"router of site {self.site!r} went away before it answered: see {log}"

    def _connect(self, connection: "UnixConnection") -> None:
        """Connect, if need be as soon as a router that runs has its socket."""
        deadline = time.monotonic() + min(SOCKET_TIMEOUT, self._timeout)
        while True:
            try:
                return connection.connect()
            except (FileNotFoundError, ConnectionRefusedError) as exc:
                connection.close()
                holder = find_holder(self._lock)
                if holder is None:
                    raise RouterDown(self._how_to_start()) from exc
                if time.monotonic() > deadline:
                    raise RouterUnseen(
                        f"router of site {self.site!r} is running ({holder}), but its control "
                        f"socket {self._socket} is not there: end it with "
                        f"'van down --site {self.site}'"
                    ) from exc
            time.sleep(POLL)

    def _how_to_start(self) -> str:
        command = f"van up --site {self.site}" if len(list_sites()) > 1 else "van up"
        return f"router of site {self.site!r} is not running: start it with '{command}'"


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection over a unix socket."""

    def __init__(self, path: Path, *, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Open the socket; `request` calls this."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def error_class(code: str) -> type[VanError]:
    """Return the error of a code; `VanError` for a code of a later version."""
    pending = [VanError]
    while pending:
        error = pending.pop()
        if error.code == code:
            return error
        pending.extend(error.__subclasses__())
    return VanError
