"""Decides whether an advertisement from outside is genuine, and what of it counts."""

import enum
from collections.abc import Callable
from typing import TypeVar

import attrs

from van.errors import (
    CertificateError,
    Expelled,
    InvalidName,
    NameTaken,
    RemoteError,
    RemoteProtocolError,
)
from van.names import Address
from van.routing.database.keyring import Keyring, Origin, outranks
from van.routing.database.lsdb import Change, Entry, Lsdb
from van.wire.lsa import (
    AddressesBody,
    AdjacenciesBody,
    Binding,
    Body,
    IdentityBody,
    Lsa,
    LsaKind,
    LsaVersion,
    Service,
    decode_body,
)


class Cause(enum.StrEnum):
    """Why an advertisement, or a part of one, was not taken."""

    EXPELLED = "expelled"
    EXPIRED = "expired"
    EXPIRED_IDENTITY = "expired-identity"
    FORGED = "forged"
    IMPLAUSIBLE = "implausible"
    MALFORMED = "malformed"
    NAME_TAKEN = "name-taken"
    NOT_ALLOWED = "not-allowed"
    UNKNOWN_ORIGIN = "unknown-origin"


class AdvertisementRejected(RemoteError):
    """An advertisement is not genuine, or can't be checked."""

    code = "advertisement"

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause


@attrs.frozen
class Admitted:
    """A genuine advertisement, ready to be installed."""

    entry: Entry
    origin: Origin
    ignored: tuple[str, ...]
    """Addresses that the origin's certificate does not allow, or that are not valid."""


class Gate:
    """Checks advertisements against the authority and against the identities held."""

    def __init__(self, keyring: Keyring, lsdb: Lsdb, *, lifetime: float) -> None:
        self._keyring = keyring
        self._lsdb = lsdb
        self._lifetime = lifetime

    def admit(self, lsa: Lsa, *, is_present: bool, now: float) -> Admitted:
        """Check an advertisement that is newer than what is held, or of another key.

        `is_present` tells whether the origin, as it is held, is there: only then does it
        keep its name from a site with less of a claim to it. Cheap checks come first, and the
        signature is checked once. Raises `AdvertisementRejected`.
        """
        if lsa.lifetime <= 0.0:
            raise AdvertisementRejected(Cause.EXPIRED, "its lifetime is over")
        self._check_plausible(lsa)
        origin = self._identity(lsa) if lsa.kind is LsaKind.IDENTITY else self._known(lsa)
        if not origin.is_valid():
            raise AdvertisementRejected(
                Cause.EXPIRED_IDENTITY,
                f"the certificate of {lsa.origin!r} is not valid now by our clock",
            )
        if not origin.verify(lsa.signature, lsa.signed_bytes()):
            raise AdvertisementRejected(
                Cause.FORGED, f"the signature was not made by the key of {lsa.origin!r}"
            )
        if is_present:
            self._check_name(lsa.origin, origin)
        body, ignored = reduce_body(_decode(lsa), origin)
        expires_at = now + min(lsa.lifetime, self._lifetime)
        return Admitted(Entry(lsa, body, expires_at), origin, ignored)

    def is_contest(self, lsa: Lsa) -> bool:
        """Tell whether an identity that is not newer than the one held is of another key.

        Raises `AdvertisementRejected` if it is not genuine.
        """
        held = self._lsdb.get((lsa.origin, lsa.kind))
        if lsa.kind is not LsaKind.IDENTITY or held is None or held.lsa.body == lsa.body:
            return False
        known = self._lsdb.origin(lsa.origin)
        return known is not None and self._identity(lsa).key_id != known.key_id

    def _check_name(self, name: str, origin: Origin) -> None:
        """Raise `AdvertisementRejected` if the name belongs to another site."""
        held = self._lsdb.origin(name)
        if held is not None and outranks(held, origin):
            raise AdvertisementRejected(
                Cause.NAME_TAKEN,
                f"the name {name!r} belongs to another site, which is nearer to the root, or "
                "was there first",
            )

    def check_own(self, lsa: Lsa) -> None:
        """Check that an advertisement in our own name is from before we lost our state.

        It is if our key has signed it: what others say in our name, though an authority lets them
        have it, is nothing that we ever said. Raises `AdvertisementRejected`.
        """
        self._check_plausible(lsa)
        ours = self._identify(lsa.origin, self._keyring.chain())
        if ours.verify(lsa.signature, lsa.signed_bytes()):
            return
        if lsa.kind is LsaKind.IDENTITY:
            signer = self._identify(lsa.origin, _decode_identity(lsa).chain)
            if signer.verify(lsa.signature, lsa.signed_bytes()):
                raise AdvertisementRejected(
                    Cause.NAME_TAKEN, f"another site has the name of this one, {lsa.origin!r}"
                )
        raise AdvertisementRejected(
            Cause.FORGED, "the signature of an advertisement in our name is not genuine"
        )

    def is_plausible(self, version: LsaVersion) -> bool:
        """Tell whether a site can have come to a version by now."""
        return version.incarnation <= self._keyring.latest_incarnation()

    def _check_plausible(self, lsa: Lsa) -> None:
        if not self.is_plausible(lsa.version):
            raise AdvertisementRejected(
                Cause.IMPLAUSIBLE,
                f"{lsa.origin!r} can't have come to incarnation {lsa.incarnation} by now",
            )

    def review(self, name: str, origin: Origin) -> Change:
        """Judge what is held of a site by its new identity, and remove what it did not sign."""
        change = Change.NONE
        for kind in (LsaKind.ADJACENCIES, LsaKind.ADDRESSES):
            entry = self._lsdb.get((name, kind))
            if entry is None:
                continue
            if origin.verify(entry.lsa.signature, entry.lsa.signed_bytes()):
                body, _ = reduce_body(_decode(entry.lsa), origin)
                change = max(change, self._lsdb.install(attrs.evolve(entry, body=body)))
            else:
                change = max(change, self._lsdb.remove((name, kind)))
        return change

    def _identity(self, lsa: Lsa) -> Origin:
        chain = _decode_identity(lsa).chain
        held = self._lsdb.get((lsa.origin, lsa.kind))
        known = self._lsdb.origin(lsa.origin)
        if known is not None and held is not None and _chain_of(held) == chain:
            return known
        return self._identify(lsa.origin, chain)

    def _identify(self, name: str, chain: tuple[bytes, ...]) -> Origin:
        try:
            return self._keyring.identify(name, chain)
        except Expelled as exc:
            raise AdvertisementRejected(Cause.EXPELLED, str(exc)) from exc
        except NameTaken as exc:
            raise AdvertisementRejected(Cause.NAME_TAKEN, str(exc)) from exc
        except CertificateError as exc:
            raise AdvertisementRejected(Cause.FORGED, str(exc)) from exc

    def _known(self, lsa: Lsa) -> Origin:
        origin = self._lsdb.origin(lsa.origin)
        if origin is None:
            raise AdvertisementRejected(
                Cause.UNKNOWN_ORIGIN, f"the identity of {lsa.origin!r} is not known"
            )
        return origin


