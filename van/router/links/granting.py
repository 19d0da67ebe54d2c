"""Making another site's authority second to the root, so that the VAN outlives the root's machine.

The root certifies the key that the site has, so that no key travels, nor a secret: what is
sent, from neighbour to neighbour, is a certificate. That the site has taken it, it advertises.
"""

import logging
from collections.abc import Callable
from typing import Final

import trio

from van.errors import CertificateError, LocalError, NotAllowed, NotFound, Unreachable, VanError
from van.names import check_site_name
from van.router.links.link import Link
from van.router.links.routes import Routes
from van.router.site.audit import AuditKind
from van.router.site.state import SiteState
from van.router.telemetry.events import EventKind, EventLog
from van.tls.authority import Authority
from van.tls.holders import is_granted_to, standing_of
from van.tls.identity import SiteIdentity, verify_chain
from van.wire.link import AuthorityGrant

logger = logging.getLogger(__name__)

TIMEOUT: Final = 10.0
"""Seconds for the site to have taken it, and to have told."""
RESEND: Final = 0.5
POLL: Final = 0.02
MAX_HOPS: Final = 64


class Granting:
    """Grants authorities, passes on what others grant, and takes what is granted to this site."""

    def __init__(
        self,
        site: SiteState,
        routes: Routes,
        send: Callable[[str, AuthorityGrant], None],
        event_log: EventLog,
    ) -> None:
        self._site = site
        self._trust = site.trust
        self._routes = routes
        self._send = send
        self._event_log = event_log

    async def grant(self, name: str) -> bool:
        """Make a site's authority second to the root that this site holds; return whether it was
        that before.

        Raises `LocalError`, or `Unreachable` when the site does not say that it has taken it.
        """
        root = self._trust.credentials.authority
        if root is None or not root.is_root:
            raise NotAllowed(
                f"site {self._trust.site!r} does not hold the root of the VAN, which alone grants "
                "its authority: do it at a site that does, which 'van authority show' names"
            )
        if check_site_name(name) == self._trust.site:
            raise LocalError(f"site {name!r} holds the root itself")
        identity = self._routes.identity_of(name)
        if identity is None:
            raise NotFound(f"site {name!r} is not known here: 'van network' shows who is")
        if identity.grants.is_ephemeral:
            raise LocalError(f"site {name!r} is ephemeral: grant it to one that stays")
        standing = standing_of(self._told(name), root.root)
        if standing is not None and standing.is_root and standing.roots == root.roots:
            raise LocalError(f"site {name!r} holds the root itself")
        if self._is_granted(name, root) and standing and standing.roots == root.roots:
            return True
        key = identity.public_key_fingerprint
        self._site.audit.record(AuditKind.AUTHORITY_GRANTED, name, f"key {key[:16]}…")
        chain = self._offer(identity, root)
        with trio.move_on_after(TIMEOUT):
            while True:
                with trio.move_on_after(RESEND):
                    while self._told(name) != chain:  # noqa: ASYNC110 - nobody is told of that
                        await trio.sleep(POLL)
                    return False
                # It was lost on its way, or there was none yet.
                self._pass_on(AuthorityGrant(name, chain, MAX_HOPS))
        raise Unreachable(
            f"site {name!r} did not say within {TIMEOUT:.0f} s that it has taken the authority: "
            "see that its router is up, and try again"
        )

    def renew_all(self) -> None:
        """Give those their authority anew to whom a root has granted it that this one succeeds."""
        root = self._trust.credentials.authority
        if root is None or not root.is_root:
            return
        for name in self._routes.identities():
            identity, standing = (
                self._routes.identity_of(name),
                standing_of(self._told(name), root.root),
            )
            if identity is None or standing is None or not self._is_granted(name, root):
                continue
            if len(standing.roots) < len(root.roots):
                self._offer(identity, root)

    def _is_granted(self, name: str, root: Authority) -> bool:
        return is_granted_to(name, self._told(name), root.root, at=self._trust.clock())

    def _offer(self, identity: SiteIdentity, root: Authority) -> tuple[bytes, ...]:
        chain = root.issue_authority(
            identity.public_key,
            site=identity.site,
            first_issued=identity.first_issued,
            now=self._trust.clock(),
        )
        self._pass_on(AuthorityGrant(identity.site, chain, MAX_HOPS))
        return chain

    def receive(self, link: Link, message: AuthorityGrant) -> None:
        """Take a grant to this site, or pass on one to another."""
        if message.destination != self._trust.site:
            if message.hop_limit > 0:
                limit = message.hop_limit - 1
                self._pass_on(AuthorityGrant(message.destination, message.chain, limit))
            return
        try:
            self._take(message.chain)
        except VanError as exc:
            logger.warning("an authority that came over %s is not taken: %s", link.neighbor, exc)

    def _pass_on(self, message: AuthorityGrant) -> None:
        next_hop = self._routes.next_hop(message.destination)
        if next_hop is not None:
            self._send(next_hop, message)

    def _take(self, chain: tuple[bytes, ...]) -> None:
        ours, now = self._trust.credentials, self._trust.clock()
        authority = Authority(ours.key, chain, ours.root)
        if not is_granted_to(ours.site, chain, ours.root, at=now):
            raise CertificateError("it is not granted to this site, or not valid now")
        held = ours.authority
        if (
            held is not None
            and len(authority.roots) <= len(held.roots)
            and (held.is_root or authority.not_after <= held.not_after)
        ):
            raise CertificateError("this site holds one that lasts as long")
        if self._trust.is_replaced(authority.roots):
            raise CertificateError("its root was replaced")
        granted = ours.with_authority(authority, now=now)
        self._trust.expulsions.check(granted.identity)
        verify_chain(granted.chain, granted.root, at=now)
        self._site.install(granted)
        text = f"it holds an authority that is second to the root, until {authority.not_after:%F}"
        self._event_log.record(EventKind.AUTHORITY_CHANGED, ours.site, text)

    def _told(self, name: str) -> tuple[bytes, ...] | None:
        body = self._routes.identities().get(name)
        return None if body is None else body.authority
