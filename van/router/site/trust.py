"""Who this site is, and who it believes: the credentials in force and what follows from them."""

from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509

from van.errors import (
    CertificateError,
    CertificateExpired,
    CertificateNotYetValid,
    Expelled,
    NotAllowed,
    RootReplaced,
)
from van.names import Address
from van.router.site.incarnation import latest_incarnation
from van.router.site.member import Member
from van.router.site.succession import Succession
from van.router.subscription import Subscribers
from van.routing.database.keyring import Origin
from van.tls.connection import TlsConnection
from van.tls.contexts import Context, client_context, peer_chain, server_context
from van.tls.credentials import Credentials
from van.tls.expulsion_list import ExpulsionList
from van.tls.identity import BootstrapIdentity, SiteIdentity, read_chain, verify_chain
from van.tls.pins import Pin, Pins, name_taken
from van.tls.policy import PolicyBook
from van.tls.roots import Roots
from van.wire import channel, join, link


def utc_now() -> datetime:
    """Return the wall clock, which certificates go by."""
    return datetime.now(UTC)


class Trust:
    """Holds the credentials in force; all TLS contexts and signatures come from here."""

    def __init__(
        self, credentials: Credentials, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self.clock = clock
        self.replaced: Subscribers[[]] = Subscribers()
        """Told once other credentials are in force."""
        self._contexts: dict[tuple[str, ...], Context] = {}
        self.credentials = credentials
        self.expulsions = ExpulsionList(credentials.root)
        """Who was put out of this VAN, and which of its roots."""
        self.pins = Pins(self.expulsions)
        """Which key has which name in it."""
        self.pinned: Subscribers[[Pin, Pin | None]] = Subscribers()
        """Told what has been learnt of a name, and the pin of another key that it takes over."""
        self.certified: Subscribers[[SiteIdentity]] = Subscribers()
        """Told of a certificate by which a site advertises itself, or has a link, from now on."""
        self.policies = PolicyBook(credentials.root)
        """What was said of what this VAN allows."""
        self.succession = Succession(credentials.identity.roots)

    def replace(self, credentials: Credentials) -> None:
        """Use other credentials for every connection from now on."""
        if credentials.root != self.credentials.root:
            self.expulsions = ExpulsionList(credentials.root)
            self.pins = Pins(self.expulsions)
            self.policies = PolicyBook(credentials.root)
            self.succession.newest = credentials.identity.roots
        self.credentials = credentials
        self.succession.see(credentials.identity.roots)
        self._contexts.clear()
        self.replaced.tell()

    @property
    def site(self) -> str:
        """Return this site's name."""
        return self.credentials.site

    @property
    def identity(self) -> SiteIdentity:
        """Return who this site is by the certificate in force."""
        return self.credentials.identity

    @property
    def van_id(self) -> str:
        """Return the id of the VAN that this site belongs to."""
        return self.credentials.van_id

    # -- roots that succeed each other ---------------------------------------------------------

    @property
    def is_behind(self) -> bool:
        """Tell whether this site's certificate rests on an older root than others' do."""
        return len(self.succession.newest) > len(self.identity.roots)

    def is_replaced(self, roots: Roots) -> bool:
        """Tell whether what rests on the last of these roots counts no more."""
        return self.expulsions.replacement(roots) is not None

    # -- what the certificate allows -----------------------------------------------------------

    @property
    def can_invite(self) -> bool:
        """Tell whether this site can issue certificates to others."""
        return self.credentials.authority is not None

    def may_expose(self, address: Address) -> bool:
        """Tell whether this site may serve an address."""
        return self.identity.may_expose(str(address))

    def may_bind(self, address: Address) -> bool:
        """Tell whether this site may reach an address."""
        return self.identity.may_bind(str(address))

    def check_may_expose(self, address: Address) -> None:
        """Raise `NotAllowed`, with what is allowed, unless this site may serve an address."""
        if not self.may_expose(address):
            raise _not_allowed("expose", address, self.identity.grants.allow_expose)

    def check_may_bind(self, address: Address) -> None:
        """Raise `NotAllowed`, with what is allowed, unless this site may reach an address."""
        if not self.may_bind(address):
            raise _not_allowed("bind", address, self.identity.grants.allow_bind)

    # -- TLS ---------------------------------------------------------------------------------

    def link_port_context(self) -> Context:
        """Return the context of the link port, which offers all three conversations."""
        return self._server((link.ALPN, channel.ALPN, join.ALPN))

    def relayed_context(self) -> Context:
        """Return the context of the egress end of a relay, which is for channels only."""
        return self._server((channel.ALPN,))

    def dialling_context(self, alpn: str) -> Context:
        """Return the context with which this site dials others for a conversation."""
        key = ("dial", alpn)
        if key not in self._contexts:
            ours = self.credentials
            self._contexts[key] = client_context(ours.chain, ours.key, ours.root, (alpn,))
        return self._contexts[key]

    def _server(self, alpn: tuple[str, ...]) -> Context:
        if alpn not in self._contexts:
            self._contexts[alpn] = server_context(self.credentials, alpn)
        return self._contexts[alpn]

    def peer(self, tls: TlsConnection) -> SiteIdentity | BootstrapIdentity:
        """Return who is at the other end of a connection; raise `CertificateError`."""
        return self.verify(peer_chain(tls))

    def verify(self, chain: tuple[bytes, ...]) -> SiteIdentity | BootstrapIdentity:
        """Return whom a chain proves, by this site's root and clock; raise `CertificateError`.

        Of a site that was put out it is an `Expelled`.
        """
        identity = verify_by(self.clock(), chain, self.credentials.root, judge=self.site)
        if isinstance(identity, SiteIdentity):
            self._check_member(identity)
            self.succession.see(identity.roots)
        return identity

    def _check_member(self, identity: SiteIdentity) -> None:
        """Raise `Expelled` or `NameTaken` unless a site is a member, and has its name."""
        self.expulsions.check(identity)
        ours = self.identity.public_key_fingerprint
        if identity.site == self.site and identity.public_key_fingerprint != ours:
            raise name_taken(identity.site, "is this site's own")
        self.pins.check(identity)

    def saw(self, identity: SiteIdentity) -> None:
        """Remember whose a name is, by a site that has proved to hold its key."""
        before = self.pins.get(identity.site)
        replaced = self.pins.saw(identity, at=self.clock())
        pin = self.pins.get(identity.site)
        if pin is not None and _differ(before, pin):
            self.pinned.tell(pin, replaced)

    def peer_site(self, tls: TlsConnection) -> SiteIdentity:
        """Return the site at the other end; raise `CertificateError` when it is not one."""
        identity = self.peer(tls)
        if not isinstance(identity, SiteIdentity):
            raise CertificateError("the peer's certificate is for joining only")
        return identity

    def lets_bind(self, peer: SiteIdentity, address: str) -> bool:
        """Tell whether a site is a member now, by its certificate, which lets it reach an address.

        It was when that was shown; a channel may live longer.
        """
        is_current = peer.not_after >= self.clock() and self.expulsions.find(peer) is None
        return is_current and peer.grants.may_bind(address)

    def is_expelled(self, peer: SiteIdentity) -> bool:
        """Tell whether a site was put out of the VAN."""
        return self.expulsions.find(peer) is not None

    def exclusion(self) -> str:
        """Return why this site is a member no more, as far as it has been told; empty for one."""
        try:
            self.expulsions.check(self.identity)
        except (Expelled, RootReplaced) as exc:
            return str(exc)
        return ""

    def member(self, identity: SiteIdentity) -> Member:
        """Return a site that proved itself on a connection, as the engine knows sites."""
        return Member(identity, self.clock, self.expulsions)

    # -- link state (the engine's keyring) -----------------------------------------------------

    def chain(self) -> tuple[bytes, ...]:
        """Return this site's certificate chain."""
        return self.credentials.chain

    def authority(self) -> tuple[bytes, ...] | None:
        """Return the chain of the authority that this site holds, empty for the root, or None."""
        held = self.credentials.authority
        return None if held is None else held.chain

    def sign(self, message: bytes) -> bytes:
        """Sign a message as this site."""
        return self.credentials.sign(message)

    def is_own(self, signature: bytes, message: bytes) -> bool:
        """Tell whether this site has signed a message."""
        return self.identity.verify(signature, message)

    def latest_incarnation(self) -> int:
        """Return the highest incarnation that anybody can be in by now."""
        return latest_incarnation(self.clock())

    def identify(self, origin: str, chain: tuple[bytes, ...]) -> Member:
        """Return the member that a chain proves; raise `CertificateError` for another name."""
        identity = verify_chain(chain, self.credentials.root, at=self.clock())
        if not isinstance(identity, SiteIdentity) or identity.site != origin:
            raise CertificateError(f"the certificate is not that of site {origin!r}")
        self._check_member(identity)
        self.succession.see(identity.roots)
        return self.member(identity)

    def admitted(self, origin: Origin) -> None:
        """Remember whose a name is, by a site whose advertisement was taken."""
        if isinstance(origin, Member):
            self.saw(origin.identity)
            self.certified.tell(origin.identity)


def verify_by(
    now: datetime, chain: tuple[bytes, ...], root: x509.Certificate, *, judge: str
) -> SiteIdentity | BootstrapIdentity:
    """Return whom a chain proves; raise `CertificateError`.

    If the time is all that is wrong, the error names the peer's site, whose clock says so, and what
    to do: the text is for either end.
    """
    try:
        return verify_chain(chain, root, at=now)
    except CertificateExpired as exc:
        error: CertificateError = CertificateExpired(
            f"{exc} by the clock of site {judge!r}: accept a new token there ('van link create' "
            "makes one, 'van link accept' takes it), or set the clock right that is wrong"
        )
    except CertificateNotYetValid as exc:
        error = CertificateNotYetValid(
            f"{exc} by the clock of site {judge!r}: set the clock right that is wrong"
        )
    identity = read_chain(chain, root)
    error.site = identity.site if isinstance(identity, SiteIdentity) else ""
    raise error


def _differ(before: Pin | None, after: Pin) -> bool:
    """Tell whether two pins are worth to be written anew: when a site was last there is not."""

    def rest(pin: Pin) -> object:
        return pin.key, pin.authorities, pin.held_level

    return before is None or rest(before) != rest(after)


def _not_allowed(verb: str, address: Address, allowed: tuple[str, ...]) -> NotAllowed:
    patterns = ", ".join(allowed) or "none"
    return NotAllowed(
        f"this site's certificate does not allow it to {verb} {address}: allowed are {patterns}"
    )
