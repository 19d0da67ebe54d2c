"""Which authorities of the network can be asked for a site's certificate, as far as is told."""

from collections.abc import Iterator

from van.router.links.routes import Routes
from van.router.site.trust import Trust
from van.tls.holders import standing_of
from van.tls.identity import SiteIdentity
from van.tls.renewal import AuthorityHolder, authorities_for


def reachable_authorities(trust: Trust, routes: Routes, site: SiteIdentity) -> list[str]:
    """Return whom to ask of those that can be reached from here, in this order."""
    return [each.identity.site for each in authorities_for(site, authority_holders(trust, routes))]


def authority_holders(trust: Trust, routes: Routes) -> Iterator[AuthorityHolder]:
    """Yield who of those that can be reached says to hold an authority under the newest root."""
    told = routes.identities()
    for site in routes.fib.routes:
        identity, body = routes.identity_of(site), told.get(site)
        if identity is None or body is None:
            continue
        standing = standing_of(body.authority, trust.credentials.root)
        # What others issue rests on the root that is to be replaced.
        if standing is not None and standing.roots == trust.succession.newest:
            is_second = standing.level == 0 and not standing.is_root
            yield AuthorityHolder(identity, standing.level, is_second)
