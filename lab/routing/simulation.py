"""A network of real engines on a simulated clock: how it is built, and what befalls it."""

import math
from collections.abc import Collection, Iterable
from typing import Any

import networkx as nx

from lab.routing.fabric import HOLD_INTERVALS, Fabric
from lab.routing.topology import Link, Site
from van.wire.lsa import Binding, Service

MOST_TO_SETTLE = 120.0
"""Longer than any timer that holds something back, so that what is still amiss then stays so."""


def service(address: str, protocol: str = "tcp") -> Service:
    return Service(address=address, protocol=protocol)


class Network(Fabric):
    """Sites and links by name, and everything that may happen to them."""

    # Building

    def add_site(self, name: str, *, called: str | None = None, **permissions: Any) -> None:
        """Add a site; it may call itself as another one does, which has other neighbours."""
        keyring = self.authority.issue(called or name, **permissions)
        self.sites[name] = Site(self._make_engine(keyring, 1, self.now), keyring, 1)
        self._pump(name)

    def add_link(self, a: str, b: str, *, cost: int = 1, cost_back: int | None = None) -> Link:
        link = self._make_link(a, b, {a: cost, b: cost if cost_back is None else cost_back})
        self._dial(link)
        return link

    def add_graph(self, graph: nx.Graph) -> None:
        """Add the sites and links of a graph, all at once."""
        for node in graph:
            self.add_site(f"s{node}")
        for a, b, data in graph.edges(data=True):
            self.add_link(f"s{a}", f"s{b}", cost=data.get("cost", 1))

    # What befalls a link

    def cut(self, a: str, b: str) -> None:
        """Close a link at both ends, and don't dial it again."""
        link = self.link(a, b)
        link.is_wanted = False
        self._close(link, a if a in link.sessions else b)

    def half_open(self, site: str, neighbor: str) -> None:
        """Let a site believe in a link of which its neighbour knows nothing, until it is joined.

        There was none before: what the neighbour last advertised must not confirm it.
        """
        link = self._make_link(site, neighbor, {site: 1, neighbor: 1})
        link.is_wanted = False
        self._open(link, site, next(self._sessions), hold_time=math.inf)

    def join(self, a: str, b: str) -> None:
        """Dial a link that was cut."""
        link = self.link(a, b)
        link.is_wanted = True
        self._dial(link)

    def block(self, source: str, destination: str) -> None:
        """Let all bytes from one end vanish; neither end is told."""
        self.link(source, destination).blocked.add(source)

    def heal(self, a: str, b: str) -> None:
        """Let bytes pass again in both directions; what vanished is lost with its connection."""
        link = self.link(a, b)
        if not link.blocked:
            return
        link.blocked.clear()
        self._close(link, a)
        self._dial(link)

    def partition(self, group: Collection[str], *, is_silent: bool = False) -> None:
        """Part a group of sites from all others: by closed links, or by links that say nothing."""
        for link in self.links.values():
            a, b = link.ends
            if (a in group) == (b in group):
                continue
            if is_silent:
                link.blocked.update(link.ends)
            else:
                self.cut(a, b)

    def heal_all(self) -> None:
        """Let every link work again that was cut or blocked."""
        for link in self.links.values():
            self.heal(*link.ends)
            self.join(*link.ends)

    def flap(self, a: str, b: str, *, times: int, interval: float) -> None:
        """Close a link and dial it again, over and over."""
        for _ in range(times):
            self.cut(a, b)
            self.run(interval / 2)
            self.join(a, b)
            self.run(interval / 2)

    def set_cost(self, site: str, neighbor: str, cost: int) -> None:
        self.link(site, neighbor).costs[site] = cost
        if self.sites[site].is_running:
            self.engine(site).set_link_cost(neighbor, cost, now=self.clock(site))
            self._pump(site)

    # What befalls a site

    def set_services(
        self, site: str, services: Iterable[Service], listeners: Iterable[Binding] = ()
    ) -> None:
        state = self.sites[site]
        state.services, state.listeners = tuple(services), tuple(listeners)
        if state.is_running:
            state.engine.set_addresses(state.services, state.listeners, now=self.clock(site))
            self._pump(site)

    def set_transit(self, site: str, *, is_transit: bool) -> None:
        state = self.sites[site]
        state.is_transit = is_transit
        if state.is_running:
            state.engine.set_transit(is_transit=is_transit, now=self.clock(site))
            self._pump(site)

    def renewed(self, site: str) -> None:
        """Tell a site that its keyring has a new chain."""
        self.engine(site).refresh_identity(now=self.clock(site))
        self._pump(site)

    def crash(self, site: str) -> None:
        """End a site's router without a word; its host closes the connections."""
        state = self.sites[site]
        state.is_running, state.stopped_at = False, None
        state.unread.clear()
        for link in state.links.values():
            self._close(link, site)

    def start(self, site: str, *, lost_state: bool = False, new_key: bool = False) -> None:
        """Start a crashed site again: one incarnation on, or at the first if its state is lost."""
        state = self.sites[site]
        state.incarnation = 1 if lost_state else state.incarnation + 1
        if new_key:
            state.keyring = self.authority.issue(self.called(site))
        now = self.clock(site)
        state.engine = self._make_engine(state.keyring, state.incarnation, now)
        state.is_running = True
        state.engine.set_transit(is_transit=state.is_transit, now=now)
        state.engine.set_addresses(state.services, state.listeners, now=now)
        self._pump(site)
        for link in state.links.values():
            self._dial(link)

    def leave(self, site: str) -> None:
        """Shut a site down in order."""
        self.engine(site).withdraw(now=self.clock(site))
        self._pump(site)
        self.crash(site)

    def stop(self, site: str) -> None:
        """Stop a site's process, as a debugger or a closed lid does."""
        self.sites[site].stopped_at = self.now

    def resume(self, site: str, *, clock_stood: bool = False) -> None:
        """Let a stopped process go on; its timers are noticed first, then what waits unread.

        Its clock has gone on meanwhile, or has stood, as a monotonic clock may while a laptop
        sleeps.
        """
        state = self.sites[site]
        if state.stopped_at is None:
            return
        if clock_stood:
            state.clock_offset -= self.now - state.stopped_at
        state.stopped_at = None
        self._handle_timer(site)
        unread, state.unread = state.unread, []
        for event in unread:
            event()
        for link in state.links.values():
            self._dial_later(link)

    def jump(self, site: str, seconds: float) -> None:
        """Let a site's clock jump ahead: its process notices the time all at once."""
        state = self.sites[site]
        state.clock_offset += seconds
        if state.is_running and not state.is_stopped:
            self._handle_timer(site)

    # Peace

    def settle(self, most: float = MOST_TO_SETTLE) -> None:
        """Let time pass until the network is quiet, but no longer than `most`.

        It is quiet when no table and no link has changed for longer than a silence goes
        unnoticed, and no link is held back that both ends have.
        """
        quiet = self.timers.heartbeat_interval * (HOLD_INTERVALS + 1) + 2.0
        until = self.now + most
        self.run(min(quiet, most))
        while self.now < until and (self.now - self.unquiet_at < quiet or self._holds_back()):
            self.run(0.5)

    def _holds_back(self) -> bool:
        return any(
            link.other(end) not in self.engine(end).fib.sites[end]
            for link in self.links.values()
            if link.is_up()
            for end in link.ends
        )
