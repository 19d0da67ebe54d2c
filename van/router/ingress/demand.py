"""Which channels are to be ready: to neighbours, and to where flows from here are going to go."""

from van.router.channels.pool import NextHops
from van.router.channels.pools import Pools
from van.router.ingress.ingress import Ingress
from van.router.links.routes import Routes
from van.router.links.table import LinkTable
from van.router.reactor.limits import Limits


class ChannelDemand:
    """Tells the pools which channels are wanted, and along which paths; in trio's thread.

    `refresh` is to be called when links, paths, or listeners have changed, after whoever decides
    what these are.
    """

    def __init__(
        self, pools: Pools, routes: Routes, links: LinkTable, ingress: Ingress, limits: Limits
    ) -> None:
        self._pools = pools
        self._routes = routes
        self._links = links
        self._ingress = ingress
        self._limits = limits

    def refresh(self, *_: object) -> None:
        """Keep idle channels to neighbours, and to the sites that listeners here lead to, along
        the paths as they are now; whatever has changed is looked up."""
        fib = self._routes.fib
        served = {
            site
            for listener in self._ingress.listeners
            for site in fib.services.get(listener.service, ())
            if site != fib.site
        }
        self._pools.reroute(
            {
                site: NextHops(hop, self._routes.second_hop(site) if site in served else None)
                for site in fib.routes
                if (hop := fib.next_hop(site)) is not None
            }
        )
        wanted = dict.fromkeys(served, self._limits.remote_spares)
        wanted |= {
            site: self._limits.neighbor_spares for site in self._links.up if site in fib.routes
        }
        self._pools.want(wanted)
