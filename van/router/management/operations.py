"""What the control API does: each request's handler, and the parts of the router that it asks."""

import time

from van.control import endpoints as api
from van.control.values.base import Created
from van.control.values.flows import FlowEnding
from van.control.values.maintenance import StopSpec
from van.control.values.status import Status
from van.router.management.attachments import Attachments
from van.router.management.audit import AuditRequests
from van.router.management.authority import AuthorityRequests
from van.router.management.circles import Circles
from van.router.management.expulsions import ExpulsionRequests
from van.router.management.handlers import Handlers
from van.router.management.inspection import Inspection
from van.router.management.links import LinkRequests
from van.router.management.maintenance import Maintenance
from van.router.management.policy import PolicyRequests
from van.router.management.sites import SiteRequests
from van.router.management.status import router_status
from van.router.management.tokens import TokenRequests
from van.router.router import Router


class Operations:
    """Carries out requests on a router."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._started_at = time.monotonic()

    def handlers(self) -> Handlers:
        """Return who answers what."""
        router = self._router
        inspection = Inspection(
            router.routes, router.data.ingress.ranking, router.control.tracer, router.control.events
        )
        tokens = TokenRequests(router.invitations, router.trust, router.site.audit)
        expulsions = ExpulsionRequests(
            router.site, router.routes, router.control.expelling, router.control.names
        )
        policy = PolicyRequests(router.site, router.routes, router.control.governing)
        sites = SiteRequests(router.site, router.routes, router.control.names)
        authority = AuthorityRequests(
            router.site,
            router.routes,
            router.control.membership,
            router.control.granting,
            router.control.rolling,
            event_log=router.control.events,
        )
        links = LinkRequests(
            router.trust.site, router.links, router.control.membership, self._flows_over
        )
        maintenance = Maintenance(router.control.transit)
        circles = Circles(router.site.paths, router.trust)
        attachments = Attachments(
            router.data.attachments.connectors,
            router.data.attachments.listeners,
            circles,
            router.routes,
        )
        return Handlers(
            {
                api.STATUS: self.status,
                api.NETWORK: inspection.network,
                api.NETWORK_FROM: inspection.network_from,
                api.TRACE: inspection.trace,
                api.EXPLAIN: inspection.explain,
                api.EVENTS: inspection.events,
                api.ENDED_FLOWS: self.ended_flows,
                api.STOP: self.stop,
                api.CREATE_TOKEN: tokens.create,
                api.LIST_TOKENS: tokens.list,
                api.REVOKE_TOKEN: tokens.revoke,
                api.SITE_NAMES: sites.names,
                api.SHOW_SITE: sites.show,
                api.EXPEL: expulsions.expel,
                api.FORGET: expulsions.forget,
                api.EXPULSIONS: expulsions.list,
                api.AUTHORITIES: authority.show,
                api.RESTORE_AUTHORITY: authority.restore,
                api.GRANT_AUTHORITY: authority.grant,
                api.AUDIT: AuditRequests(
                    router.site, router.control.trail_keeper, router.trail_sharing
                ).show,
                api.POLICY: policy.show,
                api.SET_POLICY: policy.set,
                api.CHECK_POLICY: policy.check,
                api.ROLL_ROOT: authority.roll,
                api.ACCEPT_TOKEN: links.accept,
                api.DELETE_LINK: links.delete,
                api.SET_COST: links.set_cost,
                api.SET_HOLD: links.set_hold,
                api.DRAIN: maintenance.drain,
                api.UNDRAIN: maintenance.undrain,
                api.EXPOSE: attachments.expose,
                api.UNEXPOSE: attachments.unexpose,
                api.BIND: attachments.bind,
                api.UNBIND: attachments.unbind,
            }
        )

    def _flows_over(self, neighbor: str) -> int:
        data = self._router.data
        return data.flows.carried_by_any(data.channels.table.users(neighbor))

    async def status(self) -> Status:
        """Return the state of the router and of the network as it sees it."""
        return router_status(self._router, self._started_at)

    async def ended_flows(self) -> tuple[FlowEnding, ...]:
        """Return how the last flows ended."""
        return self._router.flows.endings.statuses()

    async def stop(self, spec: StopSpec) -> Created:
        """Begin to stop; the answer goes out before the router is gone."""
        router = self._router
        router.stop(spec.grace, is_for_good=spec.is_for_good)
        flows, relays = len(router.flows), router.data.forwarding.relays.count
        detail = f"flows: {flows}, relays: {relays}" if flows or relays else ""
        return Created(state="stopping", detail=detail)
