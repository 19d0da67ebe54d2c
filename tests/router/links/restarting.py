"""A site that comes back with other credentials, or with those that have run out meanwhile."""

from datetime import UTC, datetime, timedelta

from lab.network import Network, Site, wait_until
from van.tls.authority import Authority
from van.tls.credentials import Credentials
from van.tls.keys import make_request


def authority_of(site: Site) -> Authority:
    """Return the authority that a site holds."""
    authority = site.router.trust.credentials.authority
    assert authority is not None
    return authority


def expired(
    credentials: Credentials, authority: Authority, *, ago: timedelta = timedelta(days=20)
) -> Credentials:
    """Return what a site holds whose certificates ran out so long ago."""
    ended = datetime.now(UTC) - ago
    life, grants = timedelta(days=7), credentials.identity.grants
    chain = authority.issue_site(
        make_request(credentials.key),
        site=credentials.site,
        grants=grants,
        lifetime=life,
        now=ended - life,
    )
    if credentials.authority is None:
        return credentials.with_chain(chain)
    ca_chain = authority.issue_intermediate(
        make_request(credentials.authority.key),
        site=credentials.site,
        grants=grants,
        lifetime=life,
        now=ended - life,
    )
    return credentials.with_chain(chain, ca_chain=ca_chain)


async def restart_with(net: Network, site: Site, credentials: Credentials) -> Site:
    """End a site's router, and start it anew with these credentials."""
    site.scope.cancel()
    path = net.paths(site.name).control_socket
    await wait_until(lambda: not path.exists(), "the router has stopped")
    credentials.save(net.paths(site.name).identity_file)
    return await net.start(site.name)


async def away(
    net: Network, site: Site, authority: Authority, *, ago: timedelta = timedelta(days=20)
) -> Site:
    """Restart a site as after an absence, its certificates having run out so long ago."""
    return await restart_with(net, site, expired(site.router.trust.credentials, authority, ago=ago))