T = TypeVar("T", Binding, Service)


def reduce_body(body: Body, origin: Origin) -> tuple[Body, tuple[str, ...]]:
    """Return a body without the addresses that its origin may not have, and those addresses."""
    if not isinstance(body, AddressesBody):
        return body, ()
    services, unserved = _allowed(body.services, origin.may_expose)
    listeners, unbound = _allowed(body.listeners, origin.may_bind)
    return AddressesBody(services, listeners), (*unserved, *unbound)


def _allowed(
    services: tuple[T, ...], may: Callable[[str], bool]
) -> tuple[tuple[T, ...], tuple[str, ...]]:
    kept: list[T] = []
    ignored: list[str] = []
    for service in services:
        if _is_allowed(service.address, may):
            kept.append(service)
        else:
            ignored.append(service.address)
    return tuple(kept), tuple(ignored)


def _is_allowed(address: str, may: Callable[[str], bool]) -> bool:
    try:
        return may(str(Address.parse(address)))
    except InvalidName:
        return False


def _decode(lsa: Lsa) -> Body:
    try:
        body = decode_body(lsa.kind, lsa.body)
    except RemoteProtocolError as exc:
        raise AdvertisementRejected(Cause.MALFORMED, str(exc)) from exc
    if isinstance(body, AdjacenciesBody):
        neighbors = {adjacency.neighbor for adjacency in body.adjacencies}
        if len(neighbors) != len(body.adjacencies) or lsa.origin in neighbors:
            raise AdvertisementRejected(
                Cause.MALFORMED, f"{lsa.origin!r} names a neighbour twice, or itself"
            )
    return body


def _chain_of(entry: Entry) -> tuple[bytes, ...]:
    return entry.body.chain if isinstance(entry.body, IdentityBody) else ()


def _decode_identity(lsa: Lsa) -> IdentityBody:
    body = _decode(lsa)
    if not isinstance(body, IdentityBody):
        raise AdvertisementRejected(Cause.MALFORMED, f"{lsa.origin!r} sent no identity")
    return body
