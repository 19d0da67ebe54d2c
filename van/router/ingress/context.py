"""What every part of the ingress works with."""

import attrs

from van.router.bundles.pools import BundlePools
from van.router.channels.pools import Pools
from van.router.egress.egress import Egress
from van.router.flow.table import Flows
from van.router.ingress.ageing import Count
from van.router.ingress.reach import Reach
from van.router.ingress.silences import Silences
from van.router.links.routes import Routes
from van.router.reactor.loop import EventLoop
from van.router.reactor.splice import DirectionFactory
from van.router.reactor.supervisor import Tasks


@attrs.frozen(eq=False)
class IngressContext:
    """The means that the router lends to the ingress, once."""

    loop: EventLoop
    flows: Flows
    routes: Routes
    reach: Reach
    """Knows which of the sites that serve an address let this one in."""
    pools: Pools
    bundles: BundlePools
    egress: Egress
    """Knows the targets of this site, to which flows go without a channel."""
    make_direction: DirectionFactory
    tasks: Tasks
    """Those of listeners, and of flows that have to wait for something."""
    silences: Silences
    sessions: Count = attrs.field(factory=Count)
    """UDP sessions of all ports, of which there may be so many."""
