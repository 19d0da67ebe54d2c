"""The request that tells all that is known of one site."""

from collections.abc import Sequence

from van.control.values.sites import SiteCertificate, SiteShown
from van.errors import NotFound
from van.names import check_site_name
from van.router.links.names import Names
from van.router.links.routes import Routes
from van.router.site.state import SiteState
from van.tls.expulsion import Verified
from van.tls.identity import SiteIdentity
from van.tls.subject import Kind, Subject


class SiteRequests:
    """Gathers what the network, this site's memory, and its ledger say of a name."""

    def __init__(self, site: SiteState, routes: Routes, names: Names) -> None:
        self._trust = site.trust
        self._ledger = site.ledger
        self._routes = routes
        self._names = names

    async def show(self, site: str) -> SiteShown:
        """Return what is known of a site; raise `NotFound`."""
        name = check_site_name(site)
        is_own = name == self._trust.site
        identity = self._trust.identity if is_own else self._routes.identity_of(name)
        holders = self._names.holders(name)
        said = sorted(
            (each for each in self._trust.expulsions if each.expulsion.site == name),
            key=lambda each: each.at,
        )
        if not holders and not said:
            raise NotFound(
                f"site {name!r} is not known here: 'van network' shows who is there, and 'van site "
                "expelled' who was put out"
            )
        key = holders[0].key if holders else said[-1].expulsion.key.hex()
        is_up = is_own or (identity is not None and name in self._routes.fib.routes)
        pin = None if is_own else self._trust.pins.get(name)
        is_pinned = pin is not None and pin.key == key
        return SiteShown(
            site=name,
            state=_state(said, is_out=not holders, is_up=is_up),
            key=key,
            pinned_since=pin.since if pin is not None and is_pinned else None,
            seen=pin.seen if pin is not None and is_pinned and not is_up else None,
            certificate=None if identity is None else _certificate(identity),
            tokens=tuple(
                record.id for record in self._ledger.records() if (name, key) in record.used_by
            ),
            statements=tuple(self._describe(each, key) for each in said),
            version=self._routes.software(name),
        )

    def _describe(self, said: Verified, key: str) -> str:
        """Return what was said of a name, and of which key, where it is not the one that has it."""
        text, about = self._trust.expulsions.describe(said), said.expulsion.key.hex()
        return text if about == key else f"with an earlier key, {about[:16]}…: {text}"

    async def names(self) -> tuple[str, ...]:
        """Return the names of all sites that are known here, also of those that are away or out."""
        return tuple(
            sorted(
                {
                    self._trust.site,
                    *self._routes.identities(),
                    *(pin.site for pin in self._trust.pins),
                    *(each.expulsion.site for each in self._trust.expulsions),
                }
            )
        )


def _state(said: Sequence[Verified], *, is_out: bool, is_up: bool) -> str:
    if is_out:
        return "forgotten" if said[-1].expulsion.is_forgotten else "expelled"
    return "up" if is_up else "away"


def _certificate(identity: SiteIdentity) -> SiteCertificate:
    grants = identity.grants
    return SiteCertificate(
        id=Subject(identity.van_id, Kind.SITE, identity.site).uri,
        tags=grants.tags,
        can_invite=grants.can_invite,
        allow_expose=grants.allow_expose,
        allow_bind=grants.allow_bind,
        may_name=grants.may_name,
        may_tag=grants.may_tag,
        is_ephemeral=grants.is_ephemeral,
        issued_by=identity.issuers,
        first_issued=identity.first_issued,
        expires_at=identity.not_after,
    )
