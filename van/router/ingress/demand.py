"""Which channels are to be ready: to neighbours, and to where flows from here are going to go."""

from van.router.channels.pool import NextHops
from van.router.ingress.context import IngressContext
from van.router.ingress.ingress import Ingress
from van.router.links.table import LinkTable


class ChannelDemand:
    """Tells the pools which channels are wanted, and along which paths; in trio's thread.

    `refresh` is to be called when links, paths, or listeners have changed, after whoever decides
    what these are.
    """

    def __init__(self, context: IngressContext, links: LinkTable, ingress: Ingress) -> None:
        self._pools = context.pools
        self._routes = context.routes
        self._reach = context.reach
        self._links = links
        self._ingress = ingress
        self._limits = context.loop.limits

    def refresh(self, *_: object) -> None:
        """Keep idle channels to neighbours, and to the sites that listeners here lead to, along
        the paths as they are now; whatever has changed is looked up."""
        fib = self._routes.fib
        served = {
            site
            for listener in self._ingress.listeners
            for site in self._reach.sites(listener.service)
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
