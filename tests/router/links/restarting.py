"""A site that comes back with other credentials."""

from lab.network import Network, Site, wait_until
from van.tls.credentials import Credentials


async def restart_with(net: Network, site: Site, credentials: Credentials) -> Site:
    """End a site's router, and start it anew with these credentials."""
    site.scope.cancel()
    path = net.paths(site.name).control_socket
    await wait_until(lambda: not path.exists(), "the router has stopped")
    credentials.save(net.paths(site.name).identity_file)
    return await net.start(site.name)
